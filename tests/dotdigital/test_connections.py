"""The more urgent lanes always find a connection."""

import asyncio
from typing import TypeAlias

import httpx
import pytest

from streams.core.lanes import Lane
from streams.dotdigital.connections import Connections


def pool(size: int) -> Connections:
    transport = httpx.MockTransport(lambda _: httpx.Response(200))
    return Connections([httpx.AsyncClient(transport=transport) for _ in range(size)])


Waiting: TypeAlias = asyncio.Task[httpx.AsyncClient]


async def taken(connections: Connections, lane: Lane, asked: int) -> tuple[list[httpx.AsyncClient], list[Waiting]]:
    """Who of ``asked`` callers got a connection, and who still waits."""
    tasks = [asyncio.create_task(connections.take(lane)) for _ in range(asked)]
    await asyncio.sleep(0)
    return [task.result() for task in tasks if task.done()], [task for task in tasks if not task.done()]


@pytest.mark.parametrize(
    ("size", "lane", "most"),
    [
        (8, Lane.BULK, 6),
        (8, Lane.LIVE, 7),
        (8, Lane.URGENT, 8),
        (3, Lane.BULK, 1),
        (2, Lane.BULK, 1),
        (2, Lane.LIVE, 1),
        (1, Lane.BULK, 1),
        (1, Lane.URGENT, 1),
    ],
)
async def test_a_lane_gets_what_the_more_urgent_ones_can_spare(size: int, lane: Lane, most: int) -> None:
    got, waiting = await taken(pool(size), lane, size + 1)
    assert len(got) == len(set(got)) == most
    for task in waiting:
        task.cancel()


async def test_what_bulk_leaves_is_for_the_others() -> None:
    connections = pool(8)
    await taken(connections, Lane.BULK, 6)
    live, late = await taken(connections, Lane.LIVE, 2)
    urgent, _ = await taken(connections, Lane.URGENT, 1)
    assert (len(live), len(late), len(urgent)) == (1, 1, 1)
    late[0].cancel()


async def test_urgent_goes_before_who_waits_longer() -> None:
    connections = pool(1)
    held = await connections.take(Lane.BULK)
    _, (bulk,) = await taken(connections, Lane.BULK, 1)
    _, (urgent,) = await taken(connections, Lane.URGENT, 1)
    connections.give(held)
    assert await urgent is held and not bulk.done()
    connections.give(held)
    assert await bulk is held


async def test_the_last_connection_given_back_is_the_next_to_be_used() -> None:
    connections = pool(3)
    first, second = await connections.take(Lane.URGENT), await connections.take(Lane.URGENT)
    connections.give(second)
    connections.give(first)
    assert await connections.take(Lane.URGENT) is first


async def test_who_gives_up_waiting_takes_no_connection_along() -> None:
    connections = pool(1)
    held = await connections.take(Lane.LIVE)
    _, (waiting, other) = await taken(connections, Lane.LIVE, 2)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    connections.give(held)
    assert await other is held


async def test_a_connection_that_was_just_assigned_to_who_gives_up_goes_on() -> None:
    connections = pool(1)
    held = await connections.take(Lane.LIVE)
    _, (waiting, other) = await taken(connections, Lane.LIVE, 2)
    connections.give(held)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert await other is held
