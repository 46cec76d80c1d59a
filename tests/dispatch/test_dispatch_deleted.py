"""Contacts that somebody deletes in Dotdigital: they stay deleted until a person says otherwise."""

import pytest

from streams.core.lanes import Lane
from streams.dotdigital.codes import DELETED_IN_DOTDIGITAL
from tests.dispatch.dispatch_harness import ANN, DAY, Site, contact_task, on_site

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
    (parked,) = site.parked()
    assert (parked.code, parked.state, parked.task_key) == (DELETED_IN_DOTDIGITAL, "parked", contact_task())


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
