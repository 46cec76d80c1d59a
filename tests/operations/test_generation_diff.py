"""What a switch of generations is said to change is what it changes: compared in the outbox's rows, as its changelog has them."""

from datetime import UTC, datetime
from typing import Any

from streams.dispatch.outbox.tasks import Family, Work, task_of
from streams.mapping.delivery import RefundEvent
from streams.messages.dead_letters import keyed_hash
from streams.operations.generation_diff import Differences, Examples, RecentBuyers, TaskDifference, changed_tasks
from tests.dispatch.dispatch_harness import ANN, BOB, DAY, Site, on_site
from tests.dispatch.generations import begin, hold, switch, want_unreadable

EVENT: dict[str, Any] = {"follow_up": RefundEvent(kind="event", since=datetime(2026, 1, 1, tzinfo=UTC))}


def found(site: Site, generation: int, days: int = 30) -> dict[str, TaskDifference]:
    """``days``: how long the new mapping has contacts on the recent buyers' list."""
    recent = site.mapping.delivery.recent_buyers
    delivery = site.mapping.delivery.model_copy(update={"recent_buyers": recent and recent.model_copy(update={"days": days})})
    new = site.mapping.model_copy(update={"delivery": delivery})
    lists = RecentBuyers.of(site.settings, site.mapping, new, site.clock.now_ms() / 1000)
    return {
        difference.task: difference
        for partition in range(site.settings.partitions)
        for difference in changed_tasks(dict(site.table.scan(partition, b"")), generation, lists)
    }


def shown(site: Site, generation: int) -> dict[str, tuple[str, set[str], Work | None]]:
    return {task: (one.what, set(one.fields), one.work) for task, one in found(site, generation).items()}


async def shop(site: Site) -> None:
    for email in (ANN, BOB):
        site.want(email, "P")
    for key in ("O1", "O2", "O3", "O5"):
        site.record(key)
    site.item(7)
    await site.quiet()
    site.credit(9)
    await site.quiet()


@on_site(delivery=EVENT)
async def test_of_equal_generations_nothing_differs(site: Site) -> None:
    await shop(site)
    await begin(site, 1)
    await shop(site)
    assert shown(site, 1) == {}


@on_site(delivery=EVENT)
async def test_each_difference_is_shown_and_none_once_it_was_made(site: Site) -> None:
    await shop(site)
    await begin(site, 1)
    site.want(ANN, "Q", opted=False)
    site.want("new@example.com", "New")
    site.record("O1", "changed")
    site.record("O2")
    site.record("O4")
    site.credit(10)
    hold(site, 5)
    await site.quiet()
    assert shown(site, 1) == {
        task_of(Family.CONTACT, ANN): ("contact changed", {"FIRSTNAME", "consent"}, Work.ALONE),
        task_of(Family.CONTACT, BOB): ("contact withdrawn", set(), Work.ALONE),
        task_of(Family.CONTACT, "new@example.com"): ("contact created", set(), Work.NEW),
        task_of(Family.RECORD, ANN, "O1"): ("record changed", set(), Work.RECORD),
        task_of(Family.RECORD, ANN, "O3"): ("record withdrawn", set(), Work.RECORD_ALONE),
        task_of(Family.RECORD, ANN, "O4"): ("record created", set(), Work.RECORD),
        task_of(Family.RECORD, ANN, "O5"): ("record held", set(), None),
        task_of(Family.CATALOGUE, "7"): ("catalogue withdrawn", set(), Work.RECORD_ALONE),
        task_of(Family.FOLLOW_UP, ANN, 10): ("follow-up created", set(), Work.FOLLOW_UP),
    }
    await switch(site, 1, 1)
    assert shown(site, 1) == {}


@on_site()
async def test_what_stays_because_no_row_can_be_read_is_shown_as_held(site: Site) -> None:
    want_unreadable(site, ANN)
    site.want(BOB, "P")
    site.want("guest@example.com", "P")
    site.record("O1")
    site.record("O4", email="guest@example.com")
    await site.quiet()
    await begin(site, 1)
    hold(site, 4)
    await site.quiet()
    assert shown(site, 1) == {
        task_of(Family.CONTACT, "guest@example.com"): ("contact held", set(), None),
        task_of(Family.RECORD, "guest@example.com", "O4"): ("record held", set(), None),
        task_of(Family.CONTACT, ANN): ("contact held", set(), None),
        task_of(Family.CONTACT, BOB): ("contact withdrawn", set(), Work.ALONE),
        task_of(Family.RECORD, ANN, "O1"): ("record held", set(), None),
    }


@on_site()
async def test_a_list_place_differs_by_the_despatch_or_by_the_days(site: Site) -> None:
    site.want(ANN, "P", despatched=site.now - 10 * DAY)
    site.want(BOB, "P")
    await site.quiet()
    await begin(site, 1)
    site.want(ANN, "P", despatched=site.now - 11 * DAY)
    site.want(BOB, "P", despatched=site.now - 10 * DAY)
    await site.quiet()
    (joins,) = found(site, 1).values()
    assert (joins.task, joins.work, joins.list_change) == (task_of(Family.CONTACT, BOB), Work.EXISTING, "joined")
    (leaves,) = found(site, 1, days=5).values()
    assert (leaves.task, leaves.work, leaves.list_change) == (task_of(Family.CONTACT, ANN), Work.LIST, "left")


def test_examples_name_nobody_unless_they_are_asked_to() -> None:
    difference = TaskDifference(task_of(Family.CONTACT, ANN), "changed", Work.EXISTING, {"FIRSTNAME": ("Ann", None)}, "left")
    counted = Differences()
    counted.add(difference, Examples(1, b"a key"))
    counted.add(difference, Examples(1, b"a key"))
    assert (counted.differing, counted.fields, counted.places) == (2, {Family.CONTACT: {"FIRSTNAME": 2}}, {"left": 2})
    assert counted.due == {(Family.CONTACT, Work.EXISTING): 2}
    hidden = {"whose": keyed_hash(ANN.encode(), b"a key"), "what": "contact changed", "fields": "FIRSTNAME, list place left"}
    assert counted.examples == [hidden]
    assert Examples(1, None).shown(difference) == {
        "whose": ANN,
        "what": "contact changed",
        "fields": 'FIRSTNAME: "Ann" → nothing, list place left',
    }
