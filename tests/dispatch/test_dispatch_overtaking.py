"""What an import that is under way must not hold up, and what must not overtake one of which nothing was heard."""

import asyncio
import math
from collections.abc import Iterable

import pytest

from streams.core.lanes import Lane
from streams.kafka.producer import KeyValue
from streams.messages.changes import ChangeKind
from tests.dispatch.bulk_contacts import BUDGET, MANY, PEOPLE, READING, ask, delivered, lag, names, singles, under_way
from tests.dispatch.dispatch_harness import IMPORT, ORDERS, Site, on_site
from tests.wire import unpack

ANN = PEOPLE[0]


@pytest.mark.parametrize("accepted", [False, True])
@on_site(settings=BUDGET)
async def test_an_opt_out_does_not_wait_for_an_import(site: Site, *, accepted: bool) -> None:
    await delivered(site)
    site.contact(ANN).email_status = "subscribed"
    site.box.faults.update({"next_import": ["import_stuck"]})
    ask(site, "Q")
    await site.until(lambda: under_way(site) if accepted else len(site.dispatch.imports_in_flight))
    site.want(ANN, "Q", opted=False)
    await site.pass_(5)
    assert site.contact(ANN).email_status == "unsubscribed"
    assert names(site) == {"P": MANY - 1, "Q": 1}, "the others are with the import"


@on_site(settings=BUDGET)
async def test_an_erasure_does_not_wait_for_an_import_and_is_repeated_after_it(site: Site) -> None:
    await delivered(site)
    site.box.faults.update({"next_import": ["import_stuck"]})
    ask(site, "Q")
    await site.until(lambda: under_way(site))
    site.erase(ANN)
    await site.pass_(5)
    assert site.held(ANN) is None
    site.forget_calls()
    site.box.store.jobs.release()
    await site.quiet()
    assert site.held(ANN) is None and site.calls(), "it was made sure that the import did not bring anybody back"


async def lose_import(site: Site) -> None:
    """Everybody is to be created by an import that Dotdigital takes, and holds back; nobody hears that it did."""
    await site.until(lambda: site.dispatch.outbox.complete_until() is not None)
    site.box.faults.update({"next": ["lost_reply"], "next_import": ["import_stuck"]})
    ask(site)
    await site.until(lambda: site.calls("PUT", IMPORT))


async def release_imports(site: Site) -> None:
    """Dotdigital does what it held back; some readings later, we know."""
    site.box.store.jobs.release()
    await site.pass_(900)


@on_site(settings=READING)
async def test_an_import_of_which_nothing_was_received_brings_back_nobody_who_was_erased(site: Site) -> None:
    await lose_import(site)
    site.erase(ANN)
    await site.pass_(60)
    await release_imports(site)
    assert site.held(ANN) is None and names(site) == {"P": MANY - 1, None: 1}


@pytest.mark.parametrize("restarted", [False, True])
@on_site(settings=READING)
async def test_what_left_is_not_brought_back_by_an_import_of_which_nothing_was_received(site: Site, *, restarted: bool) -> None:
    await lose_import(site)
    if restarted:
        await site.restart()
    site.want(ANN, None)
    await site.pass_(60)
    await release_imports(site)
    assert site.held(ANN) is None, "we created it, so we delete it"
    assert names(site) == {"P": MANY - 1, None: 1}


@on_site(settings=BUDGET)
async def test_imports_that_fail_again_and_again_are_given_up_for_single_calls(site: Site) -> None:
    await delivered(site)
    site.box.faults.update({"import_failed": 1.0})
    ask(site, "Q")
    await site.quiet()
    assert names(site) == {"Q": MANY} and len(site.calls("PUT", IMPORT)) == 2


@on_site(settings=BUDGET)
async def test_a_partition_that_learns_of_its_import_late_is_settled_too(site: Site) -> None:
    await delivered(site)
    lag(site, 20, ["import-ended"])
    append, loop = site.broker.append, asyncio.get_running_loop()

    def late(topic: str, partition: int, entries: Iterable[KeyValue]) -> int:
        published = list(entries)
        if partition != 1 or not any(b'"import-started"' in (value or b"") for _, value in published):
            return append(topic, partition, published)
        loop.call_later(25, append, topic, partition, published)
        return 0

    site.broker.append = late  # type: ignore[method-assign]
    ask(site, "Q")
    await site.quiet()
    assert names(site) == {"Q": MANY} and not len(site.dispatch.imports_in_flight)


@on_site(settings=BUDGET)
async def test_an_import_that_never_left_goes_by_import_again(site: Site) -> None:
    await delivered(site)
    append = site.broker.append
    lag(site, 0.5)
    site.line.cut = True
    ask(site, "Q")
    await site.until(lambda: site.calls("PUT", IMPORT))
    await site.pass_(3)
    site.line.cut = False
    site.broker.append = append  # type: ignore[method-assign]
    await site.quiet()
    assert names(site) == {"Q": MANY}
    assert not [call for call in singles(site) if call.status]


@on_site(settings=READING)
async def test_what_overtook_an_import_of_which_nothing_was_received_is_reported_again(site: Site) -> None:
    await delivered(site)
    await site.pass_(120)
    site.contact(ANN).email_status = "subscribed"
    site.box.faults.update({"next": ["lost_reply"], "next_import": ["import_stuck"]})
    ask(site, "Q")
    await site.until(lambda: site.calls("PUT", IMPORT))
    await site.pass_(2)
    site.want(ANN, "R", opted=False)
    await site.pass_(10)
    assert site.contact(ANN).data["FIRSTNAME"] == "R"
    await release_imports(site)
    assert names(site) == {"Q": MANY - 1, "R": 1}


@on_site(settings=BUDGET)
async def test_what_overtook_an_import_is_reported_again_though_the_report_names_nobody(site: Site) -> None:
    await delivered(site)
    for email in PEOPLE:
        site.contact(email).email_status = "subscribed"
    site.box.faults.update({"next_import": ["report_partial"]})
    ask(site, "Q")
    await site.until(lambda: under_way(site))
    for email in PEOPLE:
        site.want(email, "R", opted=False)
    await site.pass_(5)
    await site.quiet()
    assert names(site) == {"R": MANY}


@on_site(settings=BUDGET | {"import_poll": 10})
async def test_an_opt_out_that_overtook_an_import_is_reported_once(site: Site) -> None:
    await delivered(site)
    for email in PEOPLE:
        site.contact(email).email_status = "subscribed"
    ask(site, "Q")
    await site.until(lambda: under_way(site))
    await site.pass_(9)
    site.forget_calls()
    for email in PEOPLE:
        site.want(email, "Q", opted=False)
    await site.quiet()
    assert len([call for call in singles(site) if b"unsubscribed" in call.body]) == MANY


@on_site(settings=READING)
async def test_an_opt_out_of_who_is_being_subscribed_does_not_wait_for_the_import(site: Site) -> None:
    await site.until(lambda: site.dispatch.outbox.complete_until() is not None)
    site.box.faults.update({"next": ["lost_reply"]})
    ask(site, opted=True)
    await site.until(lambda: site.calls("PUT", IMPORT))
    await site.pass_(15)
    site.box.store.jobs.settle(math.inf)
    assert site.contact(ANN).email_status == "subscribed"
    site.want(ANN, opted=False)
    await site.pass_(10)
    assert site.contact(ANN).email_status == "unsubscribed"


@pytest.mark.parametrize("others", ["subscribed", "unsubscribed"])
@on_site(settings=READING | {"import_poll": 30})
async def test_whose_contact_it_is_the_report_decides_and_no_reading_before_it(site: Site, *, others: str) -> None:
    await site.until(lambda: site.dispatch.outbox.complete_until() is not None)
    ask(site)
    await site.until(lambda: site.calls("PUT", IMPORT))
    if others == "unsubscribed":
        site.box.store.create({"email": ANN}).email_status = others
    await site.until(lambda: under_way(site))
    site.box.store.jobs.settle(math.inf)
    site.contact(ANN).email_status = others
    site.found(site.contact(ANN))
    await site.quiet()
    site.want(ANN, None)
    await site.quiet()
    ours = others == "subscribed"
    assert (site.held(ANN) is None) == ours, "the import created it, and its owner signed up" if ours else "it was there before"


@on_site(settings=READING)
async def test_an_erasure_that_looked_before_the_import_created_is_repeated(site: Site) -> None:
    await site.until(lambda: site.dispatch.outbox.complete_until() is not None)
    site.box.faults.update({"next_import": ["import_stuck"]})
    ask(site)
    await site.until(lambda: under_way(site))
    site.line.slow = ANN.encode(), 20
    site.erase(ANN)
    await site.pass_(5)
    await release_imports(site)
    assert site.held(ANN) is None


@on_site(settings=BUDGET)
async def test_no_record_of_who_is_erased_is_sent_again(site: Site) -> None:
    await delivered(site)
    for number, email in enumerate(PEOPLE):
        site.record(f"A{number}", email=email, lane=Lane.BULK)
    site.box.faults.update({"next_import": ["import_failed"]})
    await site.until(lambda: under_way(site))
    site.line.refuses, site.line.code = b"suppress", "ERROR_CONTACT_TOOMANY"
    site.erase(ANN)
    await site.pass_(3)
    site.forget_calls()
    await site.pass_(200)
    assert not [call for call in site.calls() if ANN.encode() in call.body and b'"A0"' in call.body]


@on_site(settings=READING)
async def test_a_full_account_stops_new_contacts_only(site: Site) -> None:
    await delivered(site)
    site.line.refuses, site.line.code = b'"FIRSTNAME":"N"', "ERROR_CONTACT_TOOMANY"
    for number in range(100):
        site.want(f"n{number}@example.com", "N")
    await site.pass_(65)
    for number, email in enumerate(PEOPLE):
        site.record(f"A{number}", email=email)
    await site.pass_(30)
    assert len(site.records()) == MANY
    assert not site.parked()
    assert len([call for call in site.calls() if b'"N"' in call.body]) < 40


@on_site(settings=BUDGET | {"import_poll": 30})
async def test_a_record_that_went_to_a_former_contact_goes_to_the_new_one(site: Site) -> None:
    await delivered(site)
    for number, email in enumerate(PEOPLE):
        site.record(f"A{number}", email=email, lane=Lane.BULK)
    await site.until(lambda: under_way(site))
    site.box.store.jobs.settle(math.inf)
    site.box.store.bin(site.contact(ANN))
    site.box.store.purge()
    site.want(ANN, "Q")
    await site.until(site.parked)
    assert under_way(site), "nobody has read the report"
    await site.create_again(ANN)
    await site.quiet()
    found = site.box.store.insight.find(ORDERS)
    assert found is not None
    assert found.records["A0"].owner == site.contact(ANN).id and len(found.records) == MANY


@on_site(settings=READING)
async def test_nobody_reads_again_while_a_mark_is_on_its_way(site: Site) -> None:
    await site.until(lambda: site.dispatch.outbox.complete_until() is not None)
    await site.pass_(120)
    append, loop = site.broker.append, asyncio.get_running_loop()

    def late(topic: str, partition: int, entries: Iterable[KeyValue]) -> int:
        published = list(entries)
        marks = topic == site.topics.desired and any(
            change.kind is ChangeKind.READBACK_WATERMARK for _, value in published for change in unpack(value or b"")
        )
        if not marks:
            return append(topic, partition, published)
        loop.call_later(20, append, topic, partition, published)
        return 0

    site.broker.append = late  # type: ignore[method-assign]
    ask(site)
    site.forget_calls()
    await site.quiet()
    assert names(site) == {"P": MANY}
    assert len([call for call in site.calls("GET") if "suppressed-since" in call.path]) == 1
