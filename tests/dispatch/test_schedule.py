"""Who is due next, under a clock that only the test moves and events that are real."""

import asyncio

import pytest

from streams.capture.rows import Lane
from streams.clock import ManualClock
from streams.dispatch.schedule import Entry, Schedule

HOUR = 3_600_000


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def schedule(clock: ManualClock) -> Schedule:
    return Schedule(clock)


async def taken(schedule: Schedule) -> str:
    """The next due contact; fails rather than wait for one that never comes."""
    async with asyncio.timeout(5):
        return (await schedule.take()).email


async def waits(schedule: Schedule) -> "asyncio.Task[Entry]":
    """A taker that has found nothing to take."""
    taker = asyncio.create_task(schedule.take())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not taker.done()
    return taker


async def result(taker: "asyncio.Task[Entry]") -> str:
    async with asyncio.timeout(5):
        return (await taker).email


async def nothing(schedule: Schedule) -> None:
    """Asserts that nothing can be taken now."""
    (await waits(schedule)).cancel()


async def test_urgent_goes_before_live_before_bulk_whatever_waited_longest(schedule: Schedule, clock: ManualClock) -> None:
    now = clock.now_ms()
    schedule.put("bulk", 0, now - HOUR, Lane.BULK)
    schedule.put("live", 0, now - 5, Lane.LIVE)
    schedule.put("urgent", 0, now, Lane.URGENT)
    assert [await taken(schedule) for _ in range(3)] == ["urgent", "live", "bulk"]


async def test_within_a_lane_the_longest_due_goes_first(schedule: Schedule, clock: ManualClock) -> None:
    now = clock.now_ms()
    for late in (1, 3, 2):
        schedule.put(f"{late} late", 0, now - late, Lane.LIVE)
    assert [await taken(schedule) for _ in range(3)] == ["3 late", "2 late", "1 late"]


async def test_an_urgent_contact_that_is_not_due_does_not_hold_up_a_bulk_one(schedule: Schedule, clock: ManualClock) -> None:
    schedule.put("urgent", 0, clock.now_ms() + HOUR, Lane.URGENT)
    schedule.put("bulk", 0, clock.now_ms(), Lane.BULK)
    assert await taken(schedule) == "bulk"
    await nothing(schedule)


async def test_a_contact_becomes_due_when_its_time_has_come(schedule: Schedule, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms() + 10_000, Lane.LIVE)
    await nothing(schedule)
    clock.advance(10)
    assert await taken(schedule) == "a"


async def test_a_taker_that_waits_is_woken_by_an_earlier_contact(schedule: Schedule, clock: ManualClock) -> None:
    schedule.put("late", 0, clock.now_ms() + HOUR, Lane.LIVE)
    taker = await waits(schedule)
    schedule.put("early", 0, clock.now_ms(), Lane.BULK)
    assert await result(taker) == "early"


async def test_a_taker_that_waits_for_anything_at_all_is_woken(schedule: Schedule, clock: ManualClock) -> None:
    taker = await waits(schedule)
    schedule.put("first", 0, clock.now_ms(), Lane.LIVE)
    assert await result(taker) == "first"


async def test_two_takers_never_get_the_same_contact(schedule: Schedule, clock: ManualClock) -> None:
    takers = [await waits(schedule), await waits(schedule)]
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE)
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE)
    schedule.put("b", 0, clock.now_ms(), Lane.LIVE)
    assert {await result(taker) for taker in takers} == {"a", "b"}


async def test_a_contact_put_off_is_not_given_out_at_its_old_time(schedule: Schedule, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE)
    schedule.put("a", 0, clock.now_ms() + HOUR, Lane.LIVE)
    await nothing(schedule)
    clock.advance(3600)
    assert await taken(schedule) == "a"
    await nothing(schedule)


async def test_a_contact_that_changed_lanes_is_given_out_once(schedule: Schedule, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.BULK)
    schedule.put("b", 0, clock.now_ms(), Lane.LIVE)
    schedule.put("a", 0, clock.now_ms(), Lane.URGENT)
    assert [await taken(schedule) for _ in range(2)] == ["a", "b"]
    await nothing(schedule)


async def test_a_contact_nobody_wants_any_more_is_not_given_out(schedule: Schedule, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE)
    schedule.drop("a")
    await nothing(schedule)
    assert not schedule.counts()


async def test_while_a_call_is_under_way_the_contact_is_not_given_out_again(schedule: Schedule, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE)
    await taken(schedule)
    schedule.put("a", 0, clock.now_ms(), Lane.URGENT)
    schedule.drop("a")
    await nothing(schedule)
    schedule.answered("a", clock.now_ms(), Lane.URGENT)
    assert await taken(schedule) == "a"


async def test_an_answer_to_wanted_content_ends_the_matter(schedule: Schedule, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE)
    await taken(schedule)
    schedule.answered("a", None, Lane.LIVE)
    await nothing(schedule)
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE)
    assert await taken(schedule) == "a"


async def test_an_answer_for_a_contact_that_is_not_scheduled_is_ignored(schedule: Schedule) -> None:
    schedule.answered("a", 0, Lane.LIVE)
    await nothing(schedule)


async def test_a_failed_call_is_repeated_at_its_time(schedule: Schedule, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE)
    entry = await schedule.take()
    schedule.retry(entry, clock.now_ms() + 5_000)
    await nothing(schedule)
    clock.advance(5)
    assert await taken(schedule) == "a"


async def test_a_failed_call_of_a_former_assignment_does_not_disturb_the_present_one(
    schedule: Schedule, clock: ManualClock
) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE)
    former = await schedule.take()
    schedule.clear()
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE)
    await taken(schedule)
    schedule.retry(former, clock.now_ms())
    await nothing(schedule)


async def test_a_pause_holds_everything_back_even_what_is_urgent(schedule: Schedule, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.URGENT)
    schedule.pause(clock.now_ms() + 3_000)
    await nothing(schedule)
    clock.advance(3)
    assert await taken(schedule) == "a"


async def test_a_shorter_pause_does_not_end_a_longer_one(schedule: Schedule, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.URGENT)
    schedule.pause(clock.now_ms() + 60_000)
    schedule.pause(clock.now_ms() + 100)
    clock.advance(1)
    await nothing(schedule)


async def test_nothing_is_left_after_a_clear(schedule: Schedule, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE)
    schedule.clear()
    await nothing(schedule)


async def test_what_waits_is_counted_by_lane_calls_under_way_included(schedule: Schedule, clock: ManualClock) -> None:
    for name, lane in (("a", Lane.LIVE), ("b", Lane.LIVE), ("c", Lane.BULK)):
        schedule.put(name, 0, clock.now_ms(), lane)
    await taken(schedule)
    assert schedule.counts() == {Lane.LIVE: 2, Lane.BULK: 1}
