"""The one clock. Pure code takes times as arguments; everything else takes a :class:`Clock`, so tests can turn it."""

import time
from collections.abc import Callable
from typing import Protocol

_FOLLOWS = 10
"""A clock that was set is followed by one part in so many of the time that passes."""


# Unlike the monotonic clock, Linux's boot time goes on while the machine is suspended.
_PASSING = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


def _passing_ns() -> int:
    return time.clock_gettime_ns(_PASSING)


class Clock(Protocol):
    """Wall-clock time."""

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""

    def now_us(self) -> int:
        """UTC epoch microseconds."""


class SystemClock:
    """The machine's clock, without its jumps.

    It begins with the machine's time and goes on with the time that passes. If the machine's clock is set meanwhile, by NTP or
    by hand, this one follows by a tenth of the passing time: what waits, waits a tenth longer or shorter, and nothing becomes
    due at once or hours later. It never goes back.
    """

    def __init__(
        self,
        machine_ns: Callable[[], int] = time.time_ns,
        passing_ns: Callable[[], int] = _passing_ns,
    ) -> None:
        self._machine_ns = machine_ns
        self._passing_ns = passing_ns
        self._now, self._read_at = machine_ns(), passing_ns()

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return self._now_ns() // 1_000_000

    def now_us(self) -> int:
        """UTC epoch microseconds."""
        return self._now_ns() // 1_000

    def _now_ns(self) -> int:
        read_at = self._passing_ns()
        passed, self._read_at = read_at - self._read_at, read_at
        behind = self._machine_ns() - (self._now + passed)
        most = passed // _FOLLOWS
        self._now += passed + max(-most, min(most, behind))
        return self._now


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
