"""Which generation of the joins a partition obeys, task by task, and how far it is with what was ordered of others.

A switch goes through the tasks in slices, in the order of their keys: those up to :attr:`GenerationsRow.after` obey the new
generation already, those behind still the one that leaves. Everything stands in one row, under the key ``g``; where nothing was
ever ordered there is none, and the first generation is obeyed.
"""

from functools import cache
from typing import Final

import msgspec

from streams.engine.unit_of_work import UnitOfWork
from streams.messages.topics import Topics

ROW: Final = b"g"


class Begun(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """A generation learns which follow-ups were done: those up to ``after`` it knows; the rest as in its order."""

    generation: int
    senders: tuple[str, ...]
    joins: tuple[str, ...]
    after: str = ""


class GenerationsRow(msgspec.Struct, array_like=True, gc=False):
    """What a partition remembers.

    Attributes:
        active: the generation that is obeyed.
        number: of its activation.
        kept: other generations, of which is kept what they want.
        leaving: while a switch is under way, the generation that is still obeyed behind ``after``.
        after: the last task that was switched.
        begun: what new generations must learn still.
        dropped: generations of which rows are left to delete.
    """

    active: int = 0
    number: int = 0
    kept: tuple[int, ...] = ()
    leaving: int | None = None
    after: str = ""
    begun: tuple[Begun, ...] = ()
    dropped: tuple[int, ...] = ()

    @property
    def known(self) -> tuple[int, ...]:
        """Every generation that works."""
        return (self.active, *self.kept)

    @property
    def busy(self) -> bool:
        """Whether slices are left to do."""
        return self.leaving is not None or bool(self.begun or self.dropped)

    def obeyed(self, task: str) -> int:
        """The generation that a task obeys."""
        return self.active if self.leaving is None or task <= self.after else self.leaving


_encode = msgspec.msgpack.Encoder().encode
read_generations = msgspec.msgpack.Decoder(GenerationsRow).decode
"""What is stored under :data:`ROW`."""


class UnitGenerations:
    """One unit's view of its partition's generations; :meth:`finish` writes it down."""

    def __init__(self, unit: UnitOfWork, topics: Topics) -> None:
        self._unit = unit
        self._topics = topics
        self._row: GenerationsRow | None = None
        self._before: bytes | None = None
        self.sliced = False
        """Whether a slice was done in this unit: one is enough, and two orders must not double the work for ever."""

    @property
    def row(self) -> GenerationsRow:
        """The partition's row."""
        if self._row is None:
            self._before = self._unit.get(ROW)
            self._row = GenerationsRow() if self._before is None else read_generations(self._before)
        return self._row

    def topics_of(self, task: str) -> Topics:
        """The topics of the joins that a task obeys."""
        return topics_of(self._topics, self.row.obeyed(task))

    def topics_of_all(self) -> list[Topics]:
        """The topics of all joins that work."""
        return [topics_of(self._topics, generation) for generation in self.row.known]

    def finish(self) -> None:
        """Write down what has changed."""
        if self._row is not None and (value := _encode(self._row)) != (self._before or _FIRST):
            self._unit.put(ROW, value)


_FIRST = _encode(GenerationsRow())


@cache
def topics_of(topics: Topics, generation: int) -> Topics:
    """The same application's topics, of which the joins are of that generation."""
    return topics.of_generation(generation)
