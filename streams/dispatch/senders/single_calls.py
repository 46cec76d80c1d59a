"""Single calls: senders take due tasks from the queue one by one, make their calls, and write every outcome down."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.handler import ReadbackState
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, part_of, task_of
from streams.dispatch.senders.account_targets import AccountTargets
from streams.dispatch.senders.contact_rename import declined, rename_contact
from streams.dispatch.senders.contact_upsert import (
    NOTHING,
    ContactUpsert,
    deliver_contact,
    look_only,
    refusal_follows,
    send_opt_out,
)
from streams.dispatch.senders.context import SenderContext
from streams.dispatch.senders.creation_correction import CreationCorrection
from streams.dispatch.senders.recent_buyers import RecentBuyersList
from streams.domain import consent, moves
from streams.domain.consent_conflicts import is_candidate
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.correction import Step
from streams.domain.record_state import GONE, RecordDeliveryState
from streams.dotdigital.client import Api
from streams.dotdigital.codes import DELETED_IN_DOTDIGITAL
from streams.dotdigital.errors import DataError, DotdigitalError, MissingError, TransientError
from streams.messages.dead_letters import keyed_hash
from streams.messages.deliveries import (
    Checkpoint,
    ContactCreated,
    ContactLooked,
    ContactMissing,
    ContactOptedOut,
    ContactRenamed,
    ContactUpdated,
    CreationAttempted,
    CreationWithdrawn,
    ListLeft,
    OptOutSent,
    RecordDelivered,
    RecordRemoved,
    RecordStored,
)

log = structlog.get_logger()

_UNREAD_MS = 5_000
"""Until an opt-out that was sent alone is looked at again."""


class SingleCallSender:
    """A pool of senders over one queue."""

    def __init__(
        self,
        context: SenderContext,
        targets: AccountTargets,
        policy: SitePolicy,
        recent_buyers: RecentBuyersList,
        readback: ReadbackState,
    ) -> None:
        self._context = context
        self._queue = context.queue
        self._rows = context.rows
        self._clock = context.clock
        self._targets = targets
        self._policy = policy
        self._recent_buyers = recent_buyers
        self._readback = readback
        self._corrections = CreationCorrection(context.log, context.clock)
        self._families: dict[Family, Callable[[DeliveryTask, Any, Api], Awaitable[None]]] = {
            Family.CONTACT: self._contact,
            Family.RECORD: self._record,
            Family.CATALOGUE: self._catalogue,
        }

    async def run(self, connections: int) -> None:
        """Send for ever over ``connections`` connections.

        Raises:
            aiokafka.errors.KafkaError: an outcome could not be written down; the worker must end.
        """
        async with asyncio.TaskGroup() as group:
            for number in range(connections):
                group.create_task(self._work(_lanes(number, connections)))

    async def _work(self, lanes: tuple[Lane, ...]) -> None:
        while True:
            task = await self._queue.take(lanes)
            metrics = self._context.metrics
            self._context.observe_taken(task)
            metrics.in_flight.inc()
            try:
                await self._send(task)
            finally:
                metrics.in_flight.dec()

    async def _send(self, task: DeliveryTask) -> None:
        row = self._rows.get(task.key, task.partition)
        if row is None:
            # Erased meanwhile, or the partition is another worker's, which has the task now.
            self._queue.finish(task.key)
            return
        try:
            await self._families[family_of(task.key)](task, row, self._context.client.for_lane(task.lane))
        except (DataError, TransientError) as error:
            opt_outs = row.opt_outs_to_send if isinstance(row, ContactDeliveryState) else None
            await self._context.failures.rejected(task, _digest(row), error, opt_outs)
        except DotdigitalError as error:
            self._context.failures.retry(error, task.work.area, task)
        else:
            self._context.failures.succeeded(task.work.area)

    async def _contact(self, task: DeliveryTask, row: ContactDeliveryState, api: Api) -> None:
        row.creation = task.creation_of(row)
        if row.move is not None and row.erase is None:
            if row.move.granted and row.known:
                await self._rename(task, row, api)
                return
            if asker := moves.undecided(row):
                # The task is ours, so nothing is under way that could make the contact.
                await self._context.log.write(task.partition, declined(task.key, row.move, asker, self._clock))
                return
            if row.move.until > self._clock.now_ms():
                # A worker that takes over does not trust due times so far ahead.
                self._queue.give_back(task, row.move.until)
                return
        now, list_id = self._clock.now_ms() / 1000, self._recent_buyers.list_id
        join = self._recent_buyers.to_join(row, now)
        leaves = self._policy.leaves(row, now) and (task.timer or not row.dirty)
        if leaves and list_id is not None and row.contact is not None:
            await self._leave(task, row.contact, api, list_id)
        elif row.out_by_words and not row.dirty:
            await self._opt_out_by_words(task, row, api)
        elif row.dirty or row.insistent or join is not None:
            await self._deliver(task, row, api, join)
        elif row.correction.step in (Step.GRANTED, Step.ATTEMPTED) and is_candidate(row):
            await self._correct(task, row, api)
        elif row.listed and (until := self._policy.listed_until(row)) > now:
            # The site has meanwhile made the list's time longer.
            self._queue.give_back(task, until * 1000)
        else:
            self._queue.finish(task.key)

    async def _correct(self, task: DeliveryTask, row: ContactDeliveryState, api: Api) -> None:
        if not self._policy.corrects or self._readback.corrections_stopped(task.partition):
            self._queue.finish(task.key)
        else:
            await self._corrections.correct(task, row, api)

    async def _rename(self, task: DeliveryTask, row: ContactDeliveryState, api: Api) -> None:
        """The contact's person has another address, which asks for it."""
        upsert = ContactUpsert(task=task.key, row=row, targets=self._targets)
        event = await rename_contact(api, upsert, partial(self._checkpoint, task, row), self._clock)
        if isinstance(event, ContactRenamed):
            # Before the outcome: once that is read, nobody remembers here what records the contact has. Removed ones too: an
            # import that went out before may have written them again, and reports it to this address.
            records = self._rows.records_and_orders(owner_of(task.key), task.partition)
            await self._context.log.move_records(event.to, row, records)
        self._context.count_delivered(row, Family.CONTACT, event.outcome)
        await self._context.log.write(task.partition, event)

    async def _leave(self, task: DeliveryTask, contact: int, api: Api, list_id: int) -> None:
        try:
            await api.leave_list(list_id, contact)
        except DataError as error:
            # Nobody is on a list that is gone, and what is refused once is refused again.
            if not isinstance(error, MissingError):
                owner = keyed_hash(owner_of(task.key).encode(), self._policy.hash_key)
                log.warning("contact could not be removed from the recent-buyers list", code=error.code, owner=owner)
        await self._context.log.write(task.partition, ListLeft(task=task.key, at=self._clock.now_ms()))

    async def _deliver(self, task: DeliveryTask, row: ContactDeliveryState, api: Api, join: int | None) -> None:
        if row.erase is None and (row.insistent or row.opt_out_alone or self._queue.blockers.writes.paused):
            await self._opt_out(task, row, api)
            return
        email, leaving = owner_of(task.key), row.fields is None or row.erase is not None
        upsert = ContactUpsert(
            task=task.key,
            row=row,
            targets=self._targets,
            join=join,
            records=tuple(self._rows.records(email, task.partition)) if leaving else (),
            probably_new=self._readback.complete_until() is not None,
        )
        checkpoint = partial(self._checkpoint, task, row)
        if task.looks and not await look_only(api, upsert, checkpoint, self._clock):
            # Until the look is read, the task still wants it; then it waits for the first load.
            self._queue.give_back(task, self._clock.now_ms() + _UNREAD_MS)
            return
        event = await deliver_contact(api, upsert, checkpoint, self._clock)
        if isinstance(event, ContactCreated | ContactUpdated) and event.list_refusal is not None:
            self._recent_buyers.refused(event.list_refusal, email)
        self._context.count_delivered(row, Family.CONTACT, event.outcome)
        await self._context.log.write(task.partition, event)

    async def _opt_out(self, task: DeliveryTask, row: ContactDeliveryState, api: Api) -> None:
        """An opt-out goes out without the data: they wait, for writes are paused, or were refused, or there are none."""
        now = self._clock.now_ms()
        if row.must_send_opt_out:
            done = await send_opt_out(api, owner_of(task.key), row)
            if done is not None:
                sent = OptOutSent(task=task.key, at=now, opt_outs=row.opt_outs, unsubscribed=done)
                await self._context.log.write(task.partition, sent)
            elif row.known:
                await self._context.log.write(task.partition, ContactMissing(task=task.key, at=now))
                return
            elif row.vanished:
                raise DataError("look for the contact", DELETED_IN_DOTDIGITAL)
        # Until what was written down is read the task still looks like an opt-out.
        self._queue.give_back(task, now + _UNREAD_MS)

    async def _opt_out_by_words(self, task: DeliveryTask, row: ContactDeliveryState, api: Api) -> None:
        """An opt-out that comes from a changed word list, and that the brake has granted."""
        now = self._clock.now_ms()
        found = await api.find(owner_of(task.key))
        if found is None:
            await self._context.log.write(task.partition, ContactMissing(task=task.key, at=now))
            return
        if not (refused_already := consent.refused(found.email_status)):
            await api.update_by_id(found.contact_id, NOTHING, status=consent.UNSUBSCRIBED)
        event = ContactOptedOut(task=task.key, at=now, unsubscribed=not refused_already)
        self._context.count_delivered(row, Family.CONTACT, event.outcome)
        await self._context.log.write(task.partition, event)

    async def _checkpoint(self, task: DeliveryTask, row: ContactDeliveryState, event: Checkpoint) -> None:
        """Write down what must be known even if there is no response."""
        match event:
            case ContactLooked():
                for email in row.owed_to if refusal_follows(row, event) else ():
                    await self._context.log.carry_refusal(email, row)
            case CreationAttempted():
                self._queue.record_attempt(task, event.created_as)
            case CreationWithdrawn():
                self._queue.record_attempt(task, event.attempted_before)
        await self._context.log.write(task.partition, event)

    async def _record(self, task: DeliveryTask, row: RecordDeliveryState, api: Api) -> None:
        email = owner_of(task.key)
        contact: ContactDeliveryState | None = self._rows.get(task_of(Family.CONTACT, email), task.partition)
        # A record of a contact that is not there would be refused; it waits for the contact.
        collection = self._targets.orders if contact is not None and contact.known else None
        if self._is_deliverable(task, row, collection):
            await self._insight(task, row, api, (collection or "", part_of(task.key), email))

    async def _catalogue(self, task: DeliveryTask, row: RecordDeliveryState, api: Api) -> None:
        if self._is_deliverable(task, row, self._targets.catalogue):
            await self._insight(task, row, api, (self._targets.catalogue or "", owner_of(task.key), None))

    def _is_deliverable(self, task: DeliveryTask, row: RecordDeliveryState, collection: str | None) -> bool:
        if collection is not None and row.dirty and not row.content_missing:
            return True
        self._queue.finish(task.key)
        return False

    async def _insight(
        self, task: DeliveryTask, row: RecordDeliveryState, api: Api, place: tuple[str, str, str | None]
    ) -> None:
        """Store or remove the record at ``place``: its collection, its key, and the contact that it belongs to."""
        event: RecordDelivered
        collection, key, email = place
        if row.hash == GONE:
            await api.delete_record(collection, key, email)
            event = RecordRemoved(task=task.key, at=self._clock.now_ms())
        else:
            await api.put_record(collection, key, row.content or b"", email)
            event = RecordStored(task=task.key, at=self._clock.now_ms(), digest=row.hash or b"")
        self._context.count_delivered(row.wait, family_of(task.key), event.outcome)
        await self._context.log.write(task.partition, event)


def _lanes(number: int, connections: int) -> tuple[Lane, ...]:
    """What a sender may take: of three or more, one is kept for what is urgent and one for what is not bulk."""
    if connections < 3:
        return tuple(Lane)
    return tuple(Lane)[: number + 1] if number < 2 else tuple(Lane)


def _digest(row: ContactDeliveryState | RecordDeliveryState) -> bytes:
    """Identifies what was to be sent."""
    return (row.desired_digest if isinstance(row, ContactDeliveryState) else row.hash) or b""
