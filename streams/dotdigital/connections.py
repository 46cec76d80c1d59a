"""A few connections, of which the more urgent lanes always find one free."""

import asyncio
from collections import deque

import httpx

from streams.core.lanes import Lane


class Connections:
    """Hands out one client per connection, last in, first out: what is used stays warm, the rest is closed by the other side.

    Bulk leaves two connections to the others and live leaves one to urgent; with a single connection all share it.
    """

    def __init__(self, clients: list[httpx.AsyncClient]) -> None:
        self._idle = list(clients)
        self._all = tuple(clients)
        self._most = {lane: max(1, len(clients) - lane) for lane in Lane}
        self._waiting: dict[Lane, deque[asyncio.Future[httpx.AsyncClient]]] = {lane: deque() for lane in Lane}

    async def take(self, lane: Lane) -> httpx.AsyncClient:
        """A connection for ``lane``; it must be given back."""
        place: asyncio.Future[httpx.AsyncClient] = asyncio.get_running_loop().create_future()
        self._waiting[lane].append(place)
        self._serve()
        try:
            return await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self.give(place.result())
            raise

    def give(self, client: httpx.AsyncClient) -> None:
        """Give a connection back."""
        self._idle.append(client)
        self._serve()

    async def close(self) -> None:
        """Close all of them."""
        for client in self._all:
            await client.aclose()

    def move(self, url: str) -> None:
        """Call another host from now on."""
        for client in self._all:
            client.base_url = httpx.URL(url)

    def _serve(self) -> None:
        for lane, places in self._waiting.items():
            while places and len(self._all) - len(self._idle) < self._most[lane]:
                place = places.popleft()
                if not place.done():
                    place.set_result(self._idle.pop())
