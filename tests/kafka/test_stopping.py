"""A consumer that is stopped at once hides no error, and ends with whoever is cancelled. On a real broker."""

import asyncio
from pathlib import Path

import pytest

from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.settings import Settings
from testkit.local_services import kafka
from tests.patience import PATIENCE


@pytest.fixture
def config(broker: Path) -> KafkaConfig:
    running = kafka.status(broker).broker
    assert running is not None
    return KafkaConfig.of(Settings(kafka_bootstrap=running.bootstrap))


async def test_an_error_right_after_the_start_is_not_taken_for_a_cancellation(config: KafkaConfig) -> None:
    with pytest.raises(ZeroDivisionError):
        async with client.consumer(config):
            raise ZeroDivisionError


async def test_a_task_that_is_cancelled_ends_cancelled(config: KafkaConfig) -> None:
    started = asyncio.Event()

    async def work() -> None:
        async with client.consumer(config):
            started.set()
            await asyncio.Event().wait()

    task = asyncio.create_task(work())
    async with asyncio.timeout(PATIENCE):
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
