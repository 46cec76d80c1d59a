"""A stage: a Faust agent whose work is done in batches and acknowledged in order.

The agent only collects events; :meth:`Stage.run` takes all that wait, lets the handler turn them into state writes and
outputs, makes both durable, and only then acknowledges the events, in offset order per partition. So an offset can only be
committed after everything that it caused is in Kafka, and Faust's commit over unacknowledged messages (faust issue
606) is never met.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, Protocol

import faust
import msgspec
import structlog

from streams.core.bookmark import Bookmark
from streams.core.clock import Clock
from streams.core.errors import ConfigurationError, RecordError, TooLargeError
from streams.engine.breaker import Breaker
from streams.engine.changelog import LogMovedOnError
from streams.engine.fence import in_force, writer_headers
from streams.engine.linger import Linger
from streams.engine.opening import Opener
from streams.engine.store import StorePosition
from streams.engine.store_errors import StoreError
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.kafka.producer import BatchProducer, HeadedRecord, Headers
from streams.messages.audit_log import AuditLog
from streams.messages.change_heads import split
from streams.messages.dead_letters import Coordinates, DeadLetter, origin_of
from streams.observability.lag import ConsumedOffsets
from streams.observability.metrics import Metrics

log = structlog.get_logger()

_MOST_RECORDS = 256
_MOST_BYTES = 2 * 2**20

_NOT_THE_RECORD = StoreError, OSError, MemoryError, ConfigurationError
"""Errors that say nothing of the record in hand: disk, machine or set-up fails, and would fail for the next one."""


@dataclass(frozen=True, slots=True)
class Record:
    """One record as the handler sees it; ``headers`` speak when it is tried again after a repair."""

    topic: str
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] | None = None


def _split(record: Record) -> list[Record]:
    """A packed record as one record per change, so that a change that cannot be applied takes no other one along."""
    try:
        values = split(record.value or b"")
    except msgspec.MsgspecError:
        return [record]
    return [replace(record, value=value) for value in values]


def _bookmark(message: Any) -> Bookmark:
    return Bookmark.at(message.offset, round(message.timestamp * 1000), message.key, message.value)


class Handler(Protocol):
    """What a stage does with records; pure but for the unit that it is given."""

    name: str

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        """Apply records of one partition, in order; the number of changes that they held.

        May raise: each record is then tried alone, and dead-lettered. Where the disk or the machine failed, the worker ends.
        """

    def recovered(self, partition: int, table: StateTable) -> None:
        """The partition's state is whole again: rebuild what is kept in memory."""

    def revoked(self) -> None:
        """Partitions may have gone to another worker: forget what is kept in memory."""


class Stage:
    """One handler over one table, fed by topics."""

    def __init__(  # noqa: PLR0913 - wired once, of parts that have nothing in common
        self,
        app: faust.App,
        opener: Opener,
        topics: Sequence[str],
        table: StateTable,
        handler: Handler,
        producer: BatchProducer,
        *,
        partitions: int,
        dead_letters: str,
        audit: AuditLog,
        breaker: Breaker,
        hash_key: bytes,
        clock: Clock,
        metrics: Metrics,
        progress: ConsumedOffsets,
    ) -> None:
        self.topics = topics
        self.table = table
        self._app = app
        self._opener = opener
        self._handler = handler
        self._producer = producer
        self._partitions = partitions
        self._dead_letters = dead_letters
        self._audit = audit
        self._breaker = breaker
        self._hash_key = hash_key
        self._clock = clock
        self._metrics = metrics
        # Shown as 0 until there is one: a panel without data would hide that nothing is wrong.
        metrics.outdated.labels(handler.name)
        self._progress = progress
        self._inbox: asyncio.Queue[Any] = asyncio.Queue(maxsize=2 * _MOST_RECORDS)
        self._stream: Any = None
        self._busy = asyncio.Lock()
        self._working = asyncio.Event()
        self._assigned: set[int] = set()
        self._opened: set[int] = set()
        self._pace = Linger()
        self._changes = 0
        topic = app.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")
        app.agent(topic, name=f"{handler.name}-agent")(self._collect)
        opener.add(self)

    @property
    def ready(self) -> bool:
        """Whether the state of all assigned partitions is open, and in the handler's memory."""
        return self._working.is_set() and self._opened == self._assigned

    async def _collect(self, stream: Any) -> None:
        self._stream = stream
        async for event in stream.noack().events():
            await self._inbox.put(event)

    async def run(self) -> None:
        """Work for ever.

        Raises:
            CircuitOpenError: nearly every record fails.
            Exception: the broker, the disk or the machine failed. The worker must end: what was not acknowledged is done again.
        """
        loop = asyncio.get_running_loop()
        while True:
            batch = [await self._inbox.get()]
            if (delay := self._pace.delay(loop.time())) > 0 and self._inbox.qsize() < _MOST_RECORDS:
                await asyncio.sleep(delay)
            await self._rest_of_fetch()
            self._pace.start(loop.time())
            size = len(batch[0].message.value or b"")
            while len(batch) < _MOST_RECORDS and size < _MOST_BYTES and not self._inbox.empty():
                batch.append(self._inbox.get_nowait())
                size += len(batch[-1].message.value or b"")
            # Partitions are revoked, and the handler's memory with them, before Faust's generation changes. What is in hand
            # must wait, and not be dropped: Faust would commit over it (faust issue 606).
            await self._working.wait()
            while not await self._done(batch):
                await self._working.wait()

    async def _rest_of_fetch(self) -> None:
        """Wait while the inbox grows: Faust delivers a fetch whole, but its streams hand on one record in a turn of the loop.

        Else the first record would be a cycle of its own, and what follows from it would be one in all later stages.
        """
        before = -1
        while before < self._inbox.qsize() < _MOST_RECORDS:
            before = self._inbox.qsize()
            await asyncio.sleep(0)

    async def _done(self, batch: list[Any]) -> bool:
        """Work on ``batch``; False: somebody else wrote to the changelog, and it must be done again once that was read."""
        async with self._busy:
            try:
                await self._cycle(batch)
            except LogMovedOnError as error:
                log.warning("somebody else writes to the changelog", table=self.table.name, partition=error.partition)
                self._reopen()
                return False
            return True

    def _reopen(self) -> None:
        self._working.clear()
        self._opened.clear()
        self._handler.revoked()
        self._opener.reopen(self)

    async def follow(self, ends: Mapping[int, int], known: Mapping[int, int]) -> None:
        """Read what somebody else wrote, if any of the changelogs ends elsewhere than this worker left it.

        ``known`` are the ends as this worker knew them before it asked the broker for ``ends``, by partition.
        """
        async with self._busy:
            if not self.ready:
                return
            for partition, end in ends.items():
                # Beyond our own even now, when nothing is under way; or below what there was before: the log was cut.
                if end > self.table.log(partition).end or end < known[partition]:
                    log.error("a changelog does not end where it was left", table=self.table.name, partition=partition)
                    self._reopen()
                    return

    async def _cycle(self, batch: list[Any]) -> None:
        by_partition: dict[int, list[Any]] = defaultdict(list)
        for event in batch:
            if self._current(event):
                if event.message.partition not in self._opened:
                    raise RuntimeError(
                        f"{self._handler.name}: partition {event.message.partition} delivered before it was opened"
                    )
                by_partition[event.message.partition].append(event)
        now_us = self._clock.now_us()
        self._changes = 0
        units = []
        for partition, events in by_partition.items():
            units.append(await self._work(partition, events, now_us))
            # One partition's work is bounded; that of all together must not keep the loop from the other stages.
            await asyncio.sleep(0)
        await self._commit(units)
        for events in by_partition.values():
            for event in events:
                if self._current(event):
                    await self._stream.ack(event)
                    self._progress.done(event.message.tp, _bookmark(event.message))
        self._pace.record(self._changes)
        self._metrics.units.labels(self._handler.name).inc()

    def _current(self, event: Any) -> bool:
        # Work of an older generation belongs to whoever owns the partition now; it was never acknowledged.
        return bool(event.message.generation_id == self._app.consumer_generation_id)

    async def _work(self, partition: int, events: list[Any], now_us: int) -> UnitOfWork:
        """What the events of one partition amount to; if they fail together they are done, and committed, one by one."""
        found = [event.message for event in events]
        records = [Record(m.topic, m.offset, m.key, m.value, m.headers) for m in found]
        unit = UnitOfWork(partition, self._partitions, self.table, now_us)
        try:
            self._changes += self._handle(unit, records)
        except _NOT_THE_RECORD:
            raise
        except Exception as error:  # noqa: BLE001  # whatever a record does to us, its neighbours must not suffer
            log.warning("batch failed; applying its records one by one", stage=self._handler.name, error=type(error).__name__)
        else:
            self._breaker.succeeded(len(records))
            return unit
        for record in chain.from_iterable(map(_split, records)):
            unit = UnitOfWork(partition, self._partitions, self.table, now_us)
            try:
                self._changes += self._handle(unit, [record])
            except _NOT_THE_RECORD:
                raise
            except Exception as error:  # noqa: BLE001  # as above
                await self._dead_letter(partition, record, error)
            else:
                self._breaker.succeeded(1)
                await self._commit([unit])
        return UnitOfWork(partition, self._partitions, self.table, now_us)

    def _handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        current = in_force(unit, records)
        if outdated := len(records) - len(current):
            self._metrics.outdated.labels(self._handler.name).inc(outdated)
            log.warning("records of an outdated worker left out", stage=self._handler.name, records=outdated)
        changes = self._handler.handle(unit, current)
        unit.close()
        return changes

    async def _dead_letter(self, partition: int, record: Record, error: Exception) -> None:
        if not isinstance(error, RecordError):
            error = RecordError("cannot_apply", type(error).__name__)
        at, attempts = origin_of(record.headers, Coordinates(record.topic, partition, record.offset))
        if not (attempts or isinstance(error, TooLargeError)):
            # What an operator has read again, although it fails, says nothing of the stream. Nor does a placeholder's row.
            self._breaker.record(failed=True)
        letter = DeadLetter(at, record.key, record.value, error, self._handler.name, attempts + 1)
        await self._producer.send_one(self._dead_letters, partition, record.key, record.value, letter.headers(self._hash_key))
        self._metrics.dead_letters.labels(self._handler.name, error.code).inc()
        log.error("record dead-lettered", stage=self._handler.name, code=error.code, detail=error.detail, at=str(at))

    async def _commit(self, units: Sequence[UnitOfWork]) -> None:
        """Make units durable: the changelog, the outputs, what is written last, the local state, what is kept in memory.

        In that order: what was published must be remembered, or a replay cannot withdraw it (from a buyer that an order left).
        """
        notes = await self._append({unit.partition: unit.writes for unit in units})
        await asyncio.gather(*self._sends(units))
        notes |= await self._append({unit.partition: unit.last_writes for unit in units})
        for unit in units:
            if unit.partition in notes:
                await self.table.write(unit.partition, unit.writes | unit.last_writes, notes[unit.partition])
            for effect in unit.after:
                effect()

    async def _append(self, writes: Mapping[int, dict[bytes, bytes | None]]) -> dict[int, StorePosition]:
        """Append rows to the changelogs of their partitions; what each is to be noted with."""
        appended = {partition: self.table.append(partition, rows) for partition, rows in writes.items() if rows}
        # All are waited for, also when one fails: no append may still be under way when the worker ends or begins anew.
        notes = await asyncio.gather(*appended.values(), return_exceptions=True)
        if failed := [note for note in notes if isinstance(note, BaseException)]:
            raise failed[0]
        return {partition: note for partition, note in zip(appended, notes, strict=True) if isinstance(note, StorePosition)}

    def _sends(self, units: Sequence[UnitOfWork]) -> list[Any]:
        merged: dict[tuple[str, int], list[HeadedRecord]] = defaultdict(list)
        for unit in units:
            fenced: Headers | None = None
            for place, records in unit.outputs():
                fenced = fenced or writer_headers(self.table.log(unit.partition))
                headers = [] if unit.is_raw(place) else fenced
                merged[place].extend((key, value, headers) for key, value in records)
        return [self._send(topic, partition, records) for (topic, partition), records in merged.items()]

    async def _send(self, topic: str, partition: int, records: list[HeadedRecord]) -> None:
        if topic == self._audit.topic:
            await self._audit.append(partition, [(key, value) for key, value, _ in records])
        else:
            await self._producer.append(topic, partition, records)

    async def suspend(self) -> None:
        """Partitions may go to another worker: finish the work in hand, begin none, and forget what is kept in memory."""
        self._working.clear()
        async with self._busy:
            self._progress.forget()
            self._opened.clear()
            self._handler.revoked()

    def resume(self, partitions: set[int]) -> None:
        """Work goes on with those of ``partitions`` that are opened from now on."""
        self._assigned = set(partitions)
        self._working.set()

    async def opened(self, partition: int) -> None:
        """The partition's state is whole and nobody else's: rebuild what is kept in memory."""
        async with self._busy:
            self._handler.recovered(partition, self.table)
            self._opened.add(partition)
            if self._opened == self._assigned:
                self._working.set()
