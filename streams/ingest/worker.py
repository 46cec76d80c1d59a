"""The ingest loop: consume a poll, transform it, produce the changes, then commit.

It uses plain aiokafka with a consumer group of its own. Offsets are committed only after the broker has acknowledged everything
that the poll caused, dead letters included. So every record is processed at least once; positions make repetition harmless.
When idle, a change is produced at once; under backlog, one record contains hundreds of changes.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from typing import Any, TypeAlias

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.capture.envelope import Control, RowEvent, Tombstone, decode
from streams.core.clock import Clock
from streams.core.errors import RecordError
from streams.engine.breaker import Breaker
from streams.engine.linger import Linger
from streams.ingest.batch import Batch, Publisher
from streams.ingest.captured import captured_consumer
from streams.ingest.captured_barriers import CapturedBarriers
from streams.ingest.poll_size import PollSize
from streams.ingest.positions import Positions
from streams.ingest.router import Routed
from streams.ingest.row_changes import RowChanges
from streams.ingest.snapshot_positions import NewestPositions, retried
from streams.kafka.members import Members
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured, ingest_group
from streams.mapping import Mapping
from streams.messages.dead_letters import Coordinates, DeadLetter, origin_of
from streams.messages.protocol import ingested
from streams.messages.topics import Topics
from streams.observability.freshness import observe_step
from streams.observability.lag import ConsumedOffsets
from streams.observability.metrics import Metrics
from streams.settings import Settings

_Passed: TypeAlias = tuple[RowEvent, int, list[Routed]]
"""A captured row, when it was appended to Kafka (epoch ms), and what followed from it."""

log = structlog.get_logger()

# The longest wait of a poll, and so the longest delay of a stop and of an erasure that another process requested.
_IDLE_MS = 250
# A commit costs a round trip. After a crash, up to this much work is done again.
_COMMIT_SECONDS = 0.5


class Ingest:
    """Reads captured topics and writes packed changes.

    ``ready`` is True while it consumes. :meth:`stop` ends :meth:`run` after the current poll.
    """

    def __init__(
        self,
        settings: Settings,
        mapping: Mapping,
        producer: BatchProducer,
        metrics: Metrics,
        clock: Clock,
        progress: ConsumedOffsets,
    ) -> None:
        self._settings = settings
        self._mapping = mapping
        self._topics = Topics.of(settings.app_id, settings.generation)
        self._rows = RowChanges(settings, mapping, metrics)
        self._newest = NewestPositions(metrics.unplaced_rows)
        self._publisher = Publisher(settings, producer, metrics, clock)
        self._barriers = CapturedBarriers(settings, mapping, producer, clock)
        self._metrics = metrics
        self._clock = clock
        self._progress = progress
        self._breaker = Breaker(settings.breaker_window, settings.breaker_share)
        self._assigned: Callable[[], set[TopicPartition]] = set
        self._last: _Passed | None = None
        self.ready = False
        self._stopping = False

    async def run(self) -> None:
        """Work until :meth:`stop`.

        Raises:
            CircuitOpenError: nearly every record fails.
            aiokafka.errors.KafkaError: the broker did not acknowledge; all work since the last commit is done again.
        """
        kafka, session_ms = KafkaConfig.of(self._settings), int(self._settings.session_timeout * 1000)
        consumer = captured_consumer(kafka, ingest_group(self._settings), session_ms)
        positions = Positions(consumer, kafka, self._progress, self._newest, Members(self._settings.data_dir))
        consumer.subscribe(ingested(self._settings, self._mapping), listener=positions)
        await self._barriers.begin()
        async with self._rows.erased, consumer:
            self._assigned = consumer.assignment
            self.ready = True
            try:
                await self._loop(consumer, positions)
            finally:
                self.ready = False

    def stop(self) -> None:
        """Finish the batch in hand, commit, and end."""
        self._stopping = True

    def leads(self) -> bool:
        """Whether this worker acts where only one may act: it owns partition 0 of the first captured topic."""
        return TopicPartition(captured(self._mapping)[0], 0) in self._assigned()

    async def _loop(self, consumer: AIOKafkaConsumer, positions: Positions) -> None:
        loop, pace, committed = asyncio.get_running_loop(), Linger(), 0.0
        size = PollSize(self._settings.ingest_batch)
        while not self._stopping:
            if (delay := pace.delay(loop.time())) > 0:
                await asyncio.sleep(delay)
            pace.start(loop.time())
            polled = await consumer.getmany(timeout_ms=_IDLE_MS, max_records=size.records)
            for place in await positions.find():
                polled.pop(place, None)
            await positions.check_unread(polled)
            await self._rows.erased.refresh()
            found = sum(len(records) for records in polled.values())
            if polled:
                size.record(found, sum(len(record.value or b"") for records in polled.values() for record in records))
                await self._poll(polled)
                for place, records in polled.items():
                    positions.finished(place, records[-1])
            else:
                await positions.idle()
            pace.record(found)
            await self._barriers.look(consumer)
            if not positions.committed and (not polled or loop.time() - committed > _COMMIT_SECONDS):
                await positions.commit()
                committed = loop.time()
        await positions.commit()

    async def _poll(self, polled: dict[TopicPartition, list[Any]]) -> None:
        self._last = None
        batch = Batch()
        for tp, records in polled.items():
            kinds: Counter[str] = Counter()
            again = tp.topic == self._topics.retries
            # Records that an operator retries are likely to fail again; they say nothing about the stream.
            breaker = None if again else self._breaker
            for record in records:
                failed = False
                try:
                    kinds[self._record(tp, record, batch)] += 1
                except RecordError as error:
                    here = Coordinates(tp.topic, tp.partition, record.offset, self._newest.newest(tp))
                    at, attempts = origin_of(record.headers, here)
                    batch.letters.append(DeadLetter(at, record.key, record.value, error, "ingest", attempts + 1))
                    failed = True
                if breaker is not None:
                    breaker.record(failed=failed)
            for kind, count in kinds.items():
                self._metrics.records.labels(tp.topic, kind).inc(count)
        await self._publisher.publish(batch)
        self._observe(self._last)

    def _observe(self, last: _Passed | None) -> None:
        if last is not None and (routed := last[2]):
            event, appended_at, lane = *last[:2], routed[-1][1].lane
            observe_step(self._metrics, "captured", lane, event.at, appended_at)
            observe_step(self._metrics, "ingested", lane, appended_at, self._clock.now_ms())

    def _record(self, place: TopicPartition, record: Any, batch: Batch) -> str:
        event = decode(record.key, record.value, self._mapping.source.epoch)
        if isinstance(event, Tombstone):
            # The delete before it had the content; the tombstone serves log compaction only.
            return "tombstone"
        if isinstance(event, Control):
            return event.kind
        if place.topic == self._topics.retries:
            origin, _ = origin_of(record.headers, Coordinates(place.topic, place.partition, record.offset))
            event = retried(event, origin.newest)
        else:
            event = self._newest.placed(place, event)
        routed = self._rows.add(event, record.timestamp, batch)
        self._last = event, record.timestamp, routed
        return event.op if routed else "unrouted"
