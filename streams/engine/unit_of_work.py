"""One unit of work: a partition's records, the state rows that they touch, and what they cause.

A unit reads through its own writes, loads each row once and writes each touched row once; nothing leaves it until the stage
commits it.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar

import msgspec

from streams.core.errors import TooLargeError
from streams.messages.changes import Change, partition_of
from streams.messages.topics import ChangeTopic

T = TypeVar("T")
C = TypeVar("C", bound=Change)

MAX_CHANGES = 500
"""Changes in one packed record, at most."""
MAX_BYTES = 1_000_000
"""Size of a packed record, and of a state row: well below what any topic of ours takes (2 MiB at least)."""


class Reader(Protocol):
    """The state of one partition, as it was committed last."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The value of ``key``, or None."""

    def scan(self, partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys that begin with ``prefix`` and are greater than ``after``, ascending, with values."""


class UnitOfWork:
    """Reads, writes and outputs of one partition's work."""

    def __init__(self, partition: int, partitions: int, state: Reader, now_us: int) -> None:
        self.partition = partition
        self.now_us = now_us
        self.writes: dict[bytes, bytes | None] = {}
        self.last_writes: dict[bytes, bytes | None] = {}
        self.after: list[Callable[[], None]] = []
        self.partitions = partitions
        self._state = state
        # A topic and its changes belong together: emit saw to that.
        self._out: dict[tuple[ChangeTopic[Any], int], list[Any]] = defaultdict(list)
        self._raw: dict[tuple[str, int], list[tuple[bytes | None, bytes | None]]] = defaultdict(list)
        self._packed: list[tuple[tuple[str, int], list[tuple[bytes | None, bytes | None]]]] | None = None

    @property
    def now_ms(self) -> int:
        """When this unit began, in epoch milliseconds."""
        return self.now_us // 1000

    def get(self, key: bytes) -> bytes | None:
        """The value of a state row, this unit's writes included."""
        for written in (self.last_writes, self.writes):
            if key in written:
                return written[key]
        return self._state.get(self.partition, key)

    def put(self, key: bytes, value: bytes | None) -> None:
        """Write a state row; None deletes it. Rows reach the changelog in the order of their first write."""
        self.writes[key] = value

    def put_last(self, key: bytes, value: bytes | None) -> None:
        """Write a state row, but not before everything that the unit sends is acknowledged.

        For what keeps records from being handled again: if the worker ends before that, they must be.
        """
        self.last_writes[key] = value

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """State rows by prefix, those behind ``after``, as committed before this unit."""
        return self._state.scan(self.partition, prefix, after)

    def emit(self, topic: ChangeTopic[C], change: C) -> None:
        """Send ``change`` to the partition that owns its key, through ``topic``, which must carry its kind."""
        self._out[topic, partition_of(change.key, self.partitions)].append(change)

    def emit_to(self, topic: ChangeTopic[C], partition: int, change: C) -> None:
        """Send ``change`` to that partition, whatever its key, through ``topic``, which must carry its kind."""
        self._out[topic, partition].append(change)

    def emit_everywhere(self, topic: ChangeTopic[C], change: C) -> None:
        """Send ``change`` to every partition, through ``topic``, which must carry its kind."""
        for partition in range(self.partitions):
            self._out[topic, partition].append(change)

    def emit_here(self, topic: ChangeTopic[C], change: C) -> None:
        """Send ``change`` to the unit's own partition, through ``topic``, which must carry its kind."""
        self._out[topic, self.partition].append(change)

    def emit_raw(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        """Append one record as it is, whoever has the partition by then: its readers know what to make of a late one."""
        self._raw[topic, partition].append((key, value))

    def is_raw(self, place: tuple[str, int]) -> bool:
        """Whether what goes there is appended as it is."""
        return place in self._raw

    def on_commit(self, effect: Callable[[], None]) -> None:
        """Run ``effect`` once everything of this unit is durable: for indexes in memory."""
        self.after.append(effect)

    def close(self) -> None:
        """Nothing comes any more: pack what was emitted, and see that the topics take all of it.

        Raises:
            TooLargeError: ``row_too_large`` or ``change_too_large``. The broker would refuse it, now and at every attempt.
        """
        for key, value in self.writes.items():
            if value is not None and len(value) > MAX_BYTES:
                raise TooLargeError("row_too_large", f"a row of kind {chr(key[0])!r} has {len(value):,} bytes")
        self._packed = [((topic, partition), packed(topic, changes)) for (topic, partition), changes in self._out.items()]

    def outputs(self) -> Iterator[tuple[tuple[str, int], list[tuple[bytes | None, bytes | None]]]]:
        """What to append where; of a unit that was not closed, it is closed first.

        Raises:
            TooLargeError: as :meth:`close`.
        """
        if self._packed is None:
            self.close()
        yield from self._packed or ()
        yield from self._raw.items()


def packed(topic: ChangeTopic[C], changes: Sequence[C]) -> list[tuple[bytes | None, bytes | None]]:
    """Records of ``topic`` that carry ``changes`` in order, each bounded in number of changes and in bytes.

    Raises:
        TooLargeError: ``change_too_large``, one change alone is larger than that.
    """
    starts = range(0, len(changes), MAX_CHANGES)
    return [(None, value) for start in starts for value in _bounded(topic, changes[start : start + MAX_CHANGES])]


def _bounded(topic: ChangeTopic[C], changes: Sequence[C]) -> Iterator[bytes]:
    value = topic.pack(changes)
    if len(value) <= MAX_BYTES:
        yield value
    elif len(changes) == 1:
        raise TooLargeError("change_too_large", f"{changes[0].kind.name} has {len(value):,} bytes")
    else:
        # Rare, so it is cheaper to pack the halves again than to weigh every change.
        half = len(changes) // 2
        yield from _bounded(topic, changes[:half])
        yield from _bounded(topic, changes[half:])


@dataclass(slots=True)
class Codec(Generic[T]):
    """How a kind of state row is stored: key prefix, type, and what a missing row is."""

    prefix: str
    kind: type[T]
    _encode: Callable[[object], bytes] = msgspec.msgpack.Encoder().encode
    _decode: Callable[[bytes], T] | None = None

    def __post_init__(self) -> None:
        self._decode = msgspec.msgpack.Decoder(self.kind).decode

    def key(self, key: str) -> bytes:
        """The stored key of a row."""
        return f"{self.prefix}{key}".encode()

    def load(self, unit: UnitOfWork, key: str) -> T:
        """The row, or an empty one."""
        value = unit.get(self.key(key))
        return self.kind() if value is None else self.decode(value)

    def decode(self, value: bytes) -> T:
        """A stored row."""
        if self._decode is None:
            raise TypeError("the codec was not initialised")
        return self._decode(value)

    def encode(self, row: T) -> bytes:
        """A row as it is stored."""
        return self._encode(row)

    def save(self, unit: UnitOfWork, key: str, row: T) -> None:
        """Write the row."""
        unit.put(self.key(key), self._encode(row))
