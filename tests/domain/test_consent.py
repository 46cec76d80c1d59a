"""Several buyers at one address: the strictest word counts. What follows from it is told in ``tests/consent``."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.domain.buyers import strictest

answers = st.sampled_from([True, False, None])


@given(answers, answers)
def test_the_stricter_answer_wins_in_either_order(one: bool | None, other: bool | None) -> None:
    assert strictest({one, other}) is strictest({other, one}) and strictest({one, one}) is one


@given(answers, answers, answers)
def test_strictness_does_not_depend_on_grouping(one: bool | None, two: bool | None, three: bool | None) -> None:
    whole = strictest({one, two, three})
    assert strictest({strictest({one, two}), three}) is strictest({one, strictest({two, three})}) is whole


@pytest.mark.parametrize("other", [True, False, None])
def test_out_beats_everything_and_unknown_nothing(other: bool | None) -> None:
    assert strictest({False, other}) is False
    assert strictest({None, other}) is other
    assert strictest(set()) is None
