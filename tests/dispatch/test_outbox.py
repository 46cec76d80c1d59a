"""The outbox in memory: what is dirty is known, and is cleared by the answer alone."""

import asyncio

import pytest

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_task import TaskState
from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.tasks import Family
from streams.domain.consent import creation_status
from streams.domain.correction import Correction
from streams.domain.versioned import version_bytes
from streams.dotdigital.imports import ImportState
from streams.engine.stage import Record
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import CarriedRefusal, ChangeKind, DesiredContact, pack
from streams.messages.deliveries import write_event
from streams.messages.kinds import CarriedRefusalChange, DesiredContactChange
from tests.dispatch.outbox_harness import CONTACT, EMAIL, TOPICS, A, B, Outbox


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


@pytest.mark.parametrize("report_first", [False, True])
async def test_a_report_and_the_response_of_the_call_that_overtook_it_are_read_in_one_unit(
    outbox: Outbox, *, report_first: bool
) -> None:
    outbox.feed(outbox.wanted(A))
    outbox.clock.advance(2)
    await outbox.take()
    outbox.feed(outbox.import_started())
    answers = [outbox.created(), outbox.created(import_id="import")]
    outbox.feed(*(reversed(answers) if report_first else answers), outbox.import_ended(ImportState.DONE))
    assert outbox.row.dirty, "nobody knows which of the two Dotdigital did last"
    assert outbox.queue.state(CONTACT) in (TaskState.WAITING, TaskState.READY), "both leases have ended"


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


def test_whoever_leaves_an_address_is_owed_a_look_there_once(outbox: Outbox) -> None:
    new, next_, z = "new@example.com", "next@example.com", "z@example.com"
    outbox.feed(outbox.wanted(A))
    outbox.feed(outbox.created())
    outbox.feed(outbox.wanted(A, moved_to=(new,), left_at=1))
    assert outbox.row.owed_to == (new,) and outbox.dirty is not None
    outbox.feed(outbox.looked(), outbox.updated())
    assert not outbox.row.owed_to and outbox.dirty is None
    outbox.feed(outbox.wanted(A, moved_to=(next_,), left_at=1))
    assert not outbox.row.owed_to, "it goes on from the address in between"
    outbox.feed(outbox.wanted(A, moved_to=(next_, z), left_at=2))
    assert outbox.row.owed_to == (z,)
    outbox.feed(looked := outbox.looked())
    outbox.feed(outbox.wanted(None, moved_to=(z, next_), left_at=3), looked)
    assert outbox.row.owed_to == (next_,), "the same person once more, and that look was before it"
    outbox.feed(outbox.wanted(A, moved_to=(z,), left_at=3))
    assert not outbox.row.owed_to, "the person is back"


def test_an_address_that_cannot_be_looked_at_is_not_looked_at_for_ever(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(None, moved_to=("new@example.com",), left_at=1))
    assert outbox.row.owed_to and outbox.dirty is not None
    outbox.feed(outbox.parked())
    assert outbox.dirty is None


def test_a_refusal_that_comes_later_from_a_former_address_goes_on_to_the_next(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(None, moved_to=("new@example.com",), left_at=1))
    outbox.feed(outbox.looked())
    change = CarriedRefusalChange(EMAIL, 0, version_bytes(1), Lane.URGENT, 0, CarriedRefusal())
    carried = Record(TOPICS.desired, 0, None, pack([change]))
    outbox.feed(carried)
    assert outbox.row.owed_to == ("new@example.com",) and outbox.dirty is not None
    outbox.feed(outbox.looked(), carried)
    assert not outbox.row.owed_to


def test_older_content_changes_nothing(outbox: Outbox) -> None:
    old = outbox.wanted(A)
    outbox.feed(outbox.wanted(B))
    before = outbox.row
    outbox.feed(old)
    assert outbox.row == before


async def test_what_is_parked_is_not_sent_until_it_changes(outbox: Outbox) -> None:
    outbox.feed(outbox.wanted(A))
    outbox.feed(outbox.parked())
    assert outbox.dirty is None and not +outbox.queue.counts()
    outbox.feed(outbox.wanted(B))
    outbox.clock.advance(2)
    assert (await outbox.take()).key == CONTACT


def test_a_conflict_that_an_earlier_release_counted_is_not_counted_again(outbox: Outbox) -> None:
    def counted(by: Outbox) -> float:
        (found,) = (one for one in by.metrics.registry.collect() if one.name == "owdd_consent_conflicts")
        return sum(sample.value for sample in found.samples if sample.name.endswith("_total"))

    outbox.feed(outbox.wanted(A))
    outbox.feed(outbox.created())
    outbox.feed(outbox.wanted(A, opted=True))
    assert counted(outbox) == 1
    row = outbox.row
    row.correction = Correction()
    outbox.rows.rows[CONTACT.encode()] = CODECS[Family.CONTACT].encode(row)
    later = outbox.restarted()
    for fields in (B, A):
        later.feed(later.wanted(fields, opted=True))
    assert counted(later) == 0
    later.feed(later.wanted(A))
    later.feed(later.wanted(A, opted=True))
    assert counted(later) == 1, "another one"


def test_a_question_that_a_worker_had_no_time_to_send_is_sent_by_the_next_one(outbox: Outbox) -> None:
    row = DesiredContact(A, None, came_from=(("former@example.com", version_bytes(1)),))
    change = DesiredContactChange(EMAIL, 0, version_bytes(1), Lane.LIVE, 0, row)
    record = Record(TOPICS.desired, 0, None, pack([change]))
    unit = UnitOfWork(0, 1, outbox.rows, outbox.clock.now_us())
    outbox.handler.handle(unit, [record])
    assert asked(unit) == ["former@example.com"]
    # The changelog has the rows, and nothing was sent.
    outbox.rows.rows |= {key: value for key, value in unit.writes.items() if value is not None}
    later = outbox.restarted()
    later.feed(record)
    unit = UnitOfWork(0, 1, later.rows, later.clock.now_us())
    resumed = [Record(TOPICS.deliveries, 0, None, write_event(mark)) for _, mark in later.handler.resuming()]
    later.handler.handle(unit, resumed)
    assert asked(unit) == ["former@example.com"]
    later.rows.commit(unit)
    unit = UnitOfWork(0, 1, later.rows, later.clock.now_us())
    later.handler.handle(unit, resumed)
    assert asked(unit) == [], "once"


def asked(unit: UnitOfWork) -> list[str]:
    """The addresses that are sent a question."""
    sent = (value for (topic, _), entries in unit.outputs() if topic == TOPICS.desired for _, value in entries)
    changes = (change for value in sent for change in TOPICS.desired.unpack(value))
    return [change.key for change in changes if change.kind is ChangeKind.MOVE_QUERY]
