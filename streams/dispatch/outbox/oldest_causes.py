"""Since when the oldest change of a lane waits for its delivery."""

import heapq
from collections.abc import Iterator, Mapping

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_task import DeliveryTask

_FEW = 64


class OldestCauses:
    """A heap per lane. What a task no longer is stays in it until it comes to the top, or until half of a heap is such."""

    def __init__(self, tasks: Mapping[str, DeliveryTask]) -> None:
        self._tasks = tasks
        self._heaps: dict[Lane, list[tuple[int, str]]] = {lane: [] for lane in Lane}

    def note(self, task: DeliveryTask) -> None:
        """The task is new, or has another cause or lane."""
        if not _counts(task):
            return
        heap = self._heaps[task.lane]
        heapq.heappush(heap, (task.caused_at, task.key))
        if len(heap) > 2 * len(self._tasks) + _FEW:
            heap[:] = {entry for entry in heap if self._holds(task.lane, *entry)}
            heapq.heapify(heap)

    def oldest(self) -> Iterator[tuple[Lane, int | None]]:
        """Every lane, and when the oldest undelivered change of it was appended to Kafka (epoch ms); None: there is none."""
        for lane, heap in self._heaps.items():
            while heap and not self._holds(lane, *heap[0]):
                heapq.heappop(heap)
            yield lane, heap[0][0] if heap else None

    def clear(self) -> None:
        """There is no task any more."""
        for heap in self._heaps.values():
            heap.clear()

    def _holds(self, lane: Lane, caused_at: int, key: str) -> bool:
        task = self._tasks.get(key)
        return task is not None and (task.lane, task.caused_at) == (lane, caused_at) and _counts(task)


def _counts(task: DeliveryTask) -> bool:
    # A timer delivers nothing, and a removal may wait for a person: it has an alert of its own.
    return task.caused_at > 0 and not (task.timer or task.patient) and task.removal is None
