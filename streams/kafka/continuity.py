"""Whether the logs that a group reads still hold what it has read, and where it must go on if they do not.

A log that lost its tail holds new records at offsets that the group has finished. Nothing in Kafka's consumer shows that: below
the committed offset they are skipped, for ever. So every commit carries a bookmark of the record before the offset
(:mod:`streams.core.bookmark`), and a log is *cut* if it ends below that offset, or shows another record at the bookmark.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError, KafkaTimeoutError
from aiokafka.structs import OffsetAndMetadata

from streams.core.acknowledged import LogId, split
from streams.core.bookmark import Bookmark
from streams.core.errors import OwddError
from streams.kafka import client
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.observability.lag import ConsumedOffsets

log = structlog.get_logger()

_READ_AGAIN_MS = 86_400_000
"""Records that were appended so long before the last one read are read again: clocks differ, and may be set back."""
_IDLE_MS = 250
_PATIENCE = 30.0
_RETRY_SECONDS = 0.1
_WATCH_SECONDS = 1.0
_INTERRUPTED_SECONDS = 1.0
_COMPARED_EVERY = 3


class LogCutError(OwddError):
    """A log does not hold any more what this worker has read from it. The worker must end, and begin again where it can."""


class LostRecordsError(OwddError):
    """Records were deleted before the group had read them. The worker must end: what they said comes back by no other way."""

    def __init__(self, lost: Mapping[TopicPartition, int]) -> None:
        remedy = "Stop all workers and run 'owdd topics reread' (docs/after-a-power-loss.md#records-that-were-deleted-unread)"
        where = ", ".join(map(_named, sorted(lost)))
        super().__init__(f"{sum(lost.values())} records were deleted before they were read", where=where, remedy=remedy)


class LostAcknowledgedError(OwddError):
    """Records that the broker had acknowledged are gone. The worker must end: nobody knows whether somebody had read them.

    A reader that is behind them by now may have read others at their offsets.
    """

    def __init__(self, lost: Mapping[LogId, Bookmark]) -> None:
        remedy = "Stop all workers and run 'owdd topics reread' (docs/after-a-power-loss.md#records-that-were-lost-unread)"
        where = ", ".join(f"{topic}/{partition} at {mark.offset}" for (topic, partition), mark in sorted(lost.items(), key=str))
        super().__init__("a record that was written and acknowledged is not in the log any more", where=where, remedy=remedy)


@dataclass(frozen=True, slots=True)
class GroupOffset:
    """Where a group goes on in a partition: the next offset, the bookmark before it, and whether the log was ``cut``.

    ``written`` are the last records that the group had written by then, which the logs hold.
    """

    offset: int
    bookmark: Bookmark | None = None
    cut: bool = False
    written: Mapping[LogId, Bookmark] = field(default_factory=dict)


async def group_offsets(
    kafka: KafkaConfig, group: str, places: Collection[TopicPartition], wrote: Collection[str] = ()
) -> dict[TopicPartition, GroupOffset]:
    """Where ``group`` goes on in those of ``places`` in which it has committed: there, or earlier where the log was cut.

    Where that is, timestamps say: what the log received since the cut is younger than the last record that was read.
    ``wrote`` are the topics in which the group writes; it may have noted others, of a generation that is gone by now.

    Raises:
        LostRecordsError: what the group was to read next is deleted.
        LostAcknowledgedError: what the group had written is gone.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    admin = client.admin_client(kafka)
    await admin.start()
    try:
        committed = await _committed(admin, group, places) if places else {}
    finally:
        await admin.close()
    found = {place: committed_at(at, wrote) for place, at in committed.items() if at.offset >= 0}
    if not found:
        return {}
    async with reader(kafka) as consumer:
        check_unread({place: at.offset for place, at in found.items()}, await consumer.beginning_offsets(list(found)))
        if gone := await lost_writes(consumer, [at.written for at in found.values()]):
            raise LostAcknowledgedError(gone)
        cut = await cut_logs(consumer, found)
        return found | {place: await _before_the_cut(consumer, place, found[place]) for place in cut}


def check_unread(following: Mapping[TopicPartition, int], begins: Mapping[TopicPartition, int]) -> None:
    """See that the logs, which begin at ``begins``, still have what is to be read next.

    Raises:
        LostRecordsError: one begins behind it.
    """
    if lost := {place: begins[place] - offset for place, offset in following.items() if begins[place] > offset}:
        raise LostRecordsError(lost)


def committed_at(found: OffsetAndMetadata, wrote: Collection[str]) -> GroupOffset:
    """What a group committed in a partition, with what it noted beside of the topics in ``wrote``."""
    bookmark, written = split(found.metadata)
    return GroupOffset(found.offset, bookmark, written={place: mark for place, mark in written.items() if place[0] in wrote})


async def lost_writes(consumer: AIOKafkaConsumer, noted: Collection[Mapping[LogId, Bookmark]]) -> dict[LogId, Bookmark]:
    """Of the records in ``noted``, one for each partition whose log does not hold what it should.

    Each note is compared, not the highest alone: that one may be of a log that had lost another, and had grown again.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    waiting: dict[TopicPartition, set[Bookmark]] = defaultdict(set)
    for marks in noted:
        for place, mark in marks.items():
            waiting[TopicPartition(*place)].add(mark)
    lost: dict[LogId, Bookmark] = {}
    while waiting := {place: marks for place, marks in waiting.items() if marks and place not in lost}:
        compared = {place: marks.pop() for place, marks in waiting.items()}
        ends = await consumer.end_offsets(list(compared))
        lost |= {place: mark for place, mark in compared.items() if ends[place] <= mark.offset}
        held = {place: mark for place, mark in compared.items() if place not in lost}
        suspects = {place: GroupOffset(held[place].offset + 1, held[place]) for place in await _suspects(consumer, held)}
        lost |= {place: held[place] for place in await cut_logs(consumer, suspects)} if suspects else {}
    return lost


async def _committed(
    admin: AIOKafkaAdminClient, group: str, places: Collection[TopicPartition]
) -> dict[TopicPartition, OffsetAndMetadata]:
    """What the group committed; a coordinator that moves, as after every restart of a broker, is waited for."""
    loop = asyncio.get_running_loop()
    until = loop.time() + _PATIENCE
    while True:
        try:
            found: dict[TopicPartition, OffsetAndMetadata] = await admin.list_consumer_group_offsets(
                group, partitions=list(places)
            )
        except KafkaError as error:
            if not error.retriable or loop.time() > until:
                raise
            await asyncio.sleep(_RETRY_SECONDS)
        else:
            return found


async def cut_logs(consumer: AIOKafkaConsumer, found: Mapping[TopicPartition, GroupOffset]) -> set[TopicPartition]:
    """The partitions whose logs do not hold what was read up to where ``found`` says.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    begins, ends = await consumer.beginning_offsets(list(found)), await consumer.end_offsets(list(found))
    shorter = {place for place, at in found.items() if ends[place] < at.offset}
    marks = {
        place: at.bookmark
        for place, at in found.items()
        if place not in shorter and at.bookmark is not None and at.bookmark.offset >= begins[place]
    }
    return shorter | (await _differing(consumer, marks) if marks else set())


async def _differing(consumer: AIOKafkaConsumer, marks: Mapping[TopicPartition, Bookmark]) -> set[TopicPartition]:
    waiting, differing = dict(marks), set()
    consumer.assign(list(marks))
    for place, mark in marks.items():
        consumer.seek(place, mark.offset)
    loop = asyncio.get_running_loop()
    until = loop.time() + _PATIENCE
    while waiting:
        for place, (first, *_) in (await consumer.getmany(*waiting, timeout_ms=_IDLE_MS)).items():
            # A later one: compaction left the record out.
            same = Bookmark.at(first.offset, first.timestamp, first.key, first.value) == waiting.pop(place)
            if not same and first.offset <= marks[place].offset:
                differing.add(place)
        for place in [place for place in waiting if await consumer.position(place) > marks[place].offset]:
            # Nothing but markers of transactions.
            del waiting[place]
        if waiting and loop.time() > until:
            raise KafkaTimeoutError(f"no answer about {len(waiting)} partitions")
    return differing


async def _before_the_cut(consumer: AIOKafkaConsumer, place: TopicPartition, at: GroupOffset) -> GroupOffset:
    if at.bookmark is None:
        again = (await consumer.beginning_offsets([place]))[place]
    else:
        since = max(0, at.bookmark.timestamp_ms - _READ_AGAIN_MS)
        young = (await consumer.offsets_for_times({place: since}))[place]
        # Nothing so young: all that is left was read.
        again = (await consumer.end_offsets([place]))[place] if young is None else young.offset
    log.error("a log lost what was read from it, and is read again", at=_named(place), stopped_at=at.offset, from_=again)
    return GroupOffset(again, cut=True, written=at.written)


class LogWatch:
    """Looks every second whether the logs of a group's topics still hold what this worker has finished.

    A log that is made anew may have as many records as before by the next look, and the worker may have gone on in it. So what
    is compared is not the last record that was finished, but the one that was the last when the log was compared before.
    """

    def __init__(self, kafka: KafkaConfig, progress: ConsumedOffsets) -> None:
        self._kafka = kafka
        self._progress = progress
        self._interrupted = False
        self._looks = 0
        self._compared: dict[TopicPartition, Bookmark] = {}

    async def run(self) -> None:
        """Watch for ever.

        Raises:
            LogCutError: a log was cut, or made anew.
            aiokafka.errors.KafkaError: the broker cannot be reached at the start.
        """
        loop = asyncio.get_running_loop()
        async with reader(self._kafka) as consumer:
            while True:
                await asyncio.sleep(_WATCH_SECONDS)
                asked = loop.time()
                try:
                    async with asyncio.timeout(_PATIENCE):
                        await self._look(consumer)
                except (KafkaError, TimeoutError):
                    self._interrupted = True
                else:
                    # A log is cut while its broker is away: after that, its end alone proves nothing.
                    self._interrupted = loop.time() - asked > _INTERRUPTED_SECONDS and not self._interrupted

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """One look at the ends; now and then, and after an interruption, also at the records before the offsets."""
        offsets = dict(self._progress.next)
        marks = {place: mark for place in offsets if (mark := self._progress.bookmark(place)) is not None}
        compared = {place: self._compared.get(place, mark) for place, mark in marks.items()}
        known = {place: GroupOffset(offset, compared.get(place)) for place, offset in offsets.items()}
        self._looks += 1
        if self._interrupted:
            cut = await cut_logs(consumer, known)
            compared = marks
        else:
            ends = await consumer.end_offsets(list(known)) if known else {}
            cut = {place for place, end in ends.items() if end < known[place].offset}
            if not cut and self._looks % _COMPARED_EVERY == 0:
                cut = await cut_logs(consumer, {place: known[place] for place in await _suspects(consumer, compared)})
                compared = marks
        self._compared = compared
        if cut:
            remedy = (
                "Start this worker again: it reads again what may be new. Records that nobody had read may be lost: "
                "see docs/after-a-power-loss.md"
            )
            where = ", ".join(map(_named, sorted(cut)))
            message = "does not hold what was read from it: it lost its tail, or was made anew"
            raise LogCutError(message, where=where, remedy=remedy)


async def _suspects(consumer: AIOKafkaConsumer, marks: Mapping[TopicPartition, Bookmark]) -> set[TopicPartition]:
    """The partitions that may not hold the marked record any more; all others surely do.

    The broker finds the first record that is as young as the marked one in its index. In another log that is a younger one.
    Reading the record itself costs a fetch, so that is left to the partitions that are found here.
    """
    since = {place: max(0, mark.timestamp_ms) for place, mark in marks.items()}
    found = await consumer.offsets_for_times(since) if since else {}
    suspects = {
        place
        for place, mark in marks.items()
        if (first := found[place]) is None or first.offset > mark.offset or first.timestamp > mark.timestamp_ms
    }
    # A log may be cut between two records of one millisecond. Then the first younger one stands where it cannot.
    shared = {
        place: at + 1 for place, at in since.items() if place not in suspects and found[place].offset < marks[place].offset
    }
    younger = await consumer.offsets_for_times(shared) if shared else {}
    return suspects | {place for place, first in younger.items() if first is not None and first.offset <= marks[place].offset}


def _named(place: TopicPartition) -> str:
    return f"{place.topic}/{place.partition}"
