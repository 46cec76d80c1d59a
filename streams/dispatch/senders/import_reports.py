"""Import reports: what became of an import, row by row, written down as the delivery events of its tasks.

A report may lack rows that were imported all the same, and a row may be imported in part; whatever it does not plainly name as
done goes alone, which costs one call that changes nothing or finds out what is wrong.
"""

from collections.abc import Iterator
from typing import TypeAlias

import structlog

from streams.dispatch.outbox.imports_in_flight import RunningImport
from streams.dispatch.outbox.rows import wait_of
from streams.dispatch.outbox.tasks import Family, Work, family_of, owner_of, part_of, task_of
from streams.dispatch.senders.context import SenderContext
from streams.domain.consent import SUBSCRIBED, Signal
from streams.domain.contact_state import ContactDeliveryState
from streams.dotdigital.client import Api
from streams.dotdigital.errors import NotFoundError
from streams.dotdigital.imports import ContactImport, ImportState
from streams.dotdigital.insight import InsightImport
from streams.messages.deliveries import (
    ContactCreated,
    ContactUpdated,
    CreatedAs,
    ImportedTask,
    ImportEnded,
    RecordStored,
)

log = structlog.get_logger()

TasksByPartition: TypeAlias = dict[int, dict[str, ImportedTask]]
Reported: TypeAlias = ContactCreated | ContactUpdated | RecordStored
_UNANSWERED_SECONDS = 300.0
"""After so long an import is over of which nobody knows whether it ever began, or after the patience if that is less."""


class ImportReports:
    """Asks what became of imports, with the ``api`` of the bulk lane, and reconciles them; ``patience`` in seconds."""

    def __init__(self, context: SenderContext, api: Api, patience: float) -> None:
        self._context = context
        self._api = api
        self._patience = patience

    async def reconcile(self, running: RunningImport) -> None:
        """Ask once, and write the outcomes down if the import is over.

        Raises:
            DotdigitalError: it could not be asked.
            aiokafka.errors.KafkaError: the outcomes could not be written down; the worker must end.
        """
        age, places = (self._context.clock.now_ms() - running.at) / 1000, running.open
        if running.unanswered:
            if age >= min(self._patience, _UNANSWERED_SECONDS):
                log.warning("import call had no response: its items are sent again", kind=running.kind)
                await self._end(running, places, ImportState.FAILED, set())
            return
        report = await self._report(running)
        state = ImportState.FAILED if report is None else report.state
        if state is ImportState.RUNNING:
            if age < self._patience:
                return
            log.error("import given up: its items are sent by single calls", kind=running.kind, hours=self._patience / 3600)
        elif state is not ImportState.DONE:
            log.error("import failed: its items are sent again", kind=running.kind, state=state)
        self._context.metrics.imports.labels(running.kind, state).inc()
        done: list[tuple[int, Reported]] = []
        if state is ImportState.DONE and report is not None:
            done = list(self._done(running, places, report))
            await self._context.log.write_all(done)
        # Behind the outcomes: whoever reads the end takes what was not named before it as not done.
        await self._end(running, places, state, {event.task for _, event in done})

    async def _end(self, running: RunningImport, places: TasksByPartition, state: ImportState, done: set[str]) -> None:
        for task in {task for tasks in places.values() for task in tasks} - done:
            self._context.metrics.import_rows.labels(running.kind, "again").inc()
            self._context.queue.release(task, running.id, alone=state is not ImportState.FAILED)
        ended = ImportEnded(import_id=running.id, at=self._context.clock.now_ms(), state=state)
        await self._context.log.write_all((partition, ended) for partition in places)
        running.settled |= places.keys()

    async def _report(self, running: RunningImport) -> ContactImport | InsightImport | None:
        try:
            if running.kind in (Work.EXISTING, Work.NEW):
                return await self._api.contact_import(running.id)
            return await self._api.insight_import(running.id)
        except NotFoundError:
            return None

    def _done(
        self, running: RunningImport, places: TasksByPartition, report: ContactImport | InsightImport
    ) -> Iterator[tuple[int, Reported]]:
        for partition, tasks in places.items():
            found: Iterator[Reported]
            if isinstance(report, ContactImport):
                found = self._contacts(running.id, tasks, report, partition)
            else:
                found = self._records(running.id, tasks, report, partition)
            for event in found:
                row = self._context.rows.get(event.task, partition)
                if row is not None:
                    self._context.metrics.import_rows.labels(running.kind, "done").inc()
                    self._context.count_delivered(wait_of(row), family_of(event.task), event.outcome)
                    yield partition, event

    def _contacts(
        self, import_id: str, tasks: dict[str, ImportedTask], report: ContactImport, partition: int
    ) -> Iterator[ContactCreated | ContactUpdated]:
        failed = {failure.email for failure in report.failures} | {failure.contact_id for failure in report.failures}
        created = {row.email: row.contact_id for row in report.created}
        written = created | {row.email: row.contact_id for row in report.updated}
        now = self._context.clock.now_ms()
        for task, item in tasks.items():
            email = owner_of(task)
            contact = written.get(email)
            row: ContactDeliveryState | None = self._context.rows.get(task, partition)
            if contact is None or row is None or email in failed or contact in failed:
                continue
            if email in created and item.created_as is not None:
                yield ContactCreated(
                    task=task,
                    at=now,
                    digest=item.digest,
                    contact=contact,
                    created_as=_created_as(row, item.created_as),
                    opt_outs=item.opt_outs,
                    joined=item.joined,
                    import_id=import_id,
                )
            else:
                # A contact that was there already is somebody else's, unless we had tried before.
                yield ContactUpdated(
                    task=task,
                    at=now,
                    digest=item.digest,
                    contact=contact,
                    attempted_before=item.attempted_before,
                    opt_outs=item.opt_outs,
                    joined=item.joined,
                    import_id=import_id,
                )

    def _records(
        self, import_id: str, tasks: dict[str, ImportedTask], report: InsightImport, partition: int
    ) -> Iterator[RecordStored]:
        if report.imported + report.rejected < report.total or len(report.failures) < report.rejected:
            # Some that were rejected are not named, and nobody knows which.
            return
        failed = {failure.key for failure in report.failures}
        now = self._context.clock.now_ms()
        for task, item in tasks.items():
            catalogue = family_of(task) is Family.CATALOGUE
            key = owner_of(task) if catalogue else part_of(task)
            # It went to the contact that the address had then.
            there = catalogue or self._contact_of(task, partition) == item.contact
            if there and key not in failed:
                yield RecordStored(task=task, at=now, digest=item.digest, import_id=import_id)

    def _contact_of(self, task: str, partition: int) -> int | None:
        row: ContactDeliveryState | None = self._context.rows.get(task_of(Family.CONTACT, owner_of(task)), partition)
        return None if row is None else row.contact


def _created_as(row: ContactDeliveryState, created_as: CreatedAs) -> CreatedAs:
    """How the import created the contact, as far as that still explains its status: somebody may have signed up since."""
    return SUBSCRIBED if row.consent.dotdigital.signal is Signal.IN else created_as
