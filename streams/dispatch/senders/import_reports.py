"""Reports: an import's answer, read row by row and written down as the answers of its tasks.

A report may lack rows that were imported all the same, and a row may be imported in part; whatever it does not plainly name as
done goes alone, which costs one call that changes nothing or finds out what is wrong.
"""

from collections.abc import Iterator
from typing import TypeAlias

import structlog

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.imports_in_flight import RunningImport
from streams.dispatch.outbox.rows import OutboxRows, wait_of
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, part_of, task_of
from streams.dispatch.senders.routing import Work
from streams.domain.consent import SUBSCRIBED, UNSUBSCRIBED, Signal
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import RecordDeliveryState
from streams.dotdigital.client import Api
from streams.dotdigital.errors import NotFoundError
from streams.dotdigital.imports import ContactImport, ImportState
from streams.dotdigital.insight import InsightImport
from streams.messages.deliveries import Created, Delivery, ImportedTask
from streams.observability.metrics import Metrics

log = structlog.get_logger()

QueueKeys: TypeAlias = dict[int, dict[str, ImportedTask]]
_UNANSWERED_SECONDS = 300.0
"""After so long an import is over of which nobody knows whether it ever began, or after the patience if that is less."""


class ImportReports:
    """Asks what became of imports, and settles them."""

    def __init__(
        self,
        api: Api,
        schedule: DeliveryQueue,
        rows: OutboxRows,
        answers: DeliveryLog,
        patience: float,
        metrics: Metrics,
    ) -> None:
        self._api = api
        self._schedule = schedule
        self._rows = rows
        self._answers = answers
        self._patience = patience
        self._metrics = metrics

    async def reconcile(self, running: RunningImport) -> None:
        """Ask once, and write the answers down if the import is over.

        Raises:
            DotdigitalError: it could not be asked.
            aiokafka.errors.KafkaError: the answers could not be written down; the worker must end.
        """
        age, places = (self._answers.now_ms() - running.at) / 1000, running.open
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
        self._metrics.imports.labels(running.kind, state).inc()
        done: list[tuple[int, Delivery]] = []
        if state is ImportState.DONE and report is not None:
            done = list(self._done(running, places, report))
            await self._answers.write_all(done)
        await self._end(running, places, state, {delivery.task for _, delivery in done})

    async def _end(self, running: RunningImport, places: QueueKeys, state: ImportState, done: set[str]) -> None:
        for task in {task for items in places.values() for task in items} - done:
            self._metrics.import_rows.labels(running.kind, "again").inc()
            self._schedule.release(task, running.id, alone=state is not ImportState.FAILED)
        now = self._answers.now_ms()
        await self._answers.write_all(
            (partition, Delivery(running.id, "imported", "", now, Lane.BULK, code=state)) for partition in places
        )
        running.settled |= places.keys()

    async def _report(self, running: RunningImport) -> ContactImport | InsightImport | None:
        try:
            if running.kind in (Work.EXISTING, Work.NEW):
                return await self._api.contact_import(running.id)
            return await self._api.insight_import(running.id)
        except NotFoundError:
            return None

    def _done(
        self, running: RunningImport, places: QueueKeys, report: ContactImport | InsightImport
    ) -> Iterator[tuple[int, Delivery]]:
        for partition, items in places.items():
            found = (
                self._contacts(items, report, partition)
                if isinstance(report, ContactImport)
                else self._records(items, report, partition)
            )
            for delivery in found:
                row = self._rows.get(delivery.task, partition)
                if row is not None:
                    delivery.by = running.id
                    self._observe(row, running.kind, delivery)
                    yield partition, delivery

    def _contacts(self, items: dict[str, ImportedTask], report: ContactImport, partition: int) -> Iterator[Delivery]:
        failed = {failure.email for failure in report.failures} | {failure.contact_id for failure in report.failures}
        created = {row.email: row.contact_id for row in report.created}
        written = created | {row.email: row.contact_id for row in report.updated}
        now = self._answers.now_ms()
        for task, item in items.items():
            email = owner_of(task)
            contact = written.get(email)
            row: ContactDeliveryState | None = self._rows.get(task, partition)
            if contact is None or row is None or email in failed or contact in failed:
                continue
            yield Delivery(
                task,
                "created" if email in created else "updated",
                item.hash,
                now,
                row.lane,
                contact=contact,
                # Who was there already is somebody else's, unless we tried before.
                created=_created(row, item) if email in created else item.attempted_before,
                opt_out_sent=row.opt_out_sent or item.created == UNSUBSCRIBED,
                listed=True if item.joined else None,
            )

    def _records(self, items: dict[str, ImportedTask], report: InsightImport, partition: int) -> Iterator[Delivery]:
        if report.imported + report.rejected < report.total or len(report.failures) < report.rejected:
            # Some that were rejected are not named, and nobody knows which.
            return
        failed = {failure.key for failure in report.failures}
        now = self._answers.now_ms()
        for task, item in items.items():
            catalogue = family_of(task) is Family.CATALOGUE
            key = owner_of(task) if catalogue else part_of(task)
            # It went to the contact that the address had then.
            there = catalogue or self._contact_of(task, partition) == item.contact
            if there and key not in failed:
                yield Delivery(task, "stored", item.hash, now, Lane.BULK)

    def _contact_of(self, task: str, partition: int) -> int | None:
        row: ContactDeliveryState | None = self._rows.get(task_of(Family.CONTACT, owner_of(task)), partition)
        return None if row is None else row.contact

    def _observe(self, row: ContactDeliveryState | RecordDeliveryState, kind: str, delivery: Delivery) -> None:
        wait = wait_of(row)
        self._metrics.import_rows.labels(kind, "done").inc()
        self._metrics.delivered.labels(family_of(delivery.task).label, delivery.outcome).inc()
        seconds = max(0, self._answers.now_ms() - wait.caused_at) / 1000
        self._metrics.latency.labels(Lane(wait.lane).name.lower()).observe(seconds)


def _created(row: ContactDeliveryState, item: ImportedTask) -> Created:
    """How the import created the contact, as far as that still explains its status: somebody may have signed up since."""
    return SUBSCRIBED if row.consent.dotdigital.signal is Signal.IN else item.created
