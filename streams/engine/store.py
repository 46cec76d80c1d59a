"""One partition's state on disk: a RocksDB that knows how far into its changelog it is.

Rows and the note of the changelog offset that they stand for are written in one atomic batch. Whatever ends the process, the
rows are those of the changelog up to the noted offset. A store without a note was left by an older version, whose recovery
could lose rows; it is emptied when it is opened, and read again from the changelog.

A store with damaged files is moved aside when it is opened, and read again from the changelog too. RocksDB finds most damage
only when it reads the block: then the worker must end, and a mark beside the store lets the next start move it aside.
"""

import asyncio
import gc
import shutil
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
import rocksdict
import structlog

from streams.engine.row_index import Lookup, RowIndex
from streams.engine.store_errors import DamagedStoreError, StoreError, store_error

log = structlog.get_logger()

ENGINE = b"\x00"
"""What keys of the engine's own rows begin with; those of a stage are text. Both are in the changelog."""

_LOCAL = ENGINE * 2
"""What keys begin with that only a store has."""
_NOTE = _LOCAL + b"note"
_STALE = _LOCAL + b"stale:"
_OLDER_OFFSET = b"__faust\0offset__"
_FORMAT = 2
_BLOOM_BITS = 3
_BUFFER_BYTES = 16 * 2**20
_TABLE_BYTES = 64 * 2**20
_OPEN_TABLES = 64
"""Table files that stay open; RocksDB's default is all of them, so that a state would need more the larger it is."""
MOST_FILES = _OPEN_TABLES + 8
"""Files that a store has open at most: its tables, log, lock, manifest and directory."""

_STALL = "Write stall"
_ROOM_SECONDS = 0.02
_SLOW_SECONDS = 10.0
"""A write that waits so long for the disk is logged, and again every time that so much has passed."""


@dataclass(frozen=True, slots=True)
class StorePosition:
    """How far a store is.

    Attributes:
        offset: the changelog offset of the last record applied; -1 for none.
        written_in: the writer's epoch of that record; two logs that differ there differ in this too.
        epoch: the highest writer's epoch among the records applied; 0 for none.
        synced_ms: no tombstone that was compacted away before this time is missed (UTC epoch milliseconds).
    """

    offset: int = -1
    written_in: int = 0
    epoch: int = 0
    synced_ms: int = 0


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[int, int, int, int, int]).decode


class _BusyError(Exception):
    """RocksDB takes no write now: what it took before is not on disk yet."""


class Store:
    """Rows of one partition of one table, keyed by bytes; ``lookup``: by what they are found besides.

    Raises:
        StoreError: RocksDB cannot open, read or write its files, or another process uses them; the worker must end.
    """

    def __init__(self, path: Path, lookup: Lookup | None = None) -> None:
        self._path = path
        self._lookup = lookup
        self._reads_open = 0
        if _mark_of(path).exists():
            self._set_aside("a read failed")
        try:
            self._begin()
        except DamagedStoreError as error:
            self._set_aside(str(error))
            self._begin()

    def _begin(self) -> None:
        self._db = _open(self._path)
        note = self._read_note()
        self.note = note or StorePosition()
        self._index = self._new_index()
        if note is None and any(True for _ in self._read(b"")):
            self.empty()

    def _new_index(self) -> RowIndex | None:
        return None if self._lookup is None else RowIndex(self._lookup, self, self.note.offset)

    def _set_aside(self, error: str) -> None:
        """Keep the files for whoever looks into the damage, the last of them only; state is read again from the changelog."""
        aside = self._path.with_suffix(".damaged")
        log.error("state is damaged; it is moved aside and read anew", directory=str(self._path), aside=str(aside), error=error)
        # A database that was opened with damage in it holds its lock until it is collected.
        gc.collect()
        shutil.rmtree(aside, ignore_errors=True)
        self._path.rename(aside)
        _mark_of(self._path).unlink(missing_ok=True)

    def get(self, key: bytes) -> bytes | None:
        """The value of ``key``."""
        try:
            value: bytes | None = self._db.get(key)
        except Exception as error:
            raise _failure(self._path, error) from error
        return value

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Rows whose keys begin with ``prefix`` and are greater than ``after``, ascending."""
        for key, value in self._read(max(prefix, after + b"\0") if after else prefix):
            if not key.startswith(prefix):
                return
            if not key.startswith(_LOCAL):
                yield key, value

    def keys(self, prefix: bytes) -> Iterator[bytes]:
        """All keys that begin with ``prefix``, ascending, those included that only this store has."""
        for key, _ in self._read(prefix):
            if not key.startswith(prefix):
                return
            yield key

    def _read(self, start: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys from ``start`` on, ascending, with their values, those included that only this store has."""
        self._reads_open += 1
        try:
            yield from _items(self._db, start, self._path)
        finally:
            self._reads_open -= 1

    def find(self, hash_: str) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose term has this hash, with their keys; the index must have been made."""
        if self._index is None or not self._index.whole:
            raise ValueError(f"{self._path} has no index")
        return self._index.find(hash_)

    def make_index(self) -> Iterator[None]:
        """Make the index, if there is to be one and it is not whole, slice by slice; nothing may be written meanwhile."""
        if self._index is not None:
            yield from self._index.make(self.note.offset)

    def write(self, writes: Mapping[bytes, bytes | None], note: StorePosition, *, stale: Iterable[bytes] = ()) -> None:
        """Apply ``writes`` (None deletes), which bring the store to ``note``, in one atomic batch.

        ``stale`` are keys whose last changelog record must be superseded by the row that the store holds; a write does that.
        On a slow disk RocksDB waits, and the whole process with it: rocksdict keeps Python's lock meanwhile.
        """
        self._apply(writes, note, stale)

    async def write_in_turn(
        self, writes: Mapping[bytes, bytes | None], note: StorePosition, *, stale: Iterable[bytes] = ()
    ) -> None:
        """As :meth:`write`, but the event loop goes on while RocksDB waits for the disk."""
        keys, since, logged = tuple(stale), time.monotonic(), 0
        while True:
            try:
                self._apply(writes, note, keys, _at_once)
            except _BusyError:
                waited = time.monotonic() - since
                if waited // _SLOW_SECONDS > logged:
                    logged += 1
                    log.warning("state waits for the disk", directory=str(self._path), seconds=round(waited))
                await asyncio.sleep(_ROOM_SECONDS)
            else:
                return

    def _apply(
        self,
        writes: Mapping[bytes, bytes | None],
        note: StorePosition,
        stale: Iterable[bytes],
        options: rocksdict.WriteOptions | None = None,
    ) -> None:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key, value in writes.items():
            if value is None:
                batch.delete(key)
            else:
                batch.put(key, value)
        for key in stale:
            batch.put(_STALE + key, b"")
        batch.put(_NOTE, _encode((_FORMAT, note.offset, note.written_in, note.epoch, note.synced_ms)))
        if self._index is not None:
            self._index.follow(batch, writes, note.offset)
        try:
            self.commit(batch, options)
        except _BusyError:
            if self._index is not None:
                self._index.undo()
            raise
        self.note = note

    def commit(self, batch: rocksdict.WriteBatch, options: rocksdict.WriteOptions | None = None) -> None:
        """Apply a batch as it is."""
        try:
            self._db.write(batch, options)
        except Exception as error:
            if options is _at_once and _STALL in str(error):
                raise _BusyError from None
            raise _failure(self._path, error) from error

    def stale(self) -> list[bytes]:
        """Keys that were written by an outdated writer, and not superseded since."""
        found = []
        for key, _ in self._read(_STALE):
            if not key.startswith(_STALE):
                break
            found.append(key[len(_STALE) :])
        return found

    def superseded(self, keys: Iterable[bytes]) -> None:
        """Forget that ``keys`` were stale."""
        batch = rocksdict.WriteBatch(raw_mode=True)
        for key in keys:
            batch.delete(_STALE + key)
        self.commit(batch)

    def verify(self) -> bool:
        """Whether the note on disk is the one in memory."""
        return self._read_note() == self.note

    def empty(self) -> None:
        """Throw everything away, and go on with nothing."""
        self.destroy()
        self._db = _open(self._path)
        self.note = StorePosition()
        self._index = self._new_index()

    def destroy(self) -> None:
        """Throw everything away."""
        self.close()
        shutil.rmtree(self._path)

    def sibling(self, name: str) -> "Store":
        """An empty store beside this one, for what is compared with it."""
        other = Store(self._path.with_suffix(f".{name}"))
        other.empty()
        return other

    def close(self) -> None:
        """Free the files."""
        self._db.close()
        if self._reads_open:
            # A read that nobody finished keeps the database open until it is collected. This takes long, so not at every close.
            gc.collect()

    def size_bytes(self) -> int:
        """Bytes on disk and in memory, as RocksDB estimates them."""
        names = ("rocksdb.estimate-live-data-size", "rocksdb.cur-size-all-mem-tables")
        return sum(int(self._db.property_int_value(name) or 0) for name in names)

    def rows(self) -> int:
        """The number of keys, as RocksDB estimates it, without those of the index."""
        entries = 0 if self._index is None else self._index.entries
        return max(0, int(self._db.property_int_value("rocksdb.estimate-num-keys") or 0) - entries)

    def _read_note(self) -> StorePosition | None:
        value = self.get(_NOTE)
        return None if value is None else _decode_note(value)


def read_only(path: Path) -> tuple[StorePosition, Iterator[tuple[bytes, bytes]]]:
    """Note and rows of a store that another process may have open, also of one that an older version wrote."""
    db = rocksdict.Rdict(str(path), rocksdict.Options(raw_mode=True), access_type=rocksdict.AccessType.read_only(False))
    value, older = db.get(_NOTE), db.get(_OLDER_OFFSET)
    note = _decode_note(value) if value is not None else StorePosition(-1 if older is None else int(older))
    return note or StorePosition(), (
        (key, value) for key, value in _items(db, b"", path) if key != _OLDER_OFFSET and not key.startswith(_LOCAL)
    )


def _items(db: rocksdict.Rdict, start: bytes, path: Path) -> Iterator[tuple[bytes, bytes]]:
    """Keys from ``start`` on, ascending, with their values. rocksdict's iterators end at a damaged block as if all was read."""
    last = start
    for last, value in db.items(from_key=start):
        yield last, value
    try:
        rest = db.iter()
        rest.seek(last)
        if rest.valid() and rest.key() == last:
            rest.next()
        rest.status()
    except Exception as error:
        raise _failure(path, error) from error


def _failure(path: Path, error: Exception) -> StoreError:
    failure = store_error(path, error)
    if isinstance(failure, DamagedStoreError):
        _mark_of(path).touch()
    return failure


def _mark_of(path: Path) -> Path:
    """The file that says, while it is there, that the store at ``path`` was found damaged."""
    return path.with_suffix(".found-damaged")


def _decode_note(value: bytes) -> StorePosition | None:
    version, *fields = _decode(value)
    return StorePosition(*fields) if version == _FORMAT else None


_at_once = rocksdict.WriteOptions()
_at_once.no_slowdown = True

# Shared by all stores of the process: a worker has one for each table and partition, and bounds of their own would add up to
# gigabytes.
_block_cache = rocksdict.Cache(128 * 2**20)
_write_buffers = rocksdict.WriteBufferManager(96 * 2**20, allow_stall=False)


def _open(path: Path) -> rocksdict.Rdict:
    path.parent.mkdir(parents=True, exist_ok=True)
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    options.set_max_open_files(_OPEN_TABLES)
    options.set_write_buffer_size(_BUFFER_BYTES)
    options.set_max_write_buffer_number(2)
    options.set_write_buffer_manager(_write_buffers)
    options.set_target_file_size_base(_TABLE_BYTES)
    blocks = rocksdict.BlockBasedOptions()
    blocks.set_bloom_filter(_BLOOM_BITS, block_based=True)
    blocks.set_block_cache(_block_cache)
    options.set_block_based_table_factory(blocks)
    try:
        return rocksdict.Rdict(str(path), options)
    except Exception as error:
        raise store_error(path, error) from error


def differences(one: Store, other: Store) -> Iterator[tuple[bytes, bytes | None, bytes | None]]:
    """The keys whose rows differ, ascending, with both values; None where there is no row."""
    mine, theirs = one.scan(b""), other.scan(b"")
    left, right = next(mine, None), next(theirs, None)
    while left is not None or right is not None:
        if right is None or (left is not None and left[0] < right[0]):
            assert left is not None
            yield left[0], left[1], None
            left = next(mine, None)
        elif left is None or right[0] < left[0]:
            yield right[0], None, right[1]
            right = next(theirs, None)
        else:
            if left[1] != right[1]:
                yield left[0], left[1], right[1]
            left, right = next(mine, None), next(theirs, None)
