"""How long to wait before a call is repeated: exponential, capped, full jitter."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Seconds: the first wait is up to ``base``, doubling with every failure, never above ``cap``."""

    base: float = 0.5
    cap: float = 60.0

    def delay(self, failures: int, rng: Random) -> float:
        """The wait after ``failures`` (at least 1) failures in a row."""
        return rng.uniform(0, min(self.cap, self.base * 2.0 ** min(failures - 1, 30)))
