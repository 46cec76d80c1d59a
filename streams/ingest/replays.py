"""Reads captured records again that an operator replays, beside live traffic and without its order.

The records are named by their places and read back from the captured topics, so nothing is written there and nothing is copied.
Only the newest record of a row counts: what is older than the state is skipped by its position, except where one transaction
wrote the row more than once. Those versions have equal positions, and the last to arrive wins. So after the newest version was
emitted, the end of the log is asked for, and a version that came meanwhile is emitted after it: whichever way the two loops of
ingest interleave, the newest is emitted last. A request is finished when nothing came; after a crash before that it is read
again.

The loop is a consumer group of its own: however much is replayed, a live change waits for none of it.
"""

import asyncio
from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec.structs import replace

from streams.capture.envelope import RowEvent, decode
from streams.capture.position import BEFORE_EVERYTHING
from streams.core.clock import Clock
from streams.core.errors import RecordError
from streams.core.lanes import Lane
from streams.ingest.batch import Batch, Publisher
from streams.ingest.captured import captured_consumer
from streams.ingest.positions import Positions
from streams.ingest.row_changes import RowChanges
from streams.ingest.snapshot_positions import NewestPositions
from streams.kafka.members import Members
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import committed_reader, read_span
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured, replay_group
from streams.mapping import Mapping as SiteMapping
from streams.messages.changes import ChangeKind
from streams.messages.dead_letters import Coordinates, DeadLetter
from streams.messages.replays import ReplayRequest, read_request
from streams.messages.topics import Topics
from streams.observability.lag import ConsumedOffsets
from streams.observability.metrics import Metrics
from streams.settings import Settings

_IDLE_MS = 500


class Replays:
    """Answers the requests of topic ``replays``. ``ready`` is True while it consumes."""

    def __init__(
        self,
        settings: Settings,
        mapping: SiteMapping,
        producer: BatchProducer,
        metrics: Metrics,
        clock: Clock,
        progress: ConsumedOffsets,
    ) -> None:
        self._settings = settings
        self._epoch = mapping.source.epoch
        self._captured = frozenset(captured(mapping))
        self._kafka = KafkaConfig.of(settings)
        self._rows = RowChanges(settings, mapping, metrics)
        self._publisher = Publisher(settings, producer, metrics, clock)
        self._metrics = metrics
        self._clock = clock
        self._progress = progress
        self._stopping = False
        self.ready = False

    async def run(self) -> None:
        """Work until :meth:`stop`.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge; what was not committed is done again.
        """
        session_ms = int(self._settings.session_timeout * 1000)
        consumer = captured_consumer(self._kafka, replay_group(self._settings), session_ms)
        newest, members = NewestPositions(self._metrics.unplaced_rows), Members(self._settings.data_dir)
        positions = Positions(consumer, self._kafka, self._progress, newest, members)
        consumer.subscribe([Topics.of(self._settings.app_id).replays], listener=positions)
        async with consumer:
            self.ready = True
            try:
                while not self._stopping:
                    await self._work(consumer, positions)
            finally:
                self.ready = False

    def stop(self) -> None:
        """Finish the request in hand, commit, and end."""
        self._stopping = True

    async def _work(self, consumer: AIOKafkaConsumer, positions: Positions) -> None:
        """Requests until there are no more: only then is anything open that they need."""
        async with AsyncExitStack() as stack:
            back: AIOKafkaConsumer | None = None
            while not self._stopping:
                # One: each reads on to the captured log's end, and after the longest time between two polls the group
                # would take the partition away, and have all of them done again for ever.
                polled = await consumer.getmany(timeout_ms=_IDLE_MS, max_records=1)
                for place in await positions.find():
                    polled.pop(place, None)
                await positions.check_unread(polled)
                if not polled:
                    await positions.idle()
                    await positions.commit()
                    return
                if back is None:
                    await stack.enter_async_context(self._rows.erased)
                    back = await stack.enter_async_context(committed_reader(self._kafka))
                await self._rows.erased.refresh()
                for place, (record,) in polled.items():
                    await self._answer(back, record)
                    positions.finished(place, record)
                await positions.commit()

    async def _answer(self, back: AIOKafkaConsumer, record: Any) -> None:
        request = _request(record.value)
        if request is None or request.topic not in self._captured or not request.offsets:
            error = RecordError("bad_replay_request", "it names no captured record that this release reads")
            at = Coordinates(record.topic, record.partition, record.offset)
            await self._publisher.publish(Batch(letters=[DeadLetter(at, record.key, record.value, error, "ingest")]))
            return
        newest, end = await self._newest(back, request)
        place = TopicPartition(request.topic, request.partition)
        positions: dict[bytes, bytes] = {}
        while newest:
            positions = await self._emit(place, newest.values(), positions)
            begin, end = end, (await back.end_offsets([place]))[place]
            came = {item.key: item async for item in read_span(back, place, begin, end) if item.value is not None}
            # A higher position wins whenever it arrives; only an equal one depends on the order.
            newest = {key: item for key, item in came.items() if self._is_level(item, positions.get(key))}

    async def _newest(self, back: AIOKafkaConsumer, request: ReplayRequest) -> tuple[dict[bytes, Any], int]:
        """The newest record of each row, and the end of the log up to which that is known."""
        place, offsets = TopicPartition(request.topic, request.partition), set(request.offsets)
        end = (await back.end_offsets([place]))[place]
        asked = read_span(back, place, request.offsets[0], min(end, request.offsets[-1] + 1))
        # A row whose record compaction has removed meanwhile has a newer one, and that was live.
        newest = {item.key: item async for item in asked if item.offset in offsets and item.value is not None}
        async for item in read_span(back, place, max(request.until, request.offsets[-1] + 1), end):
            if item.key in newest and item.value is not None:
                newest[item.key] = item
        return newest, end

    async def _emit(self, place: TopicPartition, records: Iterable[Any], before: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
        """Emit the rows in the bulk lane, erasures as they are; the position of each, by key.

        ``before`` has the positions of the versions that went out just before: a snapshot's row without a place stands there.
        """
        batch, positions = Batch(), dict[bytes, bytes]()
        for record in records:
            try:
                event = decode(record.key, record.value, self._epoch)
                if isinstance(event, RowEvent):
                    if event.position.endswith(BEFORE_EVERYTHING) and record.key in before:
                        event = replace(event, position=before[record.key])
                    self._rows.add(event, record.timestamp, batch)
                    positions[record.key] = event.position
            except RecordError as error:
                at = Coordinates(place.topic, place.partition, record.offset)
                batch.letters.append(DeadLetter(at, record.key, record.value, error, "ingest"))
        now = self._clock.now_ms()
        for changes in batch.changes.values():
            changes[:] = [
                change if change.kind is ChangeKind.ERASURE else replace(change, lane=Lane.BULK, caused_at=now)
                for change in changes
            ]
        await self._publisher.publish(batch)
        self._metrics.records.labels(place.topic, "replayed").inc(len(positions))
        # Other work of this process comes first.
        await asyncio.sleep(0)
        return positions

    def _is_level(self, record: Any, position: bytes | None) -> bool:
        """Whether the record's version may stand at the same position: where it arrives decides then."""
        if position is None:
            return False
        try:
            event = decode(record.key, record.value, self._epoch)
        except RecordError:
            return False
        return isinstance(event, RowEvent) and (event.position == position or event.position.endswith(BEFORE_EVERYTHING))


def _request(value: bytes | None) -> ReplayRequest | None:
    try:
        return read_request(value or b"")
    except msgspec.MsgspecError:
        return None
