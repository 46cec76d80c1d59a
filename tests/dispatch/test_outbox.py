"""The outbox in memory: what is dirty is known, survives a restart, and is cleared by the answer alone."""

import asyncio
from typing import cast
from zoneinfo import ZoneInfo

import pytest

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
from streams.domain.consent import creation_status, opted_out
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.debounce import Debounce
from streams.domain.versioned import version_bytes
from streams.dotdigital.imports import ImportState
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.mapping.bulk_windows import BulkWindows
from streams.messages.changes import CarriedRefusal, ChangeKind, ContactObserved, DesiredContact, EraseAddress, pack
from streams.messages.deliveries import (
    ContactCreated,
    ContactUpdated,
    DeliveryEvent,
    ImportedTask,
    ImportEnded,
    ImportStarted,
    TaskParked,
    write_event,
)
from streams.messages.kinds import CarriedRefusalChange, ContactObservedChange, DesiredContactChange, ErasureChange
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from tests.agents.memory import Rows
from tests.wire import unpack

TOPICS = Topics.of("t")
EMAIL = "a@example.com"
CONTACT = task_of(Family.CONTACT, EMAIL)
DAYS = 30
ALWAYS = BulkWindows((), ZoneInfo("UTC"))
A, B = b'{"FIRSTNAME":"A"}', b'{"FIRSTNAME":"B"}'


def handler(queue: DeliveryQueue) -> OutboxHandler:
    policy = SitePolicy(DAYS * 86_400, external=False, digest=str.encode, hash_key=b"k", windows=ALWAYS)
    return OutboxHandler(TOPICS, policy, Debounce(), queue, ImportsInFlight(queue), Metrics())


class Outbox:
    """The handler under test with its surroundings."""

    def __init__(self, rows: Rows | None = None) -> None:
        self.rows = rows or Rows()
        self.clock = ManualClock()
        self.queue = DeliveryQueue(self.clock)
        self.handler = handler(self.queue)
        self.version = 0

    def feed(self, *records: Record, durable: bool = True) -> None:
        unit = UnitOfWork(0, 1, self.rows, self.clock.now_us())
        self.handler.handle(unit, records)
        if durable:
            self.rows.commit(unit)

    def carried(self, record: Record) -> list[str]:
        """Whom the refusal is passed on to."""
        unit = UnitOfWork(0, 1, self.rows, self.clock.now_us())
        self.handler.handle(unit, [record])
        self.rows.commit(unit)
        published = [change for _, values in unit.outputs() for _, value in values for change in unpack(value or b"")]
        return [change.key for change in published if change.kind is ChangeKind.CARRIED_REFUSAL]

    def found(self, status: str, lane: Lane = Lane.BULK) -> Record:
        change = ContactObservedChange(EMAIL, 1, version_bytes(1), lane, 0, ContactObserved(1, status))
        return Record(TOPICS.desired, 0, None, pack([change]))

    def erased(self) -> Record:
        change = ErasureChange(EMAIL, 0, b"", Lane.URGENT, self.clock.now_ms(), EraseAddress(EMAIL.encode()))
        return Record(TOPICS.desired, 0, None, pack([change]))

    def wanted(
        self, fields: bytes | None, opted: bool | None = None, lane: Lane = Lane.LIVE, moved_to: tuple[str, ...] = ()
    ) -> Record:
        self.version += 1
        change = DesiredContactChange(
            EMAIL,
            0,
            version_bytes(self.version),
            lane,
            self.clock.now_ms(),
            DesiredContact(fields, opted, moved_to),
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
                opt_out_sent=opted_out(row.consent),
                import_id=import_id,
            )
        )

    def updated(self) -> Record:
        digest, opt_out_sent = self.row.hash or b"", opted_out(self.row.consent)
        return self.event(
            ContactUpdated(task=CONTACT, at=self.clock.now_ms(), digest=digest, contact=1, opt_out_sent=opt_out_sent)
        )

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
        other.handler = handler(other.queue)
        other.handler.recovered(0, cast(StateTable, other.rows))
        return other

    def resume(self) -> None:
        """What a worker that takes over writes behind the answers of the one before it is read."""
        self.feed(*(Record(TOPICS.deliveries, 0, None, write_event(mark)) for _, mark in self.handler.resuming()))


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


def test_a_change_waits_for_the_quiet_time_of_its_lane(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    assert outbox.dirty == (outbox.clock.now_ms() + 2_000, Lane.LIVE)
    assert outbox.queue.counts() == {Lane.LIVE: 1}


def test_the_answer_clears_what_is_dirty(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    outbox.feed(outbox.created())
    assert outbox.dirty is None
    assert not +outbox.queue.counts()
    assert outbox.row.known


def test_time_alone_clears_nothing(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    outbox.clock.advance(86_400)
    assert outbox.restarted().queue.counts() == {Lane.LIVE: 1}


async def test_a_restart_puts_everything_dirty_back_into_the_schedule(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    due = outbox.dirty
    again = outbox.restarted()
    again.clock.advance(2)
    again.resume()
    task = await again.take()
    assert (task.key, task.partition, (task.due, task.lane)) == (CONTACT, 0, due)


def test_nothing_is_given_out_before_what_was_answered_is_read(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    taken_over = outbox.restarted()
    taken_over.clock.advance(2)
    taken_over.handler.recovered(0, cast(StateTable, taken_over.rows))
    (first,), (second,) = outbox.restarted().handler.resuming(), taken_over.handler.resuming()
    for (_, mark), given in ((first, 0), (second, 1)):
        taken_over.feed(Record(TOPICS.deliveries, 0, None, write_event(mark)))
        assert len(taken_over.takes(Work.NEW)) == given, "only behind its own mark"


@pytest.mark.parametrize(("ended", "work"), [(ImportState.FAILED, Work.NEW), (ImportState.DONE, Work.ALONE)])
async def test_what_an_import_held_at_a_restart_and_did_not_do_is_sent(outbox: Outbox, ended: ImportState, work: Work) -> None:
    outbox.feed(outbox.wanted(A), outbox.import_started())
    restarted = outbox.restarted()
    restarted.clock.advance(2)
    restarted.resume()
    assert not restarted.takes(Work.NEW), "the import has it"
    restarted.feed(restarted.import_ended(ended))
    assert [task.key for task in restarted.takes(work)] == [CONTACT]


async def test_what_an_import_did_before_a_restart_is_not_sent_again(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A), outbox.import_started())
    restarted = outbox.restarted()
    restarted.clock.advance(2)
    restarted.feed(restarted.created(import_id="import"), restarted.import_ended(ImportState.DONE))
    restarted.resume()
    assert not any(restarted.takes(work) for work in Work)


def test_a_restart_after_the_answer_has_nothing_to_do(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A), outbox.created(hash_of=_hashed(A)))
    assert not +outbox.restarted().queue.counts()


def _hashed(fields: bytes) -> ContactDeliveryState:
    """A row that wants ``fields``."""
    other = Outbox()
    other.feed(other.wanted(fields))
    return other.row


def test_revoked_partitions_are_forgotten(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    outbox.handler.revoked()
    assert not +outbox.queue.counts()


def test_what_is_not_durable_is_not_scheduled(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A), durable=False)
    assert not +outbox.queue.counts()


def test_the_same_content_again_is_not_scheduled(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    outbox.feed(outbox.created())
    outbox.feed(outbox.wanted(A))
    assert outbox.dirty is None and not +outbox.queue.counts()


def test_content_withdrawn_before_it_was_due_is_dropped(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    outbox.feed(outbox.created())
    outbox.feed(outbox.wanted(B))
    outbox.feed(outbox.wanted(A))
    assert outbox.dirty is None and not +outbox.queue.counts()


async def test_a_change_while_the_call_is_under_way_is_sent_after_the_answer(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    outbox.clock.advance(2)
    await outbox.take()
    in_flight = outbox.row
    outbox.feed(outbox.wanted(B))
    outbox.clock.advance(20)
    taker = asyncio.create_task(outbox.queue.take())
    for _ in range(5):
        await asyncio.sleep(0)
    assert not taker.done(), "one call at a time"
    outbox.feed(outbox.created(hash_of=in_flight))
    assert outbox.dirty is not None
    async with asyncio.timeout(5):
        assert (await taker).key == CONTACT
    outbox.feed(outbox.updated())
    assert outbox.dirty is None and not +outbox.queue.counts()


def test_an_answer_and_a_change_in_one_batch_leave_the_change_dirty(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    first = outbox.row
    outbox.feed(outbox.wanted(B), outbox.created(hash_of=first))
    assert outbox.dirty is not None and outbox.row.fields == B


def test_changes_that_keep_coming_are_due_after_the_longest_wait(outbox: Outbox) -> None:
    start = outbox.clock.now_ms()
    for count in range(20):
        outbox.feed(outbox.wanted(b"%d" % count))
        outbox.clock.advance(1)
    assert outbox.dirty == (start + 15_000, Lane.LIVE)


def test_a_bulk_change_does_not_slow_a_live_one_down(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    due = outbox.dirty
    outbox.feed(outbox.wanted(B, lane=Lane.BULK))
    assert outbox.dirty == due


def test_a_live_change_takes_a_bulk_one_along(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A, lane=Lane.BULK))
    outbox.clock.advance(1)
    outbox.feed(outbox.wanted(B))
    assert outbox.dirty == (outbox.clock.now_ms() + 2_000, Lane.LIVE)


def test_an_opt_out_of_a_delivered_contact_is_urgent_whatever_brought_it(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    outbox.feed(outbox.created())
    outbox.feed(outbox.wanted(A, opted=False, lane=Lane.BULK))
    assert outbox.dirty == (outbox.clock.now_ms() + 200, Lane.URGENT)


def test_a_reading_hurries_nothing_that_waits(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A, lane=Lane.BULK))
    due = outbox.dirty
    outbox.clock.advance(1)
    outbox.feed(outbox.found("unsubscribed", Lane.URGENT))
    assert outbox.row.known and outbox.dirty == due


def test_an_opt_out_that_waits_is_urgent_once_a_reading_finds_the_contact(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A, opted=False, lane=Lane.BULK))
    outbox.feed(outbox.found("subscribed"))
    assert outbox.dirty == (outbox.clock.now_ms() + 200, Lane.URGENT)


async def test_an_erasure_outlives_the_refusal_of_a_call_under_way(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    outbox.clock.advance(2)
    await outbox.take()
    refused = outbox.parked()
    outbox.feed(outbox.erased())
    outbox.feed(refused)
    assert outbox.row.dirty and outbox.dirty is not None
    outbox.clock.advance(1)
    assert (await outbox.take()).key == CONTACT


def test_an_unsubscribe_from_a_former_address_is_urgent(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    outbox.feed(outbox.created())
    change = CarriedRefusalChange(EMAIL, 0, version_bytes(1), Lane.BULK, outbox.clock.now_ms(), CarriedRefusal())
    outbox.feed(Record(TOPICS.desired, 0, None, pack([change])))
    assert outbox.dirty == (outbox.clock.now_ms() + 200, Lane.URGENT)


def test_an_unsubscribe_that_comes_before_the_contact_is_kept(outbox: Outbox) -> None:
    change = CarriedRefusalChange(EMAIL, 0, version_bytes(1), Lane.URGENT, 0, CarriedRefusal())
    outbox.feed(Record(TOPICS.desired, 0, None, pack([change])))
    assert outbox.dirty is None
    outbox.feed(outbox.wanted(A, opted=True))
    assert creation_status(outbox.row.consent, external=False) == "unsubscribed"


def test_a_refusal_goes_along_with_who_leaves_an_address_at_which_others_stay(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A), outbox.found("unsubscribed"))
    assert outbox.carried(outbox.wanted(A, moved_to=("new@example.com",))) == ["new@example.com"]
    assert outbox.carried(outbox.wanted(A, moved_to=("next@example.com",))) == [], "it goes on from the address in between"
    assert outbox.carried(outbox.wanted(A, moved_to=("next@example.com", "z@example.com"))) == ["z@example.com"]


def test_nobody_takes_along_a_refusal_that_there_is_not(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A), outbox.found("subscribed"))
    assert outbox.carried(outbox.wanted(A, moved_to=("new@example.com",))) == []


def test_older_content_changes_nothing(outbox: Outbox) -> None:
    old = outbox.wanted(A)
    outbox.feed(outbox.wanted(B))
    before = outbox.row
    outbox.feed(old)
    assert outbox.row == before


def test_reading_the_end_of_the_input_again_changes_nothing(outbox: Outbox) -> None:
    outbox.feed(first := outbox.wanted(A))
    inputs = [first, outbox.created()]
    outbox.feed(*inputs)
    before = dict(outbox.rows.rows)
    outbox.feed(*inputs)
    assert outbox.rows.rows == before


async def test_what_is_parked_is_not_sent_until_it_changes(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    outbox.feed(outbox.parked())
    assert outbox.dirty is None and not +outbox.queue.counts()
    outbox.feed(outbox.wanted(B))
    outbox.clock.advance(2)
    assert (await outbox.take()).key == CONTACT
