"""How long to wait before a call is repeated: exponential, capped, full jitter."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from tenacity import RetryCallState


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds: the first wait is up to ``base``, doubling with every failure, never above ``cap``."""

    base: float = 0.5
    cap: float = 60.0

    def delay(self, failures: int, rng: Random) -> float:
        """The wait after ``failures`` (at least 1) failures in a row."""
        return rng.uniform(0, min(self.cap, self.base * 2.0 ** min(failures - 1, 30)))

    def wait(self, rng: Random) -> Callable[[RetryCallState], float]:
        """The policy as tenacity's ``wait``."""
        return lambda state: self.delay(state.attempt_number, rng)


def last_result(state: RetryCallState) -> Any:
    """Tenacity's ``retry_error_callback`` where the last answer is the result, although it asked for one more try.

    Raises:
        Exception: the last try's own.
    """
    assert state.outcome is not None
    return state.outcome.result()
