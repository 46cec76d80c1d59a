"""Dotdigital refuses access, cannot be reached, or has no time: deliveries pause, and go on as if nothing had been."""

import pytest

from streams.core.errors import ConfigurationError
from streams.core.lanes import Lane
from tests.dispatch.bulk_contacts import lag
from tests.dispatch.dispatch_harness import ANN, BOB, ORDERS, Site, on_site

WINDOW = {"bulk_windows": ("mon 00:10-00:20",)}
"""Virtual time begins on a Monday at midnight."""
READ = {"readback_seconds": 300}
"""It is known that nobody is there, so nobody looks before a creation."""


@pytest.mark.parametrize("switch", ["unauthorized", "wrong_region"])
@on_site()
async def test_refused_access_stops_everything_and_parks_nothing(site: Site, switch: str) -> None:
    site.want()
    await site.quiet()
    site.box.faults.update({switch: True})
    site.forget_calls()
    for number in range(20):
        site.want(f"p{number}@example.com", "P")
    await site.pass_(300)
    assert len(site.calls()) <= 10 * site.settings.dispatch_connections, "one each, twice a minute"
    assert not site.parked()
    site.box.faults.update({switch: False})
    await site.quiet()
    assert all(site.held(f"p{number}@example.com") for number in range(20))


@pytest.mark.parametrize("fault", ["cut", "outage"])
@on_site()
async def test_an_outage_is_waited_out(site: Site, fault: str) -> None:
    for email in (ANN, BOB):
        site.want(email)
    await site.quiet()
    site.line.cut = fault == "cut"
    site.box.faults.update({"outage": fault == "outage"})
    site.forget_calls()
    site.want(name="Anna", opted=False)
    site.want(BOB, "Robert")
    site.record("A1")
    await site.pass_(600)
    assert 5 < len(site.calls()) < 150 and not site.parked()
    site.line.cut = False
    site.box.faults.update({"outage": False})
    back = site.now
    await site.quiet()
    assert site.now - back <= 65, "the longest wait between two tries"
    assert site.contact().data["FIRSTNAME"] == "Anna" and site.contact(BOB).data["FIRSTNAME"] == "Robert"
    assert site.records() == {"A1": "open"}


@on_site(started=False)
async def test_a_worker_starts_while_dotdigital_cannot_be_reached(site: Site) -> None:
    site.line.cut = True
    site.start()
    site.want()
    await site.pass_(300)
    assert 3 < len(site.calls()) < 100
    site.line.cut = False
    await site.quiet()
    assert site.held() is not None


@on_site(started=False)
async def test_a_worker_does_not_start_on_an_account_that_lacks_something(site: Site) -> None:
    site.box.store.insight.drop(ORDERS)
    site.start()
    await site.pass_(5)
    with pytest.raises(ExceptionGroup) as failed:
        await site.stop()
    assert failed.group_contains(ConfigurationError, match=ORDERS)


@on_site(settings={"bulk_quiet": 0})
async def test_throttled_calls_are_made_when_the_minute_is_over(site: Site) -> None:
    await site.pass_(5)
    site.box.store.limits.update({"highCallRate": 20})
    for number in range(30):
        site.want(f"p{number}@example.com", "P")
    await site.quiet()
    assert all(site.held(f"p{number}@example.com") for number in range(30)) and not site.parked()
    assert site.now <= site.calls()[0].at // 1000 + 5 * 60


@on_site(delivery=WINDOW)
async def test_a_closed_window_holds_up_bulk_only(site: Site) -> None:
    site.want(lane=Lane.BULK)
    site.item(7, lane=Lane.BULK)
    site.want(BOB, "Bob")
    await site.pass_(300)
    assert site.held() is None and not site.records("catalog_orderwise") and site.held(BOB) is not None
    await site.pass_(310)
    await site.quiet()
    assert site.held() is not None and site.records("catalog_orderwise") == {"7": "Saw"}


@on_site(delivery=WINDOW)
async def test_a_live_change_takes_along_what_waits_for_the_window(site: Site) -> None:
    site.want(lane=Lane.BULK)
    await site.pass_(60)
    site.want(name="Anna")
    await site.pass_(30)
    assert site.contact().data["FIRSTNAME"] == "Anna"


@on_site(delivery=WINDOW)
async def test_a_window_is_closed_again(site: Site) -> None:
    await site.pass_(20 * 60 + 1)
    site.want(lane=Lane.BULK)
    await site.pass_(60)
    assert site.held() is None


@on_site()
async def test_a_lost_answer_to_a_creation_makes_one_contact_that_is_ours(site: Site) -> None:
    await site.pass_(1)
    site.box.faults.update({"next": ["none", "lost_reply"]})
    site.want()
    await site.quiet()
    assert len(site.box.store) == 1 and site.contact().email_status == "unsubscribed"
    site.want(name=None)
    await site.quiet()
    assert site.held() is None, "we created it, so we delete it"


@pytest.mark.parametrize("restarted", [False, True])
@on_site(settings=READ)
async def test_a_lost_creation_is_ours_though_nobody_has_read_yet_that_it_was_tried(site: Site, *, restarted: bool) -> None:
    await site.until(lambda: site.dispatch.outbox.complete_until() is not None)
    lag(site, 5)
    site.box.faults.update({"next": ["lost_reply"]})
    site.want()
    await site.until(site.held)
    site.want(name=None)
    if restarted:
        await site.restart()
    await site.quiet()
    assert site.held() is None, "we created it, so we delete it"


@on_site()
async def test_a_creation_that_was_refused_for_the_moment_explains_nothing(site: Site) -> None:
    site.line.refuses, site.line.code = b'"FIRSTNAME":"Ann"', "ERROR_SYSTEM_SERVICETEMPORARILYUNAVAILABLE"
    site.want()
    await site.pass_(5)
    site.box.store.create({"email": ANN}).email_status = "unsubscribed"
    site.line.refuses = None
    await site.quiet()
    site.want(name=None)
    await site.quiet()
    assert site.held() is not None, "somebody else created it"


@on_site()
async def test_a_worker_that_ends_before_the_answer_is_written_down_sends_again(site: Site) -> None:
    site.want()
    await site.until(site.held)
    await site.restart()
    await site.quiet()
    assert len(site.box.store) == 1
    site.want(name=None)
    await site.quiet()
    assert site.held() is None


@pytest.mark.parametrize("opted", [True, None])
@on_site(settings={"readback_seconds": 300})
async def test_who_signs_up_while_nothing_leaves_is_not_ours_to_delete(site: Site, opted: bool | None) -> None:
    await site.until(lambda: site.dispatch.outbox.complete_until() is not None)
    site.line.cut = True
    site.want(opted=opted)
    await site.pass_(30)
    site.box.store.create({"email": ANN}).email_status = "subscribed"
    site.line.cut = False
    await site.quiet()
    assert site.contact().data["FIRSTNAME"] == "Ann"
    site.want(name=None)
    await site.quiet()
    assert site.contact().email_status == "subscribed"
