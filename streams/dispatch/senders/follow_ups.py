"""Follow-ups: Dotdigital is told of credit notes, many in one call: by custom events, or by enrolment in a programme.

A follow-up is told once: its row stays done for ever. A call whose answer is lost is repeated, with the credit note's number as
the event's id; who is in a programme already is not enrolled again.
"""

from dataclasses import dataclass

import orjson

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_log import Answers
from streams.dispatch.outbox.delivery_queue import Entry, Schedule
from streams.dispatch.outbox.rows import Rows
from streams.dispatch.outbox.tasks import Family, Queue, owner_of, part_of, task_of
from streams.dispatch.rate_limit.limiter import BudgetGovernor
from streams.dispatch.senders.failures import Troubles
from streams.domain.contact_state import OutboxRow
from streams.domain.money import money
from streams.domain.record_state import FollowUpRow, digest_of_follow_up
from streams.dotdigital.client import Api, DotdigitalClient
from streams.dotdigital.errors import Ceiling, DataError, DotdigitalError, ThrottledError
from streams.dotdigital.events import MOST_EVENTS, Event
from streams.dotdigital.programs import MOST_CONTACTS
from streams.mapping.delivery import RefundEnrolment, RefundEvent
from streams.messages.changes import FollowUp
from streams.messages.deliveries import Delivery
from streams.observability.metrics import Metrics

_PROGRAM_WRONG = ("ERROR_PROGRAM_NOT_FOUND", "ERROR_PROGRAM_NOT_ACTIVE")


@dataclass(frozen=True, slots=True)
class _Told:
    """One follow-up that is about to be told."""

    entry: Entry
    email: str
    contact: int
    wanted: FollowUp

    def event(self, kind: str) -> Event:
        """The custom event; a credit note without a number goes by its id."""
        credit = part_of(self.entry.task)
        number = self.wanted.number or credit
        content = {"credit_note": number, "amount": money(self.wanted.amount), "currency": self.wanted.currency}
        return Event(self.email, kind, number, self.wanted.at, orjson.dumps(content))


class Follower:
    """Tells what is due, in as few calls as there can be."""

    def __init__(
        self,
        schedule: Schedule,
        rows: Rows,
        client: DotdigitalClient,
        answers: Answers,
        budget: BudgetGovernor,
        troubles: Troubles,
        how: RefundEvent | RefundEnrolment,
        metrics: Metrics,
    ) -> None:
        self._schedule = schedule
        self._rows = rows
        self._client = client
        self._answers = answers
        self._budget = budget
        self._troubles = troubles
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
            await self._tell([ready for entry in entries if (ready := self._ready(entry)) is not None])

    def _more(self, most: int) -> list[Entry]:
        """What else is due, the most urgent first."""
        more: list[Entry] = []
        for place in ((lane, Queue.FOLLOW_UP) for lane in Lane):
            if place not in self._schedule.closed:
                more += self._schedule.take_due(place, most - len(more))
        return more

    async def _tell(self, told: list[_Told]) -> None:
        if not told or not self._allowed(told):
            return
        try:
            await self._call(told)
        except DataError as error:
            await self._refused(told, error)
        except DotdigitalError as error:
            if isinstance(error, ThrottledError) and error.scope is Ceiling.ENROLMENTS:
                self._budget.enrolments.refused()
            self._troubles.again(error, *(ready.entry for ready in told))
        else:
            self._troubles.over(told[0].entry)
            now = self._answers.now_ms()
            self._metrics.delivered.labels(Family.FOLLOW_UP.label, "told").inc(len(told))
            await self._answers.write_all(
                (ready.entry.partition, Delivery(ready.entry.task, "told", "", now, ready.entry.lane)) for ready in told
            )

    def _allowed(self, told: list[_Told]) -> bool:
        """Whether the call may be made now; if not, it waits for the hour's allowance."""
        allowance = self._budget.enrolments
        if not isinstance(self._how, RefundEnrolment) or allowance.take():
            return True
        for ready in told:
            self._schedule.give_back(ready.entry, allowance.opens_at)
        return False

    async def _call(self, told: list[_Told]) -> None:
        api: Api = self._client.on(told[0].entry.lane)  # the most urgent one
        if isinstance(self._how, RefundEnrolment):
            # Two credit notes of one person in one call are one enrolment.
            await api.enrol(self._how.program, sorted({ready.contact for ready in told}))
        else:
            await api.import_events([ready.event(self._how.type) for ready in told])

    async def _refused(self, told: list[_Told], error: DataError) -> None:
        """One that is wrong has all refused: find it by halves, unless it is the programme that is wrong."""
        if len(told) == 1 or error.code in _PROGRAM_WRONG:
            for ready in told:
                await self._troubles.refused(ready.entry, digest_of_follow_up(ready.wanted), error)
            return
        half = len(told) // 2
        await self._tell(told[:half])
        await self._tell(told[half:])

    def _ready(self, entry: Entry) -> _Told | None:
        row: FollowUpRow | None = self._rows.get(entry.task, entry.partition)
        email = owner_of(entry.task)
        contact: OutboxRow | None = self._rows.get(task_of(Family.CONTACT, email), entry.partition)
        if row is None or row.wanted is None or not row.dirty or contact is None or contact.contact is None:
            self._schedule.answered(entry.task)
            return None
        return _Told(entry, email, contact.contact, row.wanted)
