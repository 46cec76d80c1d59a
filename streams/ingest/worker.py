"""The ingest loop: consume a poll, transform it, produce the changes, then commit.

It uses plain aiokafka with a consumer group of its own. Offsets are committed only after the broker has acknowledged everything
that the poll caused, dead letters included. So every record is processed at least once; positions make repetition harmless.
When idle, a change is produced at once; under backlog, one record contains hundreds of changes.
"""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Callable
from typing import Any, TypeAlias

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.capture.envelope import Control, RowEvent, Tombstone, decode
from streams.core.clock import Clock
from streams.core.errors import RecordError
from streams.domain.digester import Digester
from streams.engine.breaker import Breaker
from streams.engine.linger import Linger
from streams.engine.unit_of_work import packed
from streams.ingest.consent_words import ConsentWords
from streams.ingest.erased_addresses import ErasureFeed
from streams.ingest.erasing import ErasureFlagColumn, without_erased
from streams.ingest.poll_size import PollSize
from streams.ingest.positions import Positions
from streams.ingest.router import Routed, Router
from streams.ingest.snapshot_positions import NewestPositions, retried
from streams.kafka import client
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured, ingest_group
from streams.mapping import Mapping
from streams.messages.changes import EVERYWHERE, Change, partition_of
from streams.messages.dead_letters import Coordinates, DeadLetter, origin_of
from streams.messages.erasure_requests import ErasureRequest, ErasureRequests, erasure_of
from streams.messages.protocol import ingested
from streams.messages.topics import ChangeTopic, Topics
from streams.observability.freshness import observe_step
from streams.observability.lag import ConsumedOffsets
from streams.observability.metrics import Metrics
from streams.settings import Settings

OutputPartition: TypeAlias = tuple[ChangeTopic[Any], int]
"""A topic between stages and a partition of it."""

_Passed: TypeAlias = tuple[RowEvent, int, list[Routed]]
"""A captured row, when it was appended to Kafka (epoch ms), and what followed from it."""

log = structlog.get_logger()

# The longest wait of a poll, and so the longest delay of a stop and of an erasure that another process requested.
_IDLE_MS = 250
# A commit costs a round trip. After a crash, up to this much work is done again.
_COMMIT_SECONDS = 0.5
_METADATA_MS = 5_000


def captured_consumer(kafka: KafkaConfig, group: str, session_ms: int) -> AIOKafkaConsumer:
    """A consumer of captured topics, which is not subscribed yet; ``session_ms`` is its session timeout."""
    return client.consumer(
        kafka,
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        # Partitions that were added to a captured topic are read after so long; aiokafka's default is five minutes.
        metadata_max_age_ms=_METADATA_MS,
        session_timeout_ms=session_ms,
        heartbeat_interval_ms=session_ms // 5,
        max_partition_fetch_bytes=2**20,
        fetch_max_bytes=8 * 2**20,
    )


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
        self._topics = Topics.of(settings.app_id)
        self._router = Router(mapping, self._topics, metrics.dates_ignored)
        self._newest = NewestPositions(metrics.unplaced_rows)
        self._producer = producer
        self._metrics = metrics
        self._clock = clock
        self._progress = progress
        self._breaker = Breaker(settings.breaker_window, settings.breaker_share)
        self._hash_key = settings.hash_key.get_secret_value().encode()
        self._flags = ErasureFlagColumn(mapping)
        self._consent_words = ConsentWords(mapping, metrics)
        self._erasures = ErasureRequests(producer, self._topics, settings.partitions)
        self._erased = ErasureFeed(
            KafkaConfig.of(settings), self._topics.erasures, settings.partitions, Digester(*settings.erasure_keys)
        )
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
        positions = Positions(consumer, kafka, self._progress, self._newest)
        consumer.subscribe(ingested(self._settings, self._mapping), listener=positions)
        async with self._erased, consumer:
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
            await self._erased.refresh()
            found = sum(len(records) for records in polled.values())
            if polled:
                size.record(found, sum(len(record.value or b"") for records in polled.values() for record in records))
                await self._poll(polled)
                for place, records in polled.items():
                    positions.finished(place, records[-1])
            else:
                await positions.idle()
            pace.record(found)
            if not positions.committed and (not polled or loop.time() - committed > _COMMIT_SECONDS):
                await positions.commit()
                committed = loop.time()
        await positions.commit()

    async def _poll(self, polled: dict[TopicPartition, list[Any]]) -> None:
        out: dict[OutputPartition, list[Change]] = defaultdict(list)
        letters: list[DeadLetter] = []
        self._last = None
        asked: list[bytes] = []
        for tp, records in polled.items():
            kinds: Counter[str] = Counter()
            again = tp.topic == self._topics.retries
            # Records that an operator retries are likely to fail again; they say nothing about the stream.
            breaker = None if again else self._breaker
            for record in records:
                failed = False
                try:
                    kinds[self._record(tp, record, out, asked)] += 1
                except RecordError as error:
                    here = Coordinates(tp.topic, tp.partition, record.offset, self._newest.newest(tp))
                    at, attempts = origin_of(record.headers, here)
                    letters.append(DeadLetter(at, record.key, record.value, error, "ingest", attempts + 1))
                    failed = True
                if breaker is not None:
                    breaker.record(failed=failed)
            for kind, count in kinds.items():
                self._metrics.records.labels(tp.topic, kind).inc(count)
        sends = [self._producer.send(topic, partition, packed(topic, changes)) for (topic, partition), changes in out.items()]
        await asyncio.gather(*sends, *(self._dead_letter(letter) for letter in letters))
        self._observe(self._last)
        # The digest last, after the erasure itself was acknowledged: once a digest is known, the same flag starts no erasure,
        # so a crash between the two must leave it unknown.
        await asyncio.gather(
            *(
                self._erasures.remember(digest, ErasureRequest(self._clock.now_ms(), "erp", self._erased.digest.key_id))
                for digest in asked
            )
        )

    def _observe(self, last: _Passed | None) -> None:
        if last is not None and (routed := last[2]):
            event, appended_at, lane = *last[:2], routed[-1][1].lane
            observe_step(self._metrics, "captured", lane, event.at, appended_at)
            observe_step(self._metrics, "ingested", lane, appended_at, self._clock.now_ms())

    def _record(self, place: TopicPartition, record: Any, out: dict[OutputPartition, list[Change]], asked: list[bytes]) -> str:
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
        partitions = self._settings.partitions
        # All its changes are computed before any is added: a record is either processed or dead-lettered, never both.
        routed = list(self._router.route(event, record.timestamp))
        self._consent_words.note(event)
        for address in self._flags.addresses_to_erase(event):
            if not self._erased.erased(address):
                self._erase(address, record.timestamp, out, asked)
        if self._erased:
            routed = list(without_erased(routed, self._erased, self._metrics.erased.labels("ingest")))
        for topic, change in routed:
            everywhere = change.key == EVERYWHERE
            for partition in range(partitions) if everywhere else (partition_of(change.key, partitions),):
                out[topic, partition].append(change)
        self._last = event, record.timestamp, routed
        return event.op if routed else "unrouted"

    def _erase(self, address: str, caused_at: int, out: dict[OutputPartition, list[Change]], asked: list[bytes]) -> None:
        """The ERP's flag: as ``owdd erase`` would."""
        digest = self._erased.digest(address)
        self._erased.add(digest)
        asked.append(digest)
        place = partition_of(address, self._settings.partitions)
        out[self._topics.contacts, place].append(erasure_of(address, digest, caused_at))

    async def _dead_letter(self, letter: DeadLetter) -> None:
        partition = letter.at.partition % self._settings.partitions
        headers = letter.headers(self._hash_key)
        await self._producer.send_one(self._topics.dead_letters, partition, letter.key, letter.value, headers)
        self._metrics.dead_letters.labels("ingest", letter.error.code).inc()
        log.error(
            "record dead-lettered",
            stage="ingest",
            code=letter.error.code,
            reason=letter.error.detail,
            at=str(letter.at),
        )
