"""Sender: takes due tasks from the schedule one by one, makes their calls, and writes every answer down."""

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import structlog

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue, QueuedTask
from streams.dispatch.outbox.handler import ReadbackState
from streams.dispatch.outbox.rows import AnyWaitState, OutboxRows
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, part_of, task_of
from streams.dispatch.senders.contact_upsert import ContactUpsert, UpsertResult, deliver_contact, refusal_follows
from streams.dispatch.senders.destination import AccountTargets
from streams.dispatch.senders.failures import FailurePolicy
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import GONE, RecordDeliveryState
from streams.dotdigital.client import Api, DotdigitalClient
from streams.dotdigital.errors import DataError, DotdigitalError, MissingError
from streams.messages.dead_letters import keyed_hash
from streams.messages.deliveries import Delivery, Outcome
from streams.observability.metrics import Metrics

log = structlog.get_logger()

_OF_CONTACT = (
    "ERROR_CONTACT_SUPPRESSEDFORADDRESSBOOK",
    "ERROR_CONTACT_SUPPRESSED",
    "ERROR_CONTACT_INVALID",
    "ERROR_CONTACT_NOT_FOUND",
)
"""Codes that say why a contact may not join; any other says that nobody can: ``contacts:invalidValue`` of an unknown list."""


class SingleCallSender:
    """A pool of senders over one schedule."""

    def __init__(
        self,
        schedule: DeliveryQueue,
        rows: OutboxRows,
        client: DotdigitalClient,
        answers: DeliveryLog,
        failure_policy: FailurePolicy,
        destination: AccountTargets,
        rules: SitePolicy,
        index: ReadbackState,
        metrics: Metrics,
    ) -> None:
        self._schedule = schedule
        self._rows = rows
        self._client = client
        self._answers = answers
        self._failure_policy = failure_policy
        self._destination = destination
        self._rules = rules
        self._index = index
        self._metrics = metrics
        self._families: dict[Family, Callable[[QueuedTask, Any, Api], Awaitable[None]]] = {
            Family.CONTACT: self._contact,
            Family.RECORD: self._record,
            Family.CATALOGUE: self._catalogue,
        }

    async def run(self, connections: int) -> None:
        """Send for ever over ``connections`` connections.

        Raises:
            aiokafka.errors.KafkaError: an answer could not be written down; the worker must end.
        """
        async with asyncio.TaskGroup() as group:
            for number in range(connections):
                group.create_task(self._work(_lanes(number, connections)))

    async def _work(self, lanes: tuple[Lane, ...]) -> None:
        while True:
            entry = await self._schedule.take(lanes)
            self._metrics.in_flight.inc()
            try:
                await self._send(entry)
            finally:
                self._metrics.in_flight.dec()

    async def _send(self, entry: QueuedTask) -> None:
        row = self._rows.get(entry.task, entry.partition)
        if row is None:
            self._schedule.answered(entry.task)
            return
        try:
            await self._families[family_of(entry.task)](entry, row, self._client.for_lane(entry.lane))
        except DataError as error:
            await self._failure_policy.rejected(entry, _digest(row), error)
        except DotdigitalError as error:
            self._failure_policy.retry(error, entry)
        else:
            self._failure_policy.succeeded(entry)

    async def _contact(self, entry: QueuedTask, row: ContactDeliveryState, api: Api) -> None:
        row.creation_attempted_as = (
            row.creation_attempted_as if entry.creation_attempted_as == "no" else entry.creation_attempted_as
        )
        now, list_id = self._answers.now_ms() / 1000, self._destination.list_id
        joins = list_id is not None and self._rules.may_join(row, now)
        leaves = self._rules.leaves(row, now) and (entry.timer or not row.dirty)
        if leaves and list_id is not None and row.contact is not None:
            await self._leave(entry, row.contact, api, list_id)
        elif row.dirty or joins:
            await self._deliver(entry, row, api, self._job(entry, row, list_id if joins else None))
        elif row.listed and (until := self._rules.listed_until(row)) > now:
            # The site has meanwhile made the list's time longer.
            self._schedule.give_back(entry, until * 1000)
        else:
            self._schedule.answered(entry.task)

    async def _leave(self, entry: QueuedTask, contact: int, api: Api, list_id: int) -> None:
        try:
            await api.leave_list(list_id, contact)
        except DataError as error:
            # Nobody is on a list that is gone, and what is refused once is refused again.
            if not isinstance(error, MissingError):
                log.warning(
                    "contact could not be removed from the recent-buyers list", code=error.code, owner=self._hash(entry)
                )
        await self._write(entry, Delivery(entry.task, "left", "", 0, entry.lane, listed=False))

    async def _deliver(self, entry: QueuedTask, row: ContactDeliveryState, api: Api, job: ContactUpsert) -> None:
        answer = await deliver_contact(api, job, partial(self._note, entry, row))
        if answer.listless is not None and answer.listless not in _OF_CONTACT:
            self._rules.list_refused = True
            log.critical("the recent-buyers list is refused, no contact joins it until a restart: run 'owdd dotdigital plan'")
        elif answer.listless is not None:
            log.warning("contact may not join the recent-buyers list", code=answer.listless, owner=self._hash(entry))
        self._observe(row, Family.CONTACT, answer.outcome)
        await self._write(entry, delivery_of(entry, row, answer))

    def _job(self, entry: QueuedTask, row: ContactDeliveryState, join: int | None) -> ContactUpsert:
        email, leaving = owner_of(entry.task), row.fields is None or row.erase is not None
        return ContactUpsert(
            email=email,
            row=row,
            cleared=self._destination.cleared,
            join=join,
            records=tuple(self._rows.records(email, entry.partition)) if leaving else (),
            collection=self._destination.orders,
            external=self._destination.external,
            indexed=self._index.complete_until() is not None,
        )

    async def _note(self, entry: QueuedTask, row: ContactDeliveryState, answer: UpsertResult) -> None:
        """Write down what must be known even if nothing more is answered."""
        if refusal_follows(row, answer.seen):
            for email in row.moved_to:
                await self._answers.carry(email, row)
        if answer.created != "no" or answer.outcome == "withdrawn":
            entry.creation_attempted_as = answer.created
        await self._write(entry, delivery_of(entry, row, answer))

    def _hash(self, entry: QueuedTask) -> str:
        return keyed_hash(owner_of(entry.task).encode(), self._rules.hash_key)

    async def _record(self, entry: QueuedTask, row: RecordDeliveryState, api: Api) -> None:
        email = owner_of(entry.task)
        contact: ContactDeliveryState | None = self._rows.get(task_of(Family.CONTACT, email), entry.partition)
        collection = self._destination.orders if contact is not None and contact.known else None
        await self._insight(entry, row, api, collection, part_of(entry.task), email)

    async def _catalogue(self, entry: QueuedTask, row: RecordDeliveryState, api: Api) -> None:
        await self._insight(entry, row, api, self._destination.catalogue, owner_of(entry.task), None)

    async def _insight(
        self, entry: QueuedTask, row: RecordDeliveryState, api: Api, collection: str | None, key: str, email: str | None
    ) -> None:
        if collection is None or not row.dirty or row.content_missing:
            self._schedule.answered(entry.task)
            return
        outcome: Outcome = "removed" if row.hash == GONE else "stored"
        if row.hash == GONE:
            await api.delete_record(collection, key, email)
        else:
            await api.put_record(collection, key, row.content or b"", email)
        self._observe(row.wait, family_of(entry.task), outcome)
        await self._write(entry, Delivery(entry.task, outcome, (row.hash or b"").hex(), 0, entry.lane))

    async def _write(self, entry: QueuedTask, delivery: Delivery) -> None:
        delivery.at = self._answers.now_ms()
        await self._answers.write(entry.partition, delivery)

    def _observe(self, wait: AnyWaitState, family: Family, outcome: Outcome) -> None:
        self._metrics.delivered.labels(family.label, outcome).inc()
        lane = Lane(wait.lane).name.lower()
        self._metrics.latency.labels(lane).observe(max(0, self._answers.now_ms() - wait.caused_at) / 1000)


def _lanes(number: int, connections: int) -> tuple[Lane, ...]:
    """What a sender may take: of three or more, one is kept for what is urgent and one for what is not bulk."""
    if connections < 3:
        return tuple(Lane)
    return tuple(Lane)[: number + 1] if number < 2 else tuple(Lane)


def delivery_of(entry: QueuedTask, row: ContactDeliveryState, answer: UpsertResult) -> Delivery:
    """What is written down of the answer to a contact's ``row``; when, is still to be said."""
    seen = answer.seen
    return Delivery(
        task=entry.task,
        outcome=answer.outcome,
        hash=(row.hash or b"").hex(),
        at=0,
        lane=entry.lane,
        contact=answer.contact,
        created=answer.created,
        opt_out_sent=answer.opt_out_sent,
        status=None if seen is None else seen.email_status,
        updated=0 if seen is None else seen.updated,
        listed=answer.listed,
        list_refused_at=row.despatched if answer.listless in _OF_CONTACT else None,
    )


def _digest(row: ContactDeliveryState | RecordDeliveryState) -> bytes:
    """Identifies what was to be sent."""
    return (row.desired_digest if isinstance(row, ContactDeliveryState) else row.hash) or b""
