"""Delivery events, folded into rows: what became of calls and imports, written down before it counts."""

from functools import partial

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import CALL, Lease
from streams.dispatch.outbox.erasures import Erasures
from streams.dispatch.outbox.imports_in_flight import ImportsInFlight
from streams.dispatch.outbox.partitions import OwnedPartitions
from streams.dispatch.outbox.planner import Planner
from streams.dispatch.outbox.rows import AnyWaitState, TouchedRows, follow_contact, wait_of
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, part_of, task_of
from streams.domain import contact_outcomes, record_state
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import RecordDeliveryState
from streams.messages.deliveries import (
    Checkpoint,
    ContactCreated,
    ContactErased,
    ContactMissing,
    ContactUpdated,
    DeliveryEvent,
    FollowUpAccepted,
    FollowUpDelivered,
    ImportEnded,
    ImportIdVoid,
    ImportStarted,
    PartitionResumed,
    RecordStored,
    TaskEvent,
    TaskParked,
)
from streams.messages.kinds import FollowUpDeliveredChange
from streams.messages.topics import Topics

_DAY_MS = 86_400_000


class DeliveryEvents:
    """Folds the events of topic ``deliveries``."""

    def __init__(
        self,
        topics: Topics,
        policy: SitePolicy,
        planner: Planner,
        queue: DeliveryQueue,
        partitions: OwnedPartitions,
        imports_in_flight: ImportsInFlight,
        erasures: Erasures,
    ) -> None:
        self._topics = topics
        self._policy = policy
        self._planner = planner
        self._queue = queue
        self._partitions = partitions
        self._imports_in_flight = imports_in_flight
        self._erasures = erasures

    def fold(self, rows: TouchedRows, event: DeliveryEvent, offset: int) -> None:
        """Fold one event, which is at ``offset`` of its partition; it may have been read before."""
        match event:
            case PartitionResumed():
                self._partitions.resume(rows.unit, event.fence)
            case ImportStarted():
                self._imports_in_flight.started(rows.unit, event)
            case ImportEnded():
                self._recheck_after_import(rows, event.import_id)
            case ImportIdVoid():
                pass  # nothing ran under it
            case _:
                self._apply_task_event(rows, event, offset)

    def _recheck_after_import(self, rows: TouchedRows, import_id: str) -> None:
        """An import is over: it may have written over what overtook it, and have re-created contacts erased meanwhile."""
        now = rows.unit.now_ms
        for item in self._imports_in_flight.held(rows.unit, import_id):
            email, family = owner_of(item.task), family_of(item.task)
            if family is not Family.CATALOGUE and self._erasures.is_erased(rows.unit, email):
                if family is Family.CONTACT:
                    self._erasures.begin(rows, email, self._policy.digest(email), now)
                continue
            row = rows.look(item.task)
            if row.dirty:
                reported = self._imports_in_flight.is_reported(item.task, import_id)
                if isinstance(row, ContactDeliveryState) and not reported and self._queue.awaits_response(item.task):
                    # Dotdigital may have done that call before the import wrote, though its response comes after the report.
                    rows.touch(item.task).row.repeat_call = True
            elif row.delivered not in (None, item.digest):
                row = rows.touch(item.task).row
                row.outcome_unknown = True
                self._planner.note_change(wait_of(row), Lane.LIVE, now, was_dirty=False, now_ms=now)

    def _apply_task_event(self, rows: TouchedRows, event: TaskEvent, offset: int) -> None:
        lease = _lease_of(event)
        if self._erasures.nothing_left(rows, event.task):
            if lease is not None:
                rows.unit.on_commit(partial(self._queue.finish, event.task, lease))
            return
        item = rows.touch(event.task)
        item.row.events = _with_newest(item.row.events, offset, 5 if isinstance(item.row, ContactDeliveryState) else 1)
        overtaken = self._is_overtaken(item.row, event, lease)
        self._imports_in_flight.report(rows.unit, event.task, lease)
        match family_of(event.task):
            case Family.CONTACT:
                self._apply_contact_event(rows, owner_of(event.task), item.row, event)
            case Family.FOLLOW_UP:
                record_state.apply_follow_up_result(item.row, event)
                if isinstance(event, FollowUpAccepted | FollowUpDelivered):
                    self._publish_follow_up_delivered(rows, event.task, item.row.wait)
            case _:
                self._apply_record_event(rows, item.row, event)
        if isinstance(event, Checkpoint):
            # The call goes on, and so does its lease.
            return
        item.ended(event, lease)
        wait = wait_of(item.row)
        if overtaken:
            # Nobody knows which of the two came last.
            item.row.outcome_unknown = True
        if isinstance(event, TaskParked) and isinstance(item.row, ContactDeliveryState) and item.row.insistent:
            wait.due = event.at + _DAY_MS
        if item.row.dirty:
            # Wanted content changed while the call was under way: its own debounce goes on, from now at the latest.
            wait.dirty_since = rows.unit.now_ms
            wait.due = max(wait.due, wait.dirty_since)

    def _is_overtaken(self, row: ContactDeliveryState | RecordDeliveryState, event: TaskEvent, lease: Lease | None) -> bool:
        """Whether the event is an import's, and a call has gone out for the task since the import took it."""
        if lease is None or lease.import_id is None or not isinstance(event, ContactCreated | ContactUpdated | RecordStored):
            return False
        # If the call's response has been read, nothing waits any more, and the row holds what the call sent.
        return self._queue.overtook(event.task, lease.import_id) or (
            not row.dirty and row.delivered not in (None, event.digest)
        )

    def _apply_contact_event(self, rows: TouchedRows, email: str, row: ContactDeliveryState, event: TaskEvent) -> None:
        if isinstance(event, ContactErased):
            self._erasures.done(rows, email, event.at)
            return
        before, since = row.contact, row.ours_since
        contact_outcomes.apply_result(row, event)
        if row.repeat_call and row.erase is None and not isinstance(event, Checkpoint) and _lease_of(event) == CALL:
            row.repeat_call, row.outcome_unknown = False, True
        follow_contact(rows, email, before, row.contact)
        if row.known and row.ours_since < since:
            # It was there before us: what is older than our attempt counts after all.
            for key in rows.parts(email):
                rows.touch(key)

    @staticmethod
    def _apply_record_event(rows: TouchedRows, row: RecordDeliveryState, event: TaskEvent) -> None:
        record_state.apply_record_result(row, event)
        for key in row.former if isinstance(event, RecordStored) else ():
            # From now on it may be removed: saving it makes its task.
            rows.touch(task_of(Family.RECORD, owner_of(event.task), key))

    @staticmethod
    def _publish_follow_up_delivered(rows: TouchedRows, key: str, wait: AnyWaitState) -> None:
        """Let the credit note's owner know, so that its next recipient does not get it again."""
        credit = part_of(key)
        delivered = FollowUpDeliveredChange(credit, int(credit), b"", Lane(wait.lane), wait.caused_at, None)
        for topics in rows.generations.topics_of_all():
            rows.unit.emit(topics.orders, delivered)


def _with_newest(events: tuple[int, ...], offset: int, most: int) -> tuple[int, ...]:
    """The newest offsets; one that is read again after a crash is not counted twice."""
    return tuple(sorted({*events, offset})[-most:])


def _lease_of(event: TaskEvent) -> Lease | None:
    """The lease that the event ends; None: that of another task, whose call found the contact missing."""
    match event:
        case ContactCreated() | ContactUpdated() | RecordStored():
            return CALL if event.import_id is None else Lease(event.import_id)
        case ContactMissing() if event.found_by is not None:
            return None
        case _:
            return CALL
