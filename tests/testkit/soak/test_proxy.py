"""The network between a worker and the broker, cut and healed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import pytest_asyncio

from testkit.local_services.ports import HOST, free_port
from testkit.soak.proxy import Proxy


@pytest_asyncio.fixture
async def echo() -> AsyncIterator[int]:
    """The port of a server that sends back what it gets."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(100):
            writer.write(data)
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, HOST, 0)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest_asyncio.fixture
async def proxy(echo: int) -> AsyncIterator[Proxy]:
    async with Proxy(free_port(), echo) as opened:
        yield opened


async def test_bytes_go_both_ways(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    writer.write(b"one")
    assert await reader.readexactly(3) == b"one"
    writer.close()


async def test_while_it_is_cut_nothing_arrives_and_afterwards_everything_does(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    writer.write(b"1")
    await reader.readexactly(1)
    cutting = asyncio.create_task(proxy.cut(0.3, resetting=False))
    await asyncio.sleep(0)
    writer.write(b"late")
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.1):
            await reader.readexactly(4)
    await cutting
    assert await reader.readexactly(4) == b"late"
    writer.close()


async def test_a_reset_breaks_the_connections_that_were_open(proxy: Proxy) -> None:
    reader, writer = await asyncio.open_connection(HOST, proxy.port)
    writer.write(b"1")
    await reader.readexactly(1)
    await proxy.cut(0, resetting=True)
    with pytest.raises((ConnectionResetError, asyncio.IncompleteReadError)):
        await reader.readexactly(1)
    writer.close()


async def test_a_target_that_is_down_is_a_connection_that_ends() -> None:
    async with Proxy(free_port(), free_port()) as proxy:
        reader, writer = await asyncio.open_connection(HOST, proxy.port)
        with suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()
