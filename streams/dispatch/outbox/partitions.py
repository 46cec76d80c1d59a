"""The partitions of this worker: since when it has them, behind which fence, and how much of the account each knows."""

import asyncio
from collections.abc import Callable, Collection
from functools import partial
from uuid import uuid4

import msgspec

from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.deliveries import PartitionResumed

WATERMARK = b"w"

_encode = msgspec.msgpack.Encoder().encode
_decode_int = msgspec.msgpack.Decoder(int).decode


class OwnedPartitions:
    """``taken_over`` is set when there are events to write, see :meth:`resuming`."""

    def __init__(self, queue: DeliveryQueue) -> None:
        self._queue = queue
        self._opened_at: dict[int, int] = {}
        self._watermarks: dict[int, int] = {}
        self._fences: dict[int, str] = {}
        self._assigned: Callable[[], Collection[int]] = tuple
        self.taken_over = asyncio.Event()

    def recovered(self, partition: int, table: StateTable) -> None:
        """Take a partition over; its tasks stay behind a fence until everything that was answered before has been read."""
        self._queue.fence(partition)
        self._assigned = table.assigned
        # A fence of its own for every takeover: that of the worker before must not open the partition for this one.
        self._fences[partition] = uuid4().hex
        self.taken_over.set()
        self._opened_at[partition] = self._queue.now_ms()
        if (mark := table.get(partition, WATERMARK)) is not None:
            self._watermarks[partition] = _decode_int(mark)

    def revoked(self) -> None:
        """Forget all of them."""
        self._opened_at.clear()
        self._watermarks.clear()
        self._fences.clear()

    def resuming(self) -> list[tuple[int, PartitionResumed]]:
        """Events to write behind those of the worker before, by partition; each lifts its partition's fence when it is read."""
        self.taken_over.clear()
        now = self._queue.now_ms()
        return [(partition, PartitionResumed(at=now, fence=fence)) for partition, fence in self._fences.items()]

    def resume(self, unit: UnitOfWork, fence: str) -> None:
        """Such an event was read; only this worker's own lifts the fence."""
        if self._fences.get(unit.partition) == fence:
            unit.on_commit(partial(self._lift_fence, unit.partition))

    def _lift_fence(self, partition: int) -> None:
        self._fences.pop(partition, None)
        self._queue.lift_fence(partition)

    def opened_at(self, partition: int) -> int:
        """Since when this worker has the partition (epoch ms); 0: it was never taken over."""
        return self._opened_at.get(partition, 0)

    def set_watermark(self, unit: UnitOfWork, upto: int) -> None:
        """The unit's partition knows everything that Dotdigital had until ``upto`` (UTC epoch seconds)."""
        unit.put(WATERMARK, _encode(upto))

        def remember() -> None:
            self._watermarks[unit.partition] = upto

        unit.on_commit(remember)

    def complete_until(self) -> int | None:
        """Until when every partition of this worker knows what Dotdigital has (UTC epoch seconds); None: not wholly read."""
        # Partitions are opened one by one: what another of ours will know counts too.
        assigned = self._assigned()
        if not assigned or set(assigned) - self._watermarks.keys():
            return None
        return min(self._watermarks.values())
