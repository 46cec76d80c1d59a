"""Contacts that the mapping excludes, or that are shared: withdrawn through the brake, while opt-outs wait for nobody."""

import pytest

from streams.messages.changes import ChangeKind, DesiredContact
from streams.messages.removals import RemovalKind
from testkit.sandbox.store import Contact
from tests.dispatch.dispatch_harness import ANN, Site, on_site
from tests.dispatch.test_brake import LOTS, MANY, MINUTE, decide, left, shown
from tests.dispatch.test_dispatch_followups import EVENT, published


def theirs(site: Site) -> Contact:
    """A subscribed contact that somebody else has created."""
    contact = site.box.store.create({"email": ANN})
    contact.email_status = "subscribed"
    return contact


def excluded(site: Site, email: str, opted: bool | None = None, *, held: bool = False) -> None:
    """The contacts stage wants nothing of an address that the mapping excludes; ``held``: that is shared."""
    wanted = DesiredContact(None, opted, held=held)
    site.publish(site.change(ChangeKind.DESIRED_CONTACT, email, 0, wanted))


@on_site(settings=MINUTE)
async def test_a_mapping_that_excludes_many_is_held_and_their_opt_outs_are_not(site: Site) -> None:
    for email in MANY:
        site.want(email, opted=True)
    await site.quiet()
    assert site.contact(LOTS[0]).email_status == "subscribed"
    for email in LOTS:
        excluded(site, email, opted=False)
    await site.until(lambda: shown(site))
    assert left(site, MANY) == len(MANY)
    assert {site.contact(email).email_status for email in LOTS} == {"unsubscribed"}
    assert shown(site)[RemovalKind.CONTACTS].count == len(LOTS)
    decide(site, RemovalKind.CONTACTS, released=True)
    await site.until(lambda: not left(site, LOTS))


@on_site()
async def test_an_opt_out_of_somebody_elses_contact_goes_out_though_the_mapping_excludes_it(site: Site) -> None:
    contact = theirs(site)
    excluded(site, ANN, opted=False)
    await site.quiet()
    assert contact.email_status == "subscribed", "nobody knows of the contact yet"
    site.found(contact)
    await site.until(lambda: site.contact().email_status == "unsubscribed")
    assert not site.contact().data.get("OW_ACCOUNT")


@on_site()
async def test_an_opt_out_waits_for_no_shared_address_that_was_never_delivered(site: Site) -> None:
    site.found(theirs(site))
    excluded(site, ANN, opted=False, held=True)
    await site.until(lambda: site.contact().email_status == "unsubscribed")
    await site.quiet()
    site.forget_calls()
    await site.pass_(3600)
    assert not site.line.calls, "once is enough"


@on_site()
async def test_a_contact_that_is_gone_is_not_opted_out_for_ever(site: Site) -> None:
    contact = theirs(site)
    site.found(contact)
    await site.quiet()
    site.box.store.bin(contact)
    excluded(site, ANN, opted=False)
    await site.quiet()
    site.forget_calls()
    await site.pass_(3600)
    assert not site.line.calls


def shared(site: Site) -> None:
    """So many accounts have Ann's address by now that it is nobody's."""
    site.publish(site.change(ChangeKind.DESIRED_CONTACT, ANN, 0, DesiredContact(None, None, held=True, shared=True)))


@on_site(delivery=EVENT)
async def test_what_belongs_to_an_address_that_becomes_shared_stays_as_it_was_delivered(site: Site) -> None:
    site.want()
    for key in ("A1", "A2", "A3"):
        site.record(key)
    await site.quiet()
    # As the rows come: the last account's own order may be told before anybody knows that the address is shared.
    site.record("A1", "completed")
    site.record("A4")
    site.credit(7)
    shared(site)
    site.record("A5")
    site.credit(8)
    site.record("A2", None)
    site.move_record("A3", successor="B3")
    site.record("B3")
    await site.quiet()
    await site.pass_(60)
    await site.quiet()
    assert (site.records(), published(site)) == ({"A1": "open", "A3": "open"}, []), "only the deletion of an order withdraws"
    await site.restart()
    await site.quiet()
    site.forget_calls()
    await site.pass_(3600)
    assert not site.written()
    site.want(name="Anna")
    await site.quiet()
    assert site.records() == {"A1": "completed", "A4": "open", "A5": "open", "B3": "open"}
    assert sorted(published(site)) == ["C7", "C8"]


@pytest.mark.parametrize("opted", [None, False])
@on_site()
async def test_a_shared_address_holds_back_neither_an_opt_out_nor_an_erasure(site: Site, *, opted: bool | None) -> None:
    site.want(opted=True)
    site.record("A1")
    await site.quiet()
    assert site.contact().email_status == "subscribed"
    shared(site)
    if opted is None:
        site.erase()
        await site.until(lambda: site.held() is None)
        assert not site.records()
    else:
        excluded(site, ANN, opted, held=True)
        await site.until(lambda: site.contact().email_status == "unsubscribed")
