"""A TCP proxy that can be cut: the network between a worker and the broker."""

import asyncio
from contextlib import suppress
from typing import Self

from testkit.local_services.ports import HOST

_CHUNK = 65_536


class Proxy:
    """Forwards ``port`` to ``target`` on the loopback address; use it as an ``async with`` block.

    ``accepted`` counts connections: a proxy that nobody uses cuts nobody off.
    """

    def __init__(self, port: int, target: int) -> None:
        self.port = port
        self.accepted = 0
        self._target = target
        self._connected = asyncio.Event()
        self._connected.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, HOST, self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        self.reset()
        self._connected.set()
        await asyncio.sleep(0)

    async def cut(self, seconds: float, *, resetting: bool) -> None:
        """Let nothing through for some seconds.

        With ``resetting`` open connections are reset at the end, as a firewall that forgot them does; without it everything
        that waited arrives late, as behind a switch that came back.
        """
        self._connected.clear()
        try:
            await asyncio.sleep(seconds)
        finally:
            if resetting:
                self.reset()
            self._connected.set()

    def reset(self) -> None:
        """Break all connections that are open now."""
        for writer in list(self._writers):
            writer.transport.abort()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.accepted += 1
        self._writers.add(writer)
        try:
            await self._connected.wait()
            there, further = await asyncio.open_connection(HOST, self._target)
        except OSError:
            # The broker is down: the worker sees a connection that ends, as it would without us.
            self._writers.discard(writer)
            writer.transport.abort()
            return
        self._writers.add(further)
        pumps = [asyncio.create_task(self._pump(reader, further)), asyncio.create_task(self._pump(there, writer))]
        try:
            await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for pump in pumps:
                pump.cancel()
            for end in (writer, further):
                self._writers.discard(end)
                end.transport.abort()

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(_CHUNK):
                await self._connected.wait()
                writer.write(data)
                await writer.drain()
