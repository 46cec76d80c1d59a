"""Follow-ups: Dotdigital is told of credit notes, many in one call: by custom events, or by enrolment in a programme.

A follow-up is told once: its row stays done for ever. A call whose answer is lost is repeated, with the credit note's number as
the event's id; who is in a programme already is not enrolled again.
"""

from dataclasses import dataclass

import orjson

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue, QueuedTask
from streams.dispatch.outbox.rows import OutboxRows
from streams.dispatch.outbox.tasks import Family, Queue, owner_of, part_of, task_of
from streams.dispatch.rate_limit.limiter import RateLimiter
from streams.dispatch.senders.failures import FailurePolicy
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.money import money
from streams.domain.record_state import FollowUpDeliveryState, digest_of_follow_up
from streams.dotdigital.client import Api, DotdigitalClient
from streams.dotdigital.errors import DataError, DotdigitalError, Limit, ThrottledError
from streams.dotdigital.events import MOST_EVENTS, Event
from streams.dotdigital.programs import MOST_CONTACTS
from streams.mapping.delivery import RefundEnrolment, RefundEvent
from streams.messages.changes import DesiredFollowUp
from streams.messages.deliveries import Delivery
from streams.observability.metrics import Metrics

_PROGRAM_WRONG = ("ERROR_PROGRAM_NOT_FOUND", "ERROR_PROGRAM_NOT_ACTIVE")


@dataclass(frozen=True, slots=True)
class PendingFollowUp:
    """One follow-up that is about to be told."""

    entry: QueuedTask
    email: str
    contact: int
    wanted: DesiredFollowUp

    def event(self, kind: str) -> Event:
        """The custom event; a credit note without a number goes by its id."""
        credit = part_of(self.entry.task)
        number = self.wanted.number or credit
        content = {"credit_note": number, "amount": money(self.wanted.amount), "currency": self.wanted.currency}
        return Event(self.email, kind, number, self.wanted.at, orjson.dumps(content))


class FollowUpSender:
    """Tells what is due, in as few calls as there can be."""

    def __init__(
        self,
        schedule: DeliveryQueue,
        rows: OutboxRows,
        client: DotdigitalClient,
        answers: DeliveryLog,
        budget: RateLimiter,
        failure_policy: FailurePolicy,
        how: RefundEvent | RefundEnrolment,
        metrics: Metrics,
    ) -> None:
        self._schedule = schedule
        self._rows = rows
        self._client = client
        self._answers = answers
        self._budget = budget
        self._failure_policy = failure_policy
        self._how = how
        self._metrics = metrics

    async def run(self) -> None:
        """Tell for ever.

        Raises:
            aiokafka.errors.KafkaError: an answer could not be written down; the worker must end.
        """
        most = MOST_CONTACTS if isinstance(self._how, RefundEnrolment) else MOST_EVENTS
        while True:
            first = await self._schedule.take(queues=(Queue.FOLLOW_UP,))
            entries = [first, *self._more(most - 1)]
            await self._send_all([ready for entry in entries if (ready := self._ready(entry)) is not None])

    def _more(self, most: int) -> list[QueuedTask]:
        """What else is due, the most urgent first."""
        more: list[QueuedTask] = []
        for place in ((lane, Queue.FOLLOW_UP) for lane in Lane):
            if place not in self._schedule.closed:
                more += self._schedule.take_due(place, most - len(more))
        return more

    async def _send_all(self, published: list[PendingFollowUp]) -> None:
        if not published or not self._allowed(published):
            return
        try:
            await self._call(published)
        except DataError as error:
            await self._refused(published, error)
        except DotdigitalError as error:
            if isinstance(error, ThrottledError) and error.scope is Limit.ENROLMENTS:
                self._budget.enrolments.refused()
            self._failure_policy.retry(error, *(ready.entry for ready in published))
        else:
            self._failure_policy.succeeded(published[0].entry)
            now = self._answers.now_ms()
            self._metrics.delivered.labels(Family.FOLLOW_UP.label, "told").inc(len(published))
            await self._answers.write_all(
                (ready.entry.partition, Delivery(ready.entry.task, "told", "", now, ready.entry.lane)) for ready in published
            )

    def _allowed(self, published: list[PendingFollowUp]) -> bool:
        """Whether the call may be made now; if not, it waits for the hour's allowance."""
        allowance = self._budget.enrolments
        if not isinstance(self._how, RefundEnrolment) or allowance.acquire():
            return True
        for ready in published:
            self._schedule.give_back(ready.entry, allowance.opens_at)
        return False

    async def _call(self, published: list[PendingFollowUp]) -> None:
        api: Api = self._client.for_lane(published[0].entry.lane)  # the most urgent one
        if isinstance(self._how, RefundEnrolment):
            # Two credit notes of one person in one call are one enrolment.
            await api.enrol(self._how.program, sorted({ready.contact for ready in published}))
        else:
            await api.import_events([ready.event(self._how.type) for ready in published])

    async def _refused(self, published: list[PendingFollowUp], error: DataError) -> None:
        """One that is wrong has all refused: find it by halves, unless it is the programme that is wrong."""
        if len(published) == 1 or error.code in _PROGRAM_WRONG:
            for ready in published:
                await self._failure_policy.rejected(ready.entry, digest_of_follow_up(ready.wanted), error)
            return
        half = len(published) // 2
        await self._send_all(published[:half])
        await self._send_all(published[half:])

    def _ready(self, entry: QueuedTask) -> PendingFollowUp | None:
        row: FollowUpDeliveryState | None = self._rows.get(entry.task, entry.partition)
        email = owner_of(entry.task)
        contact: ContactDeliveryState | None = self._rows.get(task_of(Family.CONTACT, email), entry.partition)
        if row is None or row.desired is None or not row.dirty or contact is None or contact.contact is None:
            self._schedule.answered(entry.task)
            return None
        return PendingFollowUp(entry, email, contact.contact, row.desired)
