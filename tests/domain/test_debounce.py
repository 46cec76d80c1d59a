"""When a changed contact is due."""

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.lanes import Lane
from streams.domain.debounce import Arrival, Debounce, Window

DEBOUNCE = Debounce(urgent=Window(0.2, 1.0), live=Window(2.0, 15.0), bulk=Window(60.0, 300.0))
T = 1_000_000
lanes = st.sampled_from(list(Lane))


def due(lane: Lane, now: int, first: int, waiting: int | None) -> int:
    """Of a change whose cause is as old as itself."""
    return DEBOUNCE.due(Arrival(lane, now, now), first, waiting)


quiets = st.lists(st.integers(0, 20_000), max_size=30)


def test_a_single_change_waits_for_the_quiet_time_of_its_lane() -> None:
    assert [due(lane, T, T, None) - T for lane in Lane] == [200, 2_000, 60_000]


def test_each_further_change_starts_the_quiet_time_anew() -> None:
    assert due(Lane.LIVE, T + 1_500, T, None) == T + 3_500


def test_changes_that_keep_coming_wait_no_longer_than_the_longest() -> None:
    assert due(Lane.LIVE, T + 14_999, T, None) == T + 15_000
    assert due(Lane.LIVE, T + 99_999, T, None) == T + 15_000


def test_a_bulk_change_does_not_push_back_what_waits_in_a_faster_lane() -> None:
    assert due(Lane.BULK, T + 100, T, T + 200) == T + 200


def test_an_urgent_change_overtakes_what_waits_in_a_slower_lane() -> None:
    assert due(Lane.URGENT, T + 5_000, T + 4_900, None) == T + 5_200


def test_an_urgent_change_to_what_has_waited_long_is_due_at_once() -> None:
    assert due(Lane.URGENT, T + 60_000, T, None) <= T + 60_000


@settings(deadline=None)
@given(lane=lanes, gaps=quiets)
def test_due_never_lies_beyond_the_longest_wait(lane: Lane, gaps: list[int]) -> None:
    now = T
    for gap in gaps:
        now += gap
        at = due(lane, now, T, None)
        assert at <= T + DEBOUNCE.window(lane).longest * 1000
        assert at <= now + DEBOUNCE.window(lane).quiet * 1000


@settings(deadline=None)
@given(lane=lanes, now=st.integers(0, 10**6), waiting=st.integers(0, 10**6))
def test_what_waits_is_never_made_to_wait_longer_by_a_slower_lane(lane: Lane, now: int, waiting: int) -> None:
    assert due(lane, T + now, T, T + waiting) <= T + waiting


def test_the_way_of_an_urgent_change_is_part_of_its_quiet_time() -> None:
    assert DEBOUNCE.due(Arrival(Lane.URGENT, T + 120, T), T + 120, None) == T + 200


def test_an_urgent_change_that_was_long_on_its_way_still_waits_for_what_comes_with_it() -> None:
    assert DEBOUNCE.due(Arrival(Lane.URGENT, T + 9_000, T), T + 9_000, None) == T + 9_050


def test_a_cause_in_the_future_does_not_lengthen_the_wait() -> None:
    assert DEBOUNCE.due(Arrival(Lane.URGENT, T, T + 60_000), T, None) == T + 200


def test_other_lanes_gather_from_their_arrival() -> None:
    found = [DEBOUNCE.due(Arrival(lane, T + 1_000, T), T + 1_000, None) - T for lane in (Lane.LIVE, Lane.BULK)]
    assert found == [3_000, 61_000]


def test_windows_stand_beside_their_lanes() -> None:
    assert DEBOUNCE.window(Lane.URGENT).longest < DEBOUNCE.window(Lane.LIVE).longest
    assert DEBOUNCE.window(Lane.BULK) == Window(60.0, 300.0)
