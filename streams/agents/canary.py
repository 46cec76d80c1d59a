"""The canary's way through the joins: each passes it on in its partition, with what it emits otherwise."""

from collections.abc import Iterable, Iterator
from typing import Any, TypeVar

from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import HERE, Change
from streams.messages.kinds import CanaryChange
from streams.messages.topics import ChangeTopic

C = TypeVar("C", bound=Change)


def passing_canaries(unit: UnitOfWork, changes: Iterable[C], topic: ChangeTopic[Any]) -> Iterator[C]:
    """The changes but for canaries, which go on to ``topic``."""
    for change in changes:
        if isinstance(change, CanaryChange):
            unit.emit_here(topic, CanaryChange(HERE, 0, b"", change.lane, change.caused_at, None, (), topic.generation))
        else:
            yield change
