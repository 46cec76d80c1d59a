"""Barriers that go through the joins in rounds (:class:`~streams.messages.barriers.Barrier`), the last one to the outbox."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from msgspec.structs import replace

from streams.engine.barriers import completes, note_over, note_sweep, reopened
from streams.engine.stage import Record
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.barriers import LAST_ROUND, BarrierChange, generation_of, of_generation, round_of
from streams.messages.changes import Change, ChangeKind
from streams.messages.frozen_orders import BARRIER_KEY
from streams.messages.topics import ChangeTopic, Topics

C = TypeVar("C", bound=Change)

_SWEEPS = (ChangeKind.SWEEP, ChangeKind.RECIPIENTS_SWEEP)


class BarrierRounds:
    """The rounds that one unit of ``stage`` completes; in the first generation there are none."""

    def __init__(self, unit: UnitOfWork, stage: str, topics: Topics, last: Callable[[UnitOfWork], None] | None = None) -> None:
        """``last`` is called before the last barrier goes to the outbox: for what must stand before it there."""
        self._unit = unit
        self._last = last
        self._stage = stage
        self._own: ChangeTopic[Any] = getattr(topics, stage)
        self._topics = topics
        self._complete: list[BarrierChange] = []
        self._first: list[BarrierChange] = []
        self._swept = False

    def taken_from(self, changes: Iterable[C]) -> Iterator[C]:
        """The changes but for barriers."""
        for change in changes:
            if not isinstance(change, BarrierChange):
                self._swept = self._swept or change.kind in _SWEEPS
                yield change
            elif completes(self._unit, change, change.row.senders):
                self._complete.append(change)

    def frozen_orders_in(self, records: Iterable[Record]) -> Iterator[Record]:
        """The records of topic ``frozen-orders`` but for barriers; only this stage reads it, so it sends them to all others."""
        for record in records:
            if record.key != BARRIER_KEY:
                yield record
                continue
            barriers = (change for change in self._topics.orders.unpack(record.value) if isinstance(change, BarrierChange))
            self._first += (one for one in barriers if generation_of(one) == self._topics.desired.generation)

    def pass_on(self) -> None:
        """Begin the next rounds; to be called behind everything else that the unit emits."""
        if self._swept and self._topics.desired.generation:
            note_sweep(self._unit)
        for barrier in self._first:
            for stage in barrier.row.joins:
                self._unit.emit_everywhere(getattr(self._topics, stage), barrier)
        for barrier in self._complete:
            self._pass(barrier)

    def _pass(self, barrier: BarrierChange) -> None:
        unit, row = self._unit, barrier.row
        mine = replace(row, sender=self._stage, partition=unit.partition, partitions=unit.partitions)
        # Round 0 comes from others. What sweeps before it goes on before this stage's own barrier of the next one is here.
        if row.round and reopened(unit, barrier, self._stage):
            unit.emit_here(self._own, self._change(barrier, mine))
            return
        mine = replace(mine, senders=row.joins)
        if row.round == LAST_ROUND:
            if self._last is not None:
                self._last(unit)
            note_over(unit, of_generation(self._topics.desired.generation))
            unit.emit_everywhere(self._topics.desired, self._change(barrier, replace(mine, round=0)))
            return
        for stage in row.joins:
            unit.emit_everywhere(getattr(self._topics, stage), self._change(barrier, replace(mine, round=row.round + 1)))

    def _change(self, barrier: BarrierChange, row: Any) -> BarrierChange:
        generation = self._topics.desired.generation
        change = round_of(of_generation(generation), row, barrier.caused_at)
        change.generation = generation
        return change
