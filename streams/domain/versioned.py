"""A stored fact and the position of the row version that produced it: replace, never increment.

Positions are bytes that compare in order: a source position (:mod:`streams.capture.position`) for captured rows, a row
version of ours (:func:`version_bytes`) for what one stage publishes to the next. The two never meet in one cell.
"""

from typing import Any, Generic, TypeVar

import msgspec

from streams.messages.changes import Change

T = TypeVar("T")


class Versioned(msgspec.Struct, Generic[T], array_like=True, frozen=True, gc=False):
    """A fact, or the memory that it was deleted (``row`` None), with its position."""

    position: bytes
    row: T | None


def is_not_older(cell: Versioned[T] | None, position: bytes) -> bool:
    """Whether a fact at ``position`` may be written over ``cell``.

    A lower position is an older version: skip. An equal one is written again, because the first write may not have
    reached the changelog before a crash, nor its consequences the next stage.
    """
    return cell is None or position >= cell.position


def merged(old: Versioned[Any] | None, change: Change) -> Versioned[Any]:
    """The cell after ``change``; fields that the source left out are kept from the row before."""
    new = change.row
    # A database that leaves large columns out of an update which did not change them must not empty them here.
    if change.keep and isinstance(new, msgspec.Struct) and old is not None and old.row is not None:
        new = msgspec.structs.replace(new, **{field: getattr(old.row, field) for field in change.keep})
    return Versioned(change.position, new)


def next_version(current: int, now_us: int) -> int:
    """The version of a row's next write: a hybrid logical clock in microseconds.

    It rises with every write, survives restarts because it is stored in the row, and is above what a paused worker
    computed before its partitions went to another, as long as clocks differ by less than the pause. A table that is
    rebuilt from nothing therefore also outranks what it published before.
    """
    return max(current + 1, now_us)


def version_bytes(version: int) -> bytes:
    """A version as a position."""
    return version.to_bytes(8, "big")
