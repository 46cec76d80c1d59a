"""Imports: what waits in great numbers goes by bulk import, while single calls go on for the rest.

The ids of imports are durable (:mod:`streams.dispatch.outbox.imports_in_flight`), so an import is found again after a restart.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

import structlog

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_task import QueueKey
from streams.dispatch.outbox.imports_in_flight import ImportsInFlight, RunningImport, new_id
from streams.dispatch.outbox.tasks import IMPORTABLE, Work
from streams.dispatch.rate_limit.limiter import RateLimiter
from streams.dispatch.senders.account_targets import AccountTargets
from streams.dispatch.senders.context import SenderContext
from streams.dispatch.senders.import_batch import BatchBuilder, BatchRow
from streams.dispatch.senders.import_reports import ImportReports
from streams.dispatch.senders.readback_freshness import ReadbackFreshness
from streams.dispatch.senders.routing import How, Route, RoutingPolicy, routes
from streams.dotdigital.errors import DataError, DotdigitalError, Limit, ThrottledError, TransientError
from streams.dotdigital.imports import ImportContact
from streams.dotdigital.insight import ImportRecord
from streams.mapping.bulk_windows import BulkWindows
from streams.messages.deliveries import (
    CreationAttempted,
    CreationWithdrawn,
    DeliveryEvent,
    ImportedTask,
    ImportIdVoid,
    ImportStarted,
)

log = structlog.get_logger()

_LOOK_SECONDS = 0.5
"""Between two looks at the queues: short against the debounce of the live lane."""
_KINDS = {Work.NEW: 2}
"""Kinds of import that share a queue: new contacts go with a status or without. Of twice an import's rows one kind fills it."""


@dataclass(frozen=True, slots=True)
class ImportPolicy:
    """When imports are worth it and when bulk may be sent; ``poll_seconds`` between two questions after a report."""

    windows: BulkWindows
    routing: RoutingPolicy
    poll_seconds: float


@dataclass(frozen=True, slots=True)
class ImportParts:
    """What an import goes through: packed, known to be under way, reported."""

    builder: BatchBuilder
    in_flight: ImportsInFlight
    reports: ImportReports


@dataclass(slots=True)
class _Poll:
    """An import that is asked after: the slot that it holds, and when to ask next (epoch ms)."""

    limit: Limit
    due: int


class ImportSender:
    """Decides every half second what goes by import, starts imports, and asks what became of them."""

    def __init__(
        self,
        context: SenderContext,
        parts: ImportParts,
        targets: AccountTargets,
        limiter: RateLimiter,
        freshness: ReadbackFreshness,
        policy: ImportPolicy,
    ) -> None:
        self._context = context
        self._queue = context.queue
        self._clock = context.clock
        self._parts = parts
        self._targets = targets
        self._limiter = limiter
        self._freshness = freshness
        self._policy = policy
        self._poll_ms = int(policy.poll_seconds * 1000)
        self._polls: dict[str, _Poll] = {}
        self._called_for: set[str] = set()
        self._starting: set[QueueKey] = set()
        self._fill_ms = int(policy.routing.import_seconds * 1000)
        self._filling: dict[QueueKey, int] = {}

    async def run(self) -> None:
        """Work for ever.

        Raises:
            aiokafka.errors.KafkaError: something could not be written down; the worker must end.
        """
        async with asyncio.TaskGroup() as group:
            while True:
                await self._poll()
                self._route(group)
                await asyncio.sleep(_LOOK_SECONDS)

    async def _poll(self) -> None:
        # While the call for an import is under way, its id of ours means nothing to Dotdigital.
        open_ = [running for running in self._parts.in_flight if running.open and running.id not in self._called_for]
        for over in self._polls.keys() - {running.id for running in open_}:
            self._forget(over)
        for running in open_:
            await self._ask(running)

    async def _ask(self, running: RunningImport) -> None:
        now, poll = self._clock.now_ms(), self._polls.get(running.id)
        if poll is None:
            poll = self._polls[running.id] = _Poll(Work(running.kind).import_limit, running.at + self._poll_ms)
            self._limiter.imports[poll.limit].acquire_existing()
        if now < poll.due:
            return
        poll.due = now + self._poll_ms
        try:
            await self._parts.reports.reconcile(running)
        except DotdigitalError as error:
            log.warning("import report could not be read", kind=running.kind, operation=error.operation)
            return
        if not running.open:
            self._forget(running.id)

    def _forget(self, import_id: str) -> None:
        if (poll := self._polls.pop(import_id, None)) is not None:
            self._limiter.imports[poll.limit].release()

    def _route(self, group: asyncio.TaskGroup) -> None:
        shut = not self._policy.windows.open_at(self._clock.now_ms())
        works = [work for work in IMPORTABLE if work is not Work.NEW or self._freshness.known]
        lanes = [lane for lane in Lane if not (shut and lane is Lane.BULK)]
        due = {(lane, work): self._queue.backlog((lane, work)) for lane in lanes for work in works}
        free = {limit: slots.free for limit, slots in self._limiter.imports.items()}
        # What is in no hurry waits until it was looked at, for the rest of a backlog may come in a moment.
        reserved = {(Lane.BULK, work) for work in (Work if shut else works)}
        for key, route in routes(due, self._limiter.snapshot(), free, self._policy.routing).items():
            if route.how is How.SINGLE:
                reserved.discard(key)
                continue
            reserved.add(key)
            if route.how is How.IMPORT and key not in self._starting and not self._fills(key):
                self._starting.add(key)
                group.create_task(self._start(key, route))
        self._queue.blockers.reserve(reserved)

    def _fills(self, key: QueueKey) -> bool:
        """Whether an import of the bulk lane waits, at most as long as an import takes, for what falls due meanwhile.

        A load that streams in falls due bit by bit: without this each look would send its few rows as an import of their own.
        """
        now, most = self._clock.now_ms(), self._policy.routing.import_most * _KINDS.get(key[1], 1)
        if key[0] is Lane.BULK and now - self._filling.setdefault(key, now) < self._fill_ms:
            due = self._queue.due(key, most)
            if due < most and self._queue.due(key, due + 1, self._fill_ms) > due:
                return True
        self._filling.pop(key, None)
        return False

    async def _start(self, key: QueueKey, route: Route) -> None:
        _, work = key
        slots = self._limiter.imports[work.import_limit]
        if not slots.acquire():
            self._starting.discard(key)
            return
        try:
            # Only then are tasks leased: the reading may take minutes, and until it is done they can still go by single calls.
            if work is not Work.NEW or await self._freshness.fresh():
                tasks = self._queue.take_due(key, route.count * _KINDS.get(work, 1))
                now, most = self._clock.now_ms() / 1000, self._policy.routing.import_most
                batch = self._parts.builder.build(tasks, work, now, most)
                if batch:
                    self._context.observe_taken(min((row.task for row in batch), key=lambda task: task.caused_at))
                    await self._submit(key, batch)
        finally:
            # From here on the poll counts it, once Kafka has shown that it runs.
            slots.release()
            self._starting.discard(key)

    async def _submit(self, key: QueueKey, batch: list[BatchRow]) -> None:
        ours = new_id()
        self._called_for.add(ours)
        try:
            await self._announce(ours, key, batch)
            await self._call_for(ours, key, batch)
        finally:
            self._called_for.discard(ours)

    async def _call_for(self, ours: str, key: QueueKey, batch: list[BatchRow]) -> None:
        tasks = [row.task for row in batch]
        try:
            import_id = await self._call(key, batch)
        except DotdigitalError as error:
            if not error.not_applied:
                # It may be under way all the same, and nothing must overtake it.
                self._queue.hand_to_import(tasks, ours)
                self._context.failures.retry(error, key[1].area)
                return
            await self._withdraw(ours, batch)
            await self._failed(key, batch, error)
        else:
            self._context.failures.succeeded(key[1].area)
            # Before anything is awaited: from here on the import has them, and no longer this call.
            self._queue.hand_to_import(tasks, import_id)
            await self._started(import_id, ours, key, batch)

    async def _failed(self, key: QueueKey, batch: list[BatchRow], error: DotdigitalError) -> None:
        limit = key[1].import_limit
        match error:
            case ThrottledError():
                if error.scope is limit:
                    self._limiter.imports[limit].refused()
                self._give_back(batch, error)
            case DataError():
                await self._refused(key, batch, error)
            case TransientError():
                # It is about some row, and nobody knows which.
                for row in batch:
                    self._queue.retry(row.task, self._clock.now_ms(), alone=True)
            case _:
                self._context.failures.retry(error, key[1].area, *(row.task for row in batch))

    async def _call(self, key: QueueKey, batch: list[BatchRow]) -> str:
        lane, work = key
        api, contents = self._context.client.for_lane(lane), [row.content for row in batch]
        contacts = [content for content in contents if isinstance(content, ImportContact)]
        records = [content for content in contents if isinstance(content, ImportRecord)]
        if contacts:
            return await api.import_contacts(contacts)
        if work is Work.RECORD:
            return await api.import_records(self._targets.orders or "", "contact", "orders", records)
        return await api.import_records(self._targets.catalogue or "", "account", "catalog", records)

    async def _announce(self, ours: str, key: QueueKey, batch: list[BatchRow]) -> None:
        """Write down what is about to go, and with which status contacts are created: a lost response would lose it."""
        now = self._clock.now_ms()
        attempts: list[tuple[int, DeliveryEvent]] = [
            (row.task.partition, CreationAttempted(task=row.task.key, at=now, created_as=row.created_as))
            for row in batch
            if row.created_as is not None
        ]
        await self._context.log.write_all((*attempts, *_started_events(ours, key[1], batch, now)))

    async def _withdraw(self, ours: str, batch: list[BatchRow]) -> None:
        """Nothing went, and nobody was created."""
        now = self._clock.now_ms()
        withdrawn: list[tuple[int, DeliveryEvent]] = [
            (
                row.task.partition,
                CreationWithdrawn(task=row.task.key, at=now, attempted_before=row.imported.attempted_before),
            )
            for row in batch
            if row.created_as is not None
        ]
        await self._context.log.write_all((*withdrawn, *_void_events(ours, batch, now)))

    async def _started(self, import_id: str, ours: str, key: QueueKey, batch: list[BatchRow]) -> None:
        now = self._clock.now_ms()
        accepted: Iterator[tuple[int, DeliveryEvent]] = _started_events(import_id, key[1], batch, now)
        # In this order: a worker that takes over between the two must find the import under one id at least.
        await self._context.log.write_all((*accepted, *_void_events(ours, batch, now)))
        log.info("import started", kind=key[1], rows=len(batch), lane=key[0].name.lower())

    async def _refused(self, key: QueueKey, batch: list[BatchRow], error: DataError) -> None:
        """One malformed row has the whole call refused: find it by halves."""
        if len(batch) == 1:
            self._queue.retry(batch[0].task, self._clock.now_ms(), alone=True)
            return
        log.warning("import refused; bisecting it to find the bad row", kind=key[1], rows=len(batch), code=error.code)
        half = len(batch) // 2
        await self._submit(key, batch[:half])
        await self._submit(key, batch[half:])

    def _give_back(self, batch: list[BatchRow], error: ThrottledError) -> None:
        due = None if error.reset_at is None else int(error.reset_at * 1000)
        for row in batch:
            self._queue.give_back(row.task, due)


def _started_events(import_id: str, work: Work, batch: list[BatchRow], now: int) -> Iterator[tuple[int, ImportStarted]]:
    """What every partition has in the import."""
    tasks: dict[int, list[ImportedTask]] = defaultdict(list)
    for row in batch:
        tasks[row.task.partition].append(row.imported)
    for partition, imported in tasks.items():
        yield partition, ImportStarted(import_id=import_id, at=now, kind=work, tasks=imported)


def _void_events(import_id: str, batch: list[BatchRow], now: int) -> Iterator[tuple[int, ImportIdVoid]]:
    """The id means nothing any more."""
    for partition in {row.task.partition for row in batch}:
        yield partition, ImportIdVoid(import_id=import_id, at=now)
