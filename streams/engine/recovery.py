"""Bring state up to its changelog: contiguous by the log, in batches, and checked before anything is opened.

Faust's own recovery loses records when workers come and go: one queue serves all tables and is emptied whenever the flow
resumes, any larger offset is taken, and an offset counts before its record is applied (faust 0.15.3, tables/recovery.py).
Here each changelog partition is read from the state's offset to the end that the broker names at the start. Nothing stands
between the consumer and the store. What compaction and transaction markers left out is the log's own gap: what counts is the
consumer's position, not the number of records.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Protocol, TypeAlias

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.core.clock import Clock
from streams.core.errors import OwddError
from streams.engine.store import Store, StorePosition, differences
from streams.kafka import client
from streams.kafka.security import KafkaConfig

log = structlog.get_logger()

EPOCH = "epoch"
"""The header of a changelog record with its writer's epoch, in decimal digits; older versions wrote none."""

SLICE = 4000
"""Records applied at a time: some 20 ms of the event loop, which partitions that are open already share."""
_FETCH = 4 * 2**20
_WAIT_MS = 250
_STALLED_SECONDS = 30.0


class RecoveryError(OwddError):
    """A changelog could not be read without a gap; the partition stays closed and the worker must end."""


class Reader(Protocol):
    """What recovery asks of a consumer that belongs to no group."""

    def assign(self, places: Sequence[TopicPartition]) -> None:
        """Read these partitions, and no others."""

    def seek(self, place: TopicPartition, offset: int) -> None:
        """Go on at ``offset``."""

    def pause(self, *places: TopicPartition) -> None:
        """Fetch no more from these."""

    async def position(self, place: TopicPartition) -> int:
        """The next offset to be read."""

    async def getmany(
        self, *places: TopicPartition, timeout_ms: int, max_records: int
    ) -> Mapping[TopicPartition, Sequence[Any]]:
        """Records, in order, by partition."""

    async def beginning_offsets(self, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The first offset of each log."""

    async def end_offsets(self, places: Sequence[TopicPartition]) -> Mapping[TopicPartition, int]:
        """The offset after the last of each log."""


class Following(Protocol):
    """State that follows a changelog: a :class:`Store`."""

    note: StorePosition

    def write(self, writes: Mapping[bytes, bytes | None], note: StorePosition, *, stale: Iterable[bytes] = ()) -> None:
        """Apply ``writes``, which bring the state to ``note``, all or nothing."""

    async def write_in_turn(
        self, writes: Mapping[bytes, bytes | None], note: StorePosition, *, stale: Iterable[bytes] = ()
    ) -> None:
        """The same, while the event loop goes on."""

    def verify(self) -> bool:
        """Whether the note can be read back."""

    def empty(self) -> None:
        """Throw everything away."""


Progress: TypeAlias = Callable[[TopicPartition, int, int], None]
"""Learns how far the reading of a log is: records read, and records still to be read, at most."""


def _nobody_asks(_: TopicPartition, __: int, ___: int) -> None:
    """Nobody wants to know."""


def changelog_reader(kafka: KafkaConfig) -> AIOKafkaConsumer:
    """A consumer for recovery: no group, large fetches, and an error where a log does not go on instead of a jump."""
    return client.consumer(
        kafka,
        enable_auto_commit=False,
        auto_offset_reset="none",
        isolation_level="read_committed",
        max_partition_fetch_bytes=_FETCH,
        fetch_max_bytes=4 * _FETCH,
        fetch_max_wait_ms=100,
    )


def epoch_of(record: Any) -> int | None:
    """The epoch of the writer of a changelog record; None if an older version of ours wrote it, which had none."""
    return next((int(value) for name, value in record.headers if name == EPOCH), None)


@dataclass(frozen=True, slots=True)
class Recovered:
    """A state that holds all of its log up to ``end``, of which ``records`` were read now."""

    place: TopicPartition
    end: int
    records: int


async def recover(
    reader: Reader,
    states: Mapping[TopicPartition, Following],
    clock: Clock,
    retention_ms: int,
    progress: Progress = _nobody_asks,
) -> AsyncGenerator[Recovered, None]:
    """Bring ``states``, by changelog partition, up to their logs; each as soon as it is there.

    It may be interrupted at any point: the next call goes on where the states are. ``retention_ms`` is the changelogs'
    ``delete.retention.ms``: a state that is older missed tombstones and is read anew.

    Raises:
        RecoveryError: what was read does not follow what was read before, or a state is not where its log ends.
        aiokafka.errors.KafkaError: the broker does not answer, or a log does not hold what it was asked for.
    """
    readings = {reading.place: reading for reading in await _begin(reader, states, clock, retention_ms)}
    loop = asyncio.get_running_loop()
    moved = loop.time()
    while readings:
        for place, reading in readings.items():
            progress(place, reading.records, max(0, reading.end - reading.position))
        for place in [place for place, reading in readings.items() if reading.position >= reading.end]:
            reader.pause(place)
            yield await readings.pop(place).finished()
        if not readings:
            break
        if await _read_some(reader, readings):
            moved = loop.time()
        elif loop.time() - moved > _STALLED_SECONDS:
            log.warning("recovery waits for the broker", at=[_named(place) for place in readings])
            moved = loop.time()
        await asyncio.sleep(0)


async def _begin(
    reader: Reader, states: Mapping[TopicPartition, Following], clock: Clock, retention_ms: int
) -> "list[_Reading]":
    """Where each reading begins and ends, with the reader in place."""
    places, started_ms = list(states), clock.now_ms()
    # Before the assignment: between it and the seeks there must be no await, or aiokafka looks for an offset by itself.
    begins, ends = await reader.beginning_offsets(places), await reader.end_offsets(places)
    for place, state in states.items():
        if state.note.offset >= ends[place] and isinstance(state, Store):
            await _after_lost_tail(reader, place, state, clock, retention_ms)
    readings = [
        _Reading(place, state, reader, begins[place], ends[place], started_ms, retention_ms) for place, state in states.items()
    ]
    reader.assign(places)
    for reading in readings:
        reading.begin()
    return readings


async def _read_some(reader: Reader, readings: "Mapping[TopicPartition, _Reading]") -> bool:
    """Apply one slice; whether any reading moved on."""
    fetched = await reader.getmany(*readings, timeout_ms=_WAIT_MS, max_records=SLICE)
    if foreign := fetched.keys() - readings.keys():
        raise RecoveryError(f"records of {sorted(foreign)}, which were not asked for")
    moved = [await reading.take(fetched.get(place, ()), await reader.position(place)) for place, reading in readings.items()]
    return any(moved)


class _Reading:
    """The reading of one changelog partition, from the state's offset to ``end``."""

    def __init__(
        self, place: TopicPartition, state: Following, reader: Reader, begin: int, end: int, started_ms: int, retention_ms: int
    ) -> None:
        self.position = 0
        self.end = end
        self.place = place
        self._state = state
        self._reader = reader
        self._begin = begin
        self._started_ms = started_ms
        self._retention_ms = retention_ms
        self._offset = -1
        self.records = 0
        self._asked_again: int | None = None
        self._joint: StorePosition | None = None

    def begin(self) -> None:
        """Go to where the state is, or to the log's beginning with an empty one."""
        note = self._state.note
        # Half: clocks may have jumped, and differ between a worker and the broker.
        too_old = abs(self._started_ms - note.synced_ms) > self._retention_ms // 2
        if note.offset >= 0 and (too_old or note.offset + 1 < self._begin):
            log.warning("state is too old for its changelog and is read anew", at=_named(self.place), offset=note.offset)
            self._state.empty()
        if self._state.note.offset < 0:
            self._from_beginning()
            return
        # The last record applied is read once more: if it is another now, the log was cut and went on differently.
        self._offset, self._joint = note.offset, note
        self._go_to(max(note.offset, self._begin))

    async def take(self, records: Sequence[Any], position: int) -> bool:
        """Apply the records that took the reader to ``position``; whether the reading moved on."""
        before = self.position
        if self._joint is not None and records:
            joint, self._joint = self._joint, None
            if records[0].offset == joint.offset:
                if epoch_of(records[0]) not in (None, joint.written_in):
                    log.error("the changelog goes on differently: its tail was lost; state is read anew", at=_named(self.place))
                    self._state.empty()
                    self._from_beginning()
                    return True
                # State may hold a later row than this one, if it is to supersede it.
                self.position, records = joint.offset + 1, records[1:]
        following = await self._apply(records, position) if records else self.position
        if following < position and self._asked_again != following:
            # Nothing, or not all, came of what the reader passed over. Markers and compaction do that, and so would a fetch
            # that was lost on the way: it is asked for once more.
            self._asked_again = following
            self._go_to(following)
        else:
            self.position = position
        return self.position > before

    async def finished(self) -> Recovered:
        """The end was reached: check that the state on disk is where the log's last record was."""
        state = self._state
        if state.note.offset != self._offset or not state.verify():
            raise RecoveryError(f"{_named(self.place)}: state is at {state.note.offset}, its changelog at {self._offset}")
        await state.write_in_turn({}, replace(state.note, synced_ms=self._started_ms))
        return Recovered(self.place, self.end, self.records)

    async def _apply(self, records: Sequence[Any], position: int) -> int:
        """Apply all of the records, which must lie between here and ``position``; the offset that follows them."""
        place, following = self.place, self.position
        topic, partition = place.topic, place.partition
        rows: dict[bytes, bytes | None] = {}
        stale: dict[bytes, None] = {}
        epoch = highest = self._state.note.epoch
        unknown = 0
        for record in records:
            if record.offset < following or record.partition != partition or record.topic != topic:
                raise RecoveryError(f"{_named(place)}: {record.topic}/{record.partition}/{record.offset} at {following}")
            following = record.offset + 1
            key = record.key
            written_in = epoch_of(record)
            unknown += written_in is None
            epoch = highest if written_in is None else written_in
            if epoch < highest:
                stale[key] = None
                continue
            highest = epoch
            rows[key] = record.value
        if following > position:
            raise RecoveryError(f"{_named(place)}: a record at {following - 1}, but the reader is at {position}")
        if unknown and highest:
            log.error("a worker of an older version writes to the changelog too", at=_named(place), records=unknown)
        note = replace(self._state.note, offset=following - 1, written_in=epoch, epoch=highest)
        await self._state.write_in_turn(rows, note, stale=stale)
        self._offset = following - 1
        self.records += len(records)
        return following

    def _from_beginning(self) -> None:
        # Tombstones that are compacted away from now on have a row below them that is gone already, or still to be read.
        self._state.write({}, StorePosition(synced_ms=self._started_ms))
        self._offset = -1
        self._go_to(self._begin)

    def _go_to(self, offset: int) -> None:
        self._reader.seek(self.place, offset)
        self.position = offset


async def _after_lost_tail(reader: Reader, place: TopicPartition, store: Store, clock: Clock, retention_ms: int) -> None:
    """State that is ahead of its changelog: the broker lost the log's tail (power loss with one replica, an unclean election).

    What state holds was acknowledged once, and its consequences went out. So the log gets the rows that it lacks: they are
    noted as stale, and written when the partition is opened. If somebody opened the log since, state follows the log instead.
    """
    logged = store.sibling("log")
    try:
        async with aclosing(recover(reader, {place: logged}, clock, retention_ms)) as found:
            async for recovered in found:
                log.error("the changelog lost its tail", at=_named(place), state=store.note.offset, end=recovered.end)
        if logged.note.epoch > store.note.epoch:
            store.empty()
            return
        differing = (key for key, *_ in differences(store, logged))
        while keys := list(islice(differing, SLICE)):
            await store.write_in_turn({}, store.note, stale=keys)
            await asyncio.sleep(0)
        await store.write_in_turn({}, replace(logged.note, epoch=store.note.epoch))
    finally:
        logged.destroy()


def _named(place: TopicPartition) -> str:
    return f"{place.topic}/{place.partition}"
