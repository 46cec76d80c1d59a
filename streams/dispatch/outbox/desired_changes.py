"""Desired state, folded into rows: what Dotdigital should hold from now on, and what a reading found there."""

from prometheus_client import Counter

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.erasures import Erasures
from streams.dispatch.outbox.partitions import OwnedPartitions
from streams.dispatch.outbox.planner import Planner
from streams.dispatch.outbox.rows import AnyWaitState, TouchedRows, follow_contact, wait_of
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, family_of, task_of
from streams.domain import contact_state, record_state
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import RecordDeliveryState
from streams.messages.changes import (
    Change,
    ChangeKind,
    ContactObserved,
    DesiredContact,
    DesiredFollowUp,
    DesiredRecord,
    EraseAddress,
    ReadbackWatermark,
)


class DesiredChanges:
    """Folds the changes of topic ``desired``."""

    def __init__(
        self,
        policy: SitePolicy,
        planner: Planner,
        queue: DeliveryQueue,
        partitions: OwnedPartitions,
        erasures: Erasures,
        conflicts: Counter,
    ) -> None:
        """``conflicts`` counts contacts of which Orderwise says in, and Dotdigital does not."""
        self._policy = policy
        self._planner = planner
        self._queue = queue
        self._partitions = partitions
        self._erasures = erasures
        self._conflicts = conflicts

    def fold(self, rows: TouchedRows, change: Change) -> bool:
        """Fold one change; False if it is older than what is there, or about somebody who was erased.

        Raises:
            TypeError: the outbox takes no change of that kind.
        """
        match change.kind, change.row:
            case ChangeKind.READBACK_WATERMARK, ReadbackWatermark() as mark:
                self._partitions.set_watermark(rows.unit, mark.upto)
            case ChangeKind.UNPARK, _:
                self._unpark(rows, str(change.pk), change)
            case ChangeKind.DESIRED_CATALOGUE, DesiredRecord() | None as wanted:
                return self._set_desired_record(rows, task_of(Family.CATALOGUE, change.key), wanted, change)
            case ChangeKind.ERASURE, EraseAddress() as erase:
                # Also the second time: another system may have brought the contact back, and the receipt wants an answer.
                self._erasures.begin(rows, change.key, erase.digest, change.caused_at)
            case _ if self._erasures.is_erased(rows.unit, change.key):
                return False
            case ChangeKind.DESIRED_RECORD, DesiredRecord() | None as wanted:
                return self._set_desired_record(rows, task_of(Family.RECORD, change.key, change.pk), wanted, change)
            case ChangeKind.DESIRED_FOLLOW_UP, DesiredFollowUp() | None as wanted:
                self._set_desired_follow_up(rows, task_of(Family.FOLLOW_UP, change.key, change.pk), wanted, change)
            case ChangeKind.DESIRED_CONTACT | ChangeKind.CARRIED_REFUSAL | ChangeKind.CONTACT_OBSERVED, _:
                return self._set_desired_contact(rows, change)
            case _:
                raise TypeError(f"the outbox takes no {change.kind.name}")
        return True

    def _set_desired_contact(self, rows: TouchedRows, change: Change) -> bool:
        task, now = task_of(Family.CONTACT, change.key), rows.unit.now_ms / 1000
        row = rows.touch(task).row
        joined, left = self._policy.joins(row, now), row.dirty and row.fields is None
        recent = self._policy.listed_until(row) > now
        conflict = row.consent_conflict
        doubtful, was_dirty = self._flag_unknown_outcome(rows, task, row), row.dirty or joined
        done = self._apply_change(rows, row, change)
        if row.consent_conflict and not conflict:
            rows.unit.on_commit(self._conflicts.inc)
        row.join_unconfirmed = row.join_unconfirmed or (doubtful and joined)
        if self._policy.listed_until(row) > now:
            row.place_withdrawn = False
        elif recent and row.fields is not None and (row.listed or row.join_unconfirmed):
            # Not because its time is over: the despatch is gone.
            row.place_withdrawn = True
        if doubtful and left and row.fields is not None:
            self._cancel_removal(rows, change.key, row)
        if done and (row.dirty or self._policy.joins(row, now)):
            urgent = row.known and row.must_send_opt_out
            # What waits already is not hurried by a look at the contact.
            if urgent or not was_dirty or change.kind is not ChangeKind.CONTACT_OBSERVED:
                # What is owed to a next address is known there, if all goes well, before the person is created in it.
                lane = Lane.URGENT if urgent else Lane(max(Lane.URGENT, change.lane - bool(row.owed_to)))
                self._note_change(rows, row, lane, change.caused_at, was_dirty=was_dirty)
        return done

    def _apply_change(self, rows: TouchedRows, row: ContactDeliveryState, change: Change) -> bool:
        """Write what the change says into the contact's row; False when it is older than what is there."""
        match change.row:
            case DesiredContact() as desired:
                return contact_state.set_desired(row, desired, change.position)
            case ContactObserved() as found:
                before = row.contact
                done = contact_state.observe(row, found, change.position)
                follow_contact(rows, change.key, before, row.contact)
                return done
            case _:
                contact_state.carry_consent(row, change.position)
                return True

    def _set_desired_record(self, rows: TouchedRows, task: str, wanted: DesiredRecord | None, change: Change) -> bool:
        row = rows.touch(task).row
        was_dirty = row.dirty
        self._flag_unknown_outcome(rows, task, row)
        if not record_state.set_desired_record(row, wanted, change.position):
            return False
        if row.successor:
            successor = rows.touch(task_of(Family.RECORD, change.key, row.successor)).row
            record_state.note_former(successor, str(change.pk))
        if row.dirty:
            self._note_change(rows, row.wait, Lane(change.lane), change.caused_at, was_dirty=was_dirty)
        return True

    def _set_desired_follow_up(self, rows: TouchedRows, task: str, wanted: DesiredFollowUp | None, change: Change) -> None:
        row = rows.touch(task).row
        was_dirty = row.dirty
        record_state.set_desired_follow_up(row, wanted)
        if row.dirty:
            self._note_change(rows, row.wait, Lane(change.lane), change.caused_at, was_dirty=was_dirty)

    def _unpark(self, rows: TouchedRows, task: str, change: Change) -> None:
        if rows.look(task).parked is None:
            return
        row = rows.touch(task).row
        row.parked, row.code = None, None
        if isinstance(row, ContactDeliveryState):
            # A person has seen that somebody deleted it.
            row.vanished = False
        if row.dirty:
            self._note_change(rows, wait_of(row), Lane(change.lane), change.caused_at, was_dirty=False)

    def _cancel_removal(self, rows: TouchedRows, email: str, row: ContactDeliveryState) -> None:
        """A contact stays that was about to leave: its place on the list and its records may be gone already."""
        row.listed, row.join_unconfirmed = False, row.listed or row.join_unconfirmed
        for key in rows.parts(email):
            if family_of(key) is Family.RECORD:
                rows.touch(key).row.outcome_unknown = True

    def _flag_unknown_outcome(self, rows: TouchedRows, key: str, row: ContactDeliveryState | RecordDeliveryState) -> bool:
        """Whether a call may have been made whose response is lost: then what was delivered before is no longer certain."""
        before = wait_of(row).due <= self._partitions.opened_at(rows.unit.partition)
        doubtful = before or self._queue.may_have_run(key)
        row.outcome_unknown = row.outcome_unknown or (row.dirty and doubtful)
        return doubtful

    def _note_change(self, rows: TouchedRows, wait: AnyWaitState, lane: Lane, caused_at: int, *, was_dirty: bool) -> None:
        self._planner.note_change(wait, lane, caused_at, was_dirty=was_dirty, now_ms=rows.unit.now_ms)
