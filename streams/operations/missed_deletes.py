"""Rows that the newest snapshot of their table did not show: they were deleted while nobody captured it.

A compacted topic keeps the last record of every key, so such a row lives on in the state, and in every rebuild. A snapshot
says nothing about it; only the keys do: its newest record stands before the snapshot, and every row that the snapshot read has
one behind its beginning. The remedy is the record that was missed, a deletion, written as the connector would have written it.
"""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.capture.missed_deletes import delete_of
from streams.capture.notifications import WholeRead, WholeReads
from streams.core.clock import Clock
from streams.core.errors import RecordError
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.producer import BatchProducer, KeyValue
from streams.kafka.reader import partitions_of, read_span
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured
from streams.mapping import Mapping
from streams.settings import Settings

MOST_KEYS = 5_000_000
"""Of one partition: each takes about 100 bytes of memory while it is compared."""
MOST_ROWS = 1_000_000
"""Of one partition that a snapshot may have missed; about 200 bytes each."""
_TOGETHER = 500
"""Deletions that are written in one go."""


@dataclass(slots=True)
class TableComparison:
    """One captured topic against the newest snapshot of its table.

    Attributes:
        topic: the captured topic.
        read: the snapshot; None: no finished one of the whole table is known.
        shown: rows that have a record since it began.
        missed: the newest record of each row that it did not show, by partition; the end up to which nothing newer is there.
        reason: why nothing can be concluded; None: ``missed`` is right.
        withdrawn: for how many the deletion was written.
    """

    topic: str
    read: WholeRead | None
    shown: int = 0
    missed: dict[TopicPartition, "PlaceMissed"] = field(default_factory=dict)
    reason: str | None = None
    withdrawn: int = 0

    @property
    def rows(self) -> int:
        """How many rows were missed."""
        return 0 if self.reason else sum(len(found.offsets) for found in self.missed.values())


@dataclass(frozen=True, slots=True)
class PlaceMissed:
    """Offsets of the rows' newest records in one partition, in rising order, known up to ``until``."""

    offsets: Sequence[int]
    until: int


class MissedDeletes:
    """Compares, and writes what was missed; ``consumer`` is a started :func:`~streams.kafka.reader.committed_reader`."""

    def __init__(self, settings: Settings, mapping: Mapping, consumer: AIOKafkaConsumer) -> None:
        self._settings = settings
        self._mapping = mapping
        self._kafka = KafkaConfig.of(settings)
        self._consumer = consumer

    async def compare(self) -> AsyncIterator[TableComparison]:
        """Every captured topic, one after the other.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        reads = await self._whole_reads()
        for topic, partitions in sorted((await partitions_of(self._kafka, captured(self._mapping))).items()):
            table = TableComparison(topic, reads.of(topic))
            if table.read is None:
                table.reason = "no finished snapshot of the whole table is known"
            else:
                await self._compare(table, table.read, [TopicPartition(topic, number) for number in partitions])
            yield table

    async def records(self, place: TopicPartition, missed: PlaceMissed) -> AsyncIterator[Any]:
        """The newest records of rows that were missed, as the topic still has them."""
        wanted = set(missed.offsets)
        if not wanted:
            return
        async for record in read_span(self._consumer, place, missed.offsets[0], missed.offsets[-1] + 1):
            if record.offset in wanted and record.value is not None:
                yield record

    async def withdraw(self, table: TableComparison, producer: BatchProducer, clock: Clock) -> None:
        """Write the deletions. It may be interrupted and run again at any time.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        for place, missed in table.missed.items():
            for start in range(0, len(missed.offsets), _TOGETHER):
                some = PlaceMissed(missed.offsets[start : start + _TOGETHER], missed.until)
                gone = {record.key: _deletion(record, clock.now_ms()) async for record in self.records(place, some)}
                async for record in read_span(self._consumer, place, missed.until, await self._end(place)):
                    # It is there again, or its deletion came.
                    gone.pop(record.key, None)
                deletions = {key: value for key, value in gone.items() if value is not None}
                await self._write(producer, place, deletions, await self._end(place))
                table.withdrawn += len(deletions)

    async def _write(self, producer: BatchProducer, place: TopicPartition, gone: dict[bytes, bytes], until: int) -> None:
        """Append deletions and tombstones. Newer records of those rows are written once more behind them.

        Compaction keeps the last record of a key, and that must not be ours then.
        """
        written, entries = dict(gone), list[KeyValue]()
        for key, value in gone.items():
            entries += [(key, value), (key, None)]
        while entries:
            await producer.send(place.topic, place.partition, entries)
            end = await self._end(place)
            came = dict[bytes, bytes]()
            async for record in read_span(self._consumer, place, until, end):
                if record.key in written and record.value not in (None, written[record.key]):
                    came[record.key] = record.value
            written, entries, until = written | came, list(came.items()), end

    async def _end(self, place: TopicPartition) -> int:
        return int((await self._consumer.end_offsets([place]))[place])

    async def _whole_reads(self) -> WholeReads:
        reads, names = WholeReads(), CaptureNames.of(self._mapping, self._settings.source_kind)
        for topic, partitions in (await partitions_of(self._kafka, [names.notifications])).items():
            for place in (TopicPartition(topic, number) for number in partitions):
                async for record in read_span(self._consumer, place, 0, await self._end(place)):
                    reads.take(record.value, record.timestamp)
        return reads

    async def _compare(self, table: TableComparison, read: WholeRead, places: list[TopicPartition]) -> None:
        since = await self._consumer.offsets_for_times(dict.fromkeys(places, read.began))
        for place in places:
            end = await self._end(place)
            # By offset and not by each record's time: a clock that is set back meanwhile changes no order.
            border = end if since[place] is None else since[place].offset
            shown = set[bytes]()
            async for record in read_span(self._consumer, place, border, end):
                shown.add(_digest(record.key))
                if len(shown) > MOST_KEYS:
                    table.reason = f"a partition has more than {MOST_KEYS:,} rows"
                    return
            table.shown += len(shown)
            await self._look_before(table, place, border, shown, end)
        if table.shown < read.rows:
            table.reason = f"the snapshot read {read.rows:,} rows, and only {table.shown:,} have a record since it began"

    async def _look_before(
        self, table: TableComparison, place: TopicPartition, border: int, shown: set[bytes], end: int
    ) -> None:
        """Note the rows that were there before the snapshot began, and have no record since."""
        newest: dict[bytes, int] = {}
        async for record in read_span(self._consumer, place, 0, border):
            digest = _digest(record.key)
            if record.value is None or digest in shown:
                newest.pop(digest, None)
            elif len(newest) < MOST_ROWS or digest in newest:
                newest[digest] = record.offset
            else:
                table.reason = f"more than {MOST_ROWS:,} rows of a partition were missed"
                return
        if newest:
            missed = PlaceMissed(sorted(newest.values()), end)
            # A deletion may have no tombstone behind it.
            offsets = [record.offset async for record in self.records(place, missed) if _deletion(record, 0) is not None]
            table.missed |= {place: PlaceMissed(offsets, end)} if offsets else {}


def _digest(key: bytes | None) -> bytes:
    return blake2b(key or b"", digest_size=16).digest()


def _deletion(record: Any, now_ms: int) -> bytes | None:
    try:
        return delete_of(record.value, now_ms)
    except RecordError:
        # Ingest has set it aside: nothing follows from it.
        return None
