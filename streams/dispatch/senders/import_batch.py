"""Freight: what goes into an import. Contacts that must be created unsubscribed never travel with those that exist."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

from streams.dispatch.outbox.delivery_queue import DeliveryQueue, QueuedTask
from streams.dispatch.outbox.rows import OutboxRows
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, owner_of, part_of, task_of
from streams.dispatch.senders.contact_upsert import NOTHING
from streams.dispatch.senders.destination import AccountTargets
from streams.dispatch.senders.routing import Work
from streams.domain import consent
from streams.domain.consent import SUBSCRIBED, UNSUBSCRIBED
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import RecordDeliveryState
from streams.dotdigital.batches import batches
from streams.dotdigital.imports import ImportContact
from streams.dotdigital.insight import ImportRecord
from streams.messages.deliveries import Created, ImportedTask

ImportBatch: TypeAlias = ImportContact | ImportRecord


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One task's row of an import.

    ``created`` is the status with which it creates a contact, ``before`` that with which an earlier call may have. ``contact``
    is whom a record goes to.
    """

    entry: QueuedTask
    load: ImportBatch
    digest: str
    created: Created = "no"
    joined: bool = False
    contact: int | None = None
    before: Created = "no"

    @property
    def item(self) -> ImportedTask:
        """What is remembered of it while the import runs."""
        return ImportedTask(self.entry.task, self.digest, self.joined, self.contact, self.created, self.before)

    def encode(self) -> bytes:
        """The row as it goes out."""
        return self.load.encode()


class BatchBuilder:
    """Takes due tasks from the schedule and packs them."""

    def __init__(self, schedule: DeliveryQueue, rows: OutboxRows, destination: AccountTargets, rules: SitePolicy) -> None:
        self._schedule = schedule
        self._rows = rows
        self._destination = destination
        self._rules = rules

    def build(self, entries: Sequence[QueuedTask], work: Work, now_s: float, most: int) -> list[BatchRow]:
        """One import's rows; entries that are not among them wait again."""
        packed = [freight for entry in entries if (freight := self._pack(entry, work, now_s)) is not None]
        chosen = _compatible(packed)
        first = next(batches(chosen, most=most), [])
        staying = {freight.entry.task for freight in first}
        for freight in packed:
            if freight.entry.task not in staying:
                self._schedule.give_back(freight.entry)
        return first

    def _pack(self, entry: QueuedTask, work: Work, now_s: float) -> BatchRow | None:
        row = self._rows.get(entry.task, entry.partition)
        if isinstance(row, ContactDeliveryState):
            return self._contact(entry, row, work, now_s)
        return self._record(entry, row)

    def _contact(self, entry: QueuedTask, row: ContactDeliveryState, work: Work, now_s: float) -> BatchRow | None:
        joined = self._rules.may_join(row, now_s) and self._destination.list_id is not None
        if not row.dirty and not joined:
            self._schedule.answered(entry.task)
            return None
        if (
            row.fields is None
            or row.erase is not None
            or row.known != (work is Work.EXISTING)
            or (row.known and row.must_send_opt_out)
        ):
            self._schedule.send_alone(entry)
            return None
        status = None if row.known else consent.creation_status(row.consent, external=self._destination.external)
        # Without a status a new contact is subscribed, and who signed up a moment ago keeps what they chose.
        contact = ImportContact(
            email=owner_of(entry.task),
            fields=row.fields or NOTHING,
            status=UNSUBSCRIBED if status == UNSUBSCRIBED else None,
            lists=(self._destination.list_id,) if joined and self._destination.list_id is not None else (),
            contact_id=row.contact,
        )
        digest = (row.hash or b"").hex()
        if row.known:
            return BatchRow(entry, contact, digest, joined=joined)
        return BatchRow(entry, contact, digest, status or "no", joined, before=row.creation)

    def _record(self, entry: QueuedTask, row: RecordDeliveryState | None) -> BatchRow | None:
        if row is None or not row.dirty or row.content is None:
            self._schedule.answered(entry.task)
            return None
        owner, key, digest = owner_of(entry.task), part_of(entry.task), (row.hash or b"").hex()
        if not key:
            return BatchRow(entry, ImportRecord(owner, row.content), digest)
        contact: ContactDeliveryState | None = self._rows.get(task_of(Family.CONTACT, owner), entry.partition)
        if contact is None or contact.contact is None:
            self._schedule.answered(entry.task)
            return None
        return BatchRow(entry, ImportRecord(key, row.content, owner), digest, contact=contact.contact)


def _compatible(packed: Sequence[BatchRow]) -> list[BatchRow]:
    """Those that may share an import with most others: of one status, and each key once."""
    subscribed = [freight for freight in packed if freight.created == SUBSCRIBED]
    others = [freight for freight in packed if freight.created != SUBSCRIBED]
    larger = max(subscribed, others, key=len)
    by_key = {_key_of(freight.load): freight for freight in reversed(larger)}
    return [freight for freight in larger if by_key[_key_of(freight.load)] is freight]


def _key_of(load: ImportBatch) -> str:
    """By what the report names the row."""
    return load.email if isinstance(load, ImportContact) else load.key
