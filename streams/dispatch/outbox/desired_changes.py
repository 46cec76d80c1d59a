"""Desired state, folded into rows: what Dotdigital should hold from now on, and what a reading found there."""

from collections.abc import Callable
from typing import Any, NamedTuple

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.drift import reopened
from streams.dispatch.outbox.erasures import Erasures
from streams.dispatch.outbox.partitions import OwnedPartitions
from streams.dispatch.outbox.planner import Planner
from streams.dispatch.outbox.rows import AnyWaitState, TouchedRows, follow_contact, follow_sharing, wait_of
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, part_of, task_of
from streams.domain import contact_state, moves, record_state, wanted
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import FollowUpDeliveryState, RecordDeliveryState
from streams.messages.changes import (
    Change,
    ChangeKind,
    ContactObserved,
    DesiredContact,
    DesiredFollowUp,
    DesiredRecord,
    EraseAddress,
    JoinedChange,
    ReadbackWatermark,
)
from streams.messages.drift import DriftFound


class _Cause(NamedTuple):
    """Why a row is written: in which lane, and since when (append time in epoch ms); ``look``: a contact was only looked at."""

    lane: int
    caused_at: int
    look: bool = False


def _cause_of(change: Change) -> _Cause:
    return _Cause(change.lane, change.caused_at, look=change.kind is ChangeKind.CONTACT_OBSERVED)


class DesiredChanges:
    """Folds the changes of topic ``desired``."""

    def __init__(
        self,
        policy: SitePolicy,
        planner: Planner,
        queue: DeliveryQueue,
        partitions: OwnedPartitions,
        erasures: Erasures,
    ) -> None:
        self._policy = policy
        self._planner = planner
        self._queue = queue
        self._partitions = partitions
        self._erasures = erasures

    def fold(self, rows: TouchedRows, change: Change) -> bool:
        """Fold one change; False if it is older than what is there, or about somebody who was erased.

        Raises:
            TypeError: the outbox takes no change of that kind.
        """
        match change.kind, change.row:
            case ChangeKind.READBACK_WATERMARK, ReadbackWatermark() as mark:
                self._partitions.set_watermark(rows.unit, mark.upto)
            case ChangeKind.UNPARK | ChangeKind.DRIFT_FOUND, DriftFound() | None as found:
                return self._reopen(rows, str(change.pk), found, change)
            case ChangeKind.DESIRED_CATALOGUE, DesiredRecord() | None as desired:
                return self._set_desired_record(rows, task_of(Family.CATALOGUE, change.key), desired, change)
            case ChangeKind.ERASURE, _ if self._is_known_erasure(rows, change):
                return False
            case ChangeKind.ERASURE, EraseAddress() as erase:
                # Also the second time: another system may have brought the contact back, and the receipt wants an answer.
                self._erasures.begin(rows, change.key, erase.digest, change.caused_at)
            case _ if self._erasures.is_erased(rows.unit, change.key):
                return False
            case ChangeKind.DESIRED_RECORD, DesiredRecord() | None as desired:
                return self._set_desired_record(rows, task_of(Family.RECORD, change.key, change.pk), desired, change)
            case ChangeKind.DESIRED_FOLLOW_UP, DesiredFollowUp() | None as desired:
                task = task_of(Family.FOLLOW_UP, change.key, change.pk)
                self._change_follow_up(rows, task, _cause_of(change), lambda row: _set_follow_up(row, desired))
            case ChangeKind.DESIRED_CONTACT | ChangeKind.CARRIED_REFUSAL | ChangeKind.CONTACT_OBSERVED, _:
                return self._change_contact(
                    rows, change.key, _cause_of(change), lambda row: self._apply_change(rows, row, change)
                )
            case _:
                raise TypeError(f"the outbox takes no {change.kind.name}")
        return True

    def _is_known_erasure(self, rows: TouchedRows, change: Change) -> bool:
        """Whether a generation passes on what the active one has passed on too: only that one may ask for an answer again."""
        active = rows.generations.row.active
        foreign = isinstance(change, JoinedChange) and change.generation != active
        return foreign and self._erasures.is_erased(rows.unit, change.key)

    def replace_wanted(self, rows: TouchedRows, task: str, new: Any | None) -> None:
        """Another generation of the joins takes effect for the task: ``new`` is what it wants, in a row of the task's type.

        None: it wants nothing, so that what is delivered is withdrawn. What is wanted already causes nothing.
        """
        email, cause = owner_of(task), _Cause(Lane.BULK, rows.unit.now_ms)
        match family_of(task):
            case Family.CATALOGUE:
                self._change_record(rows, task, cause, lambda row: wanted.put_record(row, new))
            case _ if self._erasures.is_erased(rows.unit, email):
                pass
            case Family.RECORD:
                self._change_record(rows, task, cause, lambda row: wanted.put_record(row, new))
            case Family.FOLLOW_UP:
                self._change_follow_up(rows, task, cause, lambda row: wanted.put_follow_up(row, new))
            case Family.CONTACT:
                self._change_contact(rows, email, cause, lambda row: wanted.put_contact(row, new))

    def withdraw_frozen(self, rows: TouchedRows, task: str) -> None:
        """A record or contact stays no longer that was left as it was while its generation did not know what it should be."""
        cause = _Cause(Lane.LIVE, rows.unit.now_ms)
        if family_of(task) is Family.CONTACT:
            self._change_contact(rows, owner_of(task), cause, wanted.withdraw_contact)
        else:
            self._change_record(rows, task, cause, wanted.withdraw_record)

    def _change_contact(
        self, rows: TouchedRows, email: str, cause: _Cause, apply: Callable[[ContactDeliveryState], bool]
    ) -> bool:
        task, now = task_of(Family.CONTACT, email), rows.unit.now_ms / 1000
        row = rows.touch(task).row
        joined, left = self._policy.joins(row, now), row.dirty and row.fields is None
        recent, shared = self._policy.listed_until(row) > now, row.shared
        doubtful, was_dirty = self._flag_unknown_outcome(rows, task, row), row.dirty or joined
        done = apply(row)
        follow_sharing(rows, email, before=shared, now=row.shared)
        row.join_unconfirmed = row.join_unconfirmed or (doubtful and joined)
        if self._policy.listed_until(row) > now:
            row.place_withdrawn = False
        elif recent and row.fields is not None and (row.listed or row.join_unconfirmed):
            # Not because its time is over: the despatch is gone.
            row.place_withdrawn = True
        if doubtful and left and row.fields is not None:
            self._cancel_removal(rows, email, row)
        if done and (row.dirty or self._policy.joins(row, now)):
            urgent = row.may_be_there and row.must_send_opt_out
            # What waits already is not hurried by a look at the contact.
            if urgent or not was_dirty or not cause.look:
                # What is owed to a next address is known there, if all goes well, before the person is created in it.
                lane = Lane.URGENT if urgent else Lane(max(Lane.URGENT, cause.lane - bool(row.owed_to)))
                self._note_change(rows, row, lane, cause.caused_at, was_dirty=was_dirty)
        return done

    def _apply_change(self, rows: TouchedRows, row: ContactDeliveryState, change: Change) -> bool:
        """Write what the change says into the contact's row; False when it is older than what is there."""
        match change.row:
            case DesiredContact() as desired:
                done = contact_state.set_desired(row, desired, change.position)
                if done:
                    moves.note_desired(row, desired)
                return done
            case ContactObserved() as found:
                before = row.contact
                done = contact_state.observe(row, found, change.position)
                follow_contact(rows, change.key, before, row.contact)
                return done
            case _:
                contact_state.carry_consent(row, change.position)
                return True

    def _set_desired_record(self, rows: TouchedRows, task: str, desired: DesiredRecord | None, change: Change) -> bool:
        def apply(row: RecordDeliveryState) -> bool:
            return record_state.set_desired_record(row, desired, change.position)

        return self._change_record(rows, task, _cause_of(change), apply)

    def _change_record(self, rows: TouchedRows, task: str, cause: _Cause, apply: Callable[[RecordDeliveryState], bool]) -> bool:
        row = rows.touch(task).row
        was_dirty = row.dirty
        self._flag_unknown_outcome(rows, task, row)
        if not apply(row):
            return False
        if row.successor:
            successor = rows.touch(task_of(Family.RECORD, owner_of(task), row.successor)).row
            record_state.note_former(successor, part_of(task))
        if row.dirty:
            self._note_change(rows, row.wait, Lane(cause.lane), cause.caused_at, was_dirty=was_dirty)
        return True

    def _change_follow_up(
        self, rows: TouchedRows, task: str, cause: _Cause, apply: Callable[[FollowUpDeliveryState], bool]
    ) -> None:
        row = rows.touch(task).row
        was_dirty = row.dirty
        if apply(row) and row.dirty:
            self._note_change(rows, row.wait, Lane(cause.lane), cause.caused_at, was_dirty=was_dirty)

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

    def _reopen(self, rows: TouchedRows, task: str, found: DriftFound | None, change: Change) -> bool:
        """Let a task be tried again: because a person wants it, or because of what a comparison found."""
        if found is None:
            self._unpark(rows, task, change)
            return True
        before = rows.look(task)
        row = reopened(before, found, task, rows.unit.now_ms)
        if row is None:
            return False
        rows.touch(task).row = row
        if "contact" in found.lost:
            # Whatever its id was: its records are gone with it.
            follow_contact(rows, change.key, before.contact or 0, None)
        self._note_change(rows, wait_of(row), Lane(change.lane), change.caused_at, was_dirty=False)
        return True

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


def _set_follow_up(row: FollowUpDeliveryState, desired: DesiredFollowUp | None) -> bool:
    record_state.set_desired_follow_up(row, desired)
    return True
