"""When a changed contact is due: quiet time and longest wait per lane, as a pure decision."""

from dataclasses import dataclass, field

from streams.core.lanes import Lane


@dataclass(frozen=True, slots=True)
class Window:
    """Send after ``quiet`` seconds without a further change, at the latest ``longest`` seconds after the first one."""

    quiet: float
    longest: float


@dataclass(frozen=True, slots=True)
class Debounce:
    """The window of each lane."""

    urgent: Window = field(default_factory=lambda: Window(0.2, 1.0))
    live: Window = field(default_factory=lambda: Window(2.0, 15.0))
    bulk: Window = field(default_factory=lambda: Window(60.0, 300.0))

    def window(self, lane: Lane) -> Window:
        """The window of ``lane``."""
        return (self.urgent, self.live, self.bulk)[lane]

    def due(self, lane: Lane, now_ms: int, first_ms: int, current_due_ms: int | None) -> int:
        """When a contact that changes now must be sent, in epoch milliseconds.

        Args:
            lane: the lane of this change.
            now_ms: the time of this change.
            first_ms: when the contact became dirty.
            current_due_ms: when it is due so far and the lane that it waits in is at least as urgent, else None.
        """
        window = self.window(lane)
        due = min(now_ms + int(window.quiet * 1000), first_ms + int(window.longest * 1000))
        # A later bulk change must not push back an urgent one that already waits.
        return due if current_due_ms is None else min(due, current_due_ms)
