"""What a consumer group has not processed, and how old it is, per partition: asked of the broker, whether readers run or not.

The age is exact, also right after a restart: it is that of the record at the committed offset, which is read. So transaction
markers at the end of a log are no lag, and a topic on which nothing happens is not old.
"""

import asyncio
from dataclasses import dataclass
from math import inf
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import ConsumerRecord

from streams.observability.lag import PartitionLag, existing, lags_of

BACKLOG_CONSUMER: Final[dict[str, Any]] = {
    "enable_auto_commit": False,
    "isolation_level": "read_committed",
    "max_partition_fetch_bytes": 2**16,
}
"""What the consumer of a :class:`BacklogReader` is made with: it wants one record of each partition, not those behind it."""

_PARTITIONS_SECONDS = 60.0
"""Topics hardly ever get partitions: the list is asked for so rarely once all of them exist."""
_LOOK_SECONDS = 10.0
"""A record that waits is fetched at once; what is not here by then is a broker that does not give it."""


@dataclass(frozen=True, slots=True)
class Backlog:
    """What a group has not processed of one partition.

    Attributes:
        records: their number; 0 where only transaction markers and records of aborted transactions are left.
        oldest_ms: when the first of them was appended (epoch ms); None: there is none.
        offset: the group's next offset.
        end: the partition's next offset.
    """

    records: int
    oldest_ms: int | None
    offset: int
    end: int

    def seconds(self, now: float) -> float:
        """The age of the oldest record at ``now`` (epoch seconds); the broker's clock may be ahead of ours."""
        return 0.0 if self.oldest_ms is None else max(0.0, now - self.oldest_ms / 1000)


@dataclass(frozen=True, slots=True)
class _First:
    """The first record at ``start`` or behind it; ``offset`` None: there was none before ``end``."""

    start: int
    end: int
    offset: int | None
    timestamp: int

    def holds(self, start: int, end: int) -> bool:
        """Whether it still says what is first, for a group at ``start`` in a log that ends at ``end``."""
        return self.start == start and (self.offset is not None or self.end == end)


class BacklogReader:
    """Measures groups. It remembers first records, so that a group that stands still is not read again and again."""

    def __init__(self, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        self.consumer = consumer
        self.admin = admin
        self._first: dict[tuple[str, TopicPartition], _First] = {}
        self._places: dict[tuple[str, ...], tuple[float, list[TopicPartition]]] = {}

    async def measure(self, group: str, topics: list[str]) -> dict[TopicPartition, Backlog]:
        """What the group has not processed in each partition of ``topics``; topics that do not exist are left out.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
            TimeoutError: it does not give a record that waits.
        """
        lags = await lags_of(group, await self._partitions(topics), self.consumer, self.admin)
        waiting = {place: max(lag.committed, lag.begin) for place, lag in lags.items() if lag.behind}
        await self._look(group, waiting, lags)
        return {place: self._backlog(lag, self._first.get((group, place))) for place, lag in lags.items()}

    async def _partitions(self, topics: list[str]) -> list[TopicPartition]:
        now = asyncio.get_running_loop().time()
        since, places = self._places.get(tuple(topics), (-inf, []))
        if now - since < _PARTITIONS_SECONDS:
            return places
        found = await existing(topics, self.admin)
        if {place.topic for place in found} == set(topics):
            self._places[tuple(topics)] = now, found
        return found

    async def _look(self, group: str, waiting: dict[TopicPartition, int], lags: dict[TopicPartition, PartitionLag]) -> None:
        for done in [key for key in self._first if key[0] == group and key[1] not in waiting]:
            del self._first[done]
        unknown = {
            place: start
            for place, start in waiting.items()
            if (known := self._first.get((group, place))) is None or not known.holds(start, lags[place].end)
        }
        found = await self._records(unknown, {place: lags[place].end for place in unknown})
        for place, start in unknown.items():
            record = found.get(place)
            offset, timestamp = (None, 0) if record is None else (record.offset, record.timestamp)
            self._first[group, place] = _First(start, lags[place].end, offset, timestamp)

    def _backlog(self, lag: PartitionLag, first: _First | None) -> Backlog:
        if first is None or first.offset is None:
            return Backlog(0, None, lag.committed, lag.end)
        return Backlog(lag.end - first.offset, first.timestamp, lag.committed, lag.end)

    async def _records(
        self, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
    ) -> dict[TopicPartition, ConsumerRecord[Any, Any]]:
        """The first record of each partition at its start or behind it; none where only markers are left."""
        found: dict[TopicPartition, ConsumerRecord[Any, Any]] = {}
        looking = set(starts)
        if not looking:
            return found
        consumer = self.consumer
        consumer.assign(list(looking))
        try:
            for place in looking:
                consumer.seek(place, starts[place])
            deadline = asyncio.get_running_loop().time() + _LOOK_SECONDS
            while looking and asyncio.get_running_loop().time() < deadline:
                for place, records in (await consumer.getmany(*looking, timeout_ms=250, max_records=len(starts))).items():
                    found[place] = records[0]
                looking -= found.keys()
                looking = {place for place in looking if await consumer.position(place) < ends[place]}
        finally:
            # Or it goes on fetching what nobody takes.
            consumer.unsubscribe()
        if looking:
            raise TimeoutError(f"Kafka gives no record of {len(looking)} partitions in which some wait")
        return found
