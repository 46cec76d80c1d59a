"""How a stage reads the changes of its topic, and how one document emits what follows from it."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from streams.engine.stage import Record
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import Change
from streams.messages.topics import ChangeTopic

C = TypeVar("C", bound=Change)
R = TypeVar("R")


def unpack_records(topic: ChangeTopic[C], records: Iterable[Record]) -> Iterator[C]:
    """The changes in ``records`` of ``topic``, in their order.

    Raises:
        RecordError: as :meth:`~streams.messages.topics.ChangeTopic.unpack`.
        msgspec.DecodeError: likewise.
    """
    for record in records:
        yield from topic.unpack(record.value)


@dataclass(frozen=True, slots=True)
class ChangeEmitter:
    """What one document emits in one unit: all at one position, in one lane, with one oldest cause."""

    unit: UnitOfWork
    position: bytes
    lane: int
    caused_at: int

    def emit(
        self,
        topic: ChangeTopic[C],
        kind: Callable[[str, int | str, bytes, int, int, R], C],
        key: str,
        pk: int | str,
        row: R,
    ) -> None:
        """Send a change of ``kind`` (its struct) with that content to the owner of ``key``, through ``topic``."""
        self.unit.emit(topic, kind(key, pk, self.position, self.lane, self.caused_at, row))
