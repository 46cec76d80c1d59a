"""What an outdated worker emits is recognised by the stage that reads it.

A worker that is stopped between the write to its changelog and the emission that follows emits late, when it wakes: after the
worker that took over has emitted something newer. So emitted records name the changelog partition that they follow from, with
the writer's epoch. A stage keeps the highest epoch of each, and leaves out what comes with a lower one: the worker with the
higher epoch began where the other had acknowledged, and emitted the same again.

The highest epoch is written last. A stage that ends before all that it sent is acknowledged reads its records again, and those
of the lower epoch that came first are in force as they were: nothing else brings back what followed from them.
"""

from collections.abc import Sequence
from typing import Protocol, TypeVar

from streams.engine.changelog import Changelog
from streams.engine.store import ENGINE
from streams.engine.unit_of_work import UnitOfWork
from streams.kafka.producer import Headers

_WRITER = "writer"
_SEEN = ENGINE + b"writer:"


class Headed(Protocol):
    """A record, as far as its headers are concerned."""

    @property
    def headers(self) -> Sequence[tuple[str, bytes]] | None:
        """Names and values."""


R = TypeVar("R", bound=Headed)


def writer_headers(log: Changelog) -> Headers:
    """The headers of what follows from rows in ``log``."""
    return [(_WRITER, f"{log.topic}/{log.partition}/{log.epoch}".encode())]


def is_outdated(unit: UnitOfWork, headers: Sequence[tuple[str, bytes]] | None) -> bool:
    """Whether a record was emitted by a worker whose successor was read before; the unit writes last who was seen."""
    writer = next((value for name, value in headers or () if name == _WRITER), None)
    if writer is None:
        return False
    origin, _, epoch = writer.rpartition(b"/")
    key = _SEEN + origin
    seen = int(unit.get(key) or 0)
    if int(epoch) > seen:
        unit.put_last(key, epoch)
    return int(epoch) < seen


def in_force(unit: UnitOfWork, records: Sequence[R]) -> list[R]:
    """Those of ``records`` that are not outdated, in order."""
    return [record for record in records if not is_outdated(unit, record.headers)]
