"""The planner: which task follows from a row, and when it is due. Pure, but for the times that it writes into rows."""

from typing import Any

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.rows import AnyWaitState
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Work, family_of
from streams.domain import moves
from streams.domain.consent import SUBSCRIBED
from streams.domain.consent_conflicts import is_candidate
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.correction import Step
from streams.domain.debounce import Arrival, Debounce
from streams.domain.record_state import GONE, FollowUpDeliveryState, RecordDeliveryState

_LOOK_AGAIN_MS = 1000
"""When a sender looks whether a call that was in the way of an answer is over."""


class Planner:
    """Decides by the site's ``policy`` and by the ``debounce`` windows of the lanes."""

    def __init__(self, policy: SitePolicy, debounce: Debounce) -> None:
        self._policy = policy
        self._debounce = debounce

    def note_change(self, wait: AnyWaitState, lane: Lane, caused_at: int, *, was_dirty: bool, now_ms: int) -> None:
        """Write into the row since when, until when and in which lane it waits, after a change that makes it dirty."""
        change = Arrival(lane, now_ms, caused_at)
        if not was_dirty:
            wait.dirty_since, wait.caused_at, wait.lane = now_ms, caused_at, lane
            wait.due = self._debounce.due(change, now_ms, None)
            return
        wait.caused_at = min(wait.caused_at, caused_at)
        waiting = wait.due if wait.lane < lane else None
        wait.due = self._debounce.due(change, wait.dirty_since, waiting)
        wait.lane = min(wait.lane, lane)

    def in_time(self, task: DeliveryTask, now_ms: int) -> DeliveryTask:
        """The stored ``task``, due within the longest wait: a clock that was set back since must not hold it for hours."""
        if not (task.timer or task.patient):
            task.due = min(task.due, now_ms + int(self._debounce.window(task.lane).longest * 1000))
        return task

    def contact_task(self, key: str, partition: int, row: ContactDeliveryState, now_ms: int) -> DeliveryTask | None:
        """What must be done for a contact; None: nothing."""
        if row.move is not None and row.erase is None:
            lane, caused_at = Lane(row.lane), row.caused_at
            if row.move.granted and row.known:
                return DeliveryTask(key, partition, row.due, lane, Work.ALONE, caused_at=caused_at)
            if row.move.until > now_ms and not row.opt_out_alone:
                # Its other address will answer, or ask; only when patience ends is something to be sent. Where only a call is
                # in the way that may be under way, a sender looks soon: that call may end without an outcome.
                due = now_ms + _LOOK_AGAIN_MS if moves.undecided(row) else row.move.until
                return DeliveryTask(key, partition, due, lane, Work.ALONE, timer=True, caused_at=caused_at)
        # In mode external a contact that is not there waits for a reading to find it.
        deliverable = row.known or row.erase is not None or not self._policy.external
        insistent = row.insistent and not row.out_by_words
        wanted = deliverable and (row.dirty or insistent or (row.known and self._policy.joins(row, now_ms / 1000)))
        if wanted and not self._policy.leaves_first(row, now_ms):
            opt_out = row.must_send_opt_out and (row.may_be_there or row.creation.ours == SUBSCRIBED)
            # An import would create a contact that somebody deleted.
            alone = row.fields is None or row.erase is not None or opt_out or row.owed_to or row.vanished
            work = Work.ALONE if alone else Work.EXISTING if row.known else Work.NEW
            # A refusal and an erasure wait for no import; a contact that only leaves must not be brought back by one.
            overtakes = row.erase is not None or row.opt_out_alone or (row.fields is not None and opt_out)
            return DeliveryTask(key, partition, row.due, Lane(row.lane), work, overtakes=overtakes, caused_at=row.caused_at)
        if row.out_by_words and row.known:
            return DeliveryTask(key, partition, row.due, Lane.URGENT, Work.ALONE, overtakes=True)
        if self._policy.corrects and row.correction.step in (Step.GRANTED, Step.ATTEMPTED) and is_candidate(row):
            return DeliveryTask(key, partition, now_ms, Lane.LIVE, Work.ALONE)
        if row.listed or row.join_unconfirmed:
            leaves_at = self._policy.listed_until(row) * 1000
            return DeliveryTask(key, partition, leaves_at, Lane.LIVE, Work.LIST, timer=True)
        return None

    def part_task(
        self, key: str, partition: int, row: Any, contact: ContactDeliveryState | None, now_ms: int
    ) -> DeliveryTask | None:
        """What must be done for a record, a catalogue item (without ``contact``) or a follow-up; None: nothing.

        What belongs to a contact waits, unscheduled, until the contact exists, and while its address is shared; what its order
        withdraws goes all the same.
        """
        family = family_of(key)
        withdrawn = isinstance(row, RecordDeliveryState) and row.hash == GONE
        waits = contact is not None and not (contact.known if withdrawn else contact.takes_more)
        if not row.dirty or waits:
            return None
        follow_up = isinstance(row, FollowUpDeliveryState)
        if follow_up and not (contact and self._policy.follows_up(row.desired, contact, now_ms / 1000)):
            return None
        work = Work(family.label)
        if withdrawn:
            work = work.alone
        return DeliveryTask(key, partition, row.wait.due, Lane(row.wait.lane), work, caused_at=row.wait.caused_at)
