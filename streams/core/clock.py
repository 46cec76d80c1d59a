"""The one clock. Pure code takes times as arguments; everything else takes a :class:`Clock`, so tests can turn it."""

import time
from typing import Protocol


class Clock(Protocol):
    """Wall-clock time."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""

    def now_us(self) -> int:
        """UTC epoch microseconds."""


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def now_us(self) -> int:
        """UTC epoch microseconds."""
        return time.time_ns() // 1_000


class ManualClock:
    """A clock that stands still until it is moved."""

    def __init__(self, now_ms: int = 1_772_700_000_000) -> None:
        self._now_us = now_ms * 1000

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return self._now_us // 1000

    def now_us(self) -> int:
        """UTC epoch microseconds."""
        return self._now_us

    def advance(self, seconds: float) -> None:
        """Move the clock forward."""
        self._now_us += int(seconds * 1_000_000)
