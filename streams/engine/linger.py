"""How long to gather before the next batch: not at all at idle, a few milliseconds under load.

Every batch costs a produce request per partition, however small it is. A lone change should leave at once; when many come,
waiting a little makes them share that cost, which is what leaves the machine room for more of them.
"""

MANY = 8
"""Changes in one batch from which on the next one is gathered."""


class Linger:
    """The gathering time of one loop, from what its last batch held."""

    def __init__(self, interval: float = 0.02) -> None:
        self._interval = interval
        self._started = 0.0
        self._changes = 0

    def delay(self, now: float) -> float:
        """Seconds to wait at ``now`` before the next batch is taken; both on a monotonic clock."""
        if self._changes < MANY:
            return 0.0
        return max(0.0, self._started + self._interval - now)

    def start(self, now: float) -> None:
        """A batch begins."""
        self._started = now

    def record(self, changes: int) -> None:
        """The batch held that many changes."""
        self._changes = changes
