"""A small pool of connections that keeps some of them free for the more urgent lanes."""

import asyncio
from collections import deque

import httpx

from streams.core.lanes import Lane


class Connections:
    """Lends one client per connection.

    The connection that was returned last is lent first, so that the few in use stay open; Dotdigital closes idle ones. Bulk
    leaves two connections to the other lanes, and live leaves one to urgent. All lanes share a single connection.
    """

    def __init__(self, clients: list[httpx.AsyncClient]) -> None:
        self._idle = list(clients)
        self._all = tuple(clients)
        # A lane may take a connection while fewer than this many are lent. The number falls with urgency: see ``Lane``.
        self._most = {lane: max(1, len(clients) - lane) for lane in Lane}
        self._waiting: dict[Lane, deque[asyncio.Future[httpx.AsyncClient]]] = {lane: deque() for lane in Lane}

    async def take(self, lane: Lane) -> httpx.AsyncClient:
        """Wait for a connection for ``lane``. The caller must return it with ``give``."""
        waiter: asyncio.Future[httpx.AsyncClient] = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(waiter)
        self._serve()
        try:
            return await waiter
        except asyncio.CancelledError:
            # The task was cancelled after it had been given a connection, but before it ran: nobody else would return it.
            if waiter.done() and not waiter.cancelled():
                self.give(waiter.result())
            raise

    def give(self, client: httpx.AsyncClient) -> None:
        """Return a connection."""
        self._idle.append(client)
        self._serve()

    async def close(self) -> None:
        """Close all connections."""
        for client in self._all:
            await client.aclose()

    def move(self, url: str) -> None:
        """Send all further calls to another host."""
        for client in self._all:
            client.base_url = httpx.URL(url)

    def _serve(self) -> None:
        # Lanes in order of urgency, and within a lane in order of arrival.
        for lane, waiters in self._waiting.items():
            while waiters and len(self._all) - len(self._idle) < self._most[lane]:
                waiter = waiters.popleft()
                # A cancelled task leaves its future in the queue.
                if not waiter.done():
                    waiter.set_result(self._idle.pop())
