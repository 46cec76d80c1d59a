"""Where ingest stands in the topics that it reads: found when partitions come, and committed with bookmarks."""

import contextlib
from collections.abc import Collection
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError

from streams.core.bookmark import Bookmark
from streams.ingest.snapshot_positions import NewestPositions
from streams.kafka.continuity import group_offsets
from streams.kafka.members import Members
from streams.kafka.security import KafkaConfig
from streams.observability.lag import ConsumedOffsets


class Positions(ConsumerRebalanceListener):  # type: ignore[misc]  # aiokafka is untyped
    """The positions of one consumer of a group, in what was assigned to it."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        kafka: KafkaConfig,
        progress: ConsumedOffsets,
        newest: NewestPositions,
        members: Members,
    ) -> None:
        self._consumer = consumer
        self._members = members
        self._kafka = kafka
        self._progress = progress
        self._newest = newest
        self._found: set[TopicPartition] = set()
        self._uncommitted: dict[TopicPartition, int] = {}

    async def on_partitions_revoked(self, _: Collection[TopicPartition]) -> None:
        """Whoever has them meanwhile moves on."""
        self._found.clear()
        self._progress.forget()

    async def on_partitions_assigned(self, _: Collection[TopicPartition]) -> None:
        """They are looked at in :meth:`find`: the group must not wait for it."""
        self._members.note(self._progress.group, self._consumer._coordinator.member_id)

    async def find(self) -> set[TopicPartition]:
        """Look at the partitions that came since; those whose logs were cut, and which are read again from earlier on.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        new = self._consumer.assignment() - self._found
        moved = set()
        wrote = self._progress.written.topics
        known = await group_offsets(self._kafka, self._progress.group, new, wrote) if new else {}
        for place in new - known.keys():
            self._newest.begin(place, b"")
        for place, at in known.items():
            self._progress.begin(place, at.offset, at.bookmark)
            self._progress.written.learn(at.written)
            self._newest.begin(place, b"" if at.bookmark is None else at.bookmark.newest)
            if at.cut:
                moved.add(place)
                with contextlib.suppress(IllegalStateError):  # it has gone to another worker
                    self._consumer.seek(place, at.offset)
        self._found |= new
        return moved

    def finished(self, place: TopicPartition, record: Any) -> None:
        """Everything up to ``record`` is done, and its consequences are durable."""
        bookmark = Bookmark.at(record.offset, record.timestamp, record.key, record.value)
        self._progress.done(place, replace(bookmark, newest=self._newest.newest(place)))
        self._uncommitted[place] = record.offset + 1

    async def idle(self) -> None:
        """Nothing waits: what the consumer passed over holds no records, as markers of transactions do not."""
        for place in self._found & self._consumer.assignment():
            try:
                position = await self._consumer.position(place)
            except IllegalStateError:  # it has gone to another worker
                continue
            if position > self._progress.next.get(place, 0):
                self._progress.passed({place: position})
                self._uncommitted[place] = position

    async def commit(self) -> None:
        """Commit what is finished.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        owned = self._consumer.assignment()
        offsets = {place: offset for place, offset in self._uncommitted.items() if place in owned}
        self._uncommitted.clear()
        if offsets:
            # A rebalance in this moment refuses the commit; then the new owner does the work again.
            with contextlib.suppress(CommitFailedError, IllegalStateError):
                await self._consumer.commit(self._progress.commit_request(offsets))

    @property
    def committed(self) -> bool:
        """Whether everything that is finished is committed."""
        return not self._uncommitted
