"""A consumer names in its fetches only what changed, and gets everything all the same."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.kafka import client
from streams.kafka.fetch_sessions import _SessionFetch
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.settings import Settings
from testkit.local_services import kafka
from tests.patience import PATIENCE
from tests.quirks.test_faust import create

PARTITIONS = 6


@pytest.fixture
def settings(broker: Path, tmp_path: Path) -> Settings:
    running = kafka.status(broker).broker
    assert running is not None
    return Settings(kafka_bootstrap=running.bootstrap, data_dir=tmp_path, partitions=PARTITIONS)


@pytest.fixture
def fetches(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The fetches as they are sent."""
    sent: list[Any] = []
    build = _SessionFetch.build

    def noted(request: Any, kind: Any) -> Any:
        sent.append(build(request, kind))
        return sent[-1]

    monkeypatch.setattr(_SessionFetch, "build", noted)
    return sent


def named(fetch: Any) -> list[int]:
    """The partitions that a fetch names."""
    return sorted(place[0] for _, places in fetch.topics for place in places)


@asynccontextmanager
async def reading(settings: Settings) -> AsyncIterator[tuple[str, AIOKafkaConsumer, BatchProducer]]:
    topic = f"sessions-{uuid4().hex[:8]}"
    await create(settings, topic, partitions=PARTITIONS)
    options = {"fetch_max_wait_ms": 50, "auto_offset_reset": "earliest"}
    async with BatchProducer(settings) as producer, client.consumer(KafkaConfig.of(settings), **options) as consumer:
        consumer.assign([TopicPartition(topic, number) for number in range(PARTITIONS)])
        yield topic, consumer, producer


async def until(fetches: list[Any], count: int) -> None:
    async with asyncio.timeout(PATIENCE):
        while len(fetches) < count:  # what is waited for happens in the broker
            await asyncio.sleep(0.01)


async def read(consumer: AIOKafkaConsumer, records: int) -> list[bytes]:
    found: list[bytes] = []
    async with asyncio.timeout(PATIENCE):
        while len(found) < records:
            for batch in (await consumer.getmany(timeout_ms=1000)).values():
                found += [record.key for record in batch]
    return found


async def test_partitions_with_nothing_new_are_named_once(settings: Settings, fetches: list[Any]) -> None:
    async with reading(settings) as (topic, consumer, producer):
        await until(fetches, 3)
        assert [named(fetch) for fetch in fetches[:3]] == [list(range(PARTITIONS)), [], []]
        await producer.send(topic, 3, [(b"a", None)])
        assert await read(consumer, 1) == [b"a"]
        before = len(fetches)
        await until(fetches, before + 2)
        # Whose offset moved; another one may have been left out, and come back, while its records waited.
        assert {number for fetch in fetches[1:] for number in named(fetch)} == {3}


async def test_every_record_comes_while_partitions_are_paused_left_out_and_moved(
    settings: Settings, fetches: list[Any]
) -> None:
    async with reading(settings) as (topic, consumer, producer):
        places = [TopicPartition(topic, number) for number in range(PARTITIONS)]
        await until(fetches, 2)
        consumer.pause(places[0])
        for number in range(PARTITIONS):
            await producer.send(topic, number, [(b"%d" % number, None)])
        assert sorted(await read(consumer, PARTITIONS - 1)) == [b"%d" % number for number in range(1, PARTITIONS)]
        consumer.resume(places[0])
        assert await read(consumer, 1) == [b"0"]
        consumer.seek(places[4], 0)
        assert await read(consumer, 1) == [b"4"]


async def test_a_session_that_the_broker_does_not_know_is_begun_anew(settings: Settings, fetches: list[Any]) -> None:
    async with reading(settings) as (topic, consumer, producer):
        await until(fetches, 2)
        (session,) = consumer._fetcher._client._sessions.values()
        for spoilt in ("_epoch", "_id"):
            setattr(session, spoilt, getattr(session, spoilt) + 1000)
            await producer.send(topic, 1, [(spoilt.encode(), None)])
            assert await read(consumer, 1) == [spoilt.encode()]


async def test_an_answer_that_never_came_begins_a_session_anew(settings: Settings, fetches: list[Any]) -> None:
    async with reading(settings) as (topic, consumer, producer):
        await until(fetches, 2)
        # A new assignment cancels the fetch under way.
        consumer.assign([TopicPartition(topic, number) for number in range(2)])
        before = len(fetches)
        await until(fetches, before + 2)
        assert [0, 1] in [named(fetch) for fetch in fetches[before:] if fetch.session_epoch == 0]
        await producer.send(topic, 0, [(b"after", None)])
        assert await read(consumer, 1) == [b"after"]
