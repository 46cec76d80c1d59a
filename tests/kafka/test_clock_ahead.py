"""A worker whose clock is hours wrong writes to every topic of the product; on a real broker."""

import time
from pathlib import Path
from uuid import uuid4

import pytest

from streams.kafka import client
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.mapping import load_mapping
from streams.messages.protocol import specs
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka


@pytest.mark.parametrize("hours", [3, -3])
async def test_topics_of_ours_take_records_of_a_clock_that_is_hours_wrong(broker: Path, hours: int) -> None:
    running = kafka.status(broker).broker
    assert running is not None
    settings = Settings(kafka_bootstrap=running.bootstrap, app_id=f"clock-{uuid4().hex[:8]}", partitions=1)
    config = KafkaConfig.of(settings)
    ours = [spec for spec in specs(settings, load_mapping()) if spec.name.startswith(settings.app_id)]
    await apply_topics(config, ours, execute=True)
    now = time.time_ns() // 1_000_000
    async with client.producer(config) as producer:
        for spec in ours:
            await producer.send_and_wait(spec.name, b"x", b"k", timestamp_ms=now + hours * 3_600_000)
    for spec in ours:
        (found,) = [record async for record in read_topic(config, spec.name, [0])]
        assert abs(found.timestamp - now) < 600_000, f"{spec.name} has the worker's time"
