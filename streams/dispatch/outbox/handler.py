"""The outbox handler: folds desired state and delivery events into rows, and keeps the delivery queue in step with them.

A row's dirty mark is cleared by reading its delivery event, never by a timer, so it survives restarts and rebalances. Tasks
that wait have a small row of their own under the prefix ``d``, from which the queue is rebuilt. Records and follow-ups wait,
out of the queue, until their contact exists.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import partial
from typing import Any, Protocol
from uuid import uuid4

import msgspec

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import CALL, DeliveryTask, Lease
from streams.dispatch.outbox.imports_in_flight import ImportsInFlight
from streams.dispatch.outbox.parked import ParkedPublisher
from streams.dispatch.outbox.planner import Planner
from streams.dispatch.outbox.rows import CODECS, AnyWaitState, TouchedRow, TouchedRows, wait_of
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, part_of, task_of
from streams.dispatch.outbox.tombstones import Tombstones
from streams.domain import consent, contact_state, record_state
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.debounce import Debounce
from streams.domain.record_state import RecordDeliveryState
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.audit import ErasureResult, write_audit
from streams.messages.changes import (
    CarriedRefusal,
    Change,
    ChangeKind,
    ContactObserved,
    DesiredContact,
    DesiredFollowUp,
    DesiredRecord,
    EraseAddress,
    ReadbackWatermark,
)
from streams.messages.deliveries import (
    Checkpoint,
    ContactCreated,
    ContactErased,
    ContactMissing,
    ContactUpdated,
    DeliveryEvent,
    FollowUpDelivered,
    ImportEnded,
    ImportIdVoid,
    ImportStarted,
    PartitionResumed,
    RecordStored,
    TaskEvent,
    read_event,
)
from streams.messages.kinds import CarriedRefusalChange, FollowUpDeliveredChange, ResendRequestChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics

DIRTY = "d"
WATERMARK = b"w"

_encode = msgspec.msgpack.Encoder().encode
_decode_int = msgspec.msgpack.Decoder(int).decode


class ReadbackState(Protocol):
    """What is known of the account's contacts."""

    def complete_until(self) -> int | None:
        """Until when everything is known (UTC epoch seconds); None: not wholly read."""


class OutboxHandler:
    """Keeps desired and delivered apart, and the queue in step with the difference."""

    name = "outbox"

    def __init__(
        self,
        topics: Topics,
        policy: SitePolicy,
        debounce: Debounce,
        queue: DeliveryQueue,
        imports_in_flight: ImportsInFlight,
        metrics: Metrics,
    ) -> None:
        self._topics = topics
        self._policy = policy
        self._planner = Planner(policy, debounce)
        self._queue = queue
        self._imports_in_flight = imports_in_flight
        self._metrics = metrics
        self._parked = ParkedPublisher(topics.parked, policy.hash_key)
        self._tombstones = Tombstones(policy.digest)
        self._opened_at: dict[int, int] = {}
        self._watermarks: dict[int, int] = {}
        self._fences: dict[int, str] = {}
        self._assigned: Callable[[], Collection[int]] = tuple
        self.taken_over = asyncio.Event()

    def recovered(self, partition: int, table: StateTable) -> None:
        """Put every task of the partition that waits back into the queue, and pick up its imports.

        Nothing is given out before everything that was answered has been read: :meth:`resuming` says what must be written.
        """
        self._queue.fence(partition)
        self._assigned = table.assigned
        # A fence of its own for every takeover: that of the worker before must not open the partition for this one.
        self._fences[partition] = uuid4().hex
        self.taken_over.set()
        self._opened_at[partition] = self._queue.now_ms()
        for key, value in table.scan(partition, DIRTY.encode()):
            self._queue.put(DeliveryTask.stored(key[len(DIRTY) :].decode(), partition, value))
        self._tombstones.recovered(partition, table)
        if (mark := table.get(partition, WATERMARK)) is not None:
            self._watermarks[partition] = _decode_int(mark)
        # After the tasks: it leases those that are in an import.
        self._imports_in_flight.recovered(partition, table)

    def revoked(self) -> None:
        """Forget everything in memory: the next owner of the partitions rebuilds the queue."""
        self._queue.clear()
        self._imports_in_flight.clear()
        self._opened_at.clear()
        self._watermarks.clear()
        self._fences.clear()
        self._tombstones.clear()

    def resuming(self) -> list[tuple[int, PartitionResumed]]:
        """Events to write behind those of the worker before, by partition; each lifts its partition's fence when it is read."""
        self.taken_over.clear()
        now = self._queue.now_ms()
        return [(partition, PartitionResumed(at=now, fence=fence)) for partition, fence in self._fences.items()]

    def complete_until(self) -> int | None:
        """Until when every partition of this worker knows what Dotdigital has (UTC epoch seconds); None: not wholly read."""
        # Partitions are opened one by one: what another of ours will know counts too.
        assigned = self._assigned()
        if not assigned or set(assigned) - self._watermarks.keys():
            return None
        return min(self._watermarks.values())

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        """Fold changes and delivery events in order."""
        rows = TouchedRows(unit)
        applied = stale = 0
        over: list[ImportEnded | ImportIdVoid] = []
        for record in records:
            if record.topic == self._topics.deliveries:
                event = read_event(record.value or b"")
                self._apply_event(rows, event)
                if isinstance(event, ImportEnded | ImportIdVoid):
                    over.append(event)
                applied += 1
                continue
            for change in self._topics.desired.unpack(record.value):
                done = self._fold(rows, change)
                applied += done
                stale += not done
        for key, item in rows.touched.items():
            self._save(rows, key, item)
        for ended in over:
            # After what its report said: what is still with the import then was not done.
            self._imports_in_flight.over(unit, ended)
        self._metrics.changes.labels(self.name).inc(applied)
        self._metrics.skipped.labels(self.name).inc(stale)
        return applied + stale

    def _fold(self, rows: TouchedRows, change: Change) -> bool:
        match change.kind, change.row:
            case ChangeKind.READBACK_WATERMARK, ReadbackWatermark() as mark:
                self._set_watermark(rows.unit, mark.upto)
            case ChangeKind.UNPARK, _:
                self._unpark(rows, str(change.pk), change)
            case ChangeKind.DESIRED_CATALOGUE, DesiredRecord() | None as wanted:
                return self._set_desired_record(rows, task_of(Family.CATALOGUE, change.key), wanted, change)
            case ChangeKind.ERASURE, EraseAddress() as erase:
                # Also the second time: another system may have brought the contact back, and the receipt wants an answer.
                self._erase(rows, change.key, erase.digest, change.caused_at)
            case _ if self._tombstones.has(rows.unit, change.key):
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
        doubtful, was_dirty = self._flag_unknown_outcome(rows, task, row), row.dirty or joined
        done = self._apply_change(rows, row, change)
        row.join_unconfirmed = row.join_unconfirmed or (doubtful and joined)
        if doubtful and left and row.fields is not None:
            self._cancel_removal(rows, change.key, row)
        if done and (row.dirty or self._policy.joins(row, now)):
            urgent = row.known and row.must_send_opt_out
            # What waits already is not hurried by a look at the contact.
            if urgent or not was_dirty or change.kind is not ChangeKind.CONTACT_OBSERVED:
                lane = Lane.URGENT if urgent else Lane(change.lane)
                self._note_change(rows, row, lane, change.caused_at, was_dirty=was_dirty)
        return done

    def _apply_change(self, rows: TouchedRows, row: ContactDeliveryState, change: Change) -> bool:
        """Write what the change says into the contact's row; False when it is older than what is there."""
        match change.row:
            case DesiredContact() as desired:
                again, published = change.position == row.position, set(row.moved_to)
                done = contact_state.set_desired(row, desired, change.position)
                # As many as before: somebody moved on, whose next address hears of it from the one in between.
                if done and desired.fields is not None and (again or len(desired.moved_to) > len(published)):
                    self._propagate_refusal(
                        rows.unit, row, sorted(set(desired.moved_to) - (set() if again else published)), change.caused_at
                    )
                return done
            case ContactObserved() as found:
                before = row.contact
                done = contact_state.observe(row, found, change.position)
                self._follow_contact(rows, change.key, before, row.contact)
                return done
            case _:
                contact_state.carry_consent(row, change.position)
                return True

    def _propagate_refusal(self, unit: UnitOfWork, row: ContactDeliveryState, to: Iterable[str], caused_at: int) -> None:
        """A refusal that we know of follows who leaves an address at which others stay."""
        for email in to if consent.refusal_follows(row.consent) else ():
            unit.emit(
                self._topics.desired,
                CarriedRefusalChange(email, 0, row.position, Lane.URGENT, caused_at, CarriedRefusal()),
            )

    def _set_desired_record(self, rows: TouchedRows, task: str, wanted: DesiredRecord | None, change: Change) -> bool:
        row = rows.touch(task).row
        was_dirty = row.dirty
        self._flag_unknown_outcome(rows, task, row)
        if not record_state.set_desired_record(row, wanted, change.position):
            return False
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
        if row.dirty:
            self._note_change(rows, wait_of(row), Lane(change.lane), change.caused_at, was_dirty=False)

    def _erase(self, rows: TouchedRows, email: str, digest: bytes, caused_at: int) -> None:
        unit = rows.unit
        row = rows.touch(task_of(Family.CONTACT, email)).row
        # A call for it that is under way may have looked before the contact came back.
        row.repeat_erasure = row.erase is not None
        row.erase, row.parked, row.code = digest, None, None
        self._note_change(rows, row, Lane.URGENT, caused_at, was_dirty=False)
        self._tombstones.put(unit, digest)
        for task in rows.parts(email):
            rows.touched.pop(task, None)
            self._unschedule(unit, task)

    def _set_watermark(self, unit: UnitOfWork, upto: int) -> None:
        unit.put(WATERMARK, _encode(upto))

        def remember() -> None:
            self._watermarks[unit.partition] = upto

        unit.on_commit(remember)

    def _flag_unknown_outcome(self, rows: TouchedRows, key: str, row: ContactDeliveryState | RecordDeliveryState) -> bool:
        """Whether a call may have been made whose response is lost: then what was delivered before is no longer certain."""
        before = wait_of(row).due <= self._opened_at.get(rows.unit.partition, 0)
        doubtful = before or self._queue.may_have_run(key)
        row.outcome_unknown = row.outcome_unknown or (row.dirty and doubtful)
        return doubtful

    def _note_change(self, rows: TouchedRows, wait: AnyWaitState, lane: Lane, caused_at: int, *, was_dirty: bool) -> None:
        self._planner.note_change(wait, lane, caused_at, was_dirty=was_dirty, now_ms=rows.unit.now_ms)

    # Delivery events

    def _apply_event(self, rows: TouchedRows, event: DeliveryEvent) -> None:
        match event:
            case PartitionResumed():
                self._resume(rows.unit, event.fence)
            case ImportStarted():
                self._imports_in_flight.started(rows.unit, event)
            case ImportEnded():
                self._recheck_after_import(rows, event.import_id)
            case ImportIdVoid():
                pass  # nothing ran under it
            case _:
                self._apply_task_event(rows, event)

    def _resume(self, unit: UnitOfWork, fence: str) -> None:
        if self._fences.get(unit.partition) == fence:
            unit.on_commit(partial(self._lift_fence, unit.partition))

    def _lift_fence(self, partition: int) -> None:
        self._fences.pop(partition, None)
        self._queue.lift_fence(partition)

    def _recheck_after_import(self, rows: TouchedRows, import_id: str) -> None:
        """An import is over: it may have written over what overtook it, and have re-created contacts erased meanwhile."""
        now = rows.unit.now_ms
        for item in self._imports_in_flight.held(rows.unit, import_id):
            email, family = owner_of(item.task), family_of(item.task)
            if family is not Family.CATALOGUE and self._tombstones.has(rows.unit, email):
                if family is Family.CONTACT:
                    self._erase(rows, email, self._policy.digest(email), now)
                continue
            row = rows.look(item.task)
            if not row.dirty and row.delivered not in (None, item.digest):
                row = rows.touch(item.task).row
                row.outcome_unknown = True
                self._note_change(rows, wait_of(row), Lane.LIVE, now, was_dirty=False)

    def _is_forgotten(self, rows: TouchedRows, key: str) -> bool:
        """Whether nothing is left to do for the task's owner; while one is being erased, the contact's task is."""
        family = family_of(key)
        if family is Family.CATALOGUE or not self._tombstones.has(rows.unit, owner_of(key)):
            return False
        return family is not Family.CONTACT or rows.look(key).erase is None

    def _apply_task_event(self, rows: TouchedRows, event: TaskEvent) -> None:
        lease = _lease_of(event)
        if self._is_forgotten(rows, event.task):
            if lease is not None:
                rows.unit.on_commit(partial(self._queue.finish, event.task, lease))
            return
        item = rows.touch(event.task)
        match family_of(event.task):
            case Family.CONTACT:
                self._apply_contact_event(rows, owner_of(event.task), item.row, event)
            case Family.FOLLOW_UP:
                record_state.apply_follow_up_result(item.row, event)
                if isinstance(event, FollowUpDelivered):
                    self._publish_follow_up_delivered(rows.unit, event.task, item.row.wait)
            case _:
                record_state.apply_record_result(item.row, event)
        if isinstance(event, Checkpoint):
            # The call goes on, and so does its lease.
            return
        item.outcome, item.lease, wait = event, lease, wait_of(item.row)
        if lease is not None and lease.import_id is not None and self._queue.overtook(event.task, lease.import_id):
            # Nobody knows which of the two came last.
            item.row.outcome_unknown = True
        if item.row.dirty:
            # Wanted content changed while the call was under way: its own debounce goes on, from now at the latest.
            wait.dirty_since = rows.unit.now_ms
            wait.due = max(wait.due, wait.dirty_since)

    def _apply_contact_event(self, rows: TouchedRows, email: str, row: ContactDeliveryState, event: TaskEvent) -> None:
        if not isinstance(event, ContactErased):
            before = row.contact
            contact_state.apply_result(row, event)
            self._follow_contact(rows, email, before, row.contact)
        elif row.repeat_erasure:
            # The contact may have come back after that call had looked.
            row.repeat_erasure = False
        else:
            self._forget(rows, email)
            trace = ErasureResult((row.erase or b"").hex(), "dotdigital", rows.unit.partition, 1, event.at, None)
            rows.unit.emit_raw(self._topics.audit, rows.unit.partition, None, write_audit(trace))

    def _publish_follow_up_delivered(self, unit: UnitOfWork, key: str, wait: AnyWaitState) -> None:
        """Let the credit note's owner know, so that its next recipient does not get it again."""
        credit = part_of(key)
        delivered = FollowUpDeliveredChange(credit, int(credit), b"", Lane(wait.lane), wait.caused_at, None)
        unit.emit(self._topics.orders, delivered)

    def _follow_contact(self, rows: TouchedRows, email: str, before: int | None, now: int | None) -> None:
        """What belongs to a contact waits for it, and is gone with it; another id is another contact."""
        if now == before:
            return
        for key in rows.parts(email):
            row = rows.touch(key).row
            if before is not None and isinstance(row, RecordDeliveryState):
                record_state.contact_gone(row)

    def _cancel_removal(self, rows: TouchedRows, email: str, row: ContactDeliveryState) -> None:
        """A contact stays that was about to leave: its place on the list and its records may be gone already."""
        row.listed, row.join_unconfirmed = False, row.listed or row.join_unconfirmed
        for key in rows.parts(email):
            if family_of(key) is Family.RECORD:
                rows.touch(key).row.outcome_unknown = True

    def _forget(self, rows: TouchedRows, email: str) -> None:
        for key in (*rows.parts(email), task_of(Family.CONTACT, email)):
            if (row := rows.look(key)).parked is not None:
                self._parked.cleared(rows.unit, key, row)
            rows.touched.pop(key, None)
            rows.unit.put(key.encode(), None)
            self._unschedule(rows.unit, key)

    def _unschedule(self, unit: UnitOfWork, key: str) -> None:
        unit.put(f"{DIRTY}{key}".encode(), None)
        unit.on_commit(partial(self._queue.forget, key))

    # From rows to tasks

    def _save(self, rows: TouchedRows, key: str, item: TouchedRow) -> None:
        unit = rows.unit
        task = self._task_for(rows, key, item.row)
        CODECS[family_of(key)].save(unit, key, item.row)
        self._parked.publish(unit, key, item)
        unit.put(f"{DIRTY}{key}".encode(), None if task is None else task.encode())

        def follow() -> None:
            if item.outcome is not None and item.lease is not None:
                # Before the task is put again: with its lease it loses its failures.
                self._queue.finish(key, item.lease)
            if task is None:
                self._queue.drop(key)
            else:
                self._queue.put(task)

        # Only then, or a sender would find the rows as they were before this unit.
        unit.on_commit(follow)

    def _task_for(self, rows: TouchedRows, key: str, row: Any) -> DeliveryTask | None:
        partition, now = rows.unit.partition, rows.unit.now_ms
        if isinstance(row, ContactDeliveryState):
            return self._planner.contact_task(key, partition, row, now)
        catalogue = family_of(key) is Family.CATALOGUE
        known = catalogue or rows.look(task_of(Family.CONTACT, owner_of(key))).known
        task = self._planner.part_task(key, partition, row, contact_known=known)
        if task is not None and isinstance(row, RecordDeliveryState) and row.content_missing:
            self._request_resend(rows.unit, key, row)
            return None
        return task

    def _request_resend(self, unit: UnitOfWork, key: str, row: RecordDeliveryState) -> None:
        """Ask the record's source for the content, which the outbox keeps only until it is delivered."""
        request = ResendRequestChange(str(row.source), row.source, b"", row.wait.lane, row.wait.caused_at, None)
        if family_of(key) is Family.CATALOGUE:
            unit.emit(self._topics.products, request)
        else:
            unit.emit(self._topics.orders, request)


def _lease_of(event: TaskEvent) -> Lease | None:
    """The lease that the event ends; None: that of another task, whose call found the contact missing."""
    match event:
        case ContactCreated() | ContactUpdated() | RecordStored():
            return CALL if event.import_id is None else Lease(event.import_id)
        case ContactMissing() if event.found_by is not None:
            return None
        case _:
            return CALL
