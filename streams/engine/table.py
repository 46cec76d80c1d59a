"""A table: the state of one stage, partition by partition, with a changelog in Kafka.

Reads and writes go straight to the partition's RocksDB: one write batch per unit of work, made only after the changelog batch
was acknowledged, and together with its offset. So the local state is never ahead of the changelog, and a crash between the two
costs a few records of recovery.
"""

import asyncio
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from streams.engine.changelog import Changelog
from streams.engine.row_index import Lookup
from streams.engine.store import Store, StorePosition


class StateTable:
    """Key-value state, one RocksDB per partition, keyed by bytes; ``lookup``: by what rows are found besides."""

    def __init__(self, directory: Path, app_id: str, name: str, lookup: Lookup | None = None) -> None:
        self.name = name
        self._lookup = lookup
        self.changelog = f"{app_id}-{name}-changelog"
        self._directory = directory
        self._stores: dict[int, Store] = {}
        self._open: dict[int, Changelog] = {}
        self._assigned: set[int] = set()

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The value of ``key`` in a partition that this worker owns."""
        return self._open[partition].store.get(key)

    def scan(self, partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys that begin with ``prefix`` and are greater than ``after``, ascending, with their values."""
        return self._open[partition].store.scan(prefix, after)

    def find(self, partition: int, hash_: str) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose term of the table's lookup has this hash, with their keys."""
        return self._open[partition].store.find(hash_)

    async def append(self, partition: int, writes: Mapping[bytes, bytes | None]) -> StorePosition | None:
        """Append ``writes`` (None deletes) to the changelog; what :meth:`write` is to be given with them, None without writes.

        Raises:
            LogMovedOnError: the log does not end where this worker thinks.
            aiokafka.errors.KafkaError: the broker did not acknowledge.
        """
        return await self._open[partition].append(writes) if writes else None

    def log(self, partition: int) -> Changelog:
        """The changelog of a partition that is open."""
        return self._open[partition]

    async def write(self, partition: int, writes: Mapping[bytes, bytes | None], note: StorePosition) -> None:
        """Apply what was appended, in one atomic batch."""
        await self._open[partition].store.write_in_turn(writes, note)

    def owned(self) -> set[int]:
        """The partitions whose state is open on this worker."""
        return set(self._open)

    def assigned(self) -> set[int]:
        """The partitions that are this worker's, opened or not."""
        return set(self._assigned)

    def store(self, partition: int) -> Store:
        """The partition's store, opened or not."""
        if partition not in self._stores:
            self._stores[partition] = Store(self._directory / f"{self.name}-{partition}.db", self._lookup)
        return self._stores[partition]

    def open(self, partition: int, log: Changelog) -> None:
        """The partition's store holds all of its changelog, which nobody else writes."""
        self._open[partition] = log

    async def assign(self, partitions: Collection[int]) -> None:
        """These partitions are this worker's: close all others, with a turn of the event loop after each."""
        self._assigned = set(partitions)
        for partition in self._stores.keys() - self._assigned:
            self._open.pop(partition, None)
            self._stores.pop(partition).close()
            # What is in memory only was written to disk.
            await asyncio.sleep(0)

    def size_bytes(self, partition: int) -> int:
        """Bytes on disk and in memory, as RocksDB estimates them."""
        return self._open[partition].store.size_bytes()

    def rows(self, partition: int) -> int:
        """The number of keys, as RocksDB estimates it."""
        return self._open[partition].store.rows()
