"""The outbox in memory, with a clock that is set by hand: records go in, rows and the queue are looked at."""

import asyncio
from typing import cast
from zoneinfo import ZoneInfo

from streams.core.clock import ManualClock
from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.handler import OutboxHandler
from streams.dispatch.outbox.imports_in_flight import ImportsInFlight
from streams.dispatch.outbox.row_saver import DIRTY
from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, Work, task_of
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.debounce import Debounce
from streams.domain.digester import Digester
from streams.domain.versioned import version_bytes
from streams.dotdigital.imports import ImportState
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.mapping.bulk_windows import BulkWindows
from streams.messages.changes import ContactObserved, DesiredContact, EraseAddress, pack
from streams.messages.deliveries import (
    ContactCreated,
    ContactLooked,
    ContactUpdated,
    DeliveryEvent,
    ImportedTask,
    ImportEnded,
    ImportStarted,
    TaskParked,
    write_event,
)
from streams.messages.kinds import ContactObservedChange, DesiredContactChange, ErasureChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from tests.agents.memory import Rows

TOPICS = Topics.of("t")
EMAIL = "a@example.com"
CONTACT = task_of(Family.CONTACT, EMAIL)
DAYS = 30
DIGEST = Digester(b"k")
ALWAYS = BulkWindows((), ZoneInfo("UTC"))
A, B = b'{"FIRSTNAME":"A"}', b'{"FIRSTNAME":"B"}'


def handler(queue: DeliveryQueue, metrics: Metrics) -> OutboxHandler:
    policy = SitePolicy(DAYS * 86_400, external=False, digest=DIGEST, hash_key=b"k", windows=ALWAYS)
    return OutboxHandler(TOPICS, policy, Debounce(), queue, ImportsInFlight(queue), metrics, None)


class Outbox:
    """The handler under test with its surroundings."""

    def __init__(self, rows: Rows | None = None) -> None:
        self.rows = rows or Rows()
        self.clock = ManualClock()
        self.queue = DeliveryQueue(self.clock)
        self.metrics = Metrics()
        self.handler = handler(self.queue, self.metrics)
        self.version = 0

    def feed(self, *records: Record, durable: bool = True) -> None:
        unit = UnitOfWork(0, 1, self.rows, self.clock.now_us())
        self.handler.handle(unit, records)
        if durable:
            self.rows.commit(unit)

    def found(self, status: str, lane: Lane = Lane.BULK) -> Record:
        change = ContactObservedChange(EMAIL, 1, version_bytes(1), lane, self.clock.now_ms(), ContactObserved(1, status))
        return Record(TOPICS.desired, 0, None, pack([change]))

    def erased(self) -> Record:
        change = ErasureChange(EMAIL, 0, b"", Lane.URGENT, self.clock.now_ms(), EraseAddress(DIGEST(EMAIL)))
        return Record(TOPICS.desired, 0, None, pack([change]))

    def wanted(
        self,
        fields: bytes | None,
        opted: bool | None = None,
        lane: Lane = Lane.LIVE,
        *,
        moved_to: tuple[str, ...] = (),
        left_at: int = 0,
    ) -> Record:
        self.version += 1
        change = DesiredContactChange(
            EMAIL,
            0,
            version_bytes(self.version),
            lane,
            self.clock.now_ms(),
            DesiredContact(fields, opted, moved_to, left_at=version_bytes(left_at)),
        )
        return Record(TOPICS.desired, self.version, None, pack([change]))

    def event(self, event: DeliveryEvent) -> Record:
        return Record(TOPICS.deliveries, 0, EMAIL.encode(), write_event(event))

    def created(self, *, hash_of: ContactDeliveryState | None = None, import_id: str | None = None) -> Record:
        row = hash_of or self.row
        return self.event(
            ContactCreated(
                task=CONTACT,
                at=self.clock.now_ms(),
                digest=row.hash or b"",
                contact=1,
                created_as="unsubscribed",
                opt_outs=row.opt_outs_to_send,
                import_id=import_id,
            )
        )

    def updated(self) -> Record:
        digest, opt_outs = self.row.hash or b"", self.row.opt_outs_to_send
        return self.event(ContactUpdated(task=CONTACT, at=self.clock.now_ms(), digest=digest, contact=1, opt_outs=opt_outs))

    def looked(self) -> Record:
        return self.event(ContactLooked(task=CONTACT, at=self.clock.now_ms(), departures=self.row.departures))

    def parked(self) -> Record:
        return self.event(TaskParked(task=CONTACT, at=self.clock.now_ms(), digest=self.row.hash or b"", code="", tries=1))

    def import_started(self) -> Record:
        tasks = [ImportedTask(CONTACT, b"", created_as="unsubscribed")]
        return self.event(ImportStarted(import_id="import", at=self.clock.now_ms(), kind="new", tasks=tasks))

    def import_ended(self, state: ImportState) -> Record:
        return self.event(ImportEnded(import_id="import", at=self.clock.now_ms(), state=state))

    def takes(self, work: Work) -> list[DeliveryTask]:
        return self.queue.take_due((Lane.LIVE, work), 10)

    @property
    def row(self) -> ContactDeliveryState:
        row: ContactDeliveryState = CODECS[Family.CONTACT].decode(self.rows.rows[CONTACT.encode()])
        return row

    @property
    def dirty(self) -> tuple[int, int] | None:
        value = self.rows.rows.get(f"{DIRTY}{CONTACT}".encode())
        task = None if value is None else DeliveryTask.stored(CONTACT, 0, value)
        return None if task is None else (task.due, task.lane)

    async def take(self) -> DeliveryTask:
        async with asyncio.timeout(5):
            return await self.queue.take()

    def restarted(self) -> "Outbox":
        """A new worker over the same state."""
        other = Outbox(self.rows)
        other.clock, other.version = self.clock, self.version
        other.queue = DeliveryQueue(self.clock)
        other.handler = handler(other.queue, other.metrics)
        other.handler.recovered(0, cast(StateTable, other.rows))
        return other

    def resume(self) -> None:
        """What a worker that takes over writes behind the answers of the one before it is read."""
        self.feed(*(Record(TOPICS.deliveries, 0, None, write_event(mark)) for _, mark in self.handler.resuming()))
