"""Shares: which part of what the whole account may do belongs to this worker.

Calls are dealt out to the partitions one by one, round and round, and a worker has what its partitions were dealt. So the
parts of all workers add up to the whole exactly, without a word between them, and a worker with few partitions gets whole
calls when its turn comes.
"""

from collections.abc import Callable, Collection


class PartitionShare:
    """The part of a worker that owns some of the partitions; ``owned`` is asked every time, since they come and go."""

    def __init__(self, owned: Callable[[], Collection[int]], partitions: int) -> None:
        self._owned = owned
        self._partitions = partitions

    @property
    def fraction(self) -> float:
        """Owned partitions over all, 0 to 1."""
        return len(self._owned()) / self._partitions

    def of(self, total: int, turn: int = 0) -> int:
        """This worker's whole calls of ``total``; those that do not divide go to other partitions in the next ``turn``."""
        owned = self._owned()
        each, more = divmod(total, self._partitions)
        first = turn * total % self._partitions
        return each * len(owned) + sum((partition - first) % self._partitions < more for partition in owned)

    def covers(self, total: int) -> bool:
        """Whether every partition gets something of ``total`` in every turn."""
        return total >= self._partitions
