"""Canaries that reached the outbox, the last step before a call: the newest of each partition."""

from collections.abc import Iterator


class Canaries:
    """When the newest of each partition of this worker began (epoch ms); at least since the partition was taken over."""

    def __init__(self) -> None:
        self._newest: dict[int, int] = {}

    def recovered(self, partition: int, now_ms: int) -> None:
        """The partition is this worker's."""
        self._newest[partition] = now_ms

    def revoked(self) -> None:
        """Partitions may have gone to another worker."""
        self._newest.clear()

    def arrived(self, partition: int, began_ms: int) -> None:
        """One has come through."""
        self._newest[partition] = max(began_ms, self._newest.get(partition, began_ms))

    def ages(self, now_ms: int) -> Iterator[tuple[int, float]]:
        """Seconds since the newest began, by partition."""
        return ((partition, max(0, now_ms - began) / 1000) for partition, began in self._newest.items())
