"""Whether Dotdigital answers us, as its last call has it: for readiness, for the gauge, and for whoever asks why."""

from streams.core.clock import Clock
from streams.domain.times import utc_text
from streams.dotdigital.tiers import Call
from streams.observability.metrics import Metrics

_REFUSED = "401"
_PERHAPS_REFUSED = "403"
"""A permission that one call lacks, or the wrong region: the others may work."""
_NO_ANSWER = "no-answer"


class Reachability:
    """Follows the calls of one account, which is named ``endpoint`` in the gauge."""

    def __init__(self, endpoint: str, clock: Clock, metrics: Metrics) -> None:
        self._clock = clock
        self._gauge = metrics.dotdigital_up.labels(endpoint)
        self._gauge.set(0)
        self._down: str | None = None
        self._since_ms = 0

    def record(self, call: Call) -> None:
        """A call has ended."""
        down = call.status if call.status in (_REFUSED, _PERHAPS_REFUSED, _NO_ANSWER) or call.status >= "500" else None
        if down is not None and self._down is None:
            self._since_ms = self._clock.now_ms()
        self._down = down
        self._gauge.set(down is None)

    @property
    def let_in(self) -> bool:
        """Whether our credentials are not known to be wrong. Without an answer another worker could not do better."""
        return self._down != _REFUSED

    @property
    def remark(self) -> str | None:
        """Why nothing is delivered; None while calls are answered."""
        if self._down is None:
            return None
        since = utc_text(self._since_ms // 1000)
        if self._down == _REFUSED:
            return f"Dotdigital refuses our credentials since {since}: check OWDD_DOTDIGITAL_USER and OWDD_DOTDIGITAL_PASSWORD"
        if self._down == _PERHAPS_REFUSED:
            return f"Dotdigital denies access since {since}: check OWDD_DOTDIGITAL_URL, and the API user's permissions"
        return f"Dotdigital does not answer since {since} ({self._down}): check OWDD_DOTDIGITAL_URL, or wait"
