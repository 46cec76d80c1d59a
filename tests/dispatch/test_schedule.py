"""Who is due next, under a clock that only the test moves and events that are real."""

import asyncio

import pytest

from streams.core.clock import ManualClock
from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import Blocker, DeliveryTask, Lease, TaskState
from streams.dispatch.outbox.tasks import ApiArea, Work

HOUR = 3_600_000
ONE = Work.EXISTING


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def queue(clock: ManualClock) -> DeliveryQueue:
    return DeliveryQueue(clock)


async def taken(queue: DeliveryQueue) -> str:
    """The next due task; fails rather than wait for one that never comes."""
    async with asyncio.timeout(5):
        return (await queue.take()).key


async def waits(queue: DeliveryQueue) -> "asyncio.Task[DeliveryTask]":
    """A taker that has found nothing to take."""
    taker = asyncio.create_task(queue.take())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not taker.done()
    return taker


async def result(taker: "asyncio.Task[DeliveryTask]") -> str:
    async with asyncio.timeout(5):
        return (await taker).key


async def nothing(queue: DeliveryQueue) -> None:
    """Asserts that nothing can be taken now."""
    (await waits(queue)).cancel()


async def test_urgent_goes_before_live_before_bulk_whatever_waited_longest(queue: DeliveryQueue, clock: ManualClock) -> None:
    now = clock.now_ms()
    queue.put(DeliveryTask("bulk", 0, now - HOUR, Lane.BULK, ONE))
    queue.put(DeliveryTask("live", 0, now - 5, Lane.LIVE, ONE))
    queue.put(DeliveryTask("urgent", 0, now, Lane.URGENT, ONE))
    assert [await taken(queue) for _ in range(3)] == ["urgent", "live", "bulk"]


async def test_within_a_lane_the_longest_due_goes_first(queue: DeliveryQueue, clock: ManualClock) -> None:
    now = clock.now_ms()
    for late in (1, 3, 2):
        queue.put(DeliveryTask(f"{late} late", 0, now - late, Lane.LIVE, ONE))
    assert [await taken(queue) for _ in range(3)] == ["3 late", "2 late", "1 late"]


async def test_an_urgent_contact_that_is_not_due_does_not_hold_up_a_bulk_one(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("urgent", 0, clock.now_ms() + HOUR, Lane.URGENT, ONE))
    queue.put(DeliveryTask("bulk", 0, clock.now_ms(), Lane.BULK, ONE))
    assert await taken(queue) == "bulk"
    await nothing(queue)


async def test_a_contact_becomes_due_when_its_time_has_come(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms() + 10_000, Lane.LIVE, ONE))
    await nothing(queue)
    clock.advance(10)
    assert await taken(queue) == "a"


async def test_a_taker_that_waits_is_woken_by_an_earlier_contact(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("late", 0, clock.now_ms() + HOUR, Lane.LIVE, ONE))
    taker = await waits(queue)
    queue.put(DeliveryTask("early", 0, clock.now_ms(), Lane.BULK, ONE))
    assert await result(taker) == "early"


async def test_a_taker_that_waits_for_anything_at_all_is_woken(queue: DeliveryQueue, clock: ManualClock) -> None:
    taker = await waits(queue)
    queue.put(DeliveryTask("first", 0, clock.now_ms(), Lane.LIVE, ONE))
    assert await result(taker) == "first"


async def test_two_takers_never_get_the_same_contact(queue: DeliveryQueue, clock: ManualClock) -> None:
    takers = [await waits(queue), await waits(queue)]
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    queue.put(DeliveryTask("b", 0, clock.now_ms(), Lane.LIVE, ONE))
    assert {await result(taker) for taker in takers} == {"a", "b"}


async def test_a_contact_put_off_is_not_given_out_at_its_old_time(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    queue.put(DeliveryTask("a", 0, clock.now_ms() + HOUR, Lane.LIVE, ONE))
    await nothing(queue)
    clock.advance(3600)
    assert await taken(queue) == "a"
    await nothing(queue)


async def test_a_contact_that_changed_lanes_is_given_out_once(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.BULK, ONE))
    queue.put(DeliveryTask("b", 0, clock.now_ms(), Lane.LIVE, ONE))
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.URGENT, ONE))
    assert [await taken(queue) for _ in range(2)] == ["a", "b"]
    await nothing(queue)


async def test_a_contact_nobody_wants_any_more_is_not_given_out(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    queue.drop("a")
    await nothing(queue)
    assert not +queue.counts()


async def test_while_a_call_is_under_way_the_contact_is_not_given_out_again(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    await taken(queue)
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.URGENT, ONE))
    queue.drop("a")
    await nothing(queue)
    queue.finish("a")
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.URGENT, ONE))
    assert await taken(queue) == "a"


async def test_an_answer_to_wanted_content_ends_the_matter(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    await taken(queue)
    queue.finish("a")
    await nothing(queue)
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    assert await taken(queue) == "a"


async def test_an_answer_for_a_contact_that_is_not_scheduled_is_ignored(queue: DeliveryQueue) -> None:
    queue.finish("a")
    await nothing(queue)


async def test_a_failed_call_is_repeated_at_its_time(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    task = await queue.take()
    queue.retry(task, clock.now_ms() + 5_000)
    await nothing(queue)
    clock.advance(5)
    assert await taken(queue) == "a"


async def test_a_failed_call_of_a_former_assignment_does_not_disturb_the_present_one(
    queue: DeliveryQueue, clock: ManualClock
) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    former = await queue.take()
    queue.clear()
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    await taken(queue)
    queue.retry(former, clock.now_ms())
    await nothing(queue)


async def test_an_open_breaker_holds_everything_back_even_what_is_urgent(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.URGENT, ONE))
    queue.blockers.open(clock.now_ms(), None, 3_000)
    await nothing(queue)
    clock.advance(3)
    assert await taken(queue) == "a"


async def test_a_call_that_was_under_way_when_a_breaker_opened_changes_nothing(
    queue: DeliveryQueue, clock: ManualClock
) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.URGENT, ONE))
    queue.blockers.open(clock.now_ms(), None, 5_000)
    clock.advance(4)
    queue.blockers.open(clock.now_ms(), None, 5_000)
    clock.advance(1)
    assert await taken(queue) == "a"


async def test_nothing_is_left_after_a_clear(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    queue.clear()
    await nothing(queue)


async def test_what_waits_is_counted_by_lane_calls_under_way_included(queue: DeliveryQueue, clock: ManualClock) -> None:
    for name, lane in (("a", Lane.LIVE), ("b", Lane.LIVE), ("c", Lane.BULK)):
        queue.put(DeliveryTask(name, 0, clock.now_ms(), lane, ONE))
    await taken(queue)
    assert queue.counts() == {Lane.LIVE: 2, Lane.BULK: 1}


async def test_what_is_closed_waits_for_an_import_and_goes_when_it_is_opened(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, Work.RECORD))
    queue.blockers.reserve([(Lane.LIVE, Work.RECORD)])
    taker = await waits(queue)
    queue.blockers.reserve([])
    assert await result(taker) == "a"


async def test_a_taker_gets_only_its_lanes_and_queues(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("bulk", 0, clock.now_ms(), Lane.BULK, ONE))
    queue.put(DeliveryTask("follow-up", 0, clock.now_ms(), Lane.URGENT, Work.FOLLOW_UP))
    taker = asyncio.create_task(queue.take((Lane.URGENT,)))
    for _ in range(5):
        await asyncio.sleep(0)
    assert not taker.done(), "one is bulk, and follow-ups are not sent one by one"
    queue.put(DeliveryTask("urgent", 0, clock.now_ms(), Lane.URGENT, ONE))
    assert await result(taker) == "urgent"


def test_an_import_takes_what_is_due_of_one_place(queue: DeliveryQueue, clock: ManualClock) -> None:
    for name, late in (("a", 2), ("b", 1), ("c", -5_000)):
        queue.put(DeliveryTask(name, 0, clock.now_ms() - late, Lane.BULK, Work.RECORD))
    queue.put(DeliveryTask("other", 0, clock.now_ms(), Lane.BULK, Work.CATALOGUE))
    assert queue.due((Lane.BULK, Work.RECORD), 10) == 2
    assert [task.key for task in queue.take_due((Lane.BULK, Work.RECORD), 10)] == ["a", "b"]
    assert queue.due((Lane.BULK, Work.RECORD), 10) == 0


def test_what_is_due_is_counted_once_however_often_it_was_put_off(queue: DeliveryQueue, clock: ManualClock) -> None:
    for _ in range(5):
        queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
        clock.advance(1)
    queue.put(DeliveryTask("b", 0, clock.now_ms(), Lane.LIVE, ONE))
    assert queue.backlog((Lane.LIVE, ONE)) == 2


async def test_what_an_import_could_not_do_goes_alone_until_it_is_answered(queue: DeliveryQueue, clock: ManualClock) -> None:
    place = (Lane.BULK, Work.RECORD)
    queue.put(DeliveryTask("a", 0, clock.now_ms(), *place))
    queue.hand_to_import(queue.take_due(place, 1), "import")
    queue.release("a", "import", alone=True)
    queue.put(DeliveryTask("a", 0, clock.now_ms(), *place))
    assert not queue.take_due(place, 1)
    assert await taken(queue) == "a"
    queue.finish("a")
    queue.put(DeliveryTask("a", 0, clock.now_ms(), *place))
    assert queue.take_due(place, 1)


async def test_what_an_import_holds_is_not_given_out(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    queue.lease_to_import("a", "import")
    queue.lease_to_import("gone", "import")
    await nothing(queue)
    queue.release("a", "another import", alone=False)
    await nothing(queue)
    queue.release("a", "import", alone=False)
    assert await taken(queue) == "a"


async def test_the_end_of_an_import_does_not_free_what_a_sender_has_taken(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    await queue.take()
    queue.lease_to_import("a", "import")
    queue.release("a", "import", alone=False)
    await nothing(queue)


async def test_what_is_given_back_was_not_tried(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    task = await queue.take()
    assert queue.may_have_run("a")
    queue.give_back(task)
    assert not queue.may_have_run("a")
    queue.retry(await queue.take(), clock.now_ms())
    assert queue.may_have_run("a"), "its call may have worked"


async def test_while_nothing_answers_one_task_is_given_out_at_a_time(queue: DeliveryQueue, clock: ManualClock) -> None:
    for name in "abcdefgh":
        queue.put(DeliveryTask(name, 0, clock.now_ms(), Lane.LIVE, ONE))
    queue.put(DeliveryTask("z", 0, clock.now_ms(), Lane.BULK, Work.RECORD))
    queue.blockers.open(clock.now_ms(), None, 5_000)
    waits = []
    for _ in range(6):
        began = clock.now_ms()
        while queue.blockers.opens_at((Lane.LIVE, ONE)) > clock.now_ms():
            await nothing(queue)
            clock.advance(1)
        waits.append((clock.now_ms() - began) // 1000)
        probe = await queue.take()
        await nothing(queue)
        assert not queue.take_due((Lane.BULK, Work.RECORD), 1), "an import is no lesser probe"
        queue.retry(probe, clock.now_ms() + 3_600_000, deferred=True)
        queue.blockers.open(clock.now_ms(), None, 5_000)
    assert waits == [5, 10, 20, 40, 60, 60]
    queue.close_breaker(None)
    assert {await taken(queue) for _ in range(9)} == {*"abcdefghz"}, "the first success makes all of it due"


async def test_an_area_that_fails_does_not_stop_the_others(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, Work.NEW))
    queue.put(DeliveryTask("b", 0, clock.now_ms(), Lane.LIVE, Work.RECORD))
    queue.put(DeliveryTask("c", 0, clock.now_ms(), Lane.LIVE, Work.LIST, timer=True))
    queue.blockers.open(clock.now_ms(), ApiArea.CONTACTS, 30_000)
    assert {await taken(queue), await taken(queue)} == {"b", "c"}
    queue.close_breaker(ApiArea.INSIGHT)
    await nothing(queue)
    queue.close_breaker(ApiArea.CONTACTS)
    assert await taken(queue) == "a"


def test_timers_do_not_count_as_waiting(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms() + HOUR, Lane.LIVE, Work.ALONE, timer=True))
    assert not +queue.counts()
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.LIVE, ONE))
    assert queue.counts() == {Lane.LIVE: 1}


async def test_what_waits_for_no_import_goes_out_beside_it(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.BULK, Work.EXISTING))
    queue.hand_to_import(queue.take_due((Lane.BULK, Work.EXISTING), 1), "import")
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.URGENT, Work.ALONE))
    await nothing(queue)
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.URGENT, Work.ALONE, overtakes=True))
    assert await taken(queue) == "a"
    queue.finish("a", Lease("import"))
    assert queue.may_have_run("a"), "the import's answer does not end a sender's call"
    queue.finish("a")
    assert not queue.may_have_run("a")


async def test_what_is_with_a_sender_is_overtaken_by_nothing(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.BULK, ONE))
    await queue.take()
    queue.put(DeliveryTask("a", 0, clock.now_ms(), Lane.URGENT, Work.ALONE, overtakes=True))
    await nothing(queue)


async def test_changes_reach_whom_they_concern_though_another_begins_to_wait(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("far", 0, clock.now_ms() + HOUR, Lane.LIVE, Work.FOLLOW_UP))

    async def put() -> None:
        queue.put(DeliveryTask("near", 0, clock.now_ms(), Lane.LIVE, Work.FOLLOW_UP))

    follower = asyncio.create_task(queue.take(works=(Work.FOLLOW_UP,)))
    changes = asyncio.create_task(put())
    sender = asyncio.create_task(queue.take())
    async with asyncio.timeout(1):
        assert (await follower).key == "near"
    await changes
    sender.cancel()


def test_what_a_second_import_did_not_do_goes_alone(queue: DeliveryQueue, clock: ManualClock) -> None:
    place = (Lane.BULK, Work.RECORD)
    queue.put(DeliveryTask("a", 0, clock.now_ms(), *place))
    for _ in range(2):
        queue.hand_to_import(queue.take_due(place, 1), "import")
        queue.release("a", "import", alone=False)
    assert not queue.take_due(place, 1) and queue.take_due((Lane.BULK, Work.RECORD_ALONE), 1)


async def test_what_holds_a_task_back_is_named(queue: DeliveryQueue, clock: ManualClock) -> None:
    queue.put(DeliveryTask("a", 3, clock.now_ms() + 1_000, Lane.LIVE, Work.NEW))
    assert (queue.blocked_by("a"), queue.state("a")) == (frozenset({Blocker.NOT_DUE}), TaskState.WAITING)
    clock.advance(1)
    assert (queue.blocked_by("a"), queue.state("a")) == (frozenset(), TaskState.READY)
    queue.fence(3)
    queue.blockers.reserve([(Lane.LIVE, Work.NEW)])
    queue.blockers.open(clock.now_ms(), None, 1_000)
    assert queue.blocked_by("a") == {Blocker.FENCED, Blocker.RESERVED, Blocker.CIRCUIT_OPEN}
    assert queue.state("a") is TaskState.BLOCKED
    await nothing(queue)
    queue.lift_fence(3)
    await nothing(queue)
    queue.blockers.reserve([])
    await nothing(queue)
    queue.close_breaker(None)
    assert await taken(queue) == "a" and queue.blocked_by("a") == {Blocker.CALLING}


async def test_nothing_of_a_fenced_partition_is_given_out_though_it_waited_before(
    queue: DeliveryQueue, clock: ManualClock
) -> None:
    queue.put(DeliveryTask("a", 3, clock.now_ms(), Lane.LIVE, ONE))
    queue.fence(3)
    await nothing(queue)
    queue.lift_fence(3)
    assert await taken(queue) == "a"
    await nothing(queue)
