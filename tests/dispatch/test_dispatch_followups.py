"""Follow-ups: Dotdigital is told of each credit note once and for ever, many in one call, within the hour's allowance."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from streams.core.lanes import Lane
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Family, task_of
from streams.dispatch.rate_limit.limiter import RateLimiter
from streams.domain.contact_outcomes import apply_result
from streams.domain.contact_state import ContactDeliveryState, observe
from streams.domain.versioned import version_bytes
from streams.dotdigital.tiers import Tier
from streams.mapping.delivery import RefundEnrolment, RefundEvent
from streams.messages.changes import ChangeKind, ContactObserved, DesiredFollowUp
from streams.messages.deliveries import ContactUpdated, CreationAttempted, FollowUpAccepted, FollowUpDelivered, read_event
from testkit.sandbox.store import Store
from tests.dispatch.dispatch_harness import ANN, BOB, DAY, Site, on_site
from tests.dispatch.outbox_harness import ALWAYS, DIGEST

EVENTS, ENROL = "/events/v3/import", "/v2/programs/enrolments"
PROGRAM = 12
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
EVENT: dict[str, Any] = {"follow_up": RefundEvent(kind="event", since=SINCE)}
ENROLMENT: dict[str, Any] = {"follow_up": RefundEnrolment(kind="enrolment", program=PROGRAM, since=SINCE)}


def published(site: Site) -> list[str]:
    """The ids of the events that the account holds."""
    return [event["id"] for event in site.box.store.events]


def enrolled(site: Site) -> set[int]:
    """Who is in the programme, once the enrolments are worked off."""
    store: Store = site.box.store
    store.jobs.settle(store.clock().timestamp())
    return set(store.programs.enrolled.get(PROGRAM, ()))


async def people(site: Site, count: int) -> list[str]:
    """So many contacts, all delivered, and a programme."""
    site.box.store.programs.statuses[PROGRAM] = "Active"
    site.start()
    emails = [f"p{number:02}@example.com" for number in range(count)]
    for email in emails:
        site.want(email, "P")
    await site.quiet()
    return emails


def credit_of(site: Site, number: int, at: int, email: str = ANN) -> None:
    """A credit note that was made at ``at`` (epoch seconds)."""
    row = DesiredFollowUp(f"C{number}", at, Decimal("9.5"), "GBP")
    site.publish(site.change(ChangeKind.DESIRED_FOLLOW_UP, email, number, row))


def outcomes(site: Site) -> set[str]:
    """What became of the follow-ups, by the name of the outcome."""
    events = map(read_event, site.broker.published[site.topics.deliveries])
    found = (event for event in events if isinstance(event, FollowUpAccepted | FollowUpDelivered))
    return {event.outcome for event in found}


@on_site(delivery=EVENT)
async def test_a_credit_note_is_an_event_once(site: Site) -> None:
    site.want()
    await site.quiet()
    site.credit(1)
    await site.quiet()
    assert outcomes(site) == {"accepted"}, "an event has no report"
    (event,) = site.box.store.events
    assert (event["contactId"], event["type"], event["id"]) == (site.contact().id, "refund", "C1")
    assert event["eventData"] == {"credit_note": "C1", "amount": 9.5, "currency": "GBP"}


@on_site(delivery=EVENT)
async def test_a_replay_reports_nothing(site: Site) -> None:
    site.want()
    await site.quiet()
    site.credit(1)
    await site.quiet()
    site.credit(1)
    await site.restart()
    site.credit(1, name="C1b")
    await site.quiet()
    await site.pass_(60)
    assert published(site) == ["C1"]


@on_site(delivery=EVENT)
async def test_only_what_was_made_after_the_person_was_a_contact_counts(site: Site) -> None:
    site.credit(1)
    await site.pass_(60)
    assert not site.calls(route=EVENTS)
    site.want()
    await site.quiet()
    site.credit(2)
    await site.quiet()
    assert published(site) == ["C2"]


def test_of_a_contact_that_we_may_have_created_only_what_was_made_after_the_attempt_counts() -> None:
    row, policy = ContactDeliveryState(), SitePolicy(None, external=False, digest=DIGEST, hash_key=b"k", windows=ALWAYS)
    early, later = (DesiredFollowUp("C1", at, Decimal(1), "GBP") for at in (999, 1001))

    def due() -> list[bool]:
        return [policy.follows_up(wanted, row, 1002) for wanted in (early, later)]

    task = task_of(Family.CONTACT, ANN)
    apply_result(row, CreationAttempted(task=task, at=1_000_500, created_as="unsubscribed"))
    observe(row, ContactObserved(7, "unsubscribed"), version_bytes(1))
    assert due() == [False, True], "a reading was faster than the answer"
    apply_result(row, ContactUpdated(task=task, at=1_001_500, digest=b"d", contact=7, created_as=None))
    assert due() == [True, True], "somebody else had created it"


@on_site(delivery=EVENT)
async def test_of_one_who_left_before_our_lost_creation_was_made_up_for_what_is_older_does_not_count(site: Site) -> None:
    site.want("bob@example.com")
    await site.quiet()
    credit_of(site, 1, site.now - DAY)
    before = len(site.line.calls)
    site.box.faults.update({"next": ["none", "lost_reply"]})
    site.want(opted=True)
    await site.until(lambda: site.held() is not None)
    assert [call.status for call in site.line.calls[before:]] == [404, 0]
    site.contact().set_email_status("unsubscribed", site.box.store.now())
    await site.quiet()
    credit_of(site, 2, site.now)
    await site.quiet()
    assert published(site) == ["C2"]


@on_site(delivery=EVENT)
async def test_of_a_contact_that_was_there_before_us_the_age_alone_counts(site: Site) -> None:
    site.found(site.box.store.create({"email": ANN}))
    credit_of(site, 1, site.now - 29 * DAY)
    credit_of(site, 2, site.now - 31 * DAY)
    await site.until(lambda: published(site))
    await site.quiet()
    assert published(site) == ["C1"]


@on_site(delivery=EVENT)
async def test_one_that_becomes_too_old_while_it_waits_is_not_sent(site: Site) -> None:
    site.found(site.box.store.create({"email": ANN}))
    await site.quiet()
    site.line.refuses, site.line.code = b"/events/", "ERROR_SYSTEM_SERVICETEMPORARILYUNAVAILABLE"
    credit_of(site, 1, site.now - 30 * DAY + 60)
    await site.until(lambda: site.calls("POST", EVENTS))
    await site.pass_(60)
    site.line.refuses = None
    await site.quiet()
    await site.pass_(300)
    assert not published(site)


@on_site(delivery=EVENT)
async def test_two_go_in_one_call(site: Site) -> None:
    site.want()
    site.want(BOB, "Bob")
    await site.quiet()
    site.credit(1)
    site.credit(2, BOB)
    await site.quiet()
    assert sorted(published(site)) == ["C1", "C2"] and len(site.calls("POST", EVENTS)) == 1


@on_site(delivery=EVENT)
async def test_one_that_is_refused_is_parked_and_the_others_are_reported(site: Site) -> None:
    site.want()
    await site.quiet()
    site.line.refuses = b'"C13"'
    for number in range(10, 42):
        site.credit(number)
    await site.quiet()
    assert sorted(published(site)) == [f"C{number}" for number in range(10, 42) if number != 13]
    (parked,) = site.parked()
    assert (parked.task, parked.code) == ("follow_up", "events:badJson")
    assert len(site.calls("POST", EVENTS)) <= 11, "found by halves"
    site.line.refuses = None
    site.unpark(parked.task_key)
    await site.quiet()
    assert published(site)[-1] == "C13"


@on_site(delivery=EVENT)
async def test_one_that_was_refused_is_reported_when_it_changes(site: Site) -> None:
    site.want()
    await site.quiet()
    site.line.refuses = b'"C1"'
    site.credit(1)
    await site.until(site.parked)
    site.credit(1, name="C1b")
    await site.quiet()
    assert published(site) == ["C1b"] and site.parked()[-1].state == "cleared"


@on_site(delivery=EVENT)
async def test_one_that_changes_while_it_is_refused_is_reported(site: Site) -> None:
    site.want()
    await site.quiet()
    site.line.refuses = b'"C1"'
    site.credit(1)
    await site.until(lambda: site.dispatch.queue.may_have_run(task_of(Family.FOLLOW_UP, ANN, 1)))
    site.credit(1, name="C1b")
    await site.quiet()
    assert published(site) == ["C1b"] and not site.parked()


@on_site(delivery=EVENT)
async def test_the_call_is_as_urgent_as_what_it_reports(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    lanes: list[Lane] = []
    acquire = RateLimiter.acquire

    async def watched(budget: RateLimiter, tier: Tier, lane: Lane) -> None:
        lanes.append(lane)
        await acquire(budget, tier, lane)

    site.want()
    await site.quiet()
    monkeypatch.setattr(RateLimiter, "acquire", watched)
    site.credit(1, lane=Lane.URGENT)
    await site.quiet()
    assert lanes == [Lane.URGENT]


@on_site(delivery=EVENT)
async def test_a_lost_answer_repeats_the_event_under_its_id(site: Site) -> None:
    site.want()
    await site.quiet()
    site.box.faults.update({"next": ["lost_reply"]})
    site.credit(1)
    await site.quiet()
    assert published(site) == ["C1", "C1"]


@on_site(delivery=EVENT)
async def test_one_failed_call_stops_nobody_however_many_it_reported(site: Site) -> None:
    site.want()
    await site.quiet()
    site.box.faults.update({"next": ["http_503"]})
    for number in range(20):
        site.credit(number)
    await site.until(lambda: site.calls(route=EVENTS))
    at = site.now
    site.want(name="Anna")
    await site.until(lambda: site.contact().data["FIRSTNAME"] == "Anna")
    assert site.now - at <= 3
    await site.quiet()
    assert len(published(site)) == 20


@on_site(delivery=ENROLMENT, started=False)
async def test_25_contacts_are_enrolled_in_one_call(site: Site) -> None:
    emails = await people(site, 30)
    for number, email in enumerate(emails):
        site.credit(number, email)
    await site.quiet()
    assert [len(call.content["contacts"]) for call in site.calls("POST", ENROL)] == [25, 5]


@on_site(delivery=ENROLMENT, started=False)
async def test_two_credit_notes_of_one_person_are_one_enrolment(site: Site) -> None:
    (email,) = await people(site, 1)
    site.contact(email).email_status = "subscribed"
    site.credit(1, email)
    site.credit(2, email)
    await site.quiet()
    assert outcomes(site) == {"delivered"}, "its report says so"
    (call,) = site.calls("POST", ENROL)
    assert call.content["contacts"] == [site.contact(email).id]
    await site.pass_(60)
    assert enrolled(site) == {site.contact(email).id}


@on_site(delivery=ENROLMENT, started=False)
async def test_who_is_refused_is_parked_with_the_code_of_the_report(site: Site) -> None:
    emails = await people(site, 3)
    for number, email in enumerate(emails):
        if number:
            site.contact(email).email_status = "subscribed"
        site.credit(number, email)
    await site.quiet()
    assert enrolled(site) == {site.contact(email).id for email in emails[1:]}
    assert site.open_parked() == {task_of(Family.FOLLOW_UP, emails[0], 0): "Unsubcribed"}


@on_site(delivery=ENROLMENT, started=False)
async def test_a_worker_that_ends_before_the_report_enrols_nobody_twice_and_ends_the_task(site: Site) -> None:
    (email,) = await people(site, 1)
    site.contact(email).email_status = "subscribed"
    site.credit(1, email)
    await site.until(lambda: site.calls("POST", ENROL, good=True))
    assert not outcomes(site), "nothing is done before its report says so"
    await site.restart()
    await site.until(lambda: outcomes(site))
    assert enrolled(site) == {site.contact(email).id} and not site.open_parked()


@on_site(delivery=ENROLMENT, started=False)
async def test_20_calls_an_hour_are_made_and_the_rest_waits(site: Site) -> None:
    emails = await people(site, 23)
    first = site.now
    for number, email in enumerate(emails):
        site.credit(number, email)
        await site.pass_(10)
    await site.pass_(60)
    assert len(site.calls("POST", ENROL)) == 20
    await site.pass_(first + 3600 - site.now)
    await site.quiet()
    calls = site.calls("POST", ENROL)
    assert sum(len(call.content["contacts"]) for call in calls) == 23
    assert all(call.status == 201 for call in calls)


@on_site(delivery=ENROLMENT, started=False)
async def test_who_was_deleted_by_hand_keeps_nobody_from_being_enrolled(site: Site) -> None:
    emails = await people(site, 4)
    site.box.store.bin(site.contact(emails[1]))
    site.box.store.purge()
    for number, email in enumerate(emails):
        site.credit(number, email)
    await site.create_again(emails[1])
    named = {number for call in site.calls("POST", ENROL, good=True) for number in call.content["contacts"]}
    assert named == {site.contact(email).id for email in emails}
    assert set(site.open_parked().values()) == {"Unsubcribed"}, "nobody of them is subscribed"


@on_site(delivery=ENROLMENT, started=False)
async def test_a_programme_that_is_stopped_parks_all_and_is_not_asked_for_each(site: Site) -> None:
    emails = await people(site, 10)
    site.box.store.programs.statuses[PROGRAM] = "Deactivated"
    for number, email in enumerate(emails):
        site.credit(number, email)
    await site.until(lambda: len(site.parked()) == 10)
    assert len(site.calls("POST", ENROL)) <= 4
    assert {parked.code for parked in site.parked()} == {"ERROR_PROGRAM_NOT_ACTIVE"}


@on_site(delivery=ENROLMENT, started=False)
async def test_an_allowance_that_somebody_else_used_up_is_waited_for(site: Site) -> None:
    emails = await people(site, 1)
    for _ in range(20):
        site.box.store.programs.call(site.now)
    site.credit(1, emails[0])
    await site.pass_(3500)
    assert not site.calls("POST", ENROL, good=True) and not site.parked()
    await site.until(lambda: site.calls("POST", ENROL, good=True))
    assert len(site.calls("POST", ENROL)) <= 25
