"""Whether the account is known well enough to create contacts in bulk: an import cannot look first."""

from collections.abc import Awaitable, Callable

import structlog

from streams.core.clock import Clock
from streams.dispatch.outbox.handler import ReadbackState
from streams.dotdigital.errors import DotdigitalError

log = structlog.get_logger()

_UNREAD_MS = 60_000
"""How long nobody is created in bulk after a reading failed."""
_FRESH_SECONDS = 60
"""How old a reading of Dotdigital's contacts may be when contacts are created in bulk."""


class ReadbackFreshness:
    """Knows how old the last reading is, and has another one made; ``request`` returns its watermark (UTC epoch seconds)."""

    def __init__(self, readback: ReadbackState, request: Callable[[], Awaitable[int]], clock: Clock) -> None:
        self._readback = readback
        self._request = request
        self._clock = clock
        self._unread_until = 0
        self._watermark_to_come = 0

    @property
    def known(self) -> bool:
        """Whether it is known at all who exists."""
        return self._readback.complete_until() is not None and self._clock.now_ms() >= self._unread_until

    async def fresh(self) -> bool:
        """Whether even a person who signed up a moment ago is known; if not, a reading is made, and the answer is later.

        Raises:
            aiokafka.errors.KafkaError: what was read could not be written down; the worker must end.
        """
        watermark, now = self._readback.complete_until(), self._clock.now_ms() / 1000
        if watermark is not None and now - watermark < _FRESH_SECONDS:
            return True
        # The reading's watermark comes round through Kafka; until it is here, another reading would find the same.
        if now - self._watermark_to_come >= _FRESH_SECONDS:
            try:
                self._watermark_to_come = await self._request()
            except DotdigitalError as error:
                self._unread_until = self._clock.now_ms() + _UNREAD_MS
                log.warning("read-back before an import failed", operation=error.operation)
        return False
