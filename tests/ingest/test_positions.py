"""Where ingest goes on in a captured topic, on a real broker."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import NewPartitions, RecordsToDelete
from prometheus_client import Counter

from streams.core.acknowledged import Acknowledged
from streams.core.bookmark import Bookmark
from streams.ingest.captured import captured_consumer
from streams.ingest.positions import Positions
from streams.ingest.snapshot_positions import NewestPositions
from streams.kafka.client import admin_client
from streams.kafka.continuity import LostAcknowledgedError, LostRecordsError
from streams.kafka.members import Members
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec
from streams.messages.protocol import BROKERS_TIME
from streams.observability.lag import ConsumedOffsets
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka
from tests.patience import PATIENCE


@pytest.fixture
def settings(broker: Path, tmp_path: Path) -> Settings:
    running = kafka.status(broker).broker
    assert running is not None
    return Settings(kafka_bootstrap=running.bootstrap, data_dir=tmp_path)


@pytest.fixture
async def topic(settings: Settings) -> str:
    """60 captured records of one partition."""
    topic = f"captured-{uuid4().hex[:8]}"
    await apply_topics(KafkaConfig.of(settings), [TopicSpec(topic, 1, 1, "captured")], execute=True)
    async with BatchProducer(settings) as producer:
        await producer.send(topic, 0, [(b"%d" % number, b"row") for number in range(60)])
    return topic


def _written(topic: str) -> str:
    return f"{topic}-written"


class Reading:
    """One ingest consumer, as far as positions are concerned."""

    def __init__(self, settings: Settings, topic: str) -> None:
        kafka_config = KafkaConfig.of(settings)
        self.place = TopicPartition(topic, 0)
        self.consumer = captured_consumer(kafka_config, f"{topic}-group", 6_000)
        self.progress = ConsumedOffsets(f"{topic}-group", [topic], Acknowledged([_written(topic)]))
        self.newest = NewestPositions(Counter("unplaced", "", ["topic"], registry=None))
        self.positions = Positions(self.consumer, kafka_config, self.progress, self.newest, Members(settings.data_dir))
        self.consumer.subscribe([topic], listener=self.positions)

    @classmethod
    @asynccontextmanager
    async def of(cls, settings: Settings, topic: str) -> AsyncIterator["Reading"]:
        reading = cls(settings, topic)
        async with reading.consumer:
            yield reading

    async def poll(self, most: int) -> list[int]:
        """The offsets of the next records; looks at new partitions first, as ingest does."""
        while True:
            polled = await self.consumer.getmany(timeout_ms=250, max_records=most)
            for place in await self.positions.find():
                polled.pop(place, None)
            await self.positions.check_unread(polled)
            if not polled:
                await self.positions.idle()
            for place, records in polled.items():
                self.positions.finished(place, records[-1])
                return [record.offset for record in records]


async def test_what_ingest_has_written_stays_noted_and_is_compared(settings: Settings, topic: str) -> None:
    written = _written(topic)
    await apply_topics(KafkaConfig.of(settings), [TopicSpec(written, 1, 1, "written", BROKERS_TIME)], execute=True)
    acknowledged = Acknowledged([written])
    async with BatchProducer(settings, acknowledged) as producer:
        await producer.send(written, 0, [(b"key", b"change")])
    async with Reading.of(settings, topic) as reading:
        await reading.poll(20)
        # The topics of a generation are deleted when it is dropped; others of the group had written into them.
        of_another_generation = {(f"{topic}-dropped", 0): Bookmark(3, 1_700_000_000_000, 1)}
        reading.progress.written.learn(acknowledged.marks() | of_another_generation)
        await reading.positions.commit()
    async with Reading.of(settings, topic) as reading:
        await reading.poll(20)
        assert reading.progress.written.marks() == acknowledged.marks()
        lost = {place: replace(mark, offset=mark.offset + 1) for place, mark in acknowledged.marks().items()}
        reading.progress.written.learn(lost)
        await reading.positions.commit()
    for _ in range(2):
        async with Reading.of(settings, topic) as reading:
            with pytest.raises(LostAcknowledgedError, match=f"{written}/0 at 1"):
                await reading.poll(20)


async def test_ingest_goes_on_where_it_stopped(settings: Settings, topic: str) -> None:
    async with Reading.of(settings, topic) as reading:
        assert await reading.poll(50) == list(range(50))
        await reading.positions.commit()
    async with Reading.of(settings, topic) as reading:
        assert await reading.poll(50) == list(range(50, 60))


async def test_the_newest_position_is_that_of_the_offset_where_it_goes_on(settings: Settings, topic: str) -> None:
    earlier, later, place = b"\0" * 11 + b"\5", b"\0" * 11 + b"\7", TopicPartition(topic, 0)
    async with Reading.of(settings, topic) as reading:
        reading.newest.begin(place, earlier)
        await reading.poll(20)
        assert reading.newest.newest(place) == b"", "nothing was committed, so nothing of the partition was read"
        reading.newest.begin(place, earlier)
        await reading.poll(20)
        await reading.positions.commit()
        reading.newest.begin(place, later)
        await reading.poll(20)
    async with Reading.of(settings, topic) as reading:
        reading.newest.begin(place, later)
        assert await reading.poll(20) == list(range(40, 60))
        assert reading.newest.newest(place) == earlier, "what was read and not committed is read again"


async def test_a_captured_topic_that_shrank_and_grew_is_read_again(settings: Settings, topic: str) -> None:
    async with Reading.of(settings, topic) as reading:
        await reading.poll(50)
        read = reading.progress.bookmark(reading.place)
        assert read is not None
        # What stands there now was not there when it was read.
        reading.progress.done(reading.place, Bookmark(read.offset, read.timestamp_ms, read.digest ^ 1))
        await reading.positions.commit()
    async with Reading.of(settings, topic) as reading:
        assert await reading.poll(60) == list(range(60))
        await reading.positions.commit()
    async with Reading.of(settings, topic) as reading:
        await reading.consumer.getmany(timeout_ms=250)
        assert await reading.positions.find() == set()


async def test_what_a_transaction_took_back_and_its_marker_are_no_lag(settings: Settings, topic: str) -> None:
    async with AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, transactional_id=topic) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"taken back")
        await producer.abort_transaction()
    async with Reading.of(settings, topic) as reading, asyncio.timeout(PATIENCE):
        assert await reading.poll(100) == list(range(60))
        while reading.progress.next[reading.place] < 62:
            assert not await reading.consumer.getmany(timeout_ms=100)
            await reading.positions.idle()
        await reading.positions.commit()
        assert await reading.consumer.committed(reading.place) == 62


@pytest.mark.parametrize("left", [10, 0])
async def test_what_is_deleted_unread_under_a_running_ingest_is_not_passed_over(
    settings: Settings, topic: str, left: int
) -> None:
    async with Reading.of(settings, topic) as reading, asyncio.timeout(PATIENCE):
        while reading.progress.next.get(reading.place) != 60:
            await reading.poll(60)
        async with BatchProducer(settings) as producer:
            await producer.send(topic, 0, [(b"%d" % number, b"row") for number in range(60, 80)])
        admin = admin_client(KafkaConfig.of(settings))
        await admin.start()
        await admin.delete_records({reading.place: RecordsToDelete(80 - left)})
        await admin.close()
        # Records that a fetch has brought meanwhile were not deleted unread.
        reading.consumer.seek(reading.place, 60)
        with pytest.raises(LostRecordsError, match=f": {20 - left} records"):
            await reading.poll(60)
        assert reading.progress.next[reading.place] == 60


async def test_partitions_that_are_added_to_a_captured_topic_are_read_within_seconds(settings: Settings, topic: str) -> None:
    async with Reading.of(settings, topic) as reading:
        assert await reading.poll(100) == list(range(60))
        await reading.positions.commit()
        admin = admin_client(KafkaConfig.of(settings))
        await admin.start()
        await admin.create_partitions({topic: NewPartitions(total_count=2)})
        async with asyncio.timeout(PATIENCE):
            while len((await admin.describe_topics([topic]))[0]["partitions"]) < 2:
                await asyncio.sleep(0.05)
        await admin.close()
        async with BatchProducer(settings) as producer:
            await producer.send(topic, 1, [(b"new", b"row")])
        async with asyncio.timeout(PATIENCE):
            assert await reading.poll(100) == [0]
