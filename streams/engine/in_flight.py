"""What a worker has taken from Kafka and not done yet, bounded in bytes.

Queues that are bounded in records hold gigabytes when records are large: a record packs up to a megabyte of changes. So a
record is delivered to its stage only while what was delivered before it, and is not acknowledged, leaves room.
"""

import asyncio
from typing import Any

MOST_BYTES = 16 * 2**20
"""Several units of work; what waits beyond it waits in Kafka."""

_OVERHEAD = 2_048
"""Bytes that a record takes besides its value, as Faust's message and event."""


class InFlight:
    """Records that were delivered and not acknowledged, by place and generation, with their bytes."""

    def __init__(self, most: int = MOST_BYTES) -> None:
        self._most = most
        self._taken: dict[tuple[Any, int, int], int] = {}
        self._freed = asyncio.Event()
        self.bytes = 0

    async def take(self, message: Any) -> None:
        """Wait until there is room for ``message``, and count it. One that is larger than all the room goes alone."""
        size = len(message.value or b"") + _OVERHEAD
        while self._taken and self.bytes + size > self._most:
            self._freed.clear()
            await self._freed.wait()
        self.release(message)
        self._taken[message.tp, message.offset, message.generation_id] = size
        self.bytes += size

    def release(self, message: Any) -> None:
        """``message`` is acknowledged; one that was forgotten since is not counted any more."""
        self.bytes -= self._taken.pop((message.tp, message.offset, message.generation_id), 0)
        self._freed.set()

    def forget(self) -> None:
        """Everything will be delivered again: what was taken is thrown away, unacknowledged."""
        self._taken.clear()
        self.bytes = 0
        self._freed.set()
