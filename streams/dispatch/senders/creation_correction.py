"""Correct the status of a contact that we created unsubscribed, and that Orderwise opted in later.

One look decides, one call subscribes without a challenge, and one look reads back. The call is sent once: if its outcome is not
known, only the look is repeated, for the person may have left since.
"""

import structlog

from streams.core.clock import Clock
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.tasks import owner_of
from streams.domain.consent import SUBSCRIBED, folded_status
from streams.domain.consent_conflicts import changed_since, doubt
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.correction import Step
from streams.dotdigital.client import Api
from streams.dotdigital.contact_calls import Contact
from streams.dotdigital.errors import DataError, DotdigitalError
from streams.dotdigital.suppression import RESUBSCRIBED
from streams.messages.deliveries import (
    ContactMissing,
    CorrectionAttempted,
    CorrectionEnded,
    CreationCorrected,
    ObservedContact,
)

log = structlog.get_logger()


class CreationCorrection:
    """Makes corrections, and writes every step of them down."""

    def __init__(self, log: DeliveryLog, clock: Clock) -> None:
        self._log = log
        self._clock = clock
        self._attempted: set[str] = set()

    async def correct(self, task: DeliveryTask, row: ContactDeliveryState, api: Api) -> None:
        """Correct the contact's status, or say why not.

        Raises:
            DotdigitalError: a look failed, or nobody knows whether the call had an effect; it may be repeated.
            aiokafka.errors.KafkaError: it could not be written down.
        """
        found = await api.find(owner_of(task.key))
        if found is None:
            await self._log.write(task.partition, ContactMissing(task=task.key, at=self._clock.now_ms()))
        elif row.correction.step is Step.ATTEMPTED or task.key in self._attempted:
            await self._read_back(task, found)
        elif (reason := doubt(row, found)) is not None:
            await self._end(task, reason)
        elif changed_since(row, found):
            await self._end(task, "changed_meanwhile", again=True)
        else:
            await self._subscribe(task, api)

    async def _subscribe(self, task: DeliveryTask, api: Api) -> None:
        await self._log.write(task.partition, CorrectionAttempted(task=task.key, at=self._clock.now_ms()))
        # The row says so too, but not at once.
        self._attempted.add(task.key)
        try:
            answer = await api.resubscribe_without_challenge(owner_of(task.key))
        except DataError as error:
            await self._end(task, "refused", stops=error.code)
        except DotdigitalError as error:
            if not error.not_applied:
                raise
            await self._end(task, "not_applied", again=True)
        else:
            if answer != RESUBSCRIBED:
                await self._end(task, "refused", stops=answer)
            else:
                await self._read_back(task, await api.find(owner_of(task.key)))

    async def _read_back(self, task: DeliveryTask, found: Contact | None) -> None:
        status = "nobody" if found is None else folded_status(found.email_status)
        if found is None or status != SUBSCRIBED:
            await self._end(task, "not_confirmed", stops=status)
            return
        observed = ObservedContact(found.email_status, found.updated)
        self._attempted.discard(task.key)
        await self._log.write(task.partition, CreationCorrected(task=task.key, at=self._clock.now_ms(), observed=observed))

    async def _end(self, task: DeliveryTask, code: str, *, again: bool = False, stops: str | None = None) -> None:
        if stops is not None:
            log.critical("a correction of consent had another result than expected; all of them are stopped", result=stops)
        self._attempted.discard(task.key)
        event = CorrectionEnded(task=task.key, at=self._clock.now_ms(), code=code, again=again, stops=stops is not None)
        await self._log.write(task.partition, event)
