"""When a changed contact is due: quiet time and longest wait per lane, as a pure decision."""

from dataclasses import dataclass, field

from streams.core.lanes import Lane


@dataclass(frozen=True, slots=True)
class Window:
    """Send after ``quiet`` seconds without a further change, at the latest ``longest`` seconds after the first one."""

    quiet: float
    longest: float


_LEAST_SHARE = 0.25
"""Of the quiet time of an urgent change, however long its way here was: what comes of one transaction arrives in pieces."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """A change that arrives at ``now_ms``, and whose cause was appended to Kafka at ``caused_ms`` (epoch milliseconds)."""

    lane: Lane
    now_ms: int
    caused_ms: int


@dataclass(frozen=True, slots=True)
class Debounce:
    """The window of each lane."""

    urgent: Window = field(default_factory=lambda: Window(0.2, 1.0))
    live: Window = field(default_factory=lambda: Window(2.0, 15.0))
    bulk: Window = field(default_factory=lambda: Window(60.0, 300.0))

    def window(self, lane: Lane) -> Window:
        """The window of ``lane``."""
        return (self.urgent, self.live, self.bulk)[lane]

    def due(self, change: Arrival, first_ms: int, current_due_ms: int | None) -> int:
        """When a contact that changes now must be sent, in epoch milliseconds.

        Args:
            change: this change.
            first_ms: when the contact became dirty.
            current_due_ms: when it is due so far and the lane that it waits in is at least as urgent, else None.
        """
        window = self.window(change.lane)
        due = min(change.now_ms + self._quiet_ms(change), first_ms + int(window.longest * 1000))
        # A later bulk change must not push back an urgent one that already waits.
        return due if current_due_ms is None else min(due, current_due_ms)

    def _quiet_ms(self, change: Arrival) -> int:
        """The rest of the quiet time: in the urgent lane the way here is part of it; the others gather for imports."""
        quiet = int(self.window(change.lane).quiet * 1000)
        if change.lane is not Lane.URGENT:
            return quiet
        # Clocks differ: a cause in the future must not lengthen the wait.
        return min(quiet, max(change.caused_ms + quiet - change.now_ms, int(quiet * _LEAST_SHARE)))
