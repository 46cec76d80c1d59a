"""Contacts that go along with their person, in the outbox: questions and answers of addresses, written and folded.

What is asked and answered is decided in :mod:`streams.domain.moves`.
"""

from collections.abc import Iterable

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import TaskState
from streams.dispatch.outbox.rows import TouchedRows
from streams.dispatch.outbox.tasks import Family, owner_of, task_of
from streams.domain import moves
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.moves import Outgoing
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import pack
from streams.messages.deliveries import ContactRenamed, RenameDeclined
from streams.messages.moves import MoveAnswer, MoveAnswerChange, MoveQuery, MoveQueryChange
from streams.messages.topics import Topics

_UNSENT = "q"


class ContactMoves:
    """Carries questions and answers between rows of addresses."""

    def __init__(self, topics: Topics, queue: DeliveryQueue) -> None:
        self._topics = topics
        self._queue = queue

    def ended(self, rows: TouchedRows, event: ContactRenamed | RenameDeclined) -> None:
        """A sender has answered a question. Also if the address was erased meanwhile: the other one waits.

        The answer is made of the event alone, so that it is the same when the event is read again.
        """
        contact = event.contact if isinstance(event, ContactRenamed) else None
        answer = MoveAnswer(event.left_at, contact)
        self.write(rows.unit, owner_of(event.task), rows.look(event.task), [(event.to, answer)])

    def decide(self, unit: UnitOfWork, email: str, row: ContactDeliveryState, *, ended: bool) -> None:
        """Before a row is saved: decide what can be decided now. ``ended``: with the outcome of what was under way for it."""
        if row.move is not None:
            task = task_of(Family.CONTACT, email)
            leased = self._queue.awaits_response(task) or self._queue.state(task) is TaskState.IMPORTING
            busy = leased and not ended
            self.write(unit, email, row, moves.decide(row, busy=busy, now_ms=unit.now_ms))

    def write(self, unit: UnitOfWork, email: str, row: ContactDeliveryState, outgoing: Iterable[Outgoing]) -> None:
        """Emit what the row of ``email`` has to say to other addresses."""
        for address, message in outgoing:
            lane, caused_at = Lane(row.lane), row.caused_at or unit.now_ms
            if isinstance(message, MoveQuery):
                self._send(unit, MoveQueryChange(address, email, b"", lane, caused_at, message))
            else:
                self._send(unit, MoveAnswerChange(address, email, b"", lane, caused_at, message))

    def _send(self, unit: UnitOfWork, change: MoveQueryChange | MoveAnswerChange) -> None:
        """Emit a message, and remember it until it is sent.

        The row says that the message is out before it is: rows reach the changelog first. If the worker ends in between,
        nothing that is read again would emit it once more, and both addresses would wait for an hour.
        """
        unsent = f"{_UNSENT}{int(change.kind)}{change.pk}\0{change.key}".encode()
        unit.put(unsent, pack([change]))
        unit.put_last(unsent, None)
        unit.emit(self._topics.desired, change)

    def resend(self, unit: UnitOfWork) -> None:
        """Emit what the worker before had no time to send; a message that comes twice does no harm."""
        for key, value in unit.scan(_UNSENT.encode()):
            if unit.get(key) is not None:
                for change in self._topics.desired.unpack(value):
                    if isinstance(change, MoveQueryChange | MoveAnswerChange):
                        self._send(unit, change)
