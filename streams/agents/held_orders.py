"""Which orders a generation of the joins holds, said to the outbox.

The first generation says nothing of it: what it has published stays, because nothing else is said of it. Another one is
compared with what was delivered for the one before, so what it cannot know yet must not look as if it wanted nothing.
"""

from streams.agents.held import PREFIX, decode_reason
from streams.core.lanes import Lane
from streams.domain.held_reason import HeldReason
from streams.engine.barriers import is_over
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.barriers import of_generation
from streams.messages.changes import EVERYWHERE
from streams.messages.generation_kinds import HeldOrderChange
from streams.messages.generations import HeldOrder
from streams.messages.topics import Topics


def is_unknown(held: HeldReason | None) -> bool:
    """Whether a document is held and was never published, so that nobody knows what is wanted of it."""
    return held is not None and not held.frozen


class HeldOrders:
    """Lets the outbox know which orders a generation holds: all of them when it is complete, and from then on what changes."""

    def __init__(self, topics: Topics) -> None:
        self._topic = topics.desired
        self._barrier = of_generation(self._topic.generation)

    def changed(self, unit: UnitOfWork, order: int, lane: int, *, held: bool) -> None:
        """An order is held from now on, or no longer; said again it does no harm."""
        if self._topic.generation and is_over(unit, self._barrier):
            self._emit(unit, order, lane, held=held)

    def all(self, unit: UnitOfWork) -> None:
        """The generation is complete: say what is held."""
        kept: dict[bytes, bytes | None] = dict(unit.scan(PREFIX.encode()))
        kept |= {key: value for key, value in unit.writes.items() if key.startswith(PREFIX.encode())}
        for key, value in kept.items():
            order = key[len(PREFIX) :].decode()
            # Not where an order is known, and only its recipient is not.
            if value is not None and order.isdigit() and is_unknown(decode_reason(value)):
                self._emit(unit, int(order), Lane.BULK, held=True)

    def _emit(self, unit: UnitOfWork, order: int, lane: int, *, held: bool) -> None:
        change = HeldOrderChange(EVERYWHERE, order, b"", lane, unit.now_ms, HeldOrder(held))
        change.generation = self._topic.generation
        unit.emit_everywhere(self._topic, change)
