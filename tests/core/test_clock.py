"""The machine's clock may be set by hours; ours follows without a jump, and never goes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.clock import SystemClock

SECOND = 1_000_000_000
START = 1_772_700_000 * SECOND


class Machine:
    """A machine whose clock can be set."""

    def __init__(self) -> None:
        self.set_by = 0
        self.passed = 0
        self.clock = SystemClock(lambda: START + self.set_by + self.passed, lambda: self.passed)

    def now(self) -> float:
        """Seconds since the start, as our clock has it."""
        return (self.clock.now_us() * 1000 - START) / SECOND


def test_a_clock_that_is_left_alone_is_the_machines() -> None:
    machine = Machine()
    machine.passed = 3600 * SECOND
    assert machine.now() == 3600


@pytest.mark.parametrize("jump", [7200, -7200, 1800, -1800])
def test_what_waits_a_minute_waits_a_minute_and_a_tenth_at_most_when_the_clock_is_set(jump: int) -> None:
    machine = Machine()
    machine.set_by = jump * SECOND
    before = machine.now()
    for _ in range(60):
        machine.passed += SECOND
        machine.now()
    assert machine.now() - before == pytest.approx(60, rel=0.11)
    # In the end it is right.
    for _ in range(24 * 60):
        machine.passed += 60 * SECOND
        machine.now()
    assert machine.now() == machine.passed / SECOND + jump


@given(st.lists(st.tuples(st.integers(0, 100 * SECOND), st.integers(-10_000 * SECOND, 10_000 * SECOND)), max_size=30))
def test_it_never_goes_back_and_never_runs_away(steps: list[tuple[int, int]]) -> None:
    machine = Machine()
    before = machine.now()
    for passed, jump in steps:
        machine.passed += passed
        machine.set_by += jump
        now = machine.now()
        assert 0.9 * passed / SECOND - 1e-5 <= now - before <= 1.1 * passed / SECOND + 1e-5
        before = now
