"""A console over two workers' ports and a real broker, with a shop's state behind it."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
from pydantic import SecretStr

from streams.console.app import create_app
from streams.core.errors import RecordError
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.messages.dead_letters import Coordinates, DeadLetter
from streams.messages.reconciliations import RECONCILIATIONS_PARTITION, ReconcileRun, run_key, write_reconciliation
from streams.messages.topics import Topics
from streams.settings import Settings
from tests.operations.test_story import MAPPING, Site, make_topics, site
from tests.served import served

__all__ = ["site"]

PASS = "the token of people"


@dataclass
class Console:
    """A console that runs, at ``url``."""

    url: str
    settings: Settings
    site: Site


@pytest.fixture
async def console(site: Site) -> AsyncIterator[Console]:
    """With one dead letter, so that something is set aside that no worker knows of, and a comparison with Dotdigital."""
    await make_topics(site.settings, "dead_letters", "parked", "audit", "removals", "controls", "reconciliations")
    letter = DeadLetter(
        Coordinates("orderwise.Orderwise.dbo.order_header", 1, 5), b"k", b"v", RecordError("bad_decimal", "oh_net"), "ingest"
    )
    async with client.producer(KafkaConfig.of(site.settings)) as producer:
        topic = Topics.of(site.settings.app_id).dead_letters
        await producer.send_and_wait(topic, b"v", key=b"k", headers=letter.headers(b"key"), partition=0)
        run = ReconcileRun(id="a", by="kim", asked=1, state="done", ended=2, drift={"fields_stale": 2})
        topic = Topics.of(site.settings.app_id).reconciliations
        await producer.send_and_wait(topic, write_reconciliation(run), key=run_key(run.id), partition=RECONCILIATIONS_PARTITION)
    settings = site.settings.model_copy(update={"console_token": SecretStr(PASS)})
    async with served(create_app(settings, MAPPING), lifespan=True) as port:
        yield Console(f"http://127.0.0.1:{port}", settings, site)
