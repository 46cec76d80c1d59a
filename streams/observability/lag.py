"""The lag of a consumer group, in records and in seconds, per topic.

Measured against the broker: end offsets against committed offsets (or the offsets that this worker has finished since), for
every partition of the group's topics, also for those that no worker owns at the moment.
"""

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.core.bookmark import Bookmark
from streams.core.clock import Clock
from streams.observability.metrics import Metrics


class ConsumedOffsets:
    """This worker's progress in a group's topics: for each partition the next offset, and a bookmark before it."""

    def __init__(self, group: str, topics: list[str]) -> None:
        self.group = group
        self.topics = topics
        self.next: dict[TopicPartition, int] = {}
        self._bookmarks: dict[TopicPartition, Bookmark] = {}

    def begin(self, place: TopicPartition, offset: int, bookmark: Bookmark | None) -> None:
        """The partition is this worker's, and goes on at ``offset``; ``bookmark`` came with the commit."""
        self.next[place] = offset
        if bookmark is not None:
            self._bookmarks[place] = bookmark
        else:
            self._bookmarks.pop(place, None)

    def done(self, tp: Any, bookmark: Bookmark) -> None:
        """Everything up to the bookmark is finished."""
        place = TopicPartition(tp.topic, tp.partition)
        self.next[place] = bookmark.offset + 1
        self._bookmarks[place] = bookmark

    def passed(self, offsets: Mapping[Any, int]) -> None:
        """There is nothing for this group below these offsets."""
        self.next.update({TopicPartition(*place): offset for place, offset in offsets.items()})

    def bookmark(self, place: TopicPartition) -> Bookmark | None:
        """The last record that was finished, by this worker or by the one before."""
        return self._bookmarks.get(place)

    def commit_metadata(self, tp: Any, offset: int) -> str:
        """What to commit beside ``offset``."""
        bookmark = self._bookmarks.get(TopicPartition(tp.topic, tp.partition))
        return bookmark.encode() if bookmark is not None and bookmark.offset < offset else ""

    def forget(self) -> None:
        """Forget the offsets: after a rebalance the partitions may belong to another worker."""
        self.next.clear()


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition as the broker sees it: the log's first and next offset, and the group's next offset.

    ``begin`` is 0 where the group has finished everything.
    """

    begin: int
    end: int
    committed: int

    @property
    def behind(self) -> int:
        """Records that the group has not finished. Records that retention has deleted do not count."""
        return max(0, self.end - max(self.committed, self.begin))


async def partition_lags(
    group: str, topics: list[str], consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient
) -> dict[TopicPartition, PartitionLag]:
    """A group's lag in each partition of ``topics``; topics that do not exist are left out.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    described = await admin.describe_topics(topics)
    places = [TopicPartition(item["topic"], part["partition"]) for item in described for part in item["partitions"]]
    if not places:
        return {}
    committed = await admin.list_consumer_group_offsets(group)
    ends = await consumer.end_offsets(places)
    offsets = {place: committed[place].offset if place in committed else 0 for place in places}
    # Where nothing waits nothing can have been deleted unread either: an idle worker need not ask.
    waiting = [place for place in places if ends[place] > offsets[place]]
    begins = await consumer.beginning_offsets(waiting) if waiting else {}
    return {place: PartitionLag(begins.get(place, 0), ends[place], offsets[place]) for place in places}


class LagProbe:
    """Sets the lag gauges every ``interval`` seconds, through clients of its own, which it starts and stops."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        admin: AIOKafkaAdminClient,
        progress: list[ConsumedOffsets],
        metrics: Metrics,
        clock: Clock,
        interval: float = 2.0,
    ) -> None:
        self._consumer = consumer
        self._admin = admin
        self._progress = progress
        self._metrics = metrics
        self._clock = clock
        self._interval = interval
        self._caught_up: dict[tuple[str, TopicPartition], float] = {}

    async def run(self) -> None:
        """Probe until it is cancelled."""
        consumer, admin = self._consumer, self._admin
        await consumer.start()
        await admin.start()
        try:
            while True:
                for progress in self._progress:
                    # While the broker is away the gauges keep their last value; the workers themselves report it.
                    with contextlib.suppress(KafkaError, TimeoutError):
                        await self._probe(progress, consumer, admin)
                await asyncio.sleep(self._interval)
        finally:
            await consumer.stop()
            await admin.close()

    async def _probe(self, progress: ConsumedOffsets, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient) -> None:
        found = await partition_lags(progress.group, progress.topics, consumer, admin)
        now = self._clock.now_ms() / 1000
        records: dict[str, int] = defaultdict(int)
        seconds: dict[str, float] = defaultdict(float)
        for place, standing in found.items():
            # Commits are rare, so this worker's own progress is often further than the committed offset.
            behind = min(standing.behind, max(0, standing.end - progress.next.get(place, 0)))
            records[place.topic] += behind
            seconds[place.topic] = max(seconds[place.topic], self._age(progress, place, behind, now))
        for topic, behind in records.items():
            self._metrics.lag_records.labels(progress.group, topic).set(behind)
            self._metrics.lag_seconds.labels(progress.group, topic).set(seconds[topic])

    def _age(self, progress: ConsumedOffsets, place: TopicPartition, behind: int, now: float) -> float:
        """An upper limit of the age, in seconds, of the oldest waiting record.

        The record itself is not read. It was appended after the last finished record, and after the last time when no record
        waited; the later of the two gives the limit.
        """
        key = (progress.group, place)
        if not behind:
            self._caught_up[key] = now
            return 0.0
        bookmark = progress.bookmark(place)
        finished = 0.0 if bookmark is None else bookmark.timestamp_ms / 1000
        return max(0.0, now - max(finished, self._caught_up.setdefault(key, now)))
