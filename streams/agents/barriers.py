"""Barriers on their way through a join: passed on once they have come from all who write to it."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from streams.engine.barriers import completes
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.barriers import Barrier, BarrierChange
from streams.messages.changes import EVERYWHERE, Change
from streams.messages.contracts import Participant
from streams.messages.topics import ChangeTopic

C = TypeVar("C", bound=Change)


class PassingBarriers:
    """The barriers of one unit of ``stage``, whose changes come from ``sender``."""

    def __init__(self, unit: UnitOfWork, stage: Participant, sender: Participant) -> None:
        self._unit = unit
        self._stage = stage
        self._sender = sender
        self._complete: list[BarrierChange] = []

    def taken_from(self, changes: Iterable[C]) -> Iterator[C]:
        """The changes but for barriers."""
        for change in changes:
            if not isinstance(change, BarrierChange) or change.row.senders:
                # Those that name their senders go in rounds (:mod:`streams.agents.barrier_rounds`).
                yield change
            elif completes(self._unit, change, (self._sender,)):
                self._complete.append(change)

    def pass_on(self, topic: ChangeTopic[Any]) -> None:
        """Send on what is complete; to be called behind everything else that the unit emits."""
        for barrier in self._complete:
            row = Barrier(self._stage, self._unit.partition, self._unit.partitions)
            passed = BarrierChange(EVERYWHERE, barrier.pk, b"", barrier.lane, barrier.caused_at, row)
            passed.generation = topic.generation
            self._unit.emit_everywhere(topic, passed)
