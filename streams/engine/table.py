"""A Faust table that is written in batches.

Faust gives the table its changelog topic, its partition assignment and its recovery. Reads and writes go straight to the
partition's RocksDB: one write batch per unit of work, made only after the changelog batch was acknowledged, and together
with the changelog offset that Faust's recovery starts from. So the local state is never ahead of the changelog, and a
crash between the two costs a few records of recovery.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import faust
import rocksdict
import structlog

log = structlog.get_logger()

_OPTIONS = {"write_buffer_size": 16 * 2**20, "max_write_buffer_number": 2, "block_cache_size": 32 * 2**20}


class StateTable:
    """Key-value state, one RocksDB per partition, keyed by bytes."""

    def __init__(self, app: faust.App, name: str, partitions: int) -> None:
        self.name = name
        # Faust changes the options it is given, hence the copy.
        self.faust = app.Table(name, key_type=bytes, value_type=bytes, partitions=partitions, options=dict(_OPTIONS))
        self.changelog: str = self.faust.changelog_topic.get_topic_name()
        self._apply = self.faust.apply_changelog_batch
        self.faust.apply_changelog_batch = self._apply_own

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The value of ``key`` in a partition that this worker owns."""
        value: bytes | None = self._db(partition).get(key)
        return value

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys that begin with ``prefix``, ascending, with their values."""
        for key, value in self._db(partition).items(from_key=prefix):
            if not key.startswith(prefix):
                return
            yield key, value

    def write(self, partition: int, writes: Mapping[bytes, bytes | None], offset: int) -> None:
        """Apply ``writes`` (None deletes) whose changelog records end at ``offset``, in one atomic batch."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in writes.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        batch.put(self._store.offset_key, str(offset).encode())
        self._db(partition).write(batch)

    def _apply_own(self, batch: Iterable[Any]) -> None:
        """Apply recovered changelog records, but only of this table.

        While partitions move, Faust hands what is left in its queue to whichever table came last (a comment in its
        tables/recovery.py says so); rows and, worse, offsets of one table would end up in another.
        """
        own, foreign = [], 0
        for event in batch:
            if event.message.topic == self.changelog:
                own.append(event)
            else:
                foreign += 1
        if foreign:
            log.warning("dropped changelog records of other tables", table=self.name, records=foreign)
        self._apply(own)

    def owned(self) -> set[int]:
        """The partitions whose state is open on this worker."""
        return set(self._store._dbs)

    def size_bytes(self, partition: int) -> int:
        """Bytes on disk and in memory, as RocksDB estimates them."""
        db = self._db(partition)
        live = int(db.property_int_value("rocksdb.estimate-live-data-size") or 0)
        return live + int(db.property_int_value("rocksdb.cur-size-all-mem-tables") or 0)

    def rows(self, partition: int) -> int:
        """The number of keys, as RocksDB estimates it."""
        return int(self._db(partition).property_int_value("rocksdb.estimate-num-keys") or 0)

    @property
    def _store(self) -> Any:
        return self.faust.data

    def _db(self, partition: int) -> Any:
        return self._store._db_for_partition(partition)
