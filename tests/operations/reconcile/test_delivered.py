"""Which worker's rows cannot be read is in the error, with the reason."""

import pytest
from pydantic import SecretStr

from streams.dispatch.outbox.tasks import Family, task_of
from streams.observability.health import Health
from streams.observability.metrics import Metrics
from streams.operations.reconcile.delivered import Delivered
from streams.operations.state_client import StateClient, StateUnavailableError
from streams.operations.state_page import state_page
from streams.operations.state_replies import StateReplies
from streams.settings import Settings
from tests.served import served

TOKEN = "a token"


async def test_a_worker_without_the_token_is_named() -> None:
    here, other = Health(Metrics()), Health(Metrics())
    replies = StateReplies(2)
    here.page(state_page(replies, TOKEN))
    async with served(here.app()) as mine, served(other.app()) as silent:
        settings = Settings(partitions=2, workers=f"127.0.0.1:{mine},127.0.0.1:{silent}", state_token=SecretStr(TOKEN))
        async with StateClient(settings, "by") as workers:
            delivered = Delivered(replies, workers)
            expected = f"127.0.0.1:{silent}: OWDD_STATE_TOKEN is not set there"
            with pytest.raises(StateUnavailableError, match=expected):
                await delivered.rows([task_of(Family.CONTACT, "ann@example.com")])
            with pytest.raises(StateUnavailableError, match=expected):
                [rows async for rows in delivered.slices(0, Family.CONTACT)]
