"""What a switch of generations is said to change is what it changes: compared in the outbox's rows, as its changelog has them."""

from datetime import UTC, datetime
from typing import Any

from streams.dispatch.outbox.tasks import Family, task_of
from streams.mapping.delivery import RefundEvent
from streams.operations.generation_diff import changed_tasks
from tests.dispatch.dispatch_harness import ANN, BOB, Site, on_site
from tests.dispatch.generations import begin, hold, switch

EVENT: dict[str, Any] = {"follow_up": RefundEvent(kind="event", since=datetime(2026, 1, 1, tzinfo=UTC))}


def shown(site: Site, generation: int) -> dict[str, tuple[str, set[str]]]:
    found: dict[str, tuple[str, set[str]]] = {}
    for partition in range(site.settings.partitions):
        rows = dict(site.table.scan(partition, b""))
        found |= {task: (what, fields) for task, what, fields in changed_tasks(rows, generation)}
    return found


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
        task_of(Family.CONTACT, ANN): ("contact changed", {"FIRSTNAME", "consent"}),
        task_of(Family.CONTACT, BOB): ("contact withdrawn", set()),
        task_of(Family.CONTACT, "new@example.com"): ("contact created", set()),
        task_of(Family.RECORD, ANN, "O1"): ("record changed", set()),
        task_of(Family.RECORD, ANN, "O3"): ("record withdrawn", set()),
        task_of(Family.RECORD, ANN, "O4"): ("record created", set()),
        task_of(Family.RECORD, ANN, "O5"): ("record held", set()),
        task_of(Family.CATALOGUE, "7"): ("catalogue withdrawn", set()),
        task_of(Family.FOLLOW_UP, ANN, 10): ("follow-up created", set()),
    }
    await switch(site, 1, 1)
    assert shown(site, 1) == {}
