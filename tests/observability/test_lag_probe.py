"""The lag gauges, beside Kafka's own tool, on logs of known age."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaConnectionError, KafkaError

from streams.core.clock import ManualClock
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.observability.backlog import BACKLOG_CONSUMER, Backlog, BacklogReader
from streams.observability.lag_probe import LagProbe
from streams.observability.metrics import Metrics
from streams.settings import Settings
from testkit.local_services import kafka
from tests.kafka_tools.consumer_groups import lag_by_kafkas_tool
from tests.patience import PATIENCE

GROUP = "readers"
HOUR = 3600


class Watched:
    """A topic of two partitions whose records carry the producer's time, a group that reads it, and a probe."""

    def __init__(self, bootstrap: str, reader: BacklogReader) -> None:
        self.name = f"watched-{uuid4().hex[:8]}"
        self.group = f"{self.name}-{GROUP}"
        self.kafka = KafkaConfig.of(Settings(kafka_bootstrap=bootstrap))
        self.reader = reader
        self.metrics = Metrics()
        self.clock = ManualClock(int(time.time() * 1000))
        self.probe = LagProbe(reader, {self.group: [self.name, "of-nobody"]}, self.metrics, self.clock)

    async def coordinated(self) -> None:
        """A broker on which no group has ever been makes its topic of offsets at the first question."""
        async with asyncio.timeout(PATIENCE):
            while True:
                try:
                    await self.reader.measure(self.group, [self.name])
                except KafkaError:
                    await asyncio.sleep(0.2)
                else:
                    return

    async def append(self, counts: tuple[int, int], age: float) -> None:
        async with client.producer(self.kafka) as producer:
            for partition, count in enumerate(counts):
                for _ in range(count):
                    await producer.send(
                        self.name, b"x", partition=partition, timestamp_ms=self.clock.now_ms() - int(age * 1000)
                    )

    async def commit(self, *offsets: int) -> None:
        async with client.consumer(self.kafka, group_id=self.group, enable_auto_commit=False) as consumer:
            places = {TopicPartition(self.name, partition): offset for partition, offset in enumerate(offsets)}
            consumer.assign(list(places))
            await consumer.commit(places)

    def value(self, metric: str, **labels: str) -> float | None:
        return self.metrics.registry.get_sample_value(metric, {"group": self.group, "topic": self.name, **labels})

    def shown(self, metric: str) -> list[float | None]:
        return [self.value(metric, partition=str(partition)) for partition in range(2)]


@pytest.fixture
async def watched(broker: Path) -> AsyncIterator[Watched]:
    running = kafka.status(broker).broker
    assert running is not None
    config = KafkaConfig.of(Settings(kafka_bootstrap=running.bootstrap))
    async with AsyncExitStack() as stack:
        consumer = await stack.enter_async_context(client.consumer(config, **BACKLOG_CONSUMER))
        admin = client.admin_client(config)
        await admin.start()
        stack.push_async_callback(admin.close)
        made = Watched(running.bootstrap, BacklogReader(consumer, admin))
        await admin.create_topics([NewTopic(made.name, 2, 1)])
        await made.coordinated()
        yield made


async def test_it_shows_what_waits_and_the_age_of_the_first_and_goes_on_with_the_group(watched: Watched) -> None:
    await watched.append((3, 0), HOUR)
    await watched.append((2, 1), 60)
    await watched.probe.probe()
    assert watched.shown("owdd_consumer_lag_records") == [5, 1]
    assert watched.shown("owdd_consumer_lag_seconds") == [pytest.approx(HOUR, abs=1), pytest.approx(60, abs=1)]
    assert (watched.value("owdd_consumer_end_offset"), watched.value("owdd_consumer_offset")) == (6, 0)

    await watched.commit(3, 1)
    watched.clock.advance(10)
    await watched.probe.probe()
    assert watched.shown("owdd_consumer_lag_records") == [2, 0]
    assert watched.shown("owdd_consumer_lag_seconds") == [pytest.approx(70, abs=1), 0]
    assert (watched.value("owdd_consumer_end_offset"), watched.value("owdd_consumer_offset")) == (6, 4)


async def test_a_quiet_topic_is_not_old_and_a_backlog_grows_old_although_nothing_is_appended(watched: Watched) -> None:
    await watched.append((1, 1), HOUR)
    await watched.commit(1, 0)
    for later in (0, HOUR):
        watched.clock.advance(later)
        await watched.probe.probe()
        assert watched.shown("owdd_consumer_lag_seconds") == [0, pytest.approx(HOUR + later, abs=1)]


async def test_markers_behind_the_last_record_are_no_lag_and_records_behind_them_are(watched: Watched) -> None:
    async with client.producer(watched.kafka, transactional_id=watched.name) as producer:
        async with producer.transaction():
            await producer.send(watched.name, b"x", partition=0)
    await watched.commit(1, 0)
    await watched.probe.probe()
    assert watched.shown("owdd_consumer_lag_records") == [0, 0]
    await watched.append((1, 0), HOUR)
    await watched.probe.probe()
    assert watched.shown("owdd_consumer_lag_records") == [1, 0]
    assert watched.shown("owdd_consumer_lag_seconds") == [pytest.approx(HOUR, abs=1), 0]


async def test_the_figures_are_those_of_kafkas_own_tool_while_readers_run_and_when_they_have_stopped(watched: Watched) -> None:
    await watched.append((400, 250), 60)
    async with client.consumer(
        watched.kafka, watched.name, group_id=watched.group, enable_auto_commit=False, auto_offset_reset="earliest"
    ) as reader:
        async with asyncio.timeout(PATIENCE):
            while not await reader.getmany(timeout_ms=250):
                pass
        await reader.commit({TopicPartition(watched.name, 0): 150, TopicPartition(watched.name, 1): 249})
        await compare(watched, [250, 1])
    await watched.append((0, 99), 0)
    await compare(watched, [250, 100])


async def compare(watched: Watched, expected: list[int]) -> None:
    await watched.probe.probe()
    theirs = await asyncio.to_thread(lag_by_kafkas_tool, watched.kafka.bootstrap, watched.group)
    ours = watched.shown("owdd_consumer_lag_records")
    assert ours == expected
    assert [theirs[TopicPartition(watched.name, partition)] for partition in range(2)] == pytest.approx(ours, rel=0.05)


class _Away(BacklogReader):
    """A broker that answers once."""

    def __init__(self) -> None:
        self.answers = True

    async def measure(self, group: str, topics: list[str]) -> dict[TopicPartition, Backlog]:
        if not self.answers:
            raise KafkaConnectionError
        return {TopicPartition(topic, partition): Backlog(1, 0, 1, 2) for topic in topics[:1] for partition in range(2)}


async def test_what_is_no_longer_measured_is_no_longer_shown() -> None:
    reader = _Away()
    watched = Watched("nobody:9092", reader)
    await watched.probe.probe()
    reader.answers = False
    watched.clock.advance(30)
    await watched.probe.probe()
    assert watched.shown("owdd_consumer_lag_records") == [1, 1]
    watched.clock.advance(31)
    await watched.probe.probe()
    assert watched.shown("owdd_consumer_lag_records") == [None, None]
    assert watched.value("owdd_consumer_end_offset") is None
    reader.answers = True
    await watched.probe.probe()
    assert watched.shown("owdd_consumer_lag_records") == [1, 1]
