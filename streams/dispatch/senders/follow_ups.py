"""Follow-ups: credit notes go to Dotdigital, many in one call, by custom events, or by enrolment in a programme.

A follow-up is delivered once: its row stays done for ever. If the response to a call is lost, the call is repeated with the
credit note's number as the event's id; a contact that is in a programme already is not enrolled again.

Dotdigital gives no report of events, so one that it took is *accepted*. An enrolment is done when its report says so: its tasks
stay leased until then. A worker that ends before enrols again, and reads in the next report that the contacts are in already.
"""

import asyncio
from dataclasses import dataclass

import orjson
import structlog

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, Work, owner_of, part_of, task_of
from streams.dispatch.rate_limit.concurrency import EnrolmentQuota
from streams.dispatch.senders.context import SenderContext
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.money import money
from streams.domain.record_state import FollowUpDeliveryState, digest_of_follow_up
from streams.dotdigital.client import Api
from streams.dotdigital.errors import DataError, DotdigitalError, Limit, NotFoundError, ThrottledError, TransientError
from streams.dotdigital.events import MOST_EVENTS, Event
from streams.dotdigital.programs import ALREADY_ENROLLED, MOST_CONTACTS
from streams.dotdigital.tiers import Operation
from streams.mapping.delivery import RefundEnrolment, RefundEvent
from streams.messages.changes import DesiredFollowUp
from streams.messages.deliveries import FollowUpAccepted, FollowUpDelivered, FollowUpDone

logger = structlog.get_logger()

_PROGRAM_WRONG = ("ERROR_PROGRAM_NOT_FOUND", "ERROR_PROGRAM_NOT_ACTIVE")


@dataclass(frozen=True, slots=True)
class ReportPolicy:
    """How long to wait between two looks for an enrolment's report, and for how long in all, in seconds."""

    poll: float
    patience: float


@dataclass(frozen=True, slots=True)
class PendingFollowUp:
    """One follow-up that is about to be sent."""

    task: DeliveryTask
    email: str
    contact: int
    desired: DesiredFollowUp

    def event(self, kind: str) -> Event:
        """The custom event; a credit note without a number goes by its id."""
        credit = part_of(self.task.key)
        number = self.desired.number or credit
        content = {"credit_note": number, "amount": money(self.desired.amount), "currency": self.desired.currency}
        return Event(self.email, kind, number, self.desired.at, orjson.dumps(content))


class FollowUpSender:
    """Sends what is due, in as few calls as there can be."""

    def __init__(
        self,
        context: SenderContext,
        enrolments: EnrolmentQuota,
        follow_up: RefundEvent | RefundEnrolment,
        policy: SitePolicy,
        reports: ReportPolicy,
    ) -> None:
        self._context = context
        self._queue = context.queue
        self._enrolments = enrolments
        self._follow_up = follow_up
        self._policy = policy
        self._reports = reports
        self._unfinished = asyncio.TaskGroup()

    async def run(self) -> None:
        """Send for ever.

        Raises:
            aiokafka.errors.KafkaError: an outcome could not be written down; the worker must end.
        """
        most = MOST_CONTACTS if isinstance(self._follow_up, RefundEnrolment) else MOST_EVENTS
        async with self._unfinished:
            while True:
                first = await self._queue.take(works=(Work.FOLLOW_UP,))
                tasks = [first, *self._more(most - 1)]
                await self._send_all([ready for task in tasks if (ready := self._ready(task)) is not None])

    def _more(self, most: int) -> list[DeliveryTask]:
        """What else is due, the most urgent first."""
        more: list[DeliveryTask] = []
        for key in ((lane, Work.FOLLOW_UP) for lane in Lane):
            if key not in self._queue.blockers.reserved:
                more += self._queue.take_due(key, most - len(more))
        return more

    async def _send_all(self, pending: list[PendingFollowUp]) -> None:
        if not pending or not self._allowed(pending):
            return
        try:
            await self._call(pending)
        except DataError as error:
            await self._refused(pending, error)
        except TransientError as error:
            for ready in pending:
                await self._context.failures.rejected(ready.task, digest_of_follow_up(ready.desired), error)
        except DotdigitalError as error:
            if isinstance(error, ThrottledError) and error.scope is Limit.ENROLMENTS:
                self._enrolments.refused()
            self._context.failures.retry(error, Work.FOLLOW_UP.area, *(ready.task for ready in pending))
        else:
            self._context.failures.succeeded(Work.FOLLOW_UP.area)

    async def _done(self, pending: list[PendingFollowUp], outcome: type[FollowUpDone]) -> None:
        now = self._context.clock.now_ms()
        events = [(ready.task.partition, outcome(task=ready.task.key, at=now)) for ready in pending]
        if events:
            self._context.metrics.delivered.labels(Family.FOLLOW_UP.label, events[0][1].outcome).inc(len(events))
            await self._context.log.write_all(events)

    async def _read_report(self, api: Api, enrolment: str, pending: list[PendingFollowUp]) -> None:
        """Wait for an enrolment's report: those that it names were refused, the others are done."""
        deadline, refused = self._context.clock.now_ms() + int(self._reports.patience * 1000), None
        while refused is None and self._context.clock.now_ms() < deadline:
            await asyncio.sleep(self._reports.poll)
            try:
                if await api.enrolment_finished(enrolment):
                    refused = await api.enrolment_faults(enrolment)
            except NotFoundError:
                # Nobody knows what became of it: it is repeated, and whoever is enrolled stays so.
                break
            except DotdigitalError as error:
                logger.warning("an enrolment's report cannot be read yet", operation=error.operation, reason=str(error))
        if refused is None:
            for ready in pending:
                late = TransientError(Operation.ENROLMENT, "no-report")
                await self._context.failures.rejected(ready.task, digest_of_follow_up(ready.desired), late)
            return
        faults = {contact: reason for contact, reason in refused.items() if reason != ALREADY_ENROLLED}
        await self._done([ready for ready in pending if ready.contact not in faults], FollowUpDelivered)
        for ready in pending:
            if (reason := faults.get(ready.contact)) is not None:
                await self._context.failures.rejected(
                    ready.task, digest_of_follow_up(ready.desired), DataError(Operation.ENROLMENT, reason)
                )

    def _allowed(self, pending: list[PendingFollowUp]) -> bool:
        """Whether the call may be made now; if not, it waits for the hour's quota."""
        if not isinstance(self._follow_up, RefundEnrolment) or self._enrolments.acquire():
            return True
        for ready in pending:
            self._queue.give_back(ready.task, self._enrolments.opens_at)
        return False

    async def _call(self, pending: list[PendingFollowUp]) -> None:
        api: Api = self._context.client.for_lane(pending[0].task.lane)  # the most urgent one
        if isinstance(self._follow_up, RefundEnrolment):
            # Two credit notes of one person in one call are one enrolment.
            enrolment = await api.enrol(self._follow_up.program, sorted({ready.contact for ready in pending}))
            self._unfinished.create_task(self._read_report(api, enrolment, pending))
        else:
            await api.import_events([ready.event(self._follow_up.type) for ready in pending])
            await self._done(pending, FollowUpAccepted)

    async def _refused(self, pending: list[PendingFollowUp], error: DataError) -> None:
        """One that is wrong has all refused: find it by halves, unless it is the programme that is wrong."""
        if len(pending) == 1 or error.code in _PROGRAM_WRONG:
            for ready in pending:
                await self._context.failures.rejected(ready.task, digest_of_follow_up(ready.desired), error)
            return
        half = len(pending) // 2
        await self._send_all(pending[:half])
        await self._send_all(pending[half:])

    def _ready(self, task: DeliveryTask) -> PendingFollowUp | None:
        row: FollowUpDeliveryState | None = self._context.rows.get(task.key, task.partition)
        email = owner_of(task.key)
        contact: ContactDeliveryState | None = self._context.rows.get(task_of(Family.CONTACT, email), task.partition)
        if row is None or row.desired is None or not row.dirty or contact is None or contact.contact is None:
            self._queue.finish(task.key)
            return None
        if not self._policy.follows_up(row.desired, contact, self._context.clock.now_ms() / 1000):
            # While it waited it has become too old, or its address shared.
            self._queue.finish(task.key)
            return None
        return PendingFollowUp(task, email, contact.contact, row.desired)
