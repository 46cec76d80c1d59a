"""The offline optimum against every way of calling there is, on traces small enough to try them all."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from streams.core.lanes import Lane
from streams.domain.debounce import Debounce
from testkit.virtual.optimum import Due, Means, Optimum, batches, optimum, too_many, witnesses
from testkit.virtual.trace import Deliverable

A: Deliverable = ("contact", "a@example.com")
B: Deliverable = ("contact", "b@example.com")
SECOND, MINUTE = 1000, 60_000
PLENTY = Means(singles=1000, rows=1000, import_ms=30 * SECOND)


def due(deliverable: Deliverable, at: int, wait: int, lane: Lane = Lane.LIVE) -> Due:
    return Due(deliverable, lane, at, at + wait)


def fewest(changes: list[Due], rows: int) -> int:
    """The least number of batches of up to ``rows`` deliverables, by trying every choice at every moment."""
    end = max(change.until for change in changes)

    @cache
    def at(moment: int, waiting: frozenset[Due]) -> int:
        if moment > end:
            return 0
        waiting |= {change for change in changes if change.at == moment}
        who = sorted({change.deliverable for change in waiting})
        best = 1_000_000
        for choice in range(2 ** len(who)):
            sent = {deliverable for number, deliverable in enumerate(who) if choice >> number & 1}
            left = frozenset(change for change in waiting if change.deliverable not in sent)
            if all(change.until > moment for change in left):
                best = min(best, -(-len(sent) // rows) + at(moment + 1, left))
        return best

    return at(0, frozenset())


few = st.lists(st.builds(due, st.sampled_from([A, B]), st.integers(0, 7), st.integers(0, 4)), min_size=1, max_size=6).map(
    lambda found: sorted(found, key=lambda change: change.at)
)
of_one_lane = st.lists(
    st.builds(due, st.sampled_from([(c, c) for c in "abcd"]), st.integers(0, 7), st.just(3)), min_size=1, max_size=6
)


@given(few)
def test_no_way_of_calling_singly_needs_fewer_calls_and_one_needs_as_few(changes: list[Due]) -> None:
    assert len(list(witnesses(changes))) == fewest(changes, rows=1)


@given(few, st.integers(1, 3))
def test_no_way_of_batching_needs_fewer_batches(changes: list[Due], rows: int) -> None:
    assert batches(list(witnesses(changes)), rows) <= fewest(changes, rows)


@given(of_one_lane, st.integers(1, 3))
def test_batches_of_deliverables_that_change_once_are_the_fewest(changes: list[Due], rows: int) -> None:
    once = list({change.deliverable: change for change in changes}.values())
    assert batches(once, rows) == fewest(once, rows)


def test_changes_close_together_share_a_call_and_distant_ones_do_not() -> None:
    changes = [due(A, 0, 15 * SECOND), due(A, 15 * SECOND, 15 * SECOND), due(A, 40 * SECOND, 15 * SECOND)]
    assert optimum(changes, set(), PLENTY, Debounce()) == Optimum(singles=2, imports=0, late=0)


def test_a_live_change_does_not_wait_for_an_import_but_a_bulk_change_does() -> None:
    wait = int(Debounce().bulk.longest * SECOND)
    changes = [due(A, 0, 15 * SECOND), due(B, 0, wait, Lane.BULK)]
    assert optimum(changes, {A, B}, PLENTY, Debounce()) == Optimum(singles=1, imports=1, late=0)


def test_new_contacts_do_not_share_an_import_with_those_that_exist() -> None:
    wait = int(Debounce().bulk.longest * SECOND)
    changes = [due(A, 0, wait, Lane.BULK), due(B, 0, wait, Lane.BULK)]
    assert optimum(changes, {A}, PLENTY, Debounce()).imports == 2
    assert optimum(changes, {A, B}, PLENTY, Debounce()).imports == 1


def test_what_the_minute_has_no_room_for_rides_in_an_import_and_urgent_changes_choose_first() -> None:
    live = [due(("contact", f"{number}@example.com"), 0, 15 * SECOND) for number in range(3)]
    urgent = due(A, 100, SECOND, Lane.URGENT)
    assert urgent not in too_many([*live, urgent], 2)
    found = optimum([*live, urgent], {A, *(change.deliverable for change in live)}, Means(2, 1000, 30 * SECOND), Debounce())
    assert found == Optimum(singles=2, imports=1, late=2)


def test_the_next_minute_has_room_again() -> None:
    changes = [due(("contact", f"{number}@example.com"), 50 * SECOND, 15 * SECOND) for number in range(3)]
    assert len(too_many(changes, 1)) == 1
