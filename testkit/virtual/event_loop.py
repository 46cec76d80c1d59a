"""Virtual time: an event loop whose clock jumps to the next timer when nothing is left to do.

A day of traffic takes seconds and is the same every time. Nothing in such a loop may wait for a socket, a thread or a
process: virtual time does not pass for them, so the wait would never end.
"""

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any, TypeVar

T = TypeVar("T")

ORIGIN_MS = 1_772_409_600_000
"""Where virtual time begins: Monday 2 March 2026, midnight UTC, in epoch milliseconds."""


class StalledError(RuntimeError):
    """Every task waits and no timer is set: nothing will ever happen again."""


class _Jumping(selectors.DefaultSelector):
    """Passes the time that it is asked to wait for at once."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None:
            raise StalledError("every task waits and no timer is set")
        self.now += max(0.0, timeout)
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop in virtual time, which begins at 0 s."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Virtual seconds since the loop was made."""
        return self._jumping.now


class VirtualClock:
    """The product's clock (:class:`streams.core.clock.Clock`) on a virtual loop."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop

    def now_ms(self) -> int:
        """UTC epoch milliseconds."""
        return self.now_us() // 1000

    def now_us(self) -> int:
        """UTC epoch microseconds."""
        return ORIGIN_MS * 1000 + round(self._loop.time() * 1_000_000)

    def now_utc(self) -> datetime:
        """The same as the sandbox wants it."""
        return datetime.fromtimestamp(self.now_us() / 1_000_000, UTC)


def run(main: Callable[[VirtualClock], Coroutine[Any, Any, T]]) -> T:
    """Run ``main`` in a virtual world of its own.

    Raises:
        StalledError: it waits for what cannot come.
    """
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        loop = runner.get_loop()
        assert isinstance(loop, VirtualLoop)
        return runner.run(main(VirtualClock(loop)))
