"""How one document speaks, and what a stage hears."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from streams.engine.stage import Record
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import Change, ChangeKind, Message, unpack


def unpack_records(records: Iterable[Record]) -> Iterator[Change]:
    """The changes in ``records``, in their order."""
    for record in records:
        yield from unpack(record.value or b"")


@dataclass(frozen=True, slots=True)
class ChangeEmitter:
    """What one document tells in one unit: all at one position, in one lane, with one oldest cause."""

    unit: UnitOfWork
    position: bytes
    lane: int
    caused_at: int

    def emit(self, topic: str, kind: ChangeKind, key: str, pk: int | str, row: Message | None) -> None:
        """Tell the owner of ``key``, through ``topic``."""
        self.unit.emit(topic, Change(kind, key, pk, self.position, self.lane, self.caused_at, row))
