"""Dispatch: the parts of one worker that deliver, put together.

The outbox handler runs as a stage and needs nothing of Dotdigital; everything that calls it starts once the account was found
to hold what the mapping names, and waits for that while Dotdigital cannot be reached.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random

import httpx
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from streams.core.backoff import RetryPolicy
from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.dispatch.brake_clock import BrakeClock
from streams.dispatch.control_feed import ControlFeed
from streams.dispatch.outbox.blockers import RemovalState
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.handler import OutboxHandler
from streams.dispatch.outbox.imports_in_flight import ImportsInFlight
from streams.dispatch.outbox.rows import OutboxRows
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Work
from streams.dispatch.policies import brake_policy, budget_policy, client_config, debounce_policy, routing_policy
from streams.dispatch.rate_limit.limiter import RateLimiter
from streams.dispatch.rate_limit.partition_share import PartitionShare
from streams.dispatch.reachability import Reachability
from streams.dispatch.readback import Readback, ReadbackTopic, ReadbackTurn
from streams.dispatch.senders.account_targets import AccountTargets
from streams.dispatch.senders.context import SenderContext
from streams.dispatch.senders.failures import FailurePolicy
from streams.dispatch.senders.follow_ups import FollowUpSender, ReportPolicy
from streams.dispatch.senders.import_batch import BatchBuilder
from streams.dispatch.senders.import_reports import ImportReports
from streams.dispatch.senders.imports import ImportParts, ImportPolicy, ImportSender
from streams.dispatch.senders.readback_freshness import ReadbackFreshness
from streams.dispatch.senders.recent_buyers import RecentBuyersList
from streams.dispatch.senders.single_calls import SingleCallSender
from streams.domain.digester import Digester
from streams.domain.times import utc_text
from streams.dotdigital.bootstrap import resolve
from streams.dotdigital.client import Api, DotdigitalClient
from streams.dotdigital.credentials import Credentials
from streams.dotdigital.errors import DotdigitalError
from streams.dotdigital.tiers import Call
from streams.engine.table import StateTable
from streams.kafka.producer import BatchProducer
from streams.mapping import Mapping
from streams.messages.removals import RemovalKind
from streams.messages.topics import Topics
from streams.messages.write_control import WriteControl
from streams.observability.freshness import age_seconds
from streams.observability.metrics import Metrics
from streams.settings import Settings

logger = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class ReachedAccount:
    """The account that a worker delivers to: its API in the bulk lane, inside the budget, and where things go."""

    api: Api
    targets: AccountTargets


class Dispatch:
    """One worker's outbox and all who send from it."""

    def __init__(self, settings: Settings, mapping: Mapping, clock: Clock, metrics: Metrics, rng: Random | None = None) -> None:
        self._settings = settings
        self._mapping = mapping
        self._clock = clock
        self._metrics = metrics
        self._rng = rng or Random()  # jitter, not a secret
        self._topics = Topics.of(settings.app_id, settings.generation)
        self._hash_key = settings.hash_key.get_secret_value().encode()
        policy = SitePolicy.of(mapping, Digester(*settings.erasure_keys), self._hash_key)
        if mapping.consent.mode == "column":
            wait, corrects = int(settings.consent_wait * 1000), settings.consent_correct_creation
            policy = replace(policy, consent_wait_ms=wait, corrects=corrects)
        self._policy = policy
        self._reachability = Reachability(settings.dotdigital_url, clock, metrics)
        self._gauges: list[Callable[[], None]] = []
        self._account: ReachedAccount | None = None
        self._reached = asyncio.Event()
        self.queue = DeliveryQueue(clock)
        self.imports_in_flight = ImportsInFlight(self.queue)
        debounce, brake = debounce_policy(settings), brake_policy(settings)
        self.outbox = OutboxHandler(self._topics, self._policy, debounce, self.queue, self.imports_in_flight, metrics, brake)

    async def run(
        self,
        table: StateTable,
        producer: BatchProducer,
        controls: ControlFeed,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """Deliver for ever what the outbox's ``table`` wants, as far as ``controls`` let it.

        Raises:
            ConfigurationError: the account lacks something that the mapping names.
            aiokafka.errors.KafkaError: an outcome could not be written down; the worker must end.
        """
        known = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(controls.follow(self._set_writes, known.set))
            # Not a call before it is known whether writes are paused.
            await known.wait()
            await self._run(table, producer, transport)

    async def _run(self, table: StateTable, producer: BatchProducer, transport: httpx.AsyncBaseTransport | None) -> None:
        share = PartitionShare(table.owned, self._settings.partitions)
        limiter = RateLimiter(share, budget_policy(self._settings), self._clock, self._metrics, self._rng)
        config = client_config(self._settings)
        client = DotdigitalClient(config, self._observe, transport, limiter)
        if warning := Credentials.of(config).warning:
            logger.warning("the credentials look wrong", reason=warning)
        try:
            targets = await self._reach(client)
            self._account = ReachedAccount(client.for_lane(Lane.BULK), targets)
            self._reached.set()
            readback = self._readback(client, table, producer)
            brake_clock = BrakeClock(producer, self._topics, self.outbox.brake_due, self._clock)
            async with asyncio.TaskGroup() as group:
                group.create_task(readback.run())
                group.create_task(brake_clock.run())
                group.create_task(self._deliver(self._context(table, producer, client), limiter, targets, readback))
        finally:
            await client.close()

    async def account(self) -> ReachedAccount:
        """The account, once it was reached; :meth:`run` reaches it."""
        await self._reached.wait()
        assert self._account is not None
        return self._account

    @property
    def policy(self) -> SitePolicy:
        """What the outbox knows of the site."""
        return self._policy

    def _set_writes(self, control: WriteControl) -> None:
        self.queue.set_writes(control)
        self._metrics.paused.set(control.paused + (control.paused and control.everything))
        if control.paused:
            logger.critical("writes to Dotdigital are paused", by=control.by, everything=control.everything)

    @property
    def ready(self) -> bool:
        """Whether Dotdigital does not refuse our credentials: a worker that it lets in should be preferred."""
        return self._reachability.let_in

    @property
    def remark(self) -> str | None:
        """What a person should know who asks whether the worker is ready; None: nothing."""
        return "; ".join(filter(None, (self._pause, self._reachability.remark))) or None

    @property
    def _pause(self) -> str | None:
        writes = self.queue.blockers.writes
        if not writes.paused:
            return None
        since, whole = utc_text(writes.at // 1000), "wait too" if writes.everything else "go on"
        return f"writes to Dotdigital are paused by {writes.by} since {since}; opt-outs and erasures {whole}: see 'owdd resume'"

    async def _reach(self, client: DotdigitalClient) -> AccountTargets:
        async def reach() -> AccountTargets:
            await client.open()
            found = await resolve(client, self._mapping)
            return AccountTargets.of(self._mapping, found, await client.data_field_defaults())

        targets: AccountTargets = await AsyncRetrying(
            sleep=asyncio.sleep,
            retry=retry_if_exception_type(DotdigitalError),
            wait=RetryPolicy().wait(self._rng),
            before_sleep=_log_not_ready,
        )(reach)
        return targets

    async def _deliver(self, context: SenderContext, limiter: RateLimiter, targets: AccountTargets, readback: Readback) -> None:
        settings = self._settings
        recent_buyers = RecentBuyersList(targets.list_id, self._policy)
        single_calls = SingleCallSender(context, targets, self._policy, recent_buyers, self.outbox)
        parts = ImportParts(
            BatchBuilder(context.queue, context.rows, recent_buyers, external=targets.external),
            self.imports_in_flight,
            ImportReports(context, context.client.for_lane(Lane.BULK), settings.import_patience),
        )
        freshness = ReadbackFreshness(self.outbox, readback.request, self._clock)
        import_policy = ImportPolicy(self._policy.windows, routing_policy(settings), settings.import_poll)
        imports = ImportSender(context, parts, targets, limiter, freshness, import_policy)
        self._gauges = [limiter.update_gauges, readback.observe]
        # Until the import sender has looked at windows and backlog: single calls must not begin on what an import would take.
        self.queue.blockers.reserve((Lane.BULK, work) for work in Work)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._resume(context.log))
            group.create_task(single_calls.run(settings.dispatch_connections))
            group.create_task(imports.run())
            if targets.follow_up is not None:
                reports = ReportPolicy(settings.import_poll, settings.import_patience)
                sender = FollowUpSender(context, limiter.enrolments, targets.follow_up, self._policy, reports)
                group.create_task(sender.run())

    async def _resume(self, log: DeliveryLog) -> None:
        """Write the fences of partitions that were taken over behind everything that was answered before."""
        while True:
            await self.outbox.taken_over.wait()
            await log.write_all(self.outbox.resuming())

    def _context(self, table: StateTable, producer: BatchProducer, client: DotdigitalClient) -> SenderContext:
        queue, clock, metrics = self.queue, self._clock, self._metrics
        log = DeliveryLog(producer, self._topics, self._settings.partitions)
        failures = FailurePolicy(queue, log, clock, metrics, hash_key=self._hash_key, rng=self._rng)
        return SenderContext(queue, OutboxRows(table), client, log, failures, clock, metrics)

    def _readback(self, client: DotdigitalClient, table: StateTable, producer: BatchProducer) -> Readback:
        topic = ReadbackTopic(producer, self._topics.desired, self._settings.partitions)
        turn = ReadbackTurn(self._settings.readback_seconds, lambda: 0 in table.owned(), self.outbox.complete_until)
        return Readback(client.for_lane(Lane.BULK), topic, turn, self._clock, self._metrics, self._rng)

    def update_gauges(self) -> None:
        """Bring the gauges up to date."""
        counts = self.queue.counts()
        for lane in Lane:
            self._metrics.pending.labels(lane.name.lower()).set(counts[lane])
        now = self._clock.now_ms()
        for lane, at in self.queue.oldest_causes():
            self._metrics.oldest_undelivered.labels(lane.name.lower()).set(age_seconds(at, now) or 0.0)
        self._metrics.creations_waiting.set(self.queue.undecided())
        self._metrics.corrections_stopped.set(self.outbox.corrections_stopped())
        self._metrics.canary_age.clear()
        for partition, seconds in self.outbox.canaries.ages(now):
            self._metrics.canary_age.labels(partition).set(seconds)
        began = min((running.at for running in self.imports_in_flight), default=now)
        self._metrics.import_age.set(max(0, now - began) / 1000)
        removals = self.queue.removal_counts()
        for kind in RemovalKind:
            for state in RemovalState:
                self._metrics.removals.labels(kind, state).set(removals[kind, state])
        for gauge in self._gauges:
            gauge()

    def _observe(self, call: Call) -> None:
        self._metrics.calls.labels(call.operation, call.status).observe(call.seconds)
        self._reachability.record(call)


def _log_not_ready(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, DotdigitalError)
    attempt, reason = state.attempt_number, str(error)
    logger.warning("Dotdigital is not ready; retrying", operation=error.operation, reason=reason, attempt=attempt)
