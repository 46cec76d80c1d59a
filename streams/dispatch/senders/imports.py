"""Importer: sends what waits in great numbers by bulk import, while single calls go on for the rest.

The ids of imports are durable (:mod:`streams.dispatch.outbox.imports_in_flight`), so an import is found again after a restart.
"""

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass

import structlog

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue, QueueKey
from streams.dispatch.outbox.handler import ReadbackState
from streams.dispatch.outbox.imports_in_flight import ImportsInFlight, RunningImport, new_id
from streams.dispatch.outbox.tasks import Queue
from streams.dispatch.rate_limit.limiter import RateLimiter
from streams.dispatch.senders.destination import AccountTargets
from streams.dispatch.senders.failures import FailurePolicy
from streams.dispatch.senders.import_batch import BatchBuilder, BatchRow
from streams.dispatch.senders.import_reports import ImportReports
from streams.dispatch.senders.routing import How, Route, RoutingPolicy, Work, routes
from streams.dotdigital.client import DotdigitalClient
from streams.dotdigital.errors import DataError, DotdigitalError, Limit, ThrottledError
from streams.dotdigital.imports import ImportContact
from streams.dotdigital.insight import ImportRecord
from streams.mapping.bulk_windows import BulkWindows
from streams.messages.deliveries import Delivery, ImportedTask

log = structlog.get_logger()

_LOOK_SECONDS = 0.5
_UNREAD_MS = 60_000
"""How long nobody is created in bulk after a reading failed."""
_FRESH_SECONDS = 60
"""How old a reading of Dotdigital's contacts may be when contacts are created in bulk."""


@dataclass(slots=True)
class _Poll:
    """An import that is asked after: the slot that it holds, and when to ask next (epoch ms)."""

    ceiling: Limit
    due: int


class ImportSender:
    """Decides every half second what goes by import, starts imports, and asks what became of them."""

    def __init__(
        self,
        schedule: DeliveryQueue,
        running: ImportsInFlight,
        loader: BatchBuilder,
        reports: ImportReports,
        client: DotdigitalClient,
        answers: DeliveryLog,
        failure_policy: FailurePolicy,
        budget: RateLimiter,
        destination: AccountTargets,
        *,
        windows: BulkWindows,
        policy: RoutingPolicy,
        poll_seconds: float,
        index: ReadbackState,
        refresh: Callable[[], Awaitable[int]],
    ) -> None:
        self._schedule = schedule
        self._running = running
        self._loader = loader
        self._reports = reports
        self._client = client
        self._answers = answers
        self._failure_policy = failure_policy
        self._budget = budget
        self._destination = destination
        self._windows = windows
        self._policy = policy
        self._poll_ms = int(poll_seconds * 1000)
        self._index = index
        self._refresh = refresh
        self._polls: dict[str, _Poll] = {}
        self._called_for: set[str] = set()
        self._starting: set[QueueKey] = set()
        self._unread_until = 0
        self._mark_to_come = 0

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
        open_ = [running for running in self._running if running.open and running.id not in self._called_for]
        for over in self._polls.keys() - {running.id for running in open_}:
            self._forget(over)
        for running in open_:
            await self._ask(running)

    async def _ask(self, running: RunningImport) -> None:
        now, poll = self._answers.now_ms(), self._polls.get(running.id)
        if poll is None:
            poll = self._polls[running.id] = _Poll(Work(running.kind).ceiling, running.at + self._poll_ms)
            self._budget.imports[poll.ceiling].acquire_existing()
        if now < poll.due:
            return
        poll.due = now + self._poll_ms
        try:
            await self._reports.reconcile(running)
        except DotdigitalError as error:
            log.warning("import report could not be read", kind=running.kind, operation=error.operation)
            return
        if not running.open:
            self._forget(running.id)

    def _forget(self, import_id: str) -> None:
        if (poll := self._polls.pop(import_id, None)) is not None:
            self._budget.imports[poll.ceiling].release()

    def _route(self, group: asyncio.TaskGroup) -> None:
        shut = not self._windows.open_at(self._answers.now_ms())
        work = [work for work in Work if self._importable(work)]
        lanes = [lane for lane in Lane if not (shut and lane is Lane.BULK)]
        due = {(lane, kind): self._schedule.backlog((lane, Queue(kind))) for lane in lanes for kind in work}
        free = {ceiling: slots.free for ceiling, slots in self._budget.imports.items()}
        # What is in no hurry waits until it was looked at, for the rest of a backlog may come in a moment.
        closed = {(Lane.BULK, queue) for queue in (Queue if shut else map(Queue, work))}
        for (lane, kind), route in routes(due, self._budget.snapshot(), free, self._policy).items():
            place = lane, Queue(kind)
            if route.how is How.SINGLE:
                closed.discard(place)
                continue
            closed.add(place)
            if route.how is How.IMPORT and place not in self._starting:
                self._starting.add(place)
                group.create_task(self._start(lane, kind, route))
        self._schedule.close(closed)

    def _importable(self, work: Work) -> bool:
        """New contacts go by import only when it is known who exists, since an import cannot look first."""
        return work is not Work.NEW or (
            self._index.complete_until() is not None and self._answers.now_ms() >= self._unread_until
        )

    async def _start(self, lane: Lane, work: Work, route: Route) -> None:
        slots = self._budget.imports[work.ceiling]
        if not slots.acquire():
            self._starting.discard((lane, Queue(work)))
            return
        try:
            if work is not Work.NEW or await self._look_again():
                entries = self._schedule.take_due((lane, Queue(work)), route.count)
                now = self._answers.now_ms() / 1000
                freight = self._loader.build(entries, work, now, self._policy.import_most)
                if freight:
                    await self._submit(lane, work, freight)
        finally:
            # From here on the poll counts it, once Kafka has told that it runs.
            slots.release()
            self._starting.discard((lane, Queue(work)))

    async def _look_again(self) -> bool:
        """Read what changed in Dotdigital since the last reading, so that who signed up a moment ago is known."""
        mark = self._index.complete_until()
        now = self._answers.now_ms() / 1000
        if mark is not None and now - mark < _FRESH_SECONDS:
            return True
        if now - self._mark_to_come < _FRESH_SECONDS:
            return False
        try:
            self._mark_to_come = await self._refresh()
        except DotdigitalError as error:
            self._unread_until = self._answers.now_ms() + _UNREAD_MS
            log.warning("read-back before an import failed", operation=error.operation)
        # The reading comes round through Kafka; the next look finds it.
        return False

    async def _submit(self, lane: Lane, work: Work, freight: list[BatchRow]) -> None:
        ours = new_id()
        self._called_for.add(ours)
        try:
            await self._announce(ours, lane, work, freight)
            await self._call_for(ours, lane, work, freight)
        finally:
            self._called_for.discard(ours)

    async def _call_for(self, ours: str, lane: Lane, work: Work, freight: list[BatchRow]) -> None:
        entries = [one.entry for one in freight]
        try:
            import_id = await self._call(lane, work, freight)
        except DotdigitalError as error:
            if not error.not_applied:
                # It may be under way all the same, and nothing must overtake it.
                self._schedule.hand_to_import(entries, ours)
                self._failure_policy.retry(error)
                return
            await self._withdraw(ours, freight)
            await self._failed(lane, work, freight, error)
        else:
            self._failure_policy.succeeded(entries[0])
            self._schedule.hand_to_import(entries, import_id)
            await self._started(import_id, ours, lane, work, freight)

    async def _failed(self, lane: Lane, work: Work, freight: list[BatchRow], error: DotdigitalError) -> None:
        match error:
            case ThrottledError():
                if error.scope is work.ceiling:
                    self._budget.imports[work.ceiling].refused()
                self._give_back(freight, error)
            case DataError():
                await self._refused(lane, work, freight, error)
            case _:
                self._failure_policy.retry(error, *(one.entry for one in freight))

    async def _call(self, lane: Lane, work: Work, freight: list[BatchRow]) -> str:
        api, loads = self._client.for_lane(lane), [one.load for one in freight]
        contacts = [load for load in loads if isinstance(load, ImportContact)]
        records = [load for load in loads if isinstance(load, ImportRecord)]
        if contacts:
            return await api.import_contacts(contacts)
        if work is Work.RECORD:
            return await api.import_records(self._destination.orders or "", "contact", "orders", records)
        return await api.import_records(self._destination.catalogue or "", "account", "catalog", records)

    async def _announce(self, ours: str, lane: Lane, work: Work, freight: list[BatchRow]) -> None:
        """Write down what is about to go, and with which status contacts are created: a lost answer would lose it."""
        now = self._answers.now_ms()
        noted = (
            (one.entry.partition, Delivery(one.entry.task, "noted", "", now, one.entry.lane, created=one.created))
            for one in freight
            if one.created != "no"
        )
        await self._answers.write_all((*noted, *_importing(ours, lane, work, freight, now)))

    async def _withdraw(self, ours: str, freight: list[BatchRow]) -> None:
        """Nothing went, and nobody was created."""
        now = self._answers.now_ms()
        withdrawn = (
            (one.entry.partition, Delivery(one.entry.task, "withdrawn", "", now, one.entry.lane, created=one.before))
            for one in freight
            if one.created != "no"
        )
        await self._answers.write_all((*withdrawn, *_imported(ours, freight, now)))

    async def _started(self, import_id: str, ours: str, lane: Lane, work: Work, freight: list[BatchRow]) -> None:
        now = self._answers.now_ms()
        await self._answers.write_all((*_importing(import_id, lane, work, freight, now), *_imported(ours, freight, now)))
        log.info("import started", kind=work, rows=len(freight), lane=lane.name.lower())

    async def _refused(self, lane: Lane, work: Work, freight: list[BatchRow], error: DataError) -> None:
        """One malformed row has the whole call refused: find it by halves."""
        if len(freight) == 1:
            self._schedule.retry(freight[0].entry, self._answers.now_ms(), alone=True)
            return
        log.warning("import refused; bisecting it to find the bad row", kind=work, rows=len(freight), code=error.code)
        half = len(freight) // 2
        await self._submit(lane, work, freight[:half])
        await self._submit(lane, work, freight[half:])

    def _give_back(self, freight: list[BatchRow], error: ThrottledError) -> None:
        due = None if error.reset_at is None else int(error.reset_at * 1000)
        for one in freight:
            self._schedule.give_back(one.entry, due)


def _importing(import_id: str, lane: Lane, work: Work, freight: list[BatchRow], now: int) -> Iterator[tuple[int, Delivery]]:
    """What every partition has in the import."""
    items: dict[int, list[ImportedTask]] = defaultdict(list)
    for one in freight:
        items[one.entry.partition].append(one.item)
    for partition, those in items.items():
        yield partition, Delivery(import_id, "importing", "", now, lane, code=work, items=those)


def _imported(import_id: str, freight: list[BatchRow], now: int) -> Iterator[tuple[int, Delivery]]:
    """The id means nothing any more."""
    for partition in {one.entry.partition for one in freight}:
        yield partition, Delivery(import_id, "imported", "", now, Lane.BULK)
