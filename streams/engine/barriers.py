"""Barriers: how a stage learns that all of something has come, though it came through many partitions.

A barrier stands in every partition of a topic behind everything that it is about. A stage partition that has it from every
partition of those who write to it misses nothing, and passes its own on, behind what followed from all that came before.
"""

from collections.abc import Collection

import msgspec

from streams.engine.unit_of_work import UnitOfWork
from streams.messages.barriers import BarrierChange

_PREFIX = "|"
_SWEPT = b"|"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(set[tuple[str, int, int]]).decode


def completes(unit: UnitOfWork, barrier: BarrierChange, senders: Collection[str]) -> bool:
    """Whether the barrier is the last one missing of all ``senders``; once for what it is about, however often it is sent."""
    key, row = f"{_PREFIX}{barrier.pk}".encode(), barrier.row
    stored = unit.get(key)
    came = set() if stored is None else _decode(stored)
    before = len(came)
    came.add((row.sender, row.partition, row.partitions))
    if len(came) == before:
        return False
    # Last: if what follows from the barrier is lost with the worker, the barrier must be handled again.
    unit.put_last(key, _encode(sorted(came)))
    missing = {sender: partitions for sender, _, partitions in came}
    for sender, _, _ in came:
        missing[sender] -= 1
    return all(missing.get(sender) == 0 for sender in senders)


def note_sweep(unit: UnitOfWork) -> None:
    """A sweep goes on: what is left of it stands behind the barriers that were passed on before."""
    if unit.get(_SWEPT) is None:
        unit.put(_SWEPT, b"")


def reopened(unit: UnitOfWork, barrier: BarrierChange, own: str) -> bool:
    """Whether a sweep has gone on since the round before; then the round is open until the stage's ``own`` comes again."""
    if unit.get(_SWEPT) is None:
        return False
    unit.put(_SWEPT, None)
    key = f"{_PREFIX}{barrier.pk}".encode()
    came = _decode(unit.get(key) or _encode([]))
    unit.put_last(key, _encode(sorted(one for one in came if one[:2] != (own, unit.partition))))
    return True


def note_over(unit: UnitOfWork, about: str) -> None:
    """The last round was passed on from here."""
    unit.put_last(f"{_PREFIX}{about}".encode(), b"")


def is_over(unit: UnitOfWork, about: str) -> bool:
    """Whether the last round was passed on from here."""
    return unit.get(f"{_PREFIX}{about}".encode()) is not None
