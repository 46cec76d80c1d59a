"""Who is due next, under a clock that only the test moves and events that are real."""

import asyncio

import pytest

from streams.core.clock import ManualClock
from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_queue import DeliveryQueue, QueuedTask
from streams.dispatch.outbox.tasks import Queue

HOUR = 3_600_000
ONE = Queue.EXISTING


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def schedule(clock: ManualClock) -> DeliveryQueue:
    return DeliveryQueue(clock)


async def taken(schedule: DeliveryQueue) -> str:
    """The next due task; fails rather than wait for one that never comes."""
    async with asyncio.timeout(5):
        return (await schedule.take()).task


async def waits(schedule: DeliveryQueue) -> "asyncio.Task[QueuedTask]":
    """A taker that has found nothing to take."""
    taker = asyncio.create_task(schedule.take())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not taker.done()
    return taker


async def result(taker: "asyncio.Task[QueuedTask]") -> str:
    async with asyncio.timeout(5):
        return (await taker).task


async def nothing(schedule: DeliveryQueue) -> None:
    """Asserts that nothing can be taken now."""
    (await waits(schedule)).cancel()


async def test_urgent_goes_before_live_before_bulk_whatever_waited_longest(schedule: DeliveryQueue, clock: ManualClock) -> None:
    now = clock.now_ms()
    schedule.put("bulk", 0, now - HOUR, Lane.BULK, ONE)
    schedule.put("live", 0, now - 5, Lane.LIVE, ONE)
    schedule.put("urgent", 0, now, Lane.URGENT, ONE)
    assert [await taken(schedule) for _ in range(3)] == ["urgent", "live", "bulk"]


async def test_within_a_lane_the_longest_due_goes_first(schedule: DeliveryQueue, clock: ManualClock) -> None:
    now = clock.now_ms()
    for late in (1, 3, 2):
        schedule.put(f"{late} late", 0, now - late, Lane.LIVE, ONE)
    assert [await taken(schedule) for _ in range(3)] == ["3 late", "2 late", "1 late"]


async def test_an_urgent_contact_that_is_not_due_does_not_hold_up_a_bulk_one(
    schedule: DeliveryQueue, clock: ManualClock
) -> None:
    schedule.put("urgent", 0, clock.now_ms() + HOUR, Lane.URGENT, ONE)
    schedule.put("bulk", 0, clock.now_ms(), Lane.BULK, ONE)
    assert await taken(schedule) == "bulk"
    await nothing(schedule)


async def test_a_contact_becomes_due_when_its_time_has_come(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms() + 10_000, Lane.LIVE, ONE)
    await nothing(schedule)
    clock.advance(10)
    assert await taken(schedule) == "a"


async def test_a_taker_that_waits_is_woken_by_an_earlier_contact(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("late", 0, clock.now_ms() + HOUR, Lane.LIVE, ONE)
    taker = await waits(schedule)
    schedule.put("early", 0, clock.now_ms(), Lane.BULK, ONE)
    assert await result(taker) == "early"


async def test_a_taker_that_waits_for_anything_at_all_is_woken(schedule: DeliveryQueue, clock: ManualClock) -> None:
    taker = await waits(schedule)
    schedule.put("first", 0, clock.now_ms(), Lane.LIVE, ONE)
    assert await result(taker) == "first"


async def test_two_takers_never_get_the_same_contact(schedule: DeliveryQueue, clock: ManualClock) -> None:
    takers = [await waits(schedule), await waits(schedule)]
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    schedule.put("b", 0, clock.now_ms(), Lane.LIVE, ONE)
    assert {await result(taker) for taker in takers} == {"a", "b"}


async def test_a_contact_put_off_is_not_given_out_at_its_old_time(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    schedule.put("a", 0, clock.now_ms() + HOUR, Lane.LIVE, ONE)
    await nothing(schedule)
    clock.advance(3600)
    assert await taken(schedule) == "a"
    await nothing(schedule)


async def test_a_contact_that_changed_lanes_is_given_out_once(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.BULK, ONE)
    schedule.put("b", 0, clock.now_ms(), Lane.LIVE, ONE)
    schedule.put("a", 0, clock.now_ms(), Lane.URGENT, ONE)
    assert [await taken(schedule) for _ in range(2)] == ["a", "b"]
    await nothing(schedule)


async def test_a_contact_nobody_wants_any_more_is_not_given_out(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    schedule.drop("a")
    await nothing(schedule)
    assert not +schedule.counts()


async def test_while_a_call_is_under_way_the_contact_is_not_given_out_again(
    schedule: DeliveryQueue, clock: ManualClock
) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    await taken(schedule)
    schedule.put("a", 0, clock.now_ms(), Lane.URGENT, ONE)
    schedule.drop("a")
    await nothing(schedule)
    schedule.answered("a")
    schedule.put("a", 0, clock.now_ms(), Lane.URGENT, ONE)
    assert await taken(schedule) == "a"


async def test_an_answer_to_wanted_content_ends_the_matter(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    await taken(schedule)
    schedule.answered("a")
    await nothing(schedule)
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    assert await taken(schedule) == "a"


async def test_an_answer_for_a_contact_that_is_not_scheduled_is_ignored(schedule: DeliveryQueue) -> None:
    schedule.answered("a")
    await nothing(schedule)


async def test_a_failed_call_is_repeated_at_its_time(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    entry = await schedule.take()
    schedule.retry(entry, clock.now_ms() + 5_000)
    await nothing(schedule)
    clock.advance(5)
    assert await taken(schedule) == "a"


async def test_a_failed_call_of_a_former_assignment_does_not_disturb_the_present_one(
    schedule: DeliveryQueue, clock: ManualClock
) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    former = await schedule.take()
    schedule.clear()
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    await taken(schedule)
    schedule.retry(former, clock.now_ms())
    await nothing(schedule)


async def test_a_pause_holds_everything_back_even_what_is_urgent(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.URGENT, ONE)
    schedule.pause(clock.now_ms() + 3_000)
    await nothing(schedule)
    clock.advance(3)
    assert await taken(schedule) == "a"


async def test_a_shorter_pause_does_not_end_a_longer_one(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.URGENT, ONE)
    schedule.pause(clock.now_ms() + 60_000)
    schedule.pause(clock.now_ms() + 100)
    clock.advance(1)
    await nothing(schedule)


async def test_nothing_is_left_after_a_clear(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    schedule.clear()
    await nothing(schedule)


async def test_what_waits_is_counted_by_lane_calls_under_way_included(schedule: DeliveryQueue, clock: ManualClock) -> None:
    for name, lane in (("a", Lane.LIVE), ("b", Lane.LIVE), ("c", Lane.BULK)):
        schedule.put(name, 0, clock.now_ms(), lane, ONE)
    await taken(schedule)
    assert schedule.counts() == {Lane.LIVE: 2, Lane.BULK: 1}


async def test_what_is_closed_waits_for_an_import_and_goes_when_it_is_opened(
    schedule: DeliveryQueue, clock: ManualClock
) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, Queue.RECORD)
    schedule.close([(Lane.LIVE, Queue.RECORD)])
    taker = await waits(schedule)
    schedule.close([])
    assert await result(taker) == "a"


async def test_a_taker_gets_only_its_lanes_and_queues(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("bulk", 0, clock.now_ms(), Lane.BULK, ONE)
    schedule.put("follow-up", 0, clock.now_ms(), Lane.URGENT, Queue.FOLLOW_UP)
    taker = asyncio.create_task(schedule.take((Lane.URGENT,)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not taker.done(), "one is bulk, and follow-ups are not sent one by one"
    schedule.put("urgent", 0, clock.now_ms(), Lane.URGENT, ONE)
    assert await result(taker) == "urgent"


def test_an_import_takes_what_is_due_of_one_place(schedule: DeliveryQueue, clock: ManualClock) -> None:
    for name, late in (("a", 2), ("b", 1), ("c", -5_000)):
        schedule.put(name, 0, clock.now_ms() - late, Lane.BULK, Queue.RECORD)
    schedule.put("other", 0, clock.now_ms(), Lane.BULK, Queue.CATALOGUE)
    assert schedule.due((Lane.BULK, Queue.RECORD), 10) == 2
    assert [entry.task for entry in schedule.take_due((Lane.BULK, Queue.RECORD), 10)] == ["a", "b"]
    assert schedule.due((Lane.BULK, Queue.RECORD), 10) == 0


def test_what_is_due_is_counted_once_however_often_it_was_put_off(schedule: DeliveryQueue, clock: ManualClock) -> None:
    for _ in range(5):
        schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
        clock.advance(1)
    schedule.put("b", 0, clock.now_ms(), Lane.LIVE, ONE)
    assert schedule.backlog((Lane.LIVE, ONE)) == 2


async def test_what_an_import_could_not_do_goes_alone_until_it_is_answered(schedule: DeliveryQueue, clock: ManualClock) -> None:
    place = (Lane.BULK, Queue.RECORD)
    schedule.put("a", 0, clock.now_ms(), *place)
    schedule.hand_to_import(schedule.take_due(place, 1), "import")
    schedule.release("a", "import", alone=True)
    schedule.put("a", 0, clock.now_ms(), *place)
    assert not schedule.take_due(place, 1)
    assert await taken(schedule) == "a"
    schedule.answered("a")
    schedule.put("a", 0, clock.now_ms(), *place)
    assert schedule.take_due(place, 1)


async def test_what_an_import_holds_is_not_given_out(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    schedule.lease_to_import("a", "import")
    schedule.lease_to_import("gone", "import")
    await nothing(schedule)
    schedule.release("a", "another import", alone=False)
    await nothing(schedule)
    schedule.release("a", "import", alone=False)
    assert await taken(schedule) == "a"


async def test_the_end_of_an_import_does_not_free_what_a_sender_has_taken(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    await schedule.take()
    schedule.lease_to_import("a", "import")
    schedule.release("a", "import", alone=False)
    await nothing(schedule)


async def test_what_is_given_back_was_not_tried(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    entry = await schedule.take()
    assert schedule.may_have_run("a")
    schedule.give_back(entry)
    assert not schedule.may_have_run("a")
    schedule.retry(await schedule.take(), clock.now_ms())
    assert schedule.may_have_run("a"), "its call may have worked"


async def test_while_nothing_answers_one_task_is_given_out_at_a_time(schedule: DeliveryQueue, clock: ManualClock) -> None:
    for name in "abc":
        schedule.put(name, 0, clock.now_ms(), Lane.LIVE, ONE)
    schedule.put("d", 0, clock.now_ms(), Lane.BULK, Queue.RECORD)
    schedule.pause(clock.now_ms() + 1_000)
    await nothing(schedule)
    clock.advance(1)
    probe = await schedule.take()
    await nothing(schedule)
    assert not schedule.take_due((Lane.BULK, Queue.RECORD), 1), "an import is no lesser probe"
    schedule.retry(probe, clock.now_ms())
    schedule.pause(clock.now_ms() + 1_000)
    clock.advance(1)
    await nothing(schedule)
    clock.advance(4)
    await schedule.take()
    schedule.resume()
    assert {await taken(schedule), await taken(schedule)} <= {"a", "b", "c"}


async def test_a_place_that_is_refused_does_not_stop_the_others(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, Queue.NEW)
    schedule.put("b", 0, clock.now_ms(), Lane.LIVE, Queue.RECORD)
    schedule.pause(clock.now_ms() + 30_000, (Lane.LIVE, Queue.NEW))
    assert await taken(schedule) == "b"
    schedule.resume((Lane.LIVE, Queue.RECORD))
    await nothing(schedule)
    schedule.resume((Lane.LIVE, Queue.NEW))
    assert await taken(schedule) == "a"


def test_timers_do_not_count_as_waiting(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms() + HOUR, Lane.LIVE, Queue.ALONE, timer=True)
    assert not +schedule.counts()
    schedule.put("a", 0, clock.now_ms(), Lane.LIVE, ONE)
    assert schedule.counts() == {Lane.LIVE: 1}


async def test_what_waits_for_no_import_goes_out_beside_it(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.BULK, Queue.EXISTING)
    schedule.hand_to_import(schedule.take_due((Lane.BULK, Queue.EXISTING), 1), "import")
    schedule.put("a", 0, clock.now_ms(), Lane.URGENT, Queue.ALONE)
    await nothing(schedule)
    schedule.put("a", 0, clock.now_ms(), Lane.URGENT, Queue.ALONE, overtakes=True)
    assert await taken(schedule) == "a"
    schedule.answered("a", "import")
    assert schedule.may_have_run("a"), "the import's answer does not end a sender's call"
    schedule.answered("a")
    assert not schedule.may_have_run("a")


async def test_what_is_with_a_sender_is_overtaken_by_nothing(schedule: DeliveryQueue, clock: ManualClock) -> None:
    schedule.put("a", 0, clock.now_ms(), Lane.BULK, ONE)
    await schedule.take()
    schedule.put("a", 0, clock.now_ms(), Lane.URGENT, Queue.ALONE, overtakes=True)
    await nothing(schedule)


async def test_changes_reach_whom_they_concern_though_another_begins_to_wait(
    schedule: DeliveryQueue, clock: ManualClock
) -> None:
    schedule.put("far", 0, clock.now_ms() + HOUR, Lane.LIVE, Queue.FOLLOW_UP)

    async def put() -> None:
        schedule.put("near", 0, clock.now_ms(), Lane.LIVE, Queue.FOLLOW_UP)

    follower = asyncio.create_task(schedule.take(queues=(Queue.FOLLOW_UP,)))
    changes = asyncio.create_task(put())
    sender = asyncio.create_task(schedule.take())
    async with asyncio.timeout(1):
        assert (await follower).task == "near"
    await changes
    sender.cancel()


def test_what_a_second_import_did_not_do_goes_alone(schedule: DeliveryQueue, clock: ManualClock) -> None:
    place = (Lane.BULK, Queue.RECORD)
    schedule.put("a", 0, clock.now_ms(), *place)
    for _ in range(2):
        schedule.hand_to_import(schedule.take_due(place, 1), "import")
        schedule.release("a", "import", alone=False)
    assert not schedule.take_due(place, 1) and schedule.take_due((Lane.BULK, Queue.ALONE), 1)
