"""Dead-letter circuit breaker: stops ingest before a bad release or mapping moves a whole topic into the dead-letter topic."""

from collections import deque

from streams.core.errors import CircuitOpenError


class Breaker:
    """Opens when at least ``share`` (0 to 1) of the last ``window`` records failed.

    Before the window is full it never opens: one bad record among the first few says nothing about the stream.
    """

    def __init__(self, window: int, share: float) -> None:
        self._recent: deque[bool] = deque(maxlen=window)
        self._share = share
        self._failed = 0

    def succeeded(self, count: int) -> None:
        """Count so many records that were processed."""
        for _ in range(min(count, self._recent.maxlen or 0)):
            self.record(failed=False)

    def record(self, *, failed: bool) -> None:
        """Count one record.

        Raises:
            CircuitOpenError: too many of a full window failed.
        """
        recent = self._recent
        # The append drops the oldest record of a full window.
        if len(recent) == recent.maxlen:
            self._failed -= recent[0]
        recent.append(failed)
        self._failed += failed
        if failed and len(recent) == recent.maxlen and self._failed >= self._share * len(recent):
            raise CircuitOpenError(
                f"{self._failed} of the last {len(recent)} records could not be processed. Nothing of this batch was "
                "committed. Look at the dead-letter codes: a changed capture format or a wrong mapping is likely."
            )
