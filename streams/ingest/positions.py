"""Where ingest stands in the topics that it reads: found when partitions come, and committed with bookmarks."""

import contextlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.abc import ConsumerRebalanceListener
from aiokafka.errors import CommitFailedError, IllegalStateError

from streams.core.bookmark import Bookmark
from streams.ingest.snapshot_positions import NewestPositions
from streams.kafka.continuity import check_unread, group_offsets
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
        """The workers that have them meanwhile move on."""
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

    async def check_unread(self, polled: Mapping[TopicPartition, Sequence[Any]]) -> None:
        """See that nothing between the records that were read last and those in ``polled`` was deleted unread.

        aiokafka goes to where a log begins now. Other gaps are the log's own: compaction's, and markers of transactions.

        Raises:
            LostRecordsError: something was.
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        await self._check_unread({place: records[0].offset for place, records in polled.items()})

    async def _check_unread(self, reached: Mapping[TopicPartition, int]) -> None:
        following = self._progress.next
        gaps = {place: following[place] for place, offset in reached.items() if offset > following.get(place, offset)}
        if gaps:
            check_unread(gaps, await self._consumer.beginning_offsets(list(gaps)))

    async def idle(self) -> None:
        """Nothing waits: what the consumer passed over holds no records, as markers of transactions do not.

        Raises:
            LostRecordsError: it held some, which were deleted unread.
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        reached: dict[TopicPartition, int] = {}
        for place in self._found & self._consumer.assignment():
            with contextlib.suppress(IllegalStateError):  # it has gone to another worker
                reached[place] = await self._consumer.position(place)
        await self._check_unread(reached)
        for place, position in reached.items():
            if place in self._found and position > self._progress.next.get(place, 0):
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
