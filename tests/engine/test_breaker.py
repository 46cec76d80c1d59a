"""The circuit breaker: it lets single failures pass, and opens when nearly every record fails."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.errors import CircuitOpenError, OwddError
from streams.engine.breaker import Breaker


def opens_at(breaker: Breaker, outcomes: list[bool]) -> int | None:
    """The index of the record that opens the breaker."""
    for index, failed in enumerate(outcomes):
        try:
            breaker.record(failed=failed)
        except CircuitOpenError:
            return index
    return None


def test_it_stays_closed_while_records_succeed() -> None:
    assert opens_at(Breaker(10, 0.5), [False] * 1000) is None


def test_it_opens_when_a_whole_window_failed() -> None:
    assert opens_at(Breaker(10, 1.0), [True] * 100) == 9


def test_it_judges_no_part_of_a_window() -> None:
    assert opens_at(Breaker(10, 0.1), [True] * 9) is None


def test_it_opens_when_the_share_is_reached() -> None:
    assert opens_at(Breaker(10, 0.5), [False] * 10 + [True] * 10) == 14


def test_it_stays_closed_just_below_the_share() -> None:
    assert opens_at(Breaker(10, 0.5), [False, False, False, True, True] * 100) is None


def test_it_forgets_what_left_the_window() -> None:
    assert opens_at(Breaker(10, 0.5), ([True] * 4 + [False] * 6) * 50) is None


def test_a_success_never_opens_it() -> None:
    breaker = Breaker(10, 0.5)
    assert opens_at(breaker, [True] * 9 + [False]) is None
    assert opens_at(breaker, [True]) == 0


def test_it_stays_open_while_records_fail() -> None:
    breaker = Breaker(10, 0.9)
    assert opens_at(breaker, [True] * 100) == 9
    assert opens_at(breaker, [True]) == 0


def test_the_message_says_what_happened_and_what_to_do() -> None:
    breaker = Breaker(10, 0.9)
    with pytest.raises(OwddError, match=r"^9 of the last 10 records could not be processed.*Look at the dead-letter codes"):
        for failed in [False, *[True] * 9]:
            breaker.record(failed=failed)


@settings(deadline=None)
@given(st.lists(st.booleans(), max_size=200), st.integers(1, 20), st.floats(0.05, 1.0))
def test_it_opens_at_the_first_failure_that_fills_the_share_of_its_window(
    outcomes: list[bool], window: int, share: float
) -> None:
    expected = next(
        (
            index
            for index, failed in enumerate(outcomes)
            if failed and index + 1 >= window and sum(outcomes[index + 1 - window : index + 1]) >= share * window
        ),
        None,
    )
    assert opens_at(Breaker(window, share), outcomes) == expected
