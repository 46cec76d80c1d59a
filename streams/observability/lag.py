"""How far a consumer group is: a worker's own progress, and the group's lag as the broker sees it.

The broker compares end offsets with committed offsets, for every partition of the group's topics, also for those that no worker
owns at the moment. :mod:`streams.observability.backlog` adds how old what waits is.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.core.acknowledged import Acknowledged, join
from streams.core.bookmark import Bookmark


class ConsumedOffsets:
    """This worker's progress in a group's topics: for each partition the next offset, and a bookmark before it.

    ``written`` is what the broker acknowledged of what followed from them.
    """

    def __init__(self, group: str, topics: list[str], written: Acknowledged | None = None) -> None:
        self.group = group
        self.topics = topics
        self.written = written or Acknowledged()
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

    def commit_request(self, offsets: Mapping[Any, int]) -> dict[Any, tuple[int, str]]:
        """What to commit: each offset with its bookmark, and what was written beside one of them.

        A broker takes a request as a whole, and in one batch: what was written is as durable beside one offset, and beside
        hundreds it would make the batch too large. The lowest is taken, so that few partitions keep old notes.
        """
        noted = min(offsets, default=None)
        return {place: (offset, self._metadata(place, offset, noted == place)) for place, offset in offsets.items()}

    def _metadata(self, tp: Any, offset: int, noted: bool) -> str:
        bookmark = self._bookmarks.get(TopicPartition(tp.topic, tp.partition))
        return join(bookmark if bookmark is not None and bookmark.offset < offset else None, self.written if noted else None)

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
    return await lags_of(group, await existing(topics, admin), consumer, admin)


async def existing(topics: list[str], admin: AIOKafkaAdminClient) -> list[TopicPartition]:
    """The partitions of those of ``topics`` that exist. Raises as :func:`partition_lags`."""
    described = await admin.describe_topics(topics)
    return [TopicPartition(item["topic"], part["partition"]) for item in described for part in item["partitions"]]


async def lags_of(
    group: str, places: list[TopicPartition], consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient
) -> dict[TopicPartition, PartitionLag]:
    """A group's lag in each of ``places``. Raises as :func:`partition_lags`."""
    if not places:
        return {}
    committed = await admin.list_consumer_group_offsets(group)
    ends = await consumer.end_offsets(places)
    offsets = {place: committed[place].offset if place in committed else 0 for place in places}
    # Where nothing waits nothing can have been deleted unread either: an idle worker need not ask.
    waiting = [place for place in places if ends[place] > offsets[place]]
    begins = await consumer.beginning_offsets(waiting) if waiting else {}
    return {place: PartitionLag(begins.get(place, 0), ends[place], offsets[place]) for place in places}
