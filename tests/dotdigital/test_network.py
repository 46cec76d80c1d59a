"""What only a real connection can show: keep-alive, lost replies, time-outs."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import NamedTuple

import pytest
import pytest_asyncio
import uvicorn

from streams.core.lanes import Lane
from streams.dotdigital.client import ClientConfig, DotdigitalClient
from streams.dotdigital.errors import ConnectivityError, NotSentError
from testkit.local_services.ports import free_port
from testkit.sandbox import SandboxApp
from tests.dotdigital.conftest import settings_for

ANN = "ann@example.com"


class Served(NamedTuple):
    """A sandbox behind a socket."""

    settings: ClientConfig
    server: uvicorn.Server

    @property
    def connections(self) -> int:
        return len(self.server.server_state.connections)


@pytest_asyncio.fixture
async def served(box: SandboxApp) -> AsyncIterator[Served]:
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(box, port=port, log_level="critical", lifespan="off"))
    running = asyncio.create_task(server.serve())
    while not server.started:
        await asyncio.sleep(0.005)
    yield Served(settings_for(f"http://127.0.0.1:{port}"), server)
    server.should_exit = True
    await running


async def test_one_call_after_the_other_needs_one_connection(served: Served) -> None:
    async with DotdigitalClient(served.settings, print) as client:
        for _ in range(3):
            await client.find(ANN)
        assert served.connections == 1


@pytest.mark.parametrize(("lane", "most"), [(Lane.BULK, 6), (Lane.LIVE, 7), (Lane.URGENT, 8)])
async def test_many_calls_at_once_stay_within_the_connections_of_their_lane(
    served: Served, box: SandboxApp, lane: Lane, most: int
) -> None:
    box.faults.update({"latency_ms": 5})
    async with DotdigitalClient(served.settings, print) as client:
        await asyncio.gather(*(client.for_lane(lane).find(ANN) for _ in range(24)))
        assert served.connections == most


async def test_a_lost_reply_is_no_answer_and_the_call_took_effect(served: Served, box: SandboxApp) -> None:
    box.faults.update({"next": ["lost_reply"]})
    async with DotdigitalClient(served.settings, print) as client:
        with pytest.raises(ConnectivityError) as caught:
            await client.create(ANN, b"{}", "unsubscribed")
        assert caught.value.reason == "no-answer"
        found = await client.find(ANN)
    assert found is not None and found.email_status == "unsubscribed"


async def test_who_hangs_is_given_up_and_the_connection_goes_on(served: Served, box: SandboxApp) -> None:
    box.faults.update({"next": ["hang"], "hang_seconds": 3600, "hang": 0})
    impatient = replace(served.settings, timeout=0.2, connections=1)
    async with DotdigitalClient(impatient, print) as client:
        with pytest.raises(ConnectivityError) as caught:
            await client.create(ANN, b"{}", "unsubscribed")
        assert caught.value.reason == "timeout"
        assert await client.find(ANN) is not None


async def test_where_nobody_listens_nothing_was_sent() -> None:
    async with DotdigitalClient(settings_for(f"http://127.0.0.1:{free_port()}"), print) as client:
        with pytest.raises(NotSentError) as caught:
            await client.find(ANN)
    assert caught.value.reason == "no-connection"
