"""Compares for the whole application: when somebody asks for it, and by schedule.

One worker at a time, the one that has partition 0 of the outbox. It goes on with a run that another worker, or an earlier
process of its own, has left: from where that was if the file of the run is here, else from the beginning.
"""

import asyncio
import sqlite3
from collections.abc import Callable
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import get_args
from uuid import uuid4

import structlog
from aiokafka.errors import KafkaError
from msgspec.structs import replace

from streams.core.backoff import RetryPolicy
from streams.core.clock import Clock
from streams.core.errors import OwddError
from streams.dispatch.service import Dispatch, ReachedAccount
from streams.dotdigital.errors import DataError, DotdigitalError, ThrottledError
from streams.kafka.producer import BatchProducer
from streams.mapping import Mapping
from streams.mapping.delivery import RecordStatus
from streams.messages.reconciliations import SCHEDULE, ReconcileRun
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from streams.operations.reconcile.checks import Checks
from streams.operations.reconcile.comparison import CancelledRunError, Comparison, Tools
from streams.operations.reconcile.delivered import OTHERS_CLOSED, Delivered
from streams.operations.reconcile.drift import Account
from streams.operations.reconcile.findings import Findings, discard
from streams.operations.reconcile.healing import Healing
from streams.operations.reconcile.pages import AccountPages, Places
from streams.operations.reconcile.run_log import KnownRuns, RunLog
from streams.settings import Settings

log = structlog.get_logger()

_LOOK_SECONDS = 5.0
_MOST_FAILURES = 30
"""Tries in a row of one run: with their waits more than half an hour."""


@dataclass(frozen=True, slots=True)
class ReconcileSite:
    """What is compared, and where: settings and mapping of the site, and the partitions of the outbox that are open here."""

    settings: Settings
    mapping: Mapping
    owned: Callable[[], AbstractSet[int]]

    @property
    def leads(self) -> bool:
        """Whether this worker is the one to compare."""
        return 0 in self.owned()

    @property
    def alone(self) -> bool:
        """Whether no other worker has a part of the outbox."""
        return len(self.owned()) == self.settings.partitions


class Reconciler:
    """Works on the runs of ``run_log``, over the account that ``dispatch`` has reached."""

    def __init__(
        self,
        site: ReconcileSite,
        run_log: RunLog,
        delivered: Delivered,
        dispatch: Dispatch,
        producer: BatchProducer,
        clock: Clock,
        metrics: Metrics,
    ) -> None:
        self._site = site
        self._runs = run_log
        self._delivered = delivered
        self._dispatch = dispatch
        self._producer = producer
        self._clock = clock
        self._metrics = metrics
        self._known = KnownRuns()
        self._rng = Random()  # of samples and waits, not a secret
        self._retry, self._failures = RetryPolicy(base=2.0), 0
        self._warned = False
        self._hash_key = site.settings.hash_key.get_secret_value().encode()

    @property
    def _path(self) -> Path:
        return self._site.settings.data_dir / "reconcile.db"

    async def run(self) -> None:
        """Work for ever. Without Kafka it waits: a run goes on where it was, and deliveries have a judgement of their own."""
        account = await self._dispatch.account()
        while True:
            try:
                wait = await self._turn(account)
            except KafkaError as error:
                log.warning("comparison with Dotdigital waits for Kafka", reason=type(error).__name__)
                wait = _LOOK_SECONDS
            await asyncio.sleep(wait)

    async def _turn(self, account: ReachedAccount) -> float:
        """One look at what is asked for, and work on it; seconds until the next."""
        self._known = await self._runs.known()
        if self._site.leads and (run := await self._next()) is not None:
            return await self._work(run, account)
        if all(known.over for known in self._known.runs.values()):
            discard(self._path)
        return _LOOK_SECONDS

    def update_gauges(self) -> None:
        """Set the gauges; called before each scrape."""
        metrics, last = self._metrics, self._known.last_complete
        # Without a way to the other workers there is no schedule, and nothing can be late: the doctor shows what is missing.
        interval = self._interval_ms if self._sees_all else 0
        now = self._clock.now_ms()
        metrics.reconcile_every.set(interval / 1000)
        began = last.ended if last is not None else self._known.since if interval else None
        metrics.reconcile_age.set(0 if began is None else max(0, now - began) / 1000)
        metrics.drift.clear()
        metrics.drift_age.clear()
        for drift, count in last.drift.items() if last is not None else ():
            metrics.drift.labels(drift).set(count)
            metrics.drift_age.labels(drift).set(max(0, now - last.since.get(drift, now)) / 1000 if last is not None else 0)

    @property
    def _interval_ms(self) -> int:
        return int(self._site.settings.reconcile_hours * 3_600_000)

    @property
    def _sees_all(self) -> bool:
        """Whether the whole outbox can be read: other workers' partitions only if they can be asked."""
        return self._delivered.workers is not None or self._site.alone

    async def _next(self) -> ReconcileRun | None:
        """The run to work on; the schedule's own is made here."""
        for run in self._known.in_order:
            if not run.over and run.id in self._known.cancelled:
                await self._save(replace(run, state="cancelled", ended=self._clock.now_ms()))
            elif not run.over:
                return run
        for outdated in self._known.outdated:
            await self._runs.forget(outdated)
        return await self._scheduled()

    async def _scheduled(self) -> ReconcileRun | None:
        now, interval = self._clock.now_ms(), self._interval_ms
        if not interval:
            return None
        if self._known.since is None:
            # The first load must be over: an account that is being filled differs everywhere.
            await self._runs.begin_schedule(now)
            return None
        tried = max((run.ended for run in self._known.runs.values() if run.scope == "full"), default=self._known.since)
        if now - max(tried, self._known.since) < interval:
            return None
        if not self._sees_all:
            if not self._warned:
                self._warned = True
                log.warning("comparison with Dotdigital is due and not made", reason=OTHERS_CLOSED)
            return None
        return ReconcileRun(id=uuid4().hex[:8], by=SCHEDULE, asked=now)

    async def _work(self, run: ReconcileRun, account: ReachedAccount) -> float:
        """Work on a run; seconds until the next look."""
        if run.state == "asked":
            run = replace(run, state="running", began=self._clock.now_ms())
            await self._runs.record(run, "start", run.by)
            await self._save(run)
        self._metrics.reconcile_running.set(1)
        try:
            with Findings(self._path, run.id) as findings:
                comparison = Comparison(run, self._tools(account, findings), self._save_running, self._rng)
                await self._end(await comparison.work(), findings)
        except CancelledRunError:
            return _LOOK_SECONDS
        except KafkaError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever a comparison meets, delivery goes on beside it
            return await self._again(run, error)
        finally:
            self._metrics.reconcile_running.set(0)
        self._failures = 0
        return 0.0

    async def _end(self, run: ReconcileRun, findings: Findings) -> None:
        now = self._clock.now_ms()
        before = self._known.last_complete
        since = {drift: before.since.get(drift, now) if before is not None else now for drift in run.drift}
        ended = replace(run, state="done", phase="", reason="", ended=now, since=since if run.scope == "full" else {})
        await self._runs.record(ended, "done", ended.by)
        await self._save(ended)
        findings.delete()
        log.info("comparison with Dotdigital is done", run=run.id, scope=run.scope, drift=run.drift, healed=run.healed)

    async def _again(self, run: ReconcileRun, error: Exception) -> float:
        """Seconds until the run goes on; the last try ends it."""
        self._failures += 1
        reason = type(error).__name__
        # The texts of our own errors name nobody; of others only the kind is known.
        text = f"{reason}: {error}" if isinstance(error, OwddError | DotdigitalError | sqlite3.Error) else reason
        text = f"{reason}: {error.code}" if isinstance(error, DataError) else text
        known = self._known.runs.get(run.id, run)
        log.warning("comparison with Dotdigital failed", run=run.id, reason=reason, failures=self._failures)
        if self._failures >= _MOST_FAILURES:
            self._failures = 0
            failed = replace(known, state="failed", reason=text, ended=self._clock.now_ms())
            await self._runs.record(failed, "failed", failed.by)
            await self._save(failed)
            return _LOOK_SECONDS
        # So that whoever waits for it sees what is missing.
        await self._save(replace(known, reason=text))
        wait = self._retry.delay(self._failures, self._rng)
        if isinstance(error, ThrottledError) and error.reset_at is not None:
            wait += max(0.0, error.reset_at - self._clock.now_ms() / 1000)
        return wait

    async def _save(self, run: ReconcileRun) -> None:
        await self._runs.save(run)
        self._known.runs[run.id] = run

    async def _save_running(self, run: ReconcileRun) -> None:
        if not self._site.leads:
            raise CancelledRunError
        before = self._known.runs.get(run.id, run)
        if (run.contacts, run.orders, run.items, run.checked) != (before.contacts, before.orders, before.items, before.checked):
            # It went on: a later failure is not the last of many. Its phase proves nothing: each try goes through all of them.
            self._failures = 0
        await self._save(run)
        self._known = await self._runs.known()
        if run.id in self._known.cancelled:
            raise CancelledRunError

    def _tools(self, account: ReachedAccount, findings: Findings) -> Tools:
        targets, mapping, settings = account.targets, self._site.mapping, self._site.settings
        orders = mapping.delivery.orders
        words = {} if orders is None else orders.statuses
        site = Account(
            policy=self._dispatch.policy,
            list_id=targets.list_id,
            own=targets.own,
            kept=targets.kept,
            statuses=frozenset(words.get(status, status) for status in get_args(RecordStatus)),
        )
        places = Places(tuple(map(str, mapping.contact_fields.model_dump().values())), targets.orders, targets.catalogue)
        return Tools(
            pages=AccountPages(account.api, self._delivered, findings, site, places, settings.partitions),
            checks=Checks(account.api, self._delivered, site, places),
            healing=Healing(self._producer, Topics.of(settings.app_id), settings.partitions, self._clock),
            delivered=self._delivered,
            findings=findings,
            clock=self._clock,
            hash_key=self._hash_key,
            complete_until=self._dispatch.outbox.complete_until,
        )
