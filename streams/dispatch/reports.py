"""Reports: an import's answer, read row by row and written down as the answers of its tasks.

A report may lack rows that were imported all the same, and a row may be imported in part; whatever it does not plainly name as
done goes alone, which costs one call that changes nothing or finds out what is wrong.
"""

from collections.abc import Iterator

import structlog

from streams.capture.rows import Lane
from streams.dispatch.answers import Answers
from streams.dispatch.routing import Work
from streams.dispatch.rows import Rows, wait_of
from streams.dispatch.running import Item, Running
from streams.dispatch.schedule import Schedule
from streams.dispatch.tasks import Family, family_of, owner_of, part_of
from streams.domain.deliverables import RecordRow
from streams.domain.delivery import Delivery, OutboxRow
from streams.dotdigital.client import Api
from streams.dotdigital.errors import NotFoundError
from streams.dotdigital.imports import ContactImport, ImportState
from streams.dotdigital.insight import InsightImport
from streams.observability.metrics import Metrics

log = structlog.get_logger()


class Reports:
    """Asks what became of imports, and settles them."""

    def __init__(self, api: Api, schedule: Schedule, rows: Rows, answers: Answers, patience: float, metrics: Metrics) -> None:
        self._api = api
        self._schedule = schedule
        self._rows = rows
        self._answers = answers
        self._patience = patience
        self._metrics = metrics

    async def settle(self, running: Running) -> bool:
        """Ask once, and write the answers down if the import is over; False while it runs.

        Raises:
            DotdigitalError: it could not be asked.
            aiokafka.errors.KafkaError: the answers could not be written down; the worker must end.
        """
        report = await self._report(running)
        state = ImportState.FAILED if report is None else report.state
        if state is ImportState.RUNNING:
            if self._answers.now_ms() - running.at < self._patience * 1000:
                return False
            log.error("import given up: what it held is sent alone", kind=running.kind, hours=self._patience / 3600)
        elif state is not ImportState.DONE:
            log.error("import failed: what it held is sent again", kind=running.kind, state=state)
        self._metrics.imports.labels(running.kind, state).inc()
        if state is ImportState.DONE and report is not None:
            done = list(self._done(running, report))
            await self._answers.write_all(done)
            self._release(running, {delivery.task for _, delivery in done}, alone=True)
        else:
            self._release(running, set(), alone=state is not ImportState.FAILED)
        now = self._answers.now_ms()
        await self._answers.write_all(
            (partition, Delivery(running.id, "imported", "", now, Lane.BULK, code=state)) for partition in running.items
        )
        return True

    async def _report(self, running: Running) -> ContactImport | InsightImport | None:
        try:
            if running.kind in (Work.EXISTING, Work.NEW):
                return await self._api.contact_import(running.id)
            return await self._api.insight_import(running.id)
        except NotFoundError:
            return None

    def _release(self, running: Running, done: set[str], *, alone: bool) -> None:
        for items in running.items.values():
            for task in items.keys() - done:
                self._metrics.import_rows.labels(running.kind, "again").inc()
                self._schedule.release(task, running.id, alone=alone)

    def _done(self, running: Running, report: ContactImport | InsightImport) -> Iterator[tuple[int, Delivery]]:
        for partition, items in list(running.items.items()):
            found = (
                self._contacts(items, report, partition) if isinstance(report, ContactImport) else self._records(items, report)
            )
            for delivery in found:
                row = self._rows.get(delivery.task, partition)
                if row is not None:
                    self._observe(row, running.kind, delivery)
                    yield partition, delivery

    def _contacts(self, items: dict[str, Item], report: ContactImport, partition: int) -> Iterator[Delivery]:
        failed = {failure.email for failure in report.failures} | {failure.contact_id for failure in report.failures}
        created = {row.email: row.contact_id for row in report.created}
        written = created | {row.email: row.contact_id for row in report.updated}
        now = self._answers.now_ms()
        for task, item in items.items():
            email = owner_of(task)
            contact = written.get(email)
            row: OutboxRow | None = self._rows.get(task, partition)
            if contact is None or row is None or email in failed or contact in failed:
                continue
            yield Delivery(
                task,
                "created" if email in created else "updated",
                item.digest,
                now,
                row.lane,
                contact=contact,
                created=row.creation,
                told_out=row.told_out or row.tried == "unsubscribed",
                listed=True if item.joined else None,
            )

    def _records(self, items: dict[str, Item], report: InsightImport) -> Iterator[Delivery]:
        if report.imported + report.rejected < report.total or len(report.failures) < report.rejected:
            # Some that were rejected are not named, and nobody knows which.
            return
        failed = {failure.key for failure in report.failures}
        now = self._answers.now_ms()
        for task, item in items.items():
            key = owner_of(task) if family_of(task) is Family.CATALOGUE else part_of(task)
            if key not in failed:
                yield Delivery(task, "stored", item.digest, now, Lane.BULK)

    def _observe(self, row: OutboxRow | RecordRow, kind: str, delivery: Delivery) -> None:
        wait = wait_of(row)
        self._metrics.import_rows.labels(kind, "done").inc()
        self._metrics.delivered.labels(family_of(delivery.task).label, delivery.outcome).inc()
        seconds = max(0, self._answers.now_ms() - wait.born) / 1000
        self._metrics.latency.labels(Lane(wait.lane).name.lower()).observe(seconds)
