"""Bulk imports: who may share one, what becomes of every row, and that a restart neither loses nor repeats them."""

from collections import Counter

import pytest

from streams.core.lanes import Lane
from tests.dispatch.bulk_contacts import BUDGET, MANY, PEOPLE, READING, ask, delivered, names, rows, singles, under_way
from tests.dispatch.dispatch_harness import CATALOGUE, IMPORT, RECORD_IMPORT, Site, on_site

SHIPPED = {"bulk_quiet": 60, "bulk_longest": 300}
"""The bulk lane's windows as they are shipped: long against the time between two parts of a load."""


@on_site(settings=READING)
async def test_new_contacts_are_imported_unsubscribed(site: Site) -> None:
    ask(site)
    await site.quiet()
    assert names(site) == {"P": MANY} and not singles(site)
    (call,) = site.calls("PUT", IMPORT)
    assert all(row["channelProperties"] == {"email": {"status": "unsubscribed"}} for row in rows(call))
    assert {site.contact(email).email_status for email in PEOPLE} == {"unsubscribed"}


@on_site(settings=READING)
async def test_who_opted_in_is_imported_apart_and_subscribed(site: Site) -> None:
    ask(site, people=PEOPLE[:30], opted=True)
    ask(site, people=PEOPLE[30:])
    await site.quiet()
    assert {site.contact(email).email_status for email in PEOPLE[:30]} == {"subscribed"}
    assert {site.contact(email).email_status for email in PEOPLE[30:]} == {"unsubscribed"}
    calls = site.calls("PUT", IMPORT)
    assert len(calls) == 2
    for call in calls:
        assert len({"channelProperties" in row for row in rows(call)}) == 1, "never mixed"


@on_site(settings=READING | {"import_most": 20})
async def test_both_kinds_of_imports_of_new_contacts_are_full(site: Site) -> None:
    ask(site, people=PEOPLE[:40:2], opted=True)
    ask(site, people=PEOPLE[1:40:2])
    await site.quiet()
    assert [len(rows(call)) for call in site.calls("PUT", IMPORT)] == [20, 20]


@on_site(settings=READING)
async def test_who_signed_up_a_moment_ago_is_seen_before_the_import(site: Site) -> None:
    await site.until(lambda: site.dispatch.outbox.complete_until() is not None)
    await site.pass_(120)
    site.box.store.create({"email": PEOPLE[0]}).email_status = "subscribed"
    ask(site)
    await site.quiet()
    assert site.contact(PEOPLE[0]).email_status == "subscribed" and names(site) == {"P": MANY}


@on_site(settings=READING)
async def test_who_signed_up_after_the_reading_is_not_ours(site: Site) -> None:
    await site.until(lambda: site.dispatch.outbox.complete_until() is not None)
    ask(site)
    await site.until(lambda: site.calls("PUT", IMPORT))
    site.box.store.create({"email": PEOPLE[0]})
    await site.quiet()
    assert names(site) == {"P": MANY}
    for email in PEOPLE[:2]:
        site.want(email, None)
    await site.quiet()
    assert site.held(PEOPLE[0]) is not None and site.held(PEOPLE[1]) is None


@on_site(settings=BUDGET)
async def test_without_a_reading_nobody_is_created_in_bulk(site: Site) -> None:
    ask(site)
    await site.quiet()
    assert not site.calls("PUT", IMPORT) and names(site) == {"P": MANY}


@on_site(settings=BUDGET)
async def test_who_is_there_is_imported_by_id(site: Site) -> None:
    await delivered(site)
    ask(site, "Q")
    await site.quiet()
    (call,) = site.calls("PUT", IMPORT)
    assert {row["matchIdentifier"] for row in rows(call)} == {"contactId"}
    assert not any("channelProperties" in row for row in rows(call)), "no status is touched"
    assert names(site) == {"Q": MANY} and not singles(site)


@on_site(settings=BUDGET)
async def test_who_was_deleted_meanwhile_is_not_created_by_the_import(site: Site) -> None:
    await delivered(site)
    site.box.store.bin(site.contact(PEOPLE[0]))
    site.box.store.purge()
    ask(site, "Q")
    await site.create_again(PEOPLE[0])
    assert [(len(job.report["created"]), len(job.report["updated"])) for job in site.box.store.jobs] == [(0, MANY - 1)]
    assert names(site) == {"Q": MANY}
    assert site.contact(PEOPLE[0]).email_status == "unsubscribed"


@on_site(settings=BUDGET)
async def test_they_join_the_list_with_the_import(site: Site) -> None:
    await delivered(site)
    for email in PEOPLE:
        site.want(email, "Q", despatched=site.now, lane=Lane.BULK)
    await site.quiet()
    assert all(site.listed(email) for email in PEOPLE) and not singles(site)


@on_site(settings=BUDGET | SHIPPED)
async def test_what_falls_due_bit_by_bit_goes_by_one_import(site: Site) -> None:
    await delivered(site)
    for start in range(0, MANY, 20):
        ask(site, "Q", people=PEOPLE[start : start + 20])
        await site.pass_(5)
    await site.quiet()
    assert [len(rows(call)) for call in site.calls("PUT", IMPORT)] == [MANY]
    assert names(site) == {"Q": MANY} and not singles(site)


@on_site(settings=BUDGET | SHIPPED)
async def test_a_load_without_end_waits_no_longer_than_an_import_takes(site: Site) -> None:
    groups = [[f"{group}-{number}@example.com" for number in range(20)] for group in range(12)]
    for group in groups:
        ask(site, people=group)
    await site.quiet()
    site.forget_calls()
    asked = site.now
    for group in groups:
        ask(site, "Q", people=group)
        await site.pass_(10)
    await site.quiet()
    calls = site.calls("PUT", IMPORT)
    assert sum(len(rows(call)) for call in calls) == 240 and 3 <= len(calls) <= 5
    settings = site.settings
    assert calls[0].at / 1000 <= asked + settings.bulk_quiet + settings.import_seconds + 2


@pytest.mark.parametrize("fault", ["import_partial", "report_partial", "import_rejected", "import_failed", "import_stuck"])
@on_site(settings=READING)
async def test_every_row_arrives_whatever_becomes_of_an_import(site: Site, fault: str) -> None:
    site.box.faults.update({"next_import": [fault]})
    ask(site)
    await site.quiet()
    assert names(site) == {"P": MANY} and not site.parked()
    assert {site.contact(email).email_status for email in PEOPLE} == {"unsubscribed"}
    alone = {"import_partial": 30, "report_partial": 30, "import_rejected": MANY, "import_failed": 0, "import_stuck": MANY}
    assert len({call.path for call in singles(site) if call.method == "PATCH"}) <= alone[fault]
    site.forget_calls()
    await site.pass_(60)
    assert not site.written()


@on_site(settings=BUDGET)
async def test_an_import_of_which_nothing_is_known_any_more_is_sent_again(site: Site) -> None:
    await delivered(site)
    ask(site, "Q")
    await site.until(lambda: under_way(site))
    site.box.store.jobs.reset()
    await site.quiet()
    assert len(site.calls("PUT", IMPORT)) == 2 and names(site) == {"Q": MANY}


@on_site(settings=BUDGET)
async def test_a_restart_finds_the_import_and_sends_its_rows_not_twice(site: Site) -> None:
    await delivered(site)
    ask(site, "Q")
    await site.until(lambda: under_way(site))
    await site.restart()
    await site.quiet()
    assert names(site) == {"Q": MANY}
    assert len(site.calls("PUT", IMPORT)) == 1 and not singles(site)
    assert not len(site.dispatch.imports_in_flight)


@on_site(settings=BUDGET)
async def test_an_answer_that_is_lost_has_the_rows_imported_again(site: Site) -> None:
    await delivered(site)
    site.box.faults.update({"next": ["lost_reply"]})
    ask(site, "Q")
    await site.quiet()
    assert [call.status for call in site.calls("PUT", IMPORT)] == [0, 202]
    assert names(site) == {"Q": MANY}


@on_site(settings=BUDGET)
async def test_an_import_is_not_tried_again_and_again_while_nothing_answers(site: Site) -> None:
    await delivered(site)
    site.line.cut = True
    ask(site, "Q")
    await site.pass_(600)
    assert 5 < len(site.calls("PUT", IMPORT)) < 60
    site.line.cut = False
    await site.quiet()
    assert names(site) == {"Q": MANY}


@on_site(settings=BUDGET)
async def test_one_malformed_row_is_found_by_halves(site: Site) -> None:
    await delivered(site)
    site.line.refuses = b'"Bad"'
    ask(site, "Q", PEOPLE[:-1])
    site.want(PEOPLE[-1], "Bad", lane=Lane.BULK)
    await site.quiet()
    assert names(site) == {"Q": MANY - 1, "P": 1}
    (parked,) = site.parked()
    assert (parked.key, parked.code) == (PEOPLE[-1], "contacts:badJson")
    assert len(site.calls("PUT", IMPORT)) <= 13


@on_site(settings=BUDGET)
async def test_a_full_queue_of_imports_is_waited_for(site: Site) -> None:
    await delivered(site)
    others = [
        site.box.store.jobs.start("contactImport", {"option": "overwrite", "rows": []}, "import_stuck") for _ in range(25)
    ]
    ask(site, "Q")
    await site.pass_(60)
    assert names(site) == {"P": MANY} and not singles(site), "bulk has time"
    assert {call.status for call in site.calls("PUT", IMPORT)} == {429} and len(site.calls("PUT", IMPORT)) <= 5
    assert len(others) == site.box.store.jobs.release()
    await site.quiet()
    assert names(site) == {"Q": MANY}


@on_site(settings=READING)
async def test_an_opt_out_during_an_import_goes_out_at_once_afterwards(site: Site) -> None:
    ask(site, opted=True)
    await site.until(lambda: under_way(site))
    site.want(PEOPLE[0], "P", opted=False)
    await site.until(lambda: site.held(PEOPLE[0]) is not None)
    imported = site.now
    await site.until(lambda: site.contact(PEOPLE[0]).email_status == "unsubscribed")
    assert site.now - imported <= 6, "the next look at the report, and no debounce after it"
    await site.quiet()
    assert Counter(site.contact(email).email_status for email in PEOPLE) == {"subscribed": MANY - 1, "unsubscribed": 1}


@on_site(settings=BUDGET)
async def test_what_changes_during_an_import_is_sent_after_it(site: Site) -> None:
    await delivered(site)
    ask(site, "Q")
    await site.until(lambda: under_way(site))
    site.want(PEOPLE[0], "R")
    await site.quiet()
    assert names(site) == {"Q": MANY - 1, "R": 1}
    assert len(singles(site)) == 1


@on_site(settings=BUDGET)
async def test_opt_outs_of_contacts_that_are_there_go_alone(site: Site) -> None:
    site.want(PEOPLE[0], "P", opted=True)
    await site.quiet()
    await delivered(site)
    ask(site, "Q", PEOPLE[1:])
    site.want(PEOPLE[0], "Q", opted=False, lane=Lane.BULK)
    await site.until(lambda: site.contact(PEOPLE[0]).email_status == "unsubscribed")
    (call,) = singles(site)
    assert call.content["channelProperties"] == {"email": {"status": "unsubscribed"}}


@pytest.mark.parametrize("fault", [None, "import_partial", "report_partial", "import_failed"])
@on_site(settings=BUDGET)
async def test_records_go_by_import(site: Site, fault: str | None) -> None:
    await delivered(site)
    site.box.faults.update({"next_import": [fault or "none"]})
    for number, email in enumerate(PEOPLE):
        site.record(f"A{number}", email=email, lane=Lane.BULK)
    await site.quiet()
    assert site.records() == {f"A{number}": "open" for number in range(MANY)}
    assert site.calls("PUT", RECORD_IMPORT) and not site.parked()
    assert site.asked_again(site.topics.orders) == []


@on_site(settings=BUDGET)
async def test_the_catalogue_goes_by_import(site: Site) -> None:
    for variant in range(MANY):
        site.item(variant, lane=Lane.BULK)
    await site.quiet()
    assert site.records(CATALOGUE) == {str(variant): "Saw" for variant in range(MANY)}
    (call,) = site.written()
    assert (call.route, call.content["collectionScope"]) == (RECORD_IMPORT, "account")


@on_site(settings=BUDGET)
async def test_a_record_whose_contact_vanished_is_imported_with_the_others_and_follows_it(site: Site) -> None:
    await delivered(site)
    site.box.store.bin(site.contact(PEOPLE[0]))
    site.box.store.purge()
    for number, email in enumerate(PEOPLE):
        site.record(f"A{number}", email=email, lane=Lane.BULK)
    await site.create_again(PEOPLE[0])
    assert len(site.records()) == MANY and names(site) == {"P": MANY}


@on_site(settings=BUDGET)
async def test_live_changes_do_not_wait_for_a_backlog(site: Site) -> None:
    await delivered(site)
    ask(site, "Q", PEOPLE[1:])
    site.want(PEOPLE[0], "R")
    await site.until(lambda: site.contact(PEOPLE[0]).data["FIRSTNAME"] == "R")
    assert names(site)["P"] == MANY - 1
    await site.quiet()


@on_site(settings=BUDGET)
async def test_an_import_whose_answer_was_lost_brings_nobody_back(site: Site) -> None:
    await delivered(site)
    site.box.faults.update({"next": ["lost_reply"]})
    ask(site, "Q")
    await site.until(lambda: site.calls("PUT", IMPORT))
    site.want(PEOPLE[0], None)
    site.erase(PEOPLE[1])
    await site.quiet()
    await site.pass_(60)
    assert names(site) == {"Q": MANY - 2, None: 2}
