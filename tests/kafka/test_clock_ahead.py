"""A worker whose clock is hours wrong writes to every topic of the product; on a real broker."""

import time
from pathlib import Path
from uuid import uuid4

from aiokafka import TopicPartition

from streams.kafka import client
from streams.kafka.reader import read_to_end, reader
from streams.kafka.security import KafkaConfig
from streams.mapping import load_mapping
from streams.messages.protocol import specs
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka


async def test_topics_of_ours_take_records_of_a_clock_that_is_hours_wrong(broker: Path) -> None:
    running = kafka.status(broker).broker
    assert running is not None
    settings = Settings(kafka_bootstrap=running.bootstrap, app_id=f"clock-{uuid4().hex[:8]}", partitions=1)
    config = KafkaConfig.of(settings)
    ours = [spec for spec in specs(settings, load_mapping()) if spec.name.startswith(settings.app_id)]
    await apply_topics(config, ours, execute=True)
    now = time.time_ns() // 1_000_000
    async with client.producer(config) as producer:
        for spec in ours:
            for hours in (3, -3):
                await producer.send_and_wait(spec.name, b"x", b"%d" % hours, timestamp_ms=now + hours * 3_600_000)
    found = set()
    async with reader(config) as consumer:
        async for record in read_to_end(consumer, [TopicPartition(spec.name, 0) for spec in ours]):
            assert abs(record.timestamp - now) < 600_000, f"{record.topic} has the worker's time"
            found.add((record.topic, record.key))
    assert found == {(spec.name, key) for spec in ours for key in (b"3", b"-3")}
