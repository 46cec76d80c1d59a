"""Contacts that somebody deletes in Dotdigital: they stay deleted until a person says otherwise."""

import pytest

from streams.core.lanes import Lane
from streams.dispatch.outbox import delivery_events
from streams.dotdigital.codes import DELETED_IN_DOTDIGITAL
from streams.messages.write_control import WriteControl
from tests.dispatch.dispatch_harness import ANN, CONTACT, DAY, Site, contact_task, on_site

READ = {"readback_seconds": 60}


async def deleted(site: Site, *, purged: bool = True) -> None:
    """A contact with a record and a place on the list is deleted by hand, in the bin too."""
    site.want(opted=True, despatched=site.now)
    site.record("A1")
    await site.quiet()
    site.box.store.bin(site.contact())
    if purged:
        site.box.store.purge()
    site.forget_calls()


@pytest.mark.parametrize("lane", list(Lane))
@on_site(settings=READ)
async def test_no_change_of_it_creates_it_again(site: Site, lane: Lane) -> None:
    await deleted(site)
    site.want(name="Anna", lane=lane)
    await site.until(site.parked)
    site.want(name="Annie", lane=lane)
    site.want(name="Annie", opted=False, lane=lane)
    site.record("A2")
    await site.restart()
    await site.pass_(600)
    assert site.held() is None
    assert not site.calls("POST", good=True)
    assert site.open_parked() == {contact_task(): DELETED_IN_DOTDIGITAL}


@on_site()
async def test_a_record_finds_out_while_it_is_in_the_bin(site: Site) -> None:
    await deleted(site, purged=False)
    site.record("A1", "despatched")
    await site.until(site.parked)
    await site.pass_(300)
    assert site.held() is None
    assert [parked.code for parked in site.parked()] == [DELETED_IN_DOTDIGITAL]


@on_site()
async def test_a_person_has_it_created_again_with_everything(site: Site) -> None:
    await deleted(site)
    site.want(name="Anna", despatched=site.now)
    await site.until(site.parked)
    site.unpark(contact_task())
    await site.until(lambda: site.held() is not None)
    site.record("A1")
    await site.quiet()
    assert site.contact().data["FIRSTNAME"] == "Anna"
    assert site.records() == {"A1": "open"}
    assert site.listed()
    assert [parked.state for parked in site.parked()] == ["parked", "cleared"]


@on_site(settings=READ)
async def test_one_that_comes_back_by_itself_is_filled_in_again(site: Site) -> None:
    await deleted(site)
    site.want(name="Anna")
    await site.until(site.parked)
    site.box.store.create({"email": ANN}).email_status = "subscribed"
    await site.until(lambda: site.contact().data.get("FIRSTNAME") == "Anna")
    assert [parked.state for parked in site.parked()] == ["parked", "cleared"]


@on_site()
async def test_one_that_leaves_orderwise_meanwhile_needs_no_call_and_no_person(site: Site) -> None:
    await deleted(site)
    site.want(name="Anna")
    await site.until(site.parked)
    site.forget_calls()
    site.want(name=None)
    await site.quiet()
    assert site.written() == []
    assert [parked.state for parked in site.parked()] == ["parked", "cleared"]
    site.want(name="Back")
    await site.quiet()
    assert site.held() is not None, "somebody new at Orderwise"


@on_site()
async def test_one_that_we_deleted_ourselves_comes_back_with_its_person(site: Site) -> None:
    site.want()
    await site.quiet()
    site.want(name=None)
    await site.quiet()
    assert site.held() is None
    site.want(name="Anna", despatched=site.now - DAY)
    await site.quiet()
    assert site.contact().data["FIRSTNAME"] == "Anna"
    assert site.parked() == []


async def parked_as_deleted(site: Site) -> None:
    """A change has found out that somebody deleted the contact."""
    await deleted(site)
    site.want(name="Anna", opted=True)
    await site.until(site.parked)
    await site.quiet()
    site.forget_calls()


def signs_up(site: Site) -> None:
    """The person signs up anew in Dotdigital."""
    site.box.store.create({"email": ANN}).email_status = "subscribed"


@pytest.mark.parametrize("lane", list(Lane))
@on_site()
async def test_an_opt_out_reaches_who_signed_up_anew_without_a_reading(site: Site, lane: Lane) -> None:
    await parked_as_deleted(site)
    signs_up(site)
    site.want(name="Anna", opted=False, lane=lane)
    await site.until(lambda: site.contact().email_status == "unsubscribed")
    await site.quiet()
    assert site.contact().data["FIRSTNAME"] == "Anna"
    assert site.open_parked() == {}


@on_site()
async def test_each_opt_out_looks_once_for_one_that_stays_deleted(site: Site) -> None:
    await parked_as_deleted(site)
    for opt_out in range(1, 3):
        site.want(name="Anna", opted=False)
        await site.quiet()
        for name in ("Annie", "Anne"):
            site.want(name=name, opted=False)
            await site.quiet()
        await site.restart()
        await site.pass_(600)
        assert len(site.calls("GET", CONTACT)) == opt_out
        assert site.written() == []
        site.want(name="Anna", opted=True)
        await site.quiet()
    assert site.held() is None
    assert site.open_parked() == {contact_task(): DELETED_IN_DOTDIGITAL}


@on_site()
async def test_an_opt_out_that_comes_during_the_look_is_looked_for_again(site: Site) -> None:
    await deleted(site)
    site.line.slow = (ANN.encode(), 30.0)
    site.want(name="Anna", opted=True)
    await site.until(lambda: site.calls("PATCH"))
    await site.pass_(5)
    assert not site.calls("GET", CONTACT), "nobody is there, and we do not know yet"
    signs_up(site)
    site.want(name="Anna", opted=False)
    await site.until(lambda: site.contact().email_status == "unsubscribed")


@on_site()
async def test_a_pause_holds_back_no_opt_out_of_who_signed_up_anew(site: Site) -> None:
    await parked_as_deleted(site)
    site.controls.set(WriteControl(site.clock.now_ms(), "kim", paused=True))
    signs_up(site)
    site.want(name="Anna", opted=False)
    await site.until(lambda: site.contact().email_status == "unsubscribed")
    assert "FIRSTNAME" not in site.contact().data
    site.controls.set(WriteControl(site.clock.now_ms(), "kim", paused=False))
    await site.until(lambda: site.contact().data.get("FIRSTNAME") == "Anna")


@pytest.mark.parametrize("parked_before", [True, False])
@on_site()
async def test_a_paused_opt_out_of_one_that_is_gone_makes_no_calls_for_ever(site: Site, parked_before: bool) -> None:
    await (parked_as_deleted if parked_before else deleted)(site)
    site.controls.set(WriteControl(site.clock.now_ms(), "kim", paused=True))
    site.want(name="Anna", opted=False)
    await site.until(lambda: site.calls("GET", CONTACT))
    await site.pass_(600)
    assert len(site.calls()) <= 2
    assert site.open_parked() == {contact_task(): DELETED_IN_DOTDIGITAL}


@on_site()
async def test_a_look_that_fails_is_repeated_until_it_is_answered(site: Site) -> None:
    await parked_as_deleted(site)
    signs_up(site)
    site.line.cut = True
    site.want(name="Anna", opted=False)
    await site.until(lambda: len(site.calls("GET", CONTACT)) > 2)
    site.line.cut = False
    await site.until(lambda: site.contact().email_status == "unsubscribed")


@on_site()
async def test_an_opt_out_of_who_signed_up_anew_is_never_given_up(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delivery_events, "_DAY_MS", 600_000)
    await parked_as_deleted(site)
    signs_up(site)
    site.line.refuses = b"unsubscribed"
    site.want(name="Anna", opted=False)
    await site.until(lambda: site.open_parked().get(contact_task(), DELETED_IN_DOTDIGITAL) != DELETED_IN_DOTDIGITAL)
    site.line.refuses = None
    await site.until(lambda: site.contact().email_status == "unsubscribed")
