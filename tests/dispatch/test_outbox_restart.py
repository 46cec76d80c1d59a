"""The outbox in memory over a restart: what waited waits again, what was answered is not sent again."""

from typing import cast

import pytest

from streams.core.lanes import Lane
from streams.dispatch.outbox.tasks import Work
from streams.domain.contact_state import ContactDeliveryState
from streams.dotdigital.imports import ImportState
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.messages.deliveries import (
    write_event,
)
from tests.dispatch.outbox_harness import CONTACT, TOPICS, A, Outbox


@pytest.fixture
def outbox() -> Outbox:
    return Outbox()


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


def test_reading_the_end_of_the_input_again_changes_nothing(outbox: Outbox) -> None:
    outbox.feed(first := outbox.wanted(A))
    inputs = [first, outbox.created()]
    outbox.feed(*inputs)
    before = dict(outbox.rows.rows)
    outbox.feed(*inputs)
    assert outbox.rows.rows == before
