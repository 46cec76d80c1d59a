"""Outbox: what should be and what was delivered in; the delivery state of every task, and the schedule that follows from it.

The dirty mark of a task is cleared by consuming its delivery, never by a timer, so it survives restarts and rebalances.
Tasks that wait have a small row of their own under the prefix ``d``, from which the schedule is rebuilt. Records and
follow-ups wait, unscheduled, until their contact exists.
"""

import asyncio
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, NamedTuple, Protocol
from uuid import uuid4

import msgspec

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_queue import CALL, DeliveryQueue
from streams.dispatch.outbox.imports_in_flight import ImportsInFlight
from streams.dispatch.outbox.parked import Parked, parked_of, parked_record
from streams.dispatch.outbox.rows import CODECS, AnyWaitState, TouchedRow, TouchedRows, wait_of
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, Queue, family_of, owner_of, part_of, task_of
from streams.domain import consent, contact_state, record_state
from streams.domain.consent import SUBSCRIBED
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.debounce import Debounce
from streams.domain.record_state import GONE, RecordDeliveryState
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
from streams.messages.deliveries import Delivery
from streams.messages.kinds import CarriedRefusalChange, FollowUpDeliveredChange, ResendRequestChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics

DIRTY = "d"
WATERMARK = b"w"
TOMBSTONE = b"t"


class Plan(NamedTuple):
    """When a task is due, in which lane and queue, whether only the time is waited for, and whether it waits for no import."""

    due: int
    lane: int
    queue: str
    timer: bool
    overtakes: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode_plan = msgspec.msgpack.Decoder(Plan).decode
_decode_int = msgspec.msgpack.Decoder(int).decode
_decode_delivery = msgspec.json.Decoder(Delivery).decode


class ReadbackState(Protocol):
    """What is known of the account's contacts."""

    def complete_until(self) -> int | None:
        """Until when everything is known (UTC epoch seconds); None: not wholly read."""


class OutboxHandler:
    """Keeps desired and delivered apart, and the schedule in step with the difference."""

    name = "outbox"

    def __init__(
        self,
        topics: Topics,
        rules: SitePolicy,
        debounce: Debounce,
        schedule: DeliveryQueue,
        running: ImportsInFlight,
        metrics: Metrics,
    ) -> None:
        self._topics = topics
        self._rules = rules
        self._debounce = debounce
        self._schedule = schedule
        self._running = running
        self._metrics = metrics
        self._opened_at: dict[int, int] = {}
        self._watermarks: dict[int, int] = {}
        self._any_erased = False
        self._takeover_fences: dict[int, str] = {}
        self._assigned: Callable[[], Collection[int]] = tuple
        self.taken_over = asyncio.Event()

    def recovered(self, partition: int, table: StateTable) -> None:
        """Put every task of the partition that waits back into the schedule, and pick up its imports.

        Nothing is given out before everything is read that was answered before: :meth:`resuming` says what must be written.
        """
        self._schedule.shut(partition)
        self._assigned = table.assigned
        self._takeover_fences[partition] = uuid4().hex
        self.taken_over.set()
        self._opened_at[partition] = self._schedule.now_ms()
        for key, value in table.scan(partition, DIRTY.encode()):
            self._put(key[len(DIRTY) :].decode(), partition, _decode_plan(value))
        self._any_erased |= any(True for _ in table.scan(partition, TOMBSTONE))
        if (mark := table.get(partition, WATERMARK)) is not None:
            self._watermarks[partition] = _decode_int(mark)
        self._running.recovered(partition, table)

    def revoked(self) -> None:
        """Whoever owns the partitions next rebuilds the schedule."""
        self._schedule.clear()
        self._running.clear()
        self._opened_at.clear()
        self._watermarks.clear()
        self._takeover_fences.clear()
        self._any_erased = False

    def resuming(self) -> list[tuple[int, Delivery]]:
        """Marks to write behind the answers of partitions that were taken over; each opens its partition when it is read."""
        self.taken_over.clear()
        now = self._schedule.now_ms()
        return [(partition, Delivery(mark, "resumed", "", now, Lane.BULK)) for partition, mark in self._takeover_fences.items()]

    def complete_until(self) -> int | None:
        """Until when every partition of this worker knows what Dotdigital has (UTC epoch seconds); None: not wholly read."""
        # Partitions are opened one by one: what another of ours will know counts too.
        assigned = self._assigned()
        if not assigned or set(assigned) - self._watermarks.keys():
            return None
        return min(self._watermarks.values())

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        """Fold wishes and answers in order."""
        rows = TouchedRows(unit)
        applied = stale = 0
        ended: list[Delivery] = []
        for record in records:
            if record.topic == self._topics.deliveries:
                answer = _decode_delivery(record.value or b"")
                if answer.outcome == "imported":
                    self._recheck_after_import(rows, answer)
                    ended.append(answer)
                else:
                    self._apply_result(rows, answer)
                applied += 1
                continue
            for change in self._topics.desired.unpack(record.value):
                done = self._fold(rows, change)
                applied += done
                stale += not done
        for task, item in rows.touched.items():
            self._save(rows, task, item)
        for answer in ended:
            # After what its report said: what is still with the import then was not done.
            self._running.ended(unit, answer)
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
            case _ if self._is_erased(rows.unit, change.key):
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
        joined, left = self._rules.joins(row, now), row.dirty and row.fields is None
        doubtful, was_dirty = self._flag_unknown_outcome(rows, task, row), row.dirty or joined
        done = self._apply_change(rows, row, change)
        row.join_unconfirmed = row.join_unconfirmed or (doubtful and joined)
        if doubtful and left and row.fields is not None:
            self._cancel_removal(rows, change.key, row)
        if done and (row.dirty or self._rules.joins(row, now)):
            urgent = row.known and row.must_send_opt_out
            # What waits already is not hurried by a look at the contact.
            if urgent or not was_dirty or change.kind is not ChangeKind.CONTACT_OBSERVED:
                lane = Lane.URGENT if urgent else Lane(change.lane)
                self._schedule_change(rows, row, lane, change.caused_at, was_dirty=was_dirty)
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
            self._schedule_change(rows, row.wait, Lane(change.lane), change.caused_at, was_dirty=was_dirty)
        return True

    def _set_desired_follow_up(self, rows: TouchedRows, task: str, wanted: DesiredFollowUp | None, change: Change) -> None:
        row = rows.touch(task).row
        was_dirty = row.dirty
        record_state.set_desired_follow_up(row, wanted)
        if row.dirty:
            self._schedule_change(rows, row.wait, Lane(change.lane), change.caused_at, was_dirty=was_dirty)

    def _unpark(self, rows: TouchedRows, task: str, change: Change) -> None:
        if rows.look(task).parked is None:
            return
        row = rows.touch(task).row
        row.parked, row.code = None, None
        if row.dirty:
            self._schedule_change(rows, wait_of(row), Lane(change.lane), change.caused_at, was_dirty=False)

    def _erase(self, rows: TouchedRows, email: str, digest: bytes, caused_at: int) -> None:
        unit = rows.unit
        row = rows.touch(task_of(Family.CONTACT, email)).row
        # A call for it that is under way may have looked before the contact came back.
        row.repeat_erasure = row.erase is not None
        row.erase, row.parked, row.code = digest, None, None
        self._schedule_change(rows, row, Lane.URGENT, caused_at, was_dirty=False)
        unit.put(TOMBSTONE + digest, b"")
        self._any_erased = True
        for task in rows.parts(email):
            rows.touched.pop(task, None)
            self._unschedule(unit, task)

    def _recheck_after_import(self, rows: TouchedRows, imported: Delivery) -> None:
        """An import is over: it may have written over what overtook it, and have brought back who was erased meanwhile."""
        if imported.code is None:
            return
        now = rows.unit.now_ms
        for item in self._running.held(rows.unit, imported.task):
            email = owner_of(item.task)
            if family_of(item.task) is not Family.CATALOGUE and self._is_erased(rows.unit, email):
                if family_of(item.task) is Family.CONTACT:
                    self._erase(rows, email, self._rules.digest(email), now)
                continue
            row = rows.look(item.task)
            if not row.dirty and row.delivered not in (None, bytes.fromhex(item.hash)):
                row = rows.touch(item.task).row
                row.outcome_unknown = True
                self._schedule_change(rows, wait_of(row), Lane.LIVE, now, was_dirty=False)

    def _is_erased(self, unit: UnitOfWork, email: str) -> bool:
        return self._any_erased and unit.get(TOMBSTONE + self._rules.digest(email)) is not None

    def _is_forgotten(self, rows: TouchedRows, task: str) -> bool:
        """Whether nothing is left to do for the task's owner; of one who is being erased, that of the contact is."""
        if family_of(task) is Family.CATALOGUE or not self._is_erased(rows.unit, owner_of(task)):
            return False
        return family_of(task) is not Family.CONTACT or rows.look(task).erase is None

    def _set_watermark(self, unit: UnitOfWork, upto: int) -> None:
        unit.put(WATERMARK, _encode(upto))
        unit.on_commit(lambda: self._watermarks.__setitem__(unit.partition, upto))

    def _flag_unknown_outcome(self, rows: TouchedRows, task: str, row: ContactDeliveryState | RecordDeliveryState) -> bool:
        """Whether a call may have been made whose answer is lost: then what was delivered before is no longer certain."""
        before = wait_of(row).due <= self._opened_at.get(rows.unit.partition, 0)
        doubtful = before or self._schedule.may_have_run(task)
        row.outcome_unknown = row.outcome_unknown or (row.dirty and doubtful)
        return doubtful

    def _schedule_change(self, rows: TouchedRows, wait: AnyWaitState, lane: Lane, caused_at: int, *, was_dirty: bool) -> None:
        now = rows.unit.now_ms
        if not was_dirty:
            wait.dirty_since, wait.caused_at, wait.lane = now, caused_at, lane
            wait.due = self._debounce.due(lane, now, now, None)
            return
        wait.caused_at = min(wait.caused_at, caused_at)
        waiting = wait.due if wait.lane < lane else None
        wait.due = self._debounce.due(lane, now, wait.dirty_since, waiting)
        wait.lane = min(wait.lane, lane)

    def _resume(self, unit: UnitOfWork, mark: str) -> None:
        if self._takeover_fences.get(unit.partition) == mark:
            unit.on_commit(lambda: self._open(unit.partition))

    def _open(self, partition: int) -> None:
        self._takeover_fences.pop(partition, None)
        self._schedule.open(partition)

    def _apply_result(self, rows: TouchedRows, answer: Delivery) -> None:
        if answer.outcome == "resumed":
            self._resume(rows.unit, answer.task)
            return
        if answer.outcome == "importing":
            self._running.started(rows.unit, answer)
            return
        if self._is_forgotten(rows, answer.task):
            rows.unit.on_commit(lambda: self._schedule.answered(answer.task, answer.by or CALL))
            return
        item = rows.touch(answer.task)
        match family_of(answer.task):
            case Family.CONTACT:
                self._apply_contact_result(rows, owner_of(answer.task), item.row, answer)
            case Family.FOLLOW_UP:
                record_state.apply_follow_up_result(item.row, answer)
                if item.row.done:
                    # The credit note must not be told to its next recipient.
                    credit = part_of(answer.task)
                    published = FollowUpDeliveredChange(
                        credit,
                        int(credit),
                        b"",
                        item.row.wait.lane,
                        item.row.wait.caused_at,
                        None,
                    )
                    rows.unit.emit(self._topics.orders, published)
            case _:
                record_state.apply_record_result(item.row, answer)
        if answer.outcome in ("noted", "withdrawn"):
            return
        item.result, wait = answer, wait_of(item.row)
        if answer.by and self._schedule.overtook(answer.task, answer.by):
            # Which of the two came last, nobody knows.
            item.row.outcome_unknown = True
        if item.row.dirty:
            # Wanted content changed while the call was under way: its own debounce goes on, from now at the latest.
            wait.dirty_since = rows.unit.now_ms
            wait.due = max(wait.due, wait.dirty_since)

    def _apply_contact_result(self, rows: TouchedRows, email: str, row: ContactDeliveryState, answer: Delivery) -> None:
        if answer.outcome == "erased" and row.repeat_erasure:
            row.repeat_erasure = False
            return
        if answer.outcome == "erased":
            self._forget(rows, email)
            trace = ErasureResult((row.erase or b"").hex(), "dotdigital", rows.unit.partition, 1, answer.at, answer.code)
            rows.unit.emit_raw(self._topics.audit, rows.unit.partition, None, write_audit(trace))
            return
        before = row.contact
        contact_state.apply_result(row, answer)
        self._follow_contact(rows, email, before, row.contact)

    def _follow_contact(self, rows: TouchedRows, email: str, before: int | None, now: int | None) -> None:
        """What belongs to a contact waits for it, and is gone with it; another id is another contact."""
        if now == before:
            return
        for task in rows.parts(email):
            row = rows.touch(task).row
            if before is not None and isinstance(row, RecordDeliveryState):
                record_state.contact_gone(row)

    def _cancel_removal(self, rows: TouchedRows, email: str, row: ContactDeliveryState) -> None:
        """A contact stays that was about to leave: its place on the list and its records may be gone already."""
        row.listed, row.join_unconfirmed = False, row.listed or row.join_unconfirmed
        for task in rows.parts(email):
            if family_of(task) is Family.RECORD:
                rows.touch(task).row.outcome_unknown = True

    def _forget(self, rows: TouchedRows, email: str) -> None:
        for task in (*rows.parts(email), task_of(Family.CONTACT, email)):
            if (row := rows.look(task)).parked is not None:
                self._publish_parked_record(rows.unit, parked_of(task, row, rows.unit.now_ms, state="cleared"))
            rows.touched.pop(task, None)
            rows.unit.put(task.encode(), None)
            self._unschedule(rows.unit, task)

    def _unschedule(self, unit: UnitOfWork, task: str) -> None:
        unit.put(f"{DIRTY}{task}".encode(), None)
        unit.on_commit(lambda: self._schedule.forget(task))

    def _save(self, rows: TouchedRows, task: str, item: TouchedRow) -> None:
        unit = rows.unit
        plan = self._plan(rows, task, item.row)
        CODECS[family_of(task)].save(unit, task, item.row)
        self._publish_parked(unit, task, item)
        unit.put(f"{DIRTY}{task}".encode(), None if plan is None else _encode(plan))
        answer, partition = item.result, unit.partition

        def follow() -> None:
            if answer is not None:
                self._schedule.answered(task, answer.by or CALL)
            if plan is None:
                self._schedule.drop(task)
            else:
                self._put(task, partition, plan)

        unit.on_commit(follow)

    def _put(self, task: str, partition: int, plan: Plan) -> None:
        lane, queue = Lane(plan.lane), Queue(plan.queue)
        self._schedule.put(task, partition, plan.due, lane, queue, timer=plan.timer, overtakes=plan.overtakes)

    def _publish_parked(self, unit: UnitOfWork, task: str, item: TouchedRow) -> None:
        """Tell those who look after parked deliveries; again when it was parked again."""
        answer = item.result
        if item.row.parked is None:
            if item.was_parked:
                self._publish_parked_record(unit, parked_of(task, item.row, unit.now_ms, state="cleared"))
        elif answer is not None and answer.outcome == "parked":
            self._publish_parked_record(unit, parked_of(task, item.row, answer.at, state="parked", tries=answer.tries))

    def _publish_parked_record(self, unit: UnitOfWork, parked: Parked) -> None:
        key, value = parked_record(parked, self._rules.hash_key)
        unit.emit_raw(self._topics.parked, unit.partition, key, value)

    def _plan(self, rows: TouchedRows, task: str, row: Any) -> Plan | None:
        if isinstance(row, ContactDeliveryState):
            return self._plan_contact(row, rows.unit.now_ms)
        family = family_of(task)
        if not row.dirty or (family is not Family.CATALOGUE and not rows.look(task_of(Family.CONTACT, owner_of(task))).known):
            return None
        if isinstance(row, RecordDeliveryState):
            if row.content_missing:
                self._request_resend(rows.unit, task, row)
                return None
            queue = Queue.ALONE if row.hash == GONE else Queue(family.label)
        else:
            queue = Queue.FOLLOW_UP
        return Plan(row.wait.due, row.wait.lane, queue, timer=False)

    def _plan_contact(self, row: ContactDeliveryState, now_ms: int) -> Plan | None:
        # In mode external a contact that is not there waits for a reading to find it.
        ours = row.known or row.erase is not None or not self._rules.external
        wanted = ours and (row.dirty or (row.known and self._rules.joins(row, now_ms / 1000)))
        if wanted and not self._rules.leaves_first(row, now_ms):
            out = row.must_send_opt_out and (row.known or row.creation == SUBSCRIBED)
            alone = row.fields is None or row.erase is not None or out
            queue = Queue.ALONE if alone else Queue.EXISTING if row.known else Queue.NEW
            # A refusal and an erasure wait for no import; who only leaves must not be brought back by one.
            overtakes = row.erase is not None or (row.fields is not None and out)
            return Plan(row.due, row.lane, queue, timer=False, overtakes=overtakes)
        if row.listed or row.join_unconfirmed:
            return Plan(self._rules.listed_until(row) * 1000, Lane.LIVE, Queue.ALONE, timer=True)
        return None

    def _request_resend(self, unit: UnitOfWork, task: str, row: RecordDeliveryState) -> None:
        request = ResendRequestChange(str(row.source), row.source, b"", row.wait.lane, row.wait.caused_at, None)
        if family_of(task) is Family.CATALOGUE:
            unit.emit(self._topics.products, request)
        else:
            unit.emit(self._topics.orders, request)
