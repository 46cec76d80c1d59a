"""Which state may write topic ``frozen-orders``: the one of the generation that the newest activation names."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest_asyncio

from streams.agents.active_generation import ActiveGeneration
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.mapping import load_mapping
from streams.messages.generations import ACTIVATION_KEY, PARTITION, Activation, write_generations
from streams.messages.protocol import specs
from streams.messages.topics import Topics
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka


@pytest_asyncio.fixture
async def site(broker: Path) -> AsyncIterator[Settings]:
    """An application without activations."""
    running = kafka.status(broker).broker
    assert running is not None
    settings = Settings(kafka_bootstrap=running.bootstrap, app_id=f"active-{uuid4().hex[:8]}", partitions=1)
    topic = Topics.of(settings.app_id).generations
    await apply_topics(KafkaConfig.of(settings), [s for s in specs(settings, load_mapping()) if s.name == topic], execute=True)
    yield settings


async def become(first: ActiveGeneration, second: ActiveGeneration, *, own: tuple[bool, bool]) -> None:
    async with asyncio.timeout(60):
        while (first.is_own(), second.is_own()) != own:  # nothing announces it
            await asyncio.sleep(0.02)


async def test_each_activation_hands_over_what_may_be_written(site: Settings) -> None:
    first, second = (ActiveGeneration(site.model_copy(update={"generation": number})) for number in (0, 1))
    assert not first.is_own(), "before the topic was read nobody knows"
    async with BatchProducer(site) as producer, asyncio.TaskGroup() as tasks:
        following = [tasks.create_task(one.run()) for one in (first, second)]
        await become(first, second, own=(True, False))
        for number, own in ((1, (False, True)), (0, (True, False))):
            activation = write_generations(Activation(2 - number, number, "kim", 1))
            await producer.send_one(Topics.of(site.app_id).generations, PARTITION, ACTIVATION_KEY, activation)
            await become(first, second, own=own)
        for task in following:
            task.cancel()
