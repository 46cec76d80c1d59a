"""One worker process: the parts that it was asked to run, started in order and stopped within seconds.

Crash-only: whatever a part cannot handle ends the process with a non-zero code; what was not acknowledged is done again by
whoever takes over.
"""

import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import StrEnum
from functools import partial
from typing import Any
from zlib import crc32

import faust
import structlog

from streams.agents.active_generation import ActiveGeneration
from streams.agents.buyers import BuyersHandler
from streams.agents.contacts import ContactsHandler
from streams.agents.held import HeldIndex
from streams.agents.orders import OrdersHandler
from streams.agents.products import ProductsHandler
from streams.connect.guard import CaptureGuard
from streams.core.acknowledged import Acknowledged
from streams.core.clock import SystemClock
from streams.dispatch.control_feed import KafkaControlFeed
from streams.dispatch.service import Dispatch
from streams.domain.digester import Digester
from streams.engine.app import crash_of, create_app
from streams.engine.breaker import Breaker
from streams.engine.opening import Opener
from streams.engine.stage import Handler, Stage
from streams.engine.table import StateTable
from streams.ingest.canary import Canary
from streams.ingest.captured_topics import CapturedTopicsWatch
from streams.ingest.contacts_loaded import ContactsLoaded
from streams.ingest.replays import Replays
from streams.ingest.worker import Ingest
from streams.kafka import client
from streams.kafka.acknowledged_watch import AcknowledgedWatch
from streams.kafka.continuity import LogWatch
from streams.kafka.members import Members
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import agents_app, captured, dispatch_app, ingest_group, replay_group
from streams.kafka.trimming import Trimmer
from streams.mapping import Mapping
from streams.messages.audit_log import AuditLog
from streams.messages.protocol import ingested, kept_after_reading_ms
from streams.messages.topics import Topics
from streams.observability.backlog import BACKLOG_CONSUMER, BacklogReader
from streams.observability.health import Health, serve
from streams.observability.lag import ConsumedOffsets
from streams.observability.lag_probe import LagProbe
from streams.observability.metrics import Metrics
from streams.operations import trouble_class
from streams.operations.lag_report import groups
from streams.operations.lookups import lookup_of
from streams.operations.reconcile.reconciler import ReconcileSite
from streams.operations.reconcile.service import ReconcileParts, ReconcileService
from streams.operations.set_aside_watch import SetAsideWatch
from streams.operations.state_page import state_page
from streams.operations.state_replies import StateReplies
from streams.settings import Settings

log = structlog.get_logger()

_STOP_SECONDS = 4.0
"""For everything to stop; container runtimes kill after ten seconds unless configured otherwise."""


_LAST_SECONDS = 4.7
"""After these the process ends, whatever does not: a client of Kafka waits for a minute for a broker that is away."""
_STOP_SIGNAL = "stop signal"

_OUTBOX_REST_SECONDS = 0.025
"""The outbox gets the consequences of a few changes in pieces, and the outcomes of their calls too: each piece costs a write
of its own. Nothing is late by it: the quiet time of an urgent change counts from its append."""


def _end_soon(code: int) -> None:
    """End the process with ``code`` if it still runs then; what was not acknowledged is done again."""
    timer = threading.Timer(_LAST_SECONDS, os._exit, (code,))
    timer.daemon = True
    timer.start()


class Role(StrEnum):
    """A part of the pipeline that can run by itself."""

    INGEST = "ingest"
    AGENTS = "agents"
    DISPATCH = "dispatch"


@dataclass
class _Parts:
    """The tasks and applications of this process."""

    tasks: list[tuple[str, Coroutine[Any, Any, None]]] = field(default_factory=list)
    apps: list[faust.App] = field(default_factory=list)
    stopping: list[Callable[[], None]] = field(default_factory=list)


class Worker:
    """Builds and runs the parts of ``roles``."""

    def __init__(self, settings: Settings, mapping: Mapping, roles: set[Role]) -> None:
        self._settings = settings
        self._mapping = mapping
        self._roles = roles
        self._topics = Topics.of(settings.app_id, settings.generation)
        self._acknowledged = Acknowledged(self._topics.noted)
        self._clock = SystemClock()
        self._members = Members(settings.data_dir)
        self.metrics = Metrics()
        self._health = Health(self.metrics)
        self._hash_key = settings.hash_key.get_secret_value().encode()
        self._state = StateReplies(settings.partitions, self._hash_key)
        if token := settings.state_token.get_secret_value():
            self._health.page(state_page(self._state, token))

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT.

        Raises:
            Exception: a part failed; the process should end with a non-zero code.
        """
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        await self._members.end(KafkaConfig.of(self._settings))
        async with BatchProducer(self._settings, self._acknowledged) as producer:
            parts = self._build(producer)
            kafka = KafkaConfig.of(self._settings)
            backlogs = BacklogReader(client.consumer(kafka, **BACKLOG_CONSUMER), client.admin_client(kafka))
            probe = LagProbe(backlogs, groups(self._settings, self._mapping), self.metrics, self._clock)
            parts.tasks.append(("lag probe", probe.run()))
            watch = SetAsideWatch(self._settings, reader(kafka), self.metrics)
            parts.tasks.append(("set aside watch", watch.run()))
            parts.tasks.append(("acknowledged watch", AcknowledgedWatch(kafka, self._acknowledged).run()))
            parts.tasks.append(("loop watch", self._health.watch()))
            parts.tasks.append(("health", serve(self._health, self._settings.metrics_host, self._settings.metrics_port)))
            await self._until(stop, parts)

    async def _until(self, stop: asyncio.Event, parts: _Parts) -> None:
        tasks: set[asyncio.Task[Any]] = {asyncio.create_task(work, name=name) for name, work in parts.tasks}
        tasks.add(asyncio.create_task(stop.wait(), name=_STOP_SIGNAL))
        for app in parts.apps:
            await app.start()
            tasks.add(asyncio.create_task(crash_of(app), name=str(app.conf.id)))
        log.info("worker running", roles=sorted(self._roles))
        done, running = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        log.info("worker stopping", because=sorted(task.get_name() for task in done))
        _end_soon(0 if all(task.get_name() == _STOP_SIGNAL for task in done) else 1)
        for ask in parts.stopping:
            ask()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_STOP_SECONDS):
                await asyncio.gather(*(app.stop() for app in parts.apps), self._finish(running))
        # Raises the error of the part that ended by itself.
        for task in done:
            task.result()

    async def _finish(self, running: set[asyncio.Task[Any]]) -> None:
        ingest = [task for task in running if task.get_name() == Role.INGEST]
        if ingest:
            # It ends behind its poll: what is committed is not done again by the next worker.
            await asyncio.wait(ingest, timeout=2.0)
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _build(self, producer: BatchProducer) -> _Parts:
        parts = _Parts()
        for role in self._roles:
            self.metrics.role.labels(role).set(1)
        self.metrics.mapping.labels(f"{crc32(self._mapping.model_dump_json().encode()):08x}").set(1)
        if Role.INGEST in self._roles:
            topics = ingested(self._settings, self._mapping)
            progress = ConsumedOffsets(ingest_group(self._settings), topics, self._acknowledged)
            ingest = Ingest(self._settings, self._mapping, producer, self.metrics, self._clock, progress)
            parts.tasks.append((Role.INGEST, ingest.run()))
            kafka = KafkaConfig.of(self._settings)
            parts.tasks.append(("ingest log watch", LogWatch(kafka, progress).run()))
            watch = CapturedTopicsWatch(kafka, captured(self._mapping), self.metrics)
            parts.tasks.append(("captured topics watch", watch.run()))
            parts.tasks.append(("ingest trimmer", self._trimmer(progress).run()))
            parts.stopping.append(ingest.stop)
            self._health.check(Role.INGEST, lambda: ingest.ready)
            self._build_replays(parts, producer)
            guard = None
            if self._settings.connect_url:
                guard = CaptureGuard(self._settings, self._mapping, self.metrics, self._clock, ingest.leads)
                parts.tasks.append(("capture guard", guard.run()))
                self._health.before_scrape(guard.update_gauges)
            begins = partial(self._canary_begins, guard)
            if self._mapping.consent.mode == "column":
                contacts = ContactsLoaded(self._settings, self._mapping, producer, self._clock, ingest.leads)
                parts.tasks.append(("contacts loaded", contacts.run()))
            canary = Canary(producer, self._topics, self._settings.partitions, ingest.leads, begins)
            parts.tasks.append(("canary", canary.run()))
        if Role.AGENTS in self._roles:
            self._build_agents(parts, producer)
        if Role.DISPATCH in self._roles:
            self._build_dispatch(parts, producer)
        return parts

    def _build_replays(self, parts: _Parts, producer: BatchProducer) -> None:
        progress = ConsumedOffsets(replay_group(self._settings), [self._topics.replays], self._acknowledged)
        replays = Replays(self._settings, self._mapping, producer, self.metrics, self._clock, progress)
        parts.tasks.append(("replays", replays.run()))
        parts.tasks.append(("replay log watch", LogWatch(KafkaConfig.of(self._settings), progress).run()))
        parts.tasks.append(("replay trimmer", self._trimmer(progress).run()))
        parts.stopping.append(replays.stop)

    def _canary_begins(self, guard: CaptureGuard | None) -> int:
        seen = None if guard is None else guard.newest_row
        return self._clock.now_ms() if seen is None else seen

    def _build_agents(self, parts: _Parts, producer: BatchProducer) -> None:
        app, opener, progress = self._app(parts, producer, agents_app(self._settings), Role.AGENTS)
        digest = Digester(*self._settings.erasure_keys)
        active = ActiveGeneration(self._settings)
        parts.tasks.append(("active generation", active.run()))
        # One that is not active only reads what is kept of frozen orders, and owes what it finds itself.
        orders = OrdersHandler(self._mapping, self._topics, self.metrics, digest, active.is_own)
        buyers = BuyersHandler(self._topics, self.metrics, digest)
        contacts = ContactsHandler(self._mapping, self._topics, self.metrics, digest)
        products = ProductsHandler(self._mapping, self._topics, self.metrics)
        feeds: list[tuple[Handler, list[str]]] = [
            (orders, [self._topics.orders, self._topics.frozen_orders]),
            (buyers, [self._topics.buyers]),
            (contacts, [self._topics.contacts]),
        ]
        if self._mapping.products is not None:
            feeds.append((products, [self._topics.products]))
        for handler, topics in feeds:
            self._stage(parts, app, opener, progress, producer, handler, topics)
        self._health.before_scrape(lambda: self._count_held([orders.held, buyers.held, contacts.held, products.held]))

    def _build_dispatch(self, parts: _Parts, producer: BatchProducer) -> None:
        app, opener, progress = self._app(parts, producer, dispatch_app(self._settings), Role.DISPATCH)
        app.transport.rest = _OUTBOX_REST_SECONDS
        dispatch = Dispatch(self._settings, self._mapping, self._clock, self.metrics)
        self._state.queue = dispatch.queue
        controls = KafkaControlFeed(KafkaConfig.of(self._settings), self._topics.controls)
        topics = [self._topics.desired, self._topics.deliveries]
        table = self._stage(parts, app, opener, progress, producer, dispatch.outbox, topics)
        parts.tasks.append(("senders", dispatch.run(table, producer, controls)))
        self._health.check("dotdigital", lambda: dispatch.ready)
        self._health.remark("dispatch", lambda: dispatch.remark)
        self._health.before_scrape(dispatch.update_gauges)
        site = ReconcileSite(self._settings, self._mapping, table.owned)
        reconcile = ReconcileService(site, ReconcileParts(producer, dispatch, self._state, self._clock, self.metrics))
        parts.tasks.append(("reconciler", reconcile.run()))
        self._health.before_scrape(reconcile.reconciler.update_gauges)

    def _app(
        self, parts: _Parts, producer: BatchProducer, app_id: str, role: Role
    ) -> tuple[faust.App, Opener, ConsumedOffsets]:
        app, progress = create_app(app_id, self._settings), ConsumedOffsets(app_id, [], self._acknowledged)
        kafka = KafkaConfig.of(self._settings)
        opener = Opener(app, kafka, producer, self._clock, progress, self.metrics, [self._topics.frozen_orders])

        async def note_member(*_: Any, **__: Any) -> None:
            self._members.note(app_id, app.consumer.member)

        app.on_partitions_assigned.connect(note_member, weak=False)
        parts.apps.append(app)
        parts.tasks.append((f"{role} changelog watch", opener.watch()))
        parts.tasks.append((f"{role} log watch", LogWatch(kafka, progress).run()))
        parts.tasks.append((f"{role} trimmer", self._trimmer(progress).run()))
        self._health.check(role, lambda: bool(not app.rebalancing and app.tables.actives_ready and opener.ready))
        return app, opener, progress

    def _trimmer(self, progress: ConsumedOffsets) -> Trimmer:
        return Trimmer(KafkaConfig.of(self._settings), progress, kept_after_reading_ms(self._settings), self._clock)

    def _stage(
        self,
        parts: _Parts,
        app: faust.App,
        opener: Opener,
        progress: ConsumedOffsets,
        producer: BatchProducer,
        handler: Handler,
        topics: list[str],
    ) -> StateTable:
        table = StateTable(app.conf.tabledir, app.conf.id, handler.name, lookup_of(handler.name, self._hash_key))
        self._state.tables[handler.name] = table
        progress.topics.extend(topics)
        stage = Stage(
            app,
            opener,
            topics,
            table,
            handler,
            producer,
            partitions=self._settings.partitions,
            dead_letters=self._topics.dead_letters,
            audit=AuditLog.of(self._settings, producer),
            breaker=Breaker(self._settings.breaker_window, self._settings.breaker_share),
            hash_key=self._hash_key,
            clock=self._clock,
            metrics=self.metrics,
            progress=progress,
        )
        parts.tasks.append((handler.name, stage.run()))
        self._health.check(handler.name, lambda: stage.ready)
        self._health.before_scrape(lambda: self._count_rows(table))
        return table

    def _count_rows(self, table: StateTable) -> None:
        owned = table.owned()
        self.metrics.table_rows.labels(table.name).set(sum(table.rows(partition) for partition in owned))
        self.metrics.table_bytes.labels(table.name).set(sum(table.size_bytes(partition) for partition in owned))

    def _count_held(self, indexes: list[HeldIndex]) -> None:
        # A code that no row has any more must vanish, and not stay at its last number.
        now = self._clock.now_ms()
        for frozen, counted, age in (
            (False, self.metrics.held, self.metrics.held_age),
            (True, self.metrics.frozen, self.metrics.frozen_age),
        ):
            counted.clear()
            age.clear()
            for index in indexes:
                for code, count in index.counts(frozen=frozen).items():
                    # Not set: orders and buyers may be held under one code.
                    counted.labels(code, trouble_class.of_held(code)).inc(count)
                for code, since in index.oldest(frozen=frozen):
                    age.labels(code).set(max(0, now - since) / 1000)
