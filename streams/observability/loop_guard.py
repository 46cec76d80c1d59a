"""Ends the process when its event loop stands still, and logs where it stands.

A blocked loop cannot answer a probe, and its heartbeats continue from Faust's consumer thread, so the group would wait for it
for ever.
"""

import os
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from traceback import extract_stack

import structlog

log = structlog.get_logger()

BLOCKED_CODE = 70
"""The exit code of a process whose loop stood still."""

_LOOK_SECONDS = 1.0
# Far above any pause of a healthy loop: ending a worker that only paused would cost a rebalance.
_LOOKS = 60
_FRAMES = 12
_LOG_SECONDS = 5.0


class LoopGuard:
    """Looks every second, from a thread of its own, whether the loop has turned; ``looks`` in vain in a row are too many.

    What counts are its own looks and not a clock: while the machine or the process stands still, neither of them can do
    anything, and afterwards the loop goes on.
    """

    def __init__(self, looks: int = _LOOKS, seconds: float = _LOOK_SECONDS, end: Callable[[int], object] = os._exit) -> None:
        # os._exit: sys.exit would only end the guard's thread, and a clean shutdown needs the loop that is blocked.
        self._looks = looks
        self._seconds = seconds
        self._end = end
        self._turns = self._seen = self._in_vain = 0

    def turned(self) -> None:
        """The loop turns."""
        self._turns += 1

    def start(self) -> None:
        """Guard the loop of the calling thread, for as long as the process lives."""
        threading.Thread(target=self._run, args=(threading.get_ident(),), name="loop-guard", daemon=True).start()

    def is_blocked(self) -> bool:
        """One look: whether it was the last of so many in a row that saw no turn."""
        self._in_vain = self._in_vain + 1 if self._turns == self._seen else 0
        self._seen = self._turns
        return self._in_vain >= self._looks

    def _run(self, guarded: int) -> None:
        look = threading.Event()
        while not self.is_blocked():
            look.wait(self._seconds)
        # From another thread: the loop may stand in the log's own lock, and the process must end all the same.
        writing = threading.Thread(target=_log_place, args=(guarded,), daemon=True)
        writing.start()
        writing.join(_LOG_SECONDS)
        self._end(BLOCKED_CODE)


def _log_place(thread: int) -> None:
    frame = sys._current_frames().get(thread)
    stack = [] if frame is None else extract_stack(frame)[-_FRAMES:]
    places = [f"{Path(entry.filename).parent.name}/{Path(entry.filename).name}:{entry.lineno} {entry.name}" for entry in stack]
    log.critical("the event loop stands still, the worker ends", at=places)
