"""Captured topics that really lost their tails while ingest was down, or were made anew: what comes afterwards is read."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest

from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka
from tests.cut_logs import cut
from tests.engine.test_cut_logs import delete, produce
from tests.ingest.test_positions import Reading
from tests.patience import PATIENCE

READ, LEFT = 20, 9


@pytest.fixture
def settings(settings_of_own_broker: Settings) -> Settings:
    return settings_of_own_broker


async def read(settings: Settings, topic: str, wanted: set[int]) -> None:
    """Go on in a topic until these offsets were read, and commit."""
    async with Reading.of(settings, topic) as reading, asyncio.timeout(PATIENCE):
        while wanted:
            wanted = wanted - set(await reading.poll(READ))
        await reading.positions.commit()


async def test_what_comes_into_a_cut_topic_is_read(own_broker: Path, settings: Settings) -> None:
    grown, shorter, unread, anew, whole = topics = [
        f"{n}-{uuid4().hex[:8]}" for n in ("grown", "shorter", "unread", "anew", "whole")
    ]
    specs = {topic: TopicSpec(topic, 1, 1, "captured") for topic in topics}
    await apply_topics(KafkaConfig.of(settings), list(specs.values()), execute=True)
    for topic in topics:
        await produce(settings, topic, READ)
        await read(settings, topic, set(range(READ)))
    # The tail that is lost below was not read by ingest.
    await produce(settings, unread, 5)
    await delete(settings, anew)
    await apply_topics(KafkaConfig.of(settings), [specs[anew]], execute=True)
    await produce(settings, anew, READ)
    kafka.kill(own_broker)
    cut(own_broker, grown, 0, LEFT)
    cut(own_broker, shorter, 0, LEFT)
    cut(own_broker, unread, 0, READ + 2)
    await asyncio.to_thread(kafka.start, own_broker, short_lived=True)
    for topic in (grown, shorter, unread, whole):
        await produce(settings, topic, READ if topic == grown else 5)
    await read(settings, grown, set(range(LEFT, LEFT + READ)))
    await read(settings, shorter, set(range(LEFT, LEFT + 5)))
    await read(settings, unread, set(range(READ, READ + 7)))
    await read(settings, anew, set(range(READ)))
    await read(settings, whole, set(range(READ, READ + 5)))
