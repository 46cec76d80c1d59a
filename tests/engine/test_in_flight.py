"""What is delivered and not acknowledged is bounded in bytes, whatever becomes of it."""

import asyncio
from collections import deque
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from streams.engine.in_flight import InFlight
from streams.engine.transport import _Consumer

PLACE = TP("in", 0)
LARGE = 1_000_000


def message(offset: int, size: int = LARGE, generation: int = 1) -> Any:
    return SimpleNamespace(tp=PLACE, offset=offset, value=bytes(size), generation_id=generation)


async def settled() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


class Delivery:
    """The consumer's delivery of what Kafka holds, and a stage that acknowledges when it is told to."""

    def __init__(self, most: int) -> None:
        self.in_flight = InFlight(most)
        self.waiting: deque[Any] = deque()
        self.consumer = SimpleNamespace(
            flow_active=True,
            app=SimpleNamespace(consumer_generation_id=1),
            transport=SimpleNamespace(closed=set(), in_flight=self.in_flight),
            callback=self._arrive,
            _next={PLACE: 0},
            _read_offset={PLACE: None},
        )

    async def _arrive(self, found: Any) -> None:
        self.waiting.append(found)

    def start(self, messages: list[Any]) -> "asyncio.Task[None]":
        return asyncio.create_task(_Consumer._deliver(cast(_Consumer, self.consumer), messages))

    @property
    def bytes(self) -> int:
        return sum(len(found.value) for found in self.waiting)


async def test_a_backlog_of_large_records_waits_in_kafka() -> None:
    delivery = Delivery(most=5 * LARGE)
    running = delivery.start([message(offset) for offset in range(200)])
    done = 0
    while not running.done() or delivery.waiting:
        await settled()
        assert 0 < delivery.bytes <= 5 * LARGE
        delivery.in_flight.release(delivery.waiting.popleft())
        done += 1
    assert done == 200 and delivery.in_flight.bytes == 0


async def test_a_record_that_is_larger_than_all_the_room_goes_alone() -> None:
    delivery = Delivery(most=LARGE // 2)
    running = delivery.start([message(0), message(1)])
    await settled()
    assert [found.offset for found in delivery.waiting] == [0]
    delivery.in_flight.release(delivery.waiting.popleft())
    await running
    assert [found.offset for found in delivery.waiting] == [1]


async def test_small_records_count_with_what_they_take_besides_their_bytes() -> None:
    delivery = Delivery(most=LARGE)
    running = delivery.start([message(offset, 0) for offset in range(10_000)])
    await settled()
    assert 0 < len(delivery.waiting) <= 500
    running.cancel()


async def test_what_a_rebalance_throws_away_takes_no_room() -> None:
    delivery = Delivery(most=2 * LARGE)
    running = delivery.start([message(offset) for offset in range(5)])
    await settled()
    running.cancel()
    old = list(delivery.waiting)
    delivery.in_flight.forget()
    delivery.waiting.clear()
    delivery.consumer._next, delivery.consumer.app.consumer_generation_id = {PLACE: 0}, 2
    running = delivery.start([message(offset, generation=2) for offset in range(5)])
    await settled()
    assert delivery.bytes == LARGE
    delivery.in_flight.release(old[-1])
    assert delivery.in_flight.bytes > 0, "one that was thrown away and one that was delivered again are told apart"
    running.cancel()


@pytest.mark.parametrize("again", [False, True])
async def test_a_record_counts_once_and_is_released_once(again: bool) -> None:
    in_flight = InFlight()
    await in_flight.take(message(0))
    if again:
        await in_flight.take(message(0))
    in_flight.release(message(0))
    in_flight.release(message(0))
    assert in_flight.bytes == 0
