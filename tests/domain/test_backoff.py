"""How long a failed call waits."""

from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.backoff import RetryPolicy

POLICY = RetryPolicy(base=0.5, cap=60.0)


class Highest(Random):
    """A generator that always draws the upper bound."""

    def uniform(self, a: float, b: float) -> float:
        return max(a, b)


def test_the_longest_wait_doubles_with_every_failure_up_to_the_cap() -> None:
    waits = [POLICY.delay(failures, Highest()) for failures in range(1, 10)]
    assert waits == [0.5, 1, 2, 4, 8, 16, 32, 60, 60]


def test_very_many_failures_are_no_overflow() -> None:
    assert POLICY.delay(100_000, Highest()) == 60


@settings(deadline=None)
@given(failures=st.integers(1, 200), seed=st.integers())
def test_a_wait_is_never_negative_nor_above_the_cap(failures: int, seed: int) -> None:
    assert 0 <= POLICY.delay(failures, Random(seed)) <= min(60, 0.5 * 2.0 ** (failures - 1))


def test_two_workers_that_fail_together_do_not_come_back_together() -> None:
    waits = {POLICY.delay(6, Random(seed)) for seed in range(50)}
    assert len(waits) == 50
    assert max(waits) - min(waits) > POLICY.base * 2**5 / 2
