"""Counts the changes of a unit: those that were applied, and those that were skipped because newer ones are stored.

A row that a snapshot read is never older than what is stored, as long as positions rise. If such rows are skipped in number,
positions do not: a database was restored under the epoch that it had, or a snapshot had no place in the log.
"""

from typing import Final

from streams.core.lanes import Lane
from streams.messages.changes import Change, ChangeKind
from streams.messages.contracts import Participant
from streams.messages.protocol import OWN_TOPICS
from streams.observability.metrics import Metrics

_ROWS: Final = frozenset[ChangeKind](
    kind for topic in OWN_TOPICS for kind, emitters in topic.kinds.items() if emitters == (Participant.INGEST,)
)
"""The kinds of captured rows. Those of the bulk lane were read by a snapshot."""


class ChangeTally:
    """The changes of one unit of one stage."""

    def __init__(self, metrics: Metrics, stage: str) -> None:
        self._metrics = metrics
        self._stage = stage
        self._applied = self._stale = self._stale_of_snapshots = 0

    def count(self, change: Change, *, applied: bool) -> None:
        """The change was applied, or skipped as older than what is stored."""
        if applied:
            self._applied += 1
            return
        self._stale += 1
        self._stale_of_snapshots += change.lane == Lane.BULK and change.kind in _ROWS

    def show(self) -> int:
        """Add the counts to the metrics; the number of all changes."""
        self._metrics.changes.labels(self._stage).inc(self._applied)
        self._metrics.skipped.labels(self._stage).inc(self._stale)
        self._metrics.stale_snapshot_rows.labels(self._stage).inc(self._stale_of_snapshots)
        return self._applied + self._stale
