"""What Dotdigital cannot do, over the whole of dispatch: keys of other contacts, a part of the API that fails, opt-outs refused."""

import pytest

from streams.dispatch.outbox import delivery_events
from streams.dispatch.outbox.delivery_task import TaskState
from streams.messages.deliveries import OptOutSent, TaskParked
from tests.dispatch.dispatch_harness import ANN, BOB, Site, on_site
from tests.dispatch.outbox_harness import CONTACT, A, Outbox

KEYS = [f"A{number}" for number in range(150)]


@on_site()
async def test_records_whose_key_belongs_to_another_contact_cost_one_call_each_and_are_parked(site: Site) -> None:
    for email in (ANN, BOB):
        site.want(email)
    for key in KEYS:
        site.record(key, email=BOB)
    await site.quiet()
    site.forget_calls()
    for key in KEYS:
        site.record(key, "despatched", ANN)
    await site.pass_(600)
    assert len(site.written()) <= len(KEYS) + 5
    assert {parked.code for parked in site.parked()} == {"KeyExistingForDifferentContact"}
    assert len(site.parked()) == len(KEYS)
    site.forget_calls()
    await site.pass_(3600)
    assert site.calls() == []


@on_site()
async def test_a_record_that_was_refused_for_its_key_is_sent_once_its_former_place_is_empty(site: Site) -> None:
    await refused_for_its_key(site)
    site.move_record("A1", BOB)
    await free(site)
    assert [parked.state for parked in site.parked()] == ["parked", "cleared"]


@on_site()
async def test_a_record_that_was_refused_for_its_key_is_sent_once_the_person_who_had_it_is_erased(site: Site) -> None:
    await refused_for_its_key(site)
    site.erase(BOB)
    await free(site)


@on_site()
async def test_a_record_that_was_refused_for_its_key_is_sent_once_the_contact_that_had_it_is_deleted(site: Site) -> None:
    await refused_for_its_key(site)
    # Its order has not said yet that the record is elsewhere.
    site.want(BOB, None)
    await free(site)


async def refused_for_its_key(site: Site) -> None:
    """Bob's record is Ann's from now on, and is refused before it has gone from Bob's contact."""
    for email in (ANN, BOB):
        site.want(email)
    site.record("A1", email=BOB)
    await site.quiet()
    site.record("A1", "despatched", ANN)
    await site.until(site.parked)


async def free(site: Site) -> None:
    """Ann gets the record as soon as its order is asked."""
    await site.until(lambda: site.asked_again(site.topics.orders) == [1])
    site.record("A1", "despatched", ANN)
    await site.quiet()
    assert site.records() == {"A1": "despatched"}


@on_site()
async def test_a_part_of_the_api_that_fails_holds_itself_and_nothing_else(site: Site) -> None:
    site.want(ANN)
    await site.quiet()
    site.line.refuses, site.line.code = b"/insightData", "ERROR_SYSTEM_SERVICETEMPORARILYUNAVAILABLE"
    for number in range(10):
        site.record(f"A{number}")
    await site.pass_(60)
    site.forget_calls()
    site.want(BOB, "Bob")
    await site.until(lambda: site.held(BOB))
    await site.pass_(600)
    assert len([call for call in site.calls() if "/insightData" in call.path]) <= 11
    assert site.parked() == []
    site.line.refuses = None
    back = site.now
    await site.quiet()
    assert site.now - back <= 65
    assert len(site.records()) == 10


def test_an_opt_out_that_is_refused_is_tried_again_every_day_until_it_is_sent() -> None:
    outbox = Outbox()
    outbox.feed(outbox.wanted(A))
    outbox.feed(outbox.created())
    outbox.feed(outbox.wanted(A, False))
    for _ in range(3):
        row = outbox.row
        at, digest = outbox.clock.now_ms(), row.desired_digest or b""
        outbox.feed(outbox.event(TaskParked(task=CONTACT, at=at, digest=digest, code="ERROR_CONTACT_INVALID", tries=1)))
        assert outbox.queue.state(CONTACT) is TaskState.WAITING
        outbox.clock.advance(86_390)
        assert outbox.queue.state(CONTACT) is TaskState.WAITING
        outbox.clock.advance(20)
        assert outbox.queue.state(CONTACT) is TaskState.READY
    outbox.feed(outbox.event(OptOutSent(task=CONTACT, at=outbox.clock.now_ms(), opt_outs=outbox.row.opt_outs)))
    assert outbox.queue.state(CONTACT) is TaskState.ABSENT


@on_site()
async def test_an_opt_out_that_was_refused_goes_out_without_the_data_when_it_may(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery_events, "_DAY_MS", 600_000)
    site.want(opted=True)
    await site.quiet()
    site.line.refuses = b'"unsubscribed"'
    site.want(name="Anna", opted=False)
    await site.until(site.parked)
    site.line.refuses = None
    site.forget_calls()
    await site.pass_(500)
    assert site.calls() == []
    await site.pass_(200)
    assert site.contact().email_status == "unsubscribed"
    assert site.contact().data["FIRSTNAME"] == "Ann", "what was refused stays parked"


@on_site()
async def test_a_record_that_is_refused_for_a_contact_that_is_there_is_not_tried_for_ever(site: Site) -> None:
    site.want()
    await site.quiet()
    site.forget_calls()
    site.line.refuses, site.line.code = b"/insightData", "ERROR_CONTACT_NOT_FOUND"
    site.record("A1")
    await site.until(lambda: "ERROR_CONTACT_NOT_FOUND" in site.open_parked().values())
    calls = len(site.calls("PUT"))
    await site.pass_(7200)
    assert len(site.calls("PUT")) == calls == 8, "four tries, a look, and four more"
    site.line.refuses = None
    site.record("A1", "completed")
    await site.until(lambda: site.records() == {"A1": "completed"})
