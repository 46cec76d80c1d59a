"""The newest sign of life, read from a real Kafka."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiokafka import AIOKafkaProducer

from streams.connect.heartbeats import Heartbeats, read_heartbeats
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec
from streams.operations.topic_admin import apply_topics
from testkit.local_services import kafka
from tests.connect.connect_harness import mapping

NOW = 1_772_700_000_000


def row(at: int, **changes: Any) -> bytes:
    """A heartbeat row as Debezium writes it."""
    source = {
        "connector": "sqlserver",
        "table": "heartbeat",
        "ts_ms": at,
        "commit_lsn": "0000003a:000012f8:0004",
        "change_lsn": None,
    }
    return orjson.dumps({"op": "u", "before": {"id": 1}, "after": {"id": 1}, "source": source} | changes)


class Topics:
    """The heartbeat topics of one test."""

    def __init__(self, bootstrap: str, names: CaptureNames) -> None:
        self.bootstrap = bootstrap
        self.names = names

    async def make(self, *topics: str) -> None:
        await apply_topics(KafkaConfig(self.bootstrap), [TopicSpec(topic, 1, 1, "a test") for topic in topics], execute=True)

    async def write(self, topic: str, *values: bytes | None) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.bootstrap) as producer:
            for value in values:
                await producer.send_and_wait(topic, value, b'{"id":1}')

    async def read(self) -> Heartbeats:
        return await read_heartbeats(KafkaConfig(self.bootstrap), self.names)


@pytest.fixture
async def topics(broker: Path, request: pytest.FixtureRequest) -> AsyncIterator[Topics]:
    running = kafka.status(broker).broker
    assert running is not None
    yield Topics(running.bootstrap, CaptureNames.of(mapping(source={"topic_prefix": request.node.name})))


async def test_the_newest_row_and_the_newest_beat_count(topics: Topics) -> None:
    await topics.make(topics.names.heartbeat_rows, topics.names.heartbeats)
    await topics.write(topics.names.heartbeat_rows, row(NOW), row(NOW + 2_000), row(NOW + 1_000))
    await topics.write(topics.names.heartbeats, *(orjson.dumps({"ts_ms": NOW + second}) for second in range(50)))
    assert await topics.read() == Heartbeats(row=NOW + 2_000, connector=NOW + 49)


async def test_what_is_no_sign_of_life_is_passed_over(topics: Topics) -> None:
    await topics.make(topics.names.heartbeat_rows)
    await topics.write(topics.names.heartbeat_rows, row(NOW), None, b"nonsense", b"{}", row(NOW + 9_000, op="x"))
    assert await topics.read() == Heartbeats(row=NOW)


async def test_without_topics_or_records_there_is_no_sign(topics: Topics) -> None:
    assert await topics.read() == Heartbeats()
    await topics.make(topics.names.heartbeat_rows, topics.names.heartbeats)
    assert await topics.read() == Heartbeats()


async def test_a_reader_of_old_signs_comes_to_an_end_while_new_ones_are_written(topics: Topics) -> None:
    await topics.make(topics.names.heartbeat_rows)
    await topics.write(topics.names.heartbeat_rows, row(NOW))
    writer = asyncio.create_task(topics.write(topics.names.heartbeat_rows, *[row(NOW + 1_000)] * 500))
    found = await topics.read()
    await writer
    assert found.row in (NOW, NOW + 1_000)
