"""Erasure at Dotdigital: everything of a person goes, in order, and nothing that comes later brings any of it back."""

from datetime import UTC, datetime

from streams.core.lanes import Lane
from streams.dispatch.outbox.tasks import Family, task_of
from streams.mapping.delivery import RefundEvent
from streams.messages.audit import ErasureResult, read_audit
from streams.messages.changes import CarriedRefusal, ChangeKind
from tests.dispatch.dispatch_harness import ANN, BOB, IMPORT, RECORD_IMPORT, Site, contact_task, on_site

FOLLOW_UP = {"follow_up": RefundEvent(kind="event", since=datetime(2026, 1, 1, tzinfo=UTC))}
BUDGET = {"budget_low": 35, "budget_medium": 100, "budget_high": 300}


def traces(site: Site) -> list[ErasureResult]:
    """What the audit topic says was erased."""
    entries = [read_audit(value) for value in site.broker.published[site.topics.audit]]
    return [entry for entry in entries if isinstance(entry, ErasureResult)]


def remembered(site: Site) -> bool:
    """Whether the worker's table names the person anywhere."""
    partitions = site.table.owned()
    return any(ANN.encode() in key + value for place in partitions for key, value in site.table.scan(place, b""))


async def gone(site: Site) -> None:
    """Wait for the erasure, and find nothing left of it."""
    await site.until(lambda: traces(site))
    await site.quiet()
    assert site.held() is None and not remembered(site)


@on_site()
async def test_a_person_is_suppressed_and_deleted_records_first(site: Site) -> None:
    site.want(despatched=site.now)
    site.record("A1")
    await site.quiet()
    site.forget_calls()
    site.erase()
    await gone(site)
    assert [call.route.rsplit("/", 1)[-1] for call in site.written()] == ["suppress-contacts", "deleteRecords", "{value}"]
    assert site.records() == {}
    binned = site.box.store.find("email", ANN)
    assert binned is not None and binned.email_status == "suppressed"


@on_site()
async def test_the_audit_says_so_and_names_nobody(site: Site) -> None:
    site.want()
    await site.quiet()
    site.erase()
    await gone(site)
    (trace,) = traces(site)
    assert (trace.digest, trace.stage) == (site.digest(ANN).hex(), "dotdigital")
    assert not any(ANN.encode() in value for value in site.broker.published[site.topics.audit])


@on_site()
async def test_whom_dotdigital_never_had_is_erased_too(site: Site) -> None:
    site.erase()
    await gone(site)
    assert not site.written() and len(traces(site)) == 1


@on_site()
async def test_whom_somebody_else_created_is_deleted_too(site: Site) -> None:
    site.box.store.create({"email": ANN}).email_status = "subscribed"
    site.erase()
    await gone(site)


@on_site(delivery=FOLLOW_UP)
async def test_what_waited_is_dropped(site: Site) -> None:
    site.want(lane=Lane.BULK)
    site.record("A1", lane=Lane.BULK)
    site.credit(1)
    site.erase()
    await gone(site)
    assert site.records() == {} and not site.box.store.events and not site.written()


@on_site(delivery=FOLLOW_UP)
async def test_nothing_that_comes_later_counts(site: Site) -> None:
    site.want()
    await site.quiet()
    contact = site.contact()
    site.erase()
    await gone(site)
    site.forget_calls()
    site.want(opted=True, despatched=site.now)
    site.record("A1")
    site.credit(1)
    site.found(contact, "subscribed")
    site.publish(site.change(ChangeKind.CARRIED_REFUSAL, ANN, 0, CarriedRefusal()))
    await site.quiet()
    await site.pass_(60)
    assert not site.calls() and not remembered(site) and len(traces(site)) == 1


@on_site(delivery=FOLLOW_UP)
async def test_nothing_that_comes_after_a_restart_counts(site: Site) -> None:
    site.erase()
    await gone(site)
    await site.restart()
    site.want()
    site.record("A1")
    await site.pass_(60)
    assert site.held() is None and not remembered(site)


@on_site()
async def test_nothing_that_comes_with_it_counts(site: Site) -> None:
    site.want()
    await site.quiet()
    site.erase()
    site.want(name="Anna", opted=True)
    site.record("A1")
    await gone(site)
    assert site.records() == {}


@on_site()
async def test_who_was_brought_back_by_another_system_is_erased_again_when_asked(site: Site) -> None:
    site.erase()
    await gone(site)
    site.box.store.create({"email": ANN}).email_status = "subscribed"
    site.erase()
    await site.until(lambda: len(traces(site)) == 2)
    await gone(site)


@on_site()
async def test_others_are_left_alone(site: Site) -> None:
    site.want()
    site.want(BOB, "Bob")
    site.record("B1", email=BOB)
    await site.quiet()
    site.erase()
    await gone(site)
    site.want(BOB, "Robert")
    await site.quiet()
    assert site.contact(BOB).data["FIRSTNAME"] == "Robert" and site.records() == {"B1": "open"}


@on_site(settings=BUDGET | {"readback_seconds": 300})
async def test_an_import_that_runs_is_waited_for(site: Site) -> None:
    others = [f"p{number:02}@example.com" for number in range(30)]
    for email in (ANN, *others):
        site.want(email, "P", opted=True, lane=Lane.BULK)
    await site.until(lambda: len(site.dispatch.imports_in_flight))
    site.erase()
    await gone(site)
    assert site.calls("PUT", IMPORT) and all(site.held(email) for email in others)
    await site.pass_(60)
    assert site.held() is None and not remembered(site)


@on_site(settings=BUDGET)
async def test_records_in_an_import_that_runs_do_not_come_back(site: Site) -> None:
    site.want()
    await site.quiet()
    for number in range(30):
        site.record(f"A{number}", lane=Lane.BULK)
    await site.until(lambda: len(site.dispatch.imports_in_flight))
    site.record("A1", "despatched", lane=Lane.BULK)
    site.erase()
    await gone(site)
    await site.pass_(60)
    assert not remembered(site) and len(site.calls("PUT", RECORD_IMPORT)) == 1


@on_site()
async def test_a_call_under_way_is_waited_for(site: Site) -> None:
    site.want()
    await site.until(lambda: site.dispatch.queue.may_have_run(contact_task()))
    site.erase()
    await gone(site)


@on_site()
async def test_a_record_under_way_does_not_come_back(site: Site) -> None:
    site.want()
    await site.quiet()
    site.record("A1")
    await site.until(lambda: site.dispatch.queue.may_have_run(task_of(Family.RECORD, ANN, "A1")))
    site.erase()
    await gone(site)
    await site.pass_(60)
    assert not remembered(site) and site.records() == {}


@on_site()
async def test_it_outlives_an_outage_and_a_restart(site: Site) -> None:
    site.want()
    await site.quiet()
    site.line.cut = True
    site.erase()
    await site.pass_(30)
    await site.restart()
    await site.pass_(30)
    site.line.cut = False
    await gone(site)


@on_site()
async def test_an_erasure_that_is_refused_is_parked_and_tried_again_when_asked(site: Site) -> None:
    site.want()
    await site.quiet()
    site.line.refuses = ANN.encode()
    site.erase()
    await site.until(site.parked)
    await site.pass_(300)
    (parked,) = site.parked()
    assert (parked.task, parked.task_key, parked.state) == ("erasure", contact_task(), "parked")
    site.line.refuses = None
    site.unpark(contact_task())
    await gone(site)


@on_site()
async def test_a_parked_delivery_of_the_person_is_cleared(site: Site) -> None:
    site.line.refuses = b'"Bad"'
    site.want(name="Bad")
    await site.until(site.parked)
    site.erase()
    await gone(site)
    assert site.parked()[-1].state == "cleared"
    site.unpark(contact_task())
    await site.quiet()
    assert not remembered(site)
