"""Captured topics that stay empty, or that are spelt otherwise than in the mapping, on a real broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest

from streams.core.errors import ConfigurationError
from streams.ingest import captured_topics
from streams.ingest.captured_topics import CapturedTopicsWatch, check_spelling
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec
from streams.observability.metrics import Metrics
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka
from tests.patience import PATIENCE

MAPPED = ["ow.Orderwise.dbo.order_header", "ow.Orderwise.dbo.order_status"]


@pytest.mark.parametrize(
    "other", ["ow.orderwise.dbo.order_header", "ow.Orderwise.DBO.order_status", "OW.Orderwise.dbo.Order_Status"]
)
def test_a_topic_that_differs_in_letter_case_is_refused_with_its_spelling(other: str) -> None:
    with pytest.raises(ConfigurationError, match=other.replace(".", r"\.")):
        check_spelling(MAPPED, [*MAPPED, "ow.Orderwise.dbo.other", other])


def test_other_topics_are_no_matter() -> None:
    check_spelling(MAPPED, [*MAPPED, "ow.Orderwise.dbo.order_header_2", "other"])


@pytest.fixture
def settings(broker: Path) -> Settings:
    running = kafka.status(broker).broker
    assert running is not None
    return Settings(kafka_bootstrap=running.bootstrap)


@contextlib.asynccontextmanager
async def watching(settings: Settings, topics: list[str], metrics: Metrics) -> AsyncIterator["asyncio.Task[None]"]:
    watch = asyncio.create_task(CapturedTopicsWatch(KafkaConfig.of(settings), topics, metrics).run())
    try:
        async with asyncio.timeout(PATIENCE):
            yield watch
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def test_what_a_captured_topic_received_is_shown_and_another_spelling_ends_the_worker(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(captured_topics, "_INTERVAL", 0.1)
    filled, empty, missing = (f"ow.{uuid4().hex[:8]}.{name}" for name in ("filled", "empty", "missing"))
    config, metrics = KafkaConfig.of(settings), Metrics()
    await apply_topics(config, [TopicSpec(name, 2, 1, "captured") for name in (filled, empty)], execute=True)

    def received(topic: str) -> float | None:
        return metrics.registry.get_sample_value("owdd_captured_records", {"topic": topic})

    async with watching(settings, [filled, empty, missing], metrics) as watch:
        while [received(topic) for topic in (filled, empty, missing)] != [0, 0, 0]:
            await asyncio.sleep(0.02)
        async with BatchProducer(settings) as producer:
            await producer.send(filled, 0, [(b"1", b"row"), (b"2", b"row")])
            await producer.send(filled, 1, [(b"3", b"row")])
        while received(filled) != 3:
            await asyncio.sleep(0.02)
        assert received(empty) == received(missing) == 0
        assert not watch.done()
        await apply_topics(config, [TopicSpec(empty.upper(), 1, 1, "as the database spells it")], execute=True)
        with pytest.raises(ConfigurationError, match=empty.upper()):
            await watch
