"""Batches: what goes into an import. Contacts that must be created unsubscribed never travel with those that exist."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import msgspec

from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.rows import OutboxRows
from streams.dispatch.outbox.tasks import Family, Work, owner_of, part_of, task_of
from streams.dispatch.senders.contact_upsert import NOTHING
from streams.dispatch.senders.recent_buyers import RecentBuyersList
from streams.domain import consent
from streams.domain.consent import SUBSCRIBED, UNSUBSCRIBED
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import RecordDeliveryState
from streams.dotdigital.batches import batches
from streams.dotdigital.imports import ImportContact
from streams.dotdigital.insight import ImportRecord
from streams.messages.deliveries import CreatedAs, ImportedTask

_MOST_EVENT_BYTES = 500_000
"""Tasks of one partition, as the event that announces them names them: half of Kafka's default limit of a record."""

_encode = msgspec.json.Encoder().encode

ImportContent: TypeAlias = ImportContact | ImportRecord


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One task's row of an import: what goes out, and what is remembered of it while the import runs."""

    task: DeliveryTask
    content: ImportContent
    imported: ImportedTask

    @property
    def created_as(self) -> CreatedAs | None:
        """The status with which it creates a contact."""
        return self.imported.created_as

    def encode(self) -> bytes:
        """The row as it goes out."""
        return self.content.encode()


class BatchBuilder:
    """Packs tasks that were leased for an import; ``external``: another system creates contacts."""

    def __init__(self, queue: DeliveryQueue, rows: OutboxRows, recent_buyers: RecentBuyersList, *, external: bool) -> None:
        self._queue = queue
        self._rows = rows
        self._recent_buyers = recent_buyers
        self._external = external

    def build(self, tasks: Sequence[DeliveryTask], work: Work, now_s: float, most: int) -> list[BatchRow]:
        """One import's rows; tasks that are not among them wait again."""
        packed = [row for task in tasks if (row := self._pack(task, work, now_s)) is not None]
        chosen = list(_that_fit_an_event(_compatible(packed)))
        first = next(batches(chosen, most=most), [])
        staying = {row.task.key for row in first}
        for row in packed:
            if row.task.key not in staying:
                self._queue.give_back(row.task)
        return first

    def _pack(self, task: DeliveryTask, work: Work, now_s: float) -> BatchRow | None:
        row = self._rows.get(task.key, task.partition)
        if isinstance(row, ContactDeliveryState):
            return self._contact(task, row, work, now_s)
        return self._record(task, row)

    def _contact(self, task: DeliveryTask, row: ContactDeliveryState, work: Work, now_s: float) -> BatchRow | None:
        join = self._recent_buyers.to_join(row, now_s)
        if not row.dirty and join is None:
            self._queue.finish(task.key)
            return None
        # The row may have changed since the task was queued. An import cannot remove, erase, look or unsubscribe.
        alone = row.fields is None or row.erase is not None or row.owed_to
        if alone or row.known != (work is Work.EXISTING) or (row.known and row.must_send_opt_out):
            self._queue.send_alone(task)
            return None
        status = None if row.known else consent.creation_status(row.consent, external=self._external)
        # Without a status a new contact is subscribed, and a person who signed up a moment ago keeps what they chose.
        contact = ImportContact(
            email=owner_of(task.key),
            fields=row.fields or NOTHING,
            status=UNSUBSCRIBED if status == UNSUBSCRIBED else None,
            lists=() if join is None else (join,),
            contact_id=row.contact,
        )
        imported = ImportedTask(
            task.key,
            row.hash or b"",
            joined=join is not None,
            created_as=status,
            # Of a contact that only a reading has shown, too: its creation may still be without a report.
            attempted_before=task.creation_of(row).attempted_as,
            opt_outs=row.opt_outs_to_send if status == UNSUBSCRIBED else None,
        )
        return BatchRow(task, contact, imported)

    def _record(self, task: DeliveryTask, row: RecordDeliveryState | None) -> BatchRow | None:
        if row is None or not row.dirty or row.content is None:
            self._queue.finish(task.key)
            return None
        owner, key, digest = owner_of(task.key), part_of(task.key), row.hash or b""
        if not key:
            return BatchRow(task, ImportRecord(owner, row.content), ImportedTask(task.key, digest))
        contact: ContactDeliveryState | None = self._rows.get(task_of(Family.CONTACT, owner), task.partition)
        if contact is None or contact.contact is None:
            # A record of a contact that is not there would be rejected; it waits for the contact.
            self._queue.finish(task.key)
            return None
        imported = ImportedTask(task.key, digest, contact=contact.contact)
        return BatchRow(task, ImportRecord(key, row.content, owner), imported)


def _compatible(packed: Sequence[BatchRow]) -> list[BatchRow]:
    """Those that may share an import with most others: of one status, and each key once."""
    subscribed = [row for row in packed if row.created_as == SUBSCRIBED]
    others = [row for row in packed if row.created_as != SUBSCRIBED]
    larger = max(subscribed, others, key=len)
    by_key = {_key_of(row.content): row for row in reversed(larger)}
    return [row for row in larger if by_key[_key_of(row.content)] is row]


def _that_fit_an_event(chosen: Sequence[BatchRow]) -> Iterator[BatchRow]:
    """Those of each partition that can be announced in one event: the records of one address are all in one partition."""
    taken: Counter[int] = Counter()
    for row in chosen:
        taken[row.task.partition] += len(_encode(row.imported)) + 1
        if taken[row.task.partition] <= _MOST_EVENT_BYTES:
            yield row


def _key_of(content: ImportContent) -> str:
    """By what the report names the row."""
    return content.email if isinstance(content, ImportContact) else content.key
