"""The recent buyers' list: joined with the data, left when the time is over, whatever becomes of the worker."""

import pytest

from streams.core.lanes import Lane
from testkit.virtual.account import LIST_ID
from tests.dispatch.dispatch_harness import ANN, BOB, DAY, Site, on_site

LASTS = 30 * DAY
WINDOW = {"bulk_windows": ("mon 00:30-00:40",)}
"""Virtual time begins on a Monday at midnight."""


@on_site()
async def test_a_new_contact_joins_with_its_data(site: Site) -> None:
    site.want(despatched=site.now)
    await site.quiet()
    assert site.listed()
    (call,) = site.written()
    assert (call.content["lists"], call.content["dataFields"]) == ([LIST_ID], {"FIRSTNAME": "Ann"})


@on_site()
async def test_a_contact_that_is_there_joins_with_its_data(site: Site) -> None:
    site.want()
    await site.quiet()
    site.forget_calls()
    site.want(name="Anna", despatched=site.now)
    await site.quiet()
    (call,) = site.written()
    assert (call.content["lists"], call.content["dataFields"]) == ([LIST_ID], {"FIRSTNAME": "Anna"})


@on_site()
async def test_it_joins_alone_when_only_the_despatch_is_new(site: Site) -> None:
    site.want()
    await site.quiet()
    site.forget_calls()
    site.want(despatched=site.now)
    await site.quiet()
    (call,) = site.written()
    assert (call.content["lists"], call.content["dataFields"]) == ([LIST_ID], {})
    site.want(despatched=site.now)
    await site.quiet()
    assert len(site.written()) == 1


@on_site()
async def test_an_old_despatch_joins_nothing(site: Site) -> None:
    site.want(despatched=site.now - LASTS)
    await site.quiet()
    assert not site.listed()


@on_site()
async def test_it_leaves_when_the_time_is_over(site: Site) -> None:
    over = site.now + 120
    site.want(despatched=over - LASTS)
    await site.quiet()
    assert site.listed()
    await site.until(lambda: not site.listed())
    assert 0 <= site.now - over <= 1
    await site.pass_(60)
    assert len(site.calls("DELETE")) == 1


@on_site()
async def test_it_leaves_though_the_worker_was_restarted(site: Site) -> None:
    site.want(despatched=site.now + 120 - LASTS)
    await site.quiet()
    await site.restart()
    await site.pass_(60)
    assert site.listed()
    await site.until(lambda: not site.listed())


@on_site()
async def test_it_leaves_though_no_worker_ran_when_the_time_was_over(site: Site) -> None:
    site.want(despatched=site.now + 120 - LASTS)
    await site.quiet()
    await site.stop()
    await site.pass_(DAY)
    assert site.listed()
    site.start()
    await site.until(lambda: not site.listed())


@on_site()
async def test_a_later_despatch_prolongs(site: Site) -> None:
    site.want(despatched=site.now + 120 - LASTS)
    await site.quiet()
    site.want(despatched=site.now + 400 - LASTS)
    await site.pass_(300)
    assert site.listed() and not site.calls("DELETE")
    await site.until(lambda: not site.listed())


@on_site()
async def test_a_despatch_that_was_taken_back_ends_it(site: Site) -> None:
    site.want(despatched=site.now)
    await site.quiet()
    site.want(despatched=None)
    await site.until(lambda: not site.listed())


@on_site()
async def test_who_came_by_another_road_stays(site: Site) -> None:
    site.box.store.create({"email": ANN}).lists.append(LIST_ID)
    site.want(despatched=site.now - LASTS)
    await site.quiet()
    site.want(name="Anna", despatched=None)
    await site.quiet()
    await site.pass_(60)
    assert site.listed() and not site.calls("DELETE")


@on_site()
async def test_whom_we_did_not_create_leaves_when_it_is_not_ours_any_more(site: Site) -> None:
    site.box.store.create({"email": ANN}).email_status = "subscribed"
    site.want(despatched=site.now)
    await site.quiet()
    assert site.listed()
    site.want(name=None)
    await site.until(lambda: not site.listed())
    assert site.contact().email_status == "subscribed"


@on_site()
async def test_a_contact_that_was_made_anew_joins_again(site: Site) -> None:
    site.want(despatched=site.now)
    await site.quiet()
    site.box.store.bin(site.contact())
    site.box.store.purge()
    site.want(name="Anna", despatched=site.now)
    await site.create_again()
    assert site.listed()


@on_site()
async def test_nobody_can_leave_a_list_that_is_gone(site: Site) -> None:
    site.want(despatched=site.now + 60 - LASTS)
    await site.quiet()
    site.box.store.lists.names.pop(LIST_ID)
    await site.pass_(120)
    assert len(site.calls("DELETE")) == 1 and not site.parked()


@pytest.mark.parametrize("code", ["ERROR_ADDRESSBOOK_NOT_FOUND", "ERROR_ADDRESSBOOK_NOTWRITABLE"])
@on_site()
async def test_a_list_that_is_refused_holds_up_nobody_and_is_joined_after_a_restart(site: Site, code: str) -> None:
    site.want()
    await site.quiet()
    site.line.refuses, site.line.code = b'"lists"', code
    site.want(name="Anna", despatched=site.now)
    await site.until(lambda: site.contact().data["FIRSTNAME"] == "Anna")
    await site.pass_(5)
    site.forget_calls()
    await site.pass_(300)
    assert not site.calls() and not site.parked()
    site.line.refuses = None
    await site.restart()
    await site.until(site.listed)


@on_site()
async def test_who_may_not_join_keeps_nobody_off_and_is_tried_with_the_next_despatch(site: Site) -> None:
    site.want()
    site.want(BOB, "Bob")
    await site.quiet()
    site.line.refuses, site.line.code = b'"Anna"},"lists"', "ERROR_CONTACT_SUPPRESSEDFORADDRESSBOOK"
    first = site.now
    site.want(name="Anna", despatched=first)
    await site.until(lambda: site.contact().data["FIRSTNAME"] == "Anna")
    await site.quiet()
    site.line.refuses = None
    site.forget_calls()
    site.want(BOB, "Bob", despatched=site.now)
    await site.until(lambda: site.listed(BOB))
    site.want(name="Ann", despatched=first)
    await site.quiet()
    await site.restart()
    await site.pass_(60)
    assert not site.listed() and not any(b"lists" in call.body for call in site.calls() if b"Ann" in call.body)
    site.want(name="Ann", despatched=site.now)
    await site.until(site.listed)
    assert not site.parked()


@on_site()
async def test_who_cannot_be_taken_off_is_tried_once(site: Site) -> None:
    site.want(despatched=site.now + 60 - LASTS)
    await site.quiet()
    site.line.refuses, site.line.code = b"/address-books/", "ERROR_ADDRESSBOOK_NOTWRITABLE"
    await site.pass_(300)
    assert len(site.calls("DELETE")) == 1 and not site.parked()


@on_site(delivery=WINDOW)
async def test_it_leaves_though_its_data_waits_for_a_window(site: Site) -> None:
    over = site.now + 1200
    site.want(despatched=over - LASTS)
    await site.quiet()
    site.want(name="Anna", despatched=over - LASTS, lane=Lane.BULK)
    await site.pass_(600)
    await site.restart()
    await site.until(lambda: not site.listed())
    assert 0 <= site.now - over <= 1 and site.contact().data["FIRSTNAME"] == "Ann"
    await site.until(lambda: site.contact().data["FIRSTNAME"] == "Anna")
    assert site.now - over >= 600 and len(site.calls("DELETE")) == 1


@on_site(delivery=WINDOW)
async def test_data_whose_window_opens_first_does_not_wait_for_the_leaving(site: Site) -> None:
    site.want(despatched=site.now)
    await site.quiet()
    site.want(name="Anna", despatched=site.now, lane=Lane.BULK)
    await site.pass_(1900)
    assert site.listed() and site.contact().data["FIRSTNAME"] == "Anna"


@on_site()
async def test_a_despatch_taken_back_before_the_answer_to_the_joining_came_ends_it(site: Site) -> None:
    site.want()
    await site.quiet()
    site.box.faults.update({"next": ["lost_reply", {"fault": "http_503", "times": 3}]})
    site.want(despatched=site.now)
    await site.until(site.listed)
    site.want(despatched=None)
    await site.until(lambda: not site.listed())


@on_site()
async def test_a_contact_that_stays_after_all_joins_again(site: Site) -> None:
    site.want(despatched=site.now)
    await site.quiet()
    # Looked for, deleted, and nobody heard of it.
    site.box.faults.update({"next": ["none", "lost_reply", {"fault": "http_503", "times": 3}]})
    site.want(name=None)
    await site.until(lambda: site.held() is None)
    site.want(despatched=site.now)
    await site.quiet()
    assert site.listed()
