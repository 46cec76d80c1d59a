"""Contacts that go along with their person: what comes to an address from another one, folded into its row."""

from streams.core.lanes import Lane
from streams.dispatch.outbox.contact_moves import ContactMoves
from streams.dispatch.outbox.erasures import Erasures
from streams.dispatch.outbox.planner import Planner
from streams.dispatch.outbox.rows import TouchedRows, follow_contact
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, task_of
from streams.domain import moves, record_state
from streams.domain.contact_state import ContactDeliveryState
from streams.messages.changes import Change
from streams.messages.deliveries import MovedContact
from streams.messages.moves import MoveAnswer, MovedRecord, MoveQuery


class MoveChanges:
    """Folds the questions and answers that come to addresses, and the records that come along."""

    def __init__(self, moves: ContactMoves, policy: SitePolicy, planner: Planner, erasures: Erasures) -> None:
        self._moves = moves
        self._policy = policy
        self._planner = planner
        self._erasures = erasures

    def fold(self, rows: TouchedRows, change: Change) -> bool:
        """Fold one change; False if it is about somebody who was erased."""
        email = change.key
        if self._erasures.is_erased(rows.unit, email):
            self._reach_erased(rows, change)
            return False
        row: ContactDeliveryState = rows.touch(task_of(Family.CONTACT, email)).row
        match change.row:
            case MoveQuery() as query:
                moves.take_query(row, str(change.pk), query)
            case MoveAnswer() as answer:
                before = row.contact
                moves.take_answer(row, str(change.pk), answer)
                follow_contact(rows, email, before, row.contact)
            case MovedRecord() as moved:
                self._take_record(rows, task_of(Family.RECORD, email, change.pk), moved, change.caused_at)
        return True

    def _reach_erased(self, rows: TouchedRows, change: Change) -> None:
        """There is no contact that could go along; one that came along must go."""
        match change.row:
            case MoveQuery(left_at=left_at):
                self._moves.write(rows.unit, change.key, ContactDeliveryState(), [(str(change.pk), MoveAnswer(left_at, None))])
            case MoveAnswer(contact=MovedContact()):
                self._erasures.begin(rows, change.key, self._policy.digest(change.key), change.caused_at)

    def _take_record(self, rows: TouchedRows, task: str, moved: MovedRecord, caused_at: int) -> None:
        row = rows.touch(task).row
        was_dirty = row.dirty
        if record_state.note_moved_here(row, moved.source):
            # Late, because its order will most likely want it here: then it is replaced, and not removed first.
            self._planner.note_change(row.wait, Lane.BULK, caused_at, was_dirty=was_dirty, now_ms=rows.unit.now_ms)
