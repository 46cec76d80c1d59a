"""Dead-letter circuit breaker: a bad release must not drain a topic into the dead-letter topic."""

from collections import deque

from streams.core.errors import CircuitOpenError


class Breaker:
    """Opens when at least ``share`` of the last ``window`` records failed."""

    def __init__(self, window: int, share: float) -> None:
        self._recent: deque[bool] = deque(maxlen=window)
        self._share = share
        self._failed = 0

    def succeeded(self, count: int) -> None:
        """Count so many records that were processed."""
        for _ in range(min(count, self._recent.maxlen or 0)):
            self.note(failed=False)

    def note(self, *, failed: bool) -> None:
        """Count one record.

        Raises:
            CircuitOpenError: too many of a full window failed.
        """
        recent = self._recent
        if len(recent) == recent.maxlen:
            self._failed -= recent[0]
        recent.append(failed)
        self._failed += failed
        if failed and len(recent) == recent.maxlen and self._failed >= self._share * len(recent):
            raise CircuitOpenError(
                f"{self._failed} of the last {len(recent)} records could not be processed. Nothing of this batch was "
                "committed. Look at the dead-letter codes: a changed capture format or a wrong mapping is likely."
            )
