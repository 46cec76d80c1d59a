"""What each group has not processed, asked of a real broker while no worker runs, and while one does."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from typer.testing import CliRunner

from streams.cli import app
from streams.cli.exit_codes import ExitCode
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import agents_app
from streams.mapping import load_mapping
from streams.messages.protocol import specs
from streams.messages.topics import Topics
from streams.operations.lag_report import TopicLag, lag_report
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka
from tests.patience import PATIENCE

MAPPING = load_mapping()
WAITED = 1.5


@pytest.fixture
async def settings(broker: Path) -> AsyncIterator[Settings]:
    """Topics of an application of its own, two partitions each."""
    running = kafka.status(broker).broker
    assert running is not None
    made = Settings(app_id=f"lag-{uuid4().hex[:8]}", partitions=2, kafka_bootstrap=running.bootstrap)
    await apply_topics(KafkaConfig.of(made), list(specs(made, MAPPING)), execute=True)
    yield made


async def produce(settings: Settings, count: int) -> None:
    async with client.producer(KafkaConfig.of(settings)) as producer:
        for number in range(count):
            await producer.send_and_wait(Topics.of(settings.app_id).orders, b"%d" % number, partition=0)


async def of_orders(settings: Settings) -> TopicLag:
    topic = Topics.of(settings.app_id).orders
    (found,) = [item for item in await lag_report(settings, MAPPING) if item.topic == topic]
    return found


def command(settings: Settings, *options: str) -> tuple[int, str]:
    environment = {"OWDD_APP_ID": settings.app_id, "OWDD_KAFKA_BOOTSTRAP": settings.kafka_bootstrap, "OWDD_PARTITIONS": "2"}
    done = CliRunner().invoke(app, ["lag", *options], env=environment)
    return done.exit_code, done.output


async def test_it_counts_what_waits_and_how_long_and_who_reads(settings: Settings) -> None:
    place = TopicPartition(Topics.of(settings.app_id).orders, 0)
    assert await of_orders(settings) == TopicLag(agents_app(settings), 0, place.topic, 0, 0.0, 0)
    await produce(settings, 5)
    await asyncio.sleep(WAITED)  # the age is what is measured
    found = await of_orders(settings)
    assert (found.records, found.partitions, found.members) == (5, 1, 0)
    assert WAITED <= found.seconds < 60

    async with client.consumer(KafkaConfig.of(settings), group_id=agents_app(settings), enable_auto_commit=False) as reader:
        reader.assign([place])
        await reader.commit({place: 4})
    assert (await of_orders(settings)).records == 1

    code, output = await asyncio.to_thread(command, settings)
    assert code == ExitCode.NOT_RUNNING
    assert place.topic in output
    code, output = await asyncio.to_thread(command, settings, "--json")
    assert code == ExitCode.NOT_RUNNING
    assert {item["topic"]: item["records"] for item in json.loads(output)}[place.topic] == 1


async def test_markers_of_transactions_and_records_of_aborted_ones_are_no_lag(settings: Settings) -> None:
    place = TopicPartition(Topics.of(settings.app_id).orders, 0)
    async with client.consumer(KafkaConfig.of(settings), group_id=agents_app(settings), enable_auto_commit=False) as reader:
        reader.assign([place])
        async with client.producer(KafkaConfig.of(settings), transactional_id=settings.app_id) as producer:
            async with producer.transaction():
                await producer.send_and_wait(place.topic, b"1", partition=0)
            await reader.commit({place: 1})
            with pytest.raises(ZeroDivisionError):
                async with producer.transaction():
                    await producer.send_and_wait(place.topic, b"2", partition=0)
                    1 / 0  # noqa: B018 - it aborts the transaction
        # The coordinator answers before its marker is written.
        async with asyncio.timeout(PATIENCE):
            while (await of_orders(settings)).records:
                pass
        subscribed = client.consumer(KafkaConfig.of(settings), place.topic, group_id=agents_app(settings))
        async with subscribed:
            await subscribed.getmany(timeout_ms=3000)
            assert (await of_orders(settings)).members == 1
