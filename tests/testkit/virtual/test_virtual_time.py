"""Virtual time passes at once, in order, and tells when nothing can happen any more."""

import asyncio
import time

import pytest

from testkit.virtual import event_loop
from testkit.virtual.event_loop import ORIGIN_MS, StalledError, VirtualClock

DAY = 86_400


def test_a_day_passes_at_once() -> None:
    async def main(clock: VirtualClock) -> int:
        await asyncio.sleep(DAY)
        return clock.now_ms()

    started = time.monotonic()
    assert event_loop.run(main) == ORIGIN_MS + DAY * 1000
    assert time.monotonic() - started < 10


def test_timers_fire_in_order_of_their_time() -> None:
    async def main(clock: VirtualClock) -> list[tuple[int, str]]:
        seen: list[tuple[int, str]] = []

        async def later(seconds: float, name: str) -> None:
            await asyncio.sleep(seconds)
            seen.append((clock.now_ms() - ORIGIN_MS, name))

        await asyncio.gather(later(3600, "c"), later(0.25, "a"), later(60, "b"))
        return seen

    assert event_loop.run(main) == [(250, "a"), (60_000, "b"), (3_600_000, "c")]


def test_a_timeout_ends_a_wait_that_nobody_else_would_end() -> None:
    async def main(clock: VirtualClock) -> int:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.Event().wait(), 30)
        return clock.now_ms() - ORIGIN_MS

    assert event_loop.run(main) == 30_000


def test_waiting_for_what_cannot_come_is_an_error() -> None:
    async def main(_: VirtualClock) -> None:
        await asyncio.Event().wait()

    with pytest.raises(StalledError):
        event_loop.run(main)


def test_every_world_begins_at_the_same_moment() -> None:
    async def main(clock: VirtualClock) -> str:
        await asyncio.sleep(0.001)
        return clock.now_utc().isoformat()

    assert event_loop.run(main) == event_loop.run(main) == "2026-03-02T00:00:00.001000+00:00"
