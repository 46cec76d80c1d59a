"""A contact that we created leaves Orderwise: it is deleted only if nobody else has had a hand in it."""

from collections.abc import Callable

import pytest

from streams.domain.contact_outcomes import apply_result
from streams.domain.contact_state import ContactDeliveryState, observe
from streams.messages.changes import ChangeKind, ContactObserved, DesiredContact
from streams.messages.deliveries import ContactCreated, CreationAttempted
from testkit.sandbox.store import Contact
from tests.dispatch.dispatch_harness import ANN, Site, on_site

READ = {"readback_seconds": 60}


def subscribes(contact: Contact) -> None:
    contact.email_status = "subscribed"


def joins_another_list(contact: Contact) -> None:
    contact.lists.append(999)


def consents(contact: Contact) -> None:
    contact.consents.append({"text": "yes", "dateTimeConsented": "2026-01-01T00:00:00Z"})


def prefers(contact: Contact) -> None:
    contact.preferences[1] = True


def fills_in_a_form(contact: Contact) -> None:
    contact.data["POSTCODE"] = "AB1 2CD"


def gives_a_telephone_number(contact: Contact) -> None:
    contact.identifiers["mobileNumber"] = "+447700900123"
    contact.sms_status = "subscribed"


DEEDS = [subscribes, joins_another_list, consents, prefers, fills_in_a_form, gives_a_telephone_number]


@pytest.mark.parametrize("deed", DEEDS)
@on_site()
async def test_a_persons_own_deed_keeps_the_contact_and_only_our_data_go(site: Site, deed: Callable[[Contact], None]) -> None:
    site.want()
    await site.quiet()
    site.box.store.lists.names[999] = "Theirs"
    deed(site.contact())
    site.want(name=None)
    await site.quiet()
    assert site.written()[-1].content["dataFields"]["OW_TOTAL_SPEND"] is None
    assert site.held() is not None
    site.want(name="Anna")
    await site.quiet()
    assert site.contact().data["FIRSTNAME"] == "Anna"
    site.want(name=None)
    await site.quiet()
    assert site.held() is not None, "it is not ours any more"


@pytest.mark.parametrize(
    ("kind", "default", "value", "stays"),
    [
        ("String", "UK", "uk", False),
        ("String", "UK", "FR", True),
        ("Numeric", "0", 0.0, False),
        ("Numeric", "0", 1, True),
        ("Numeric", "none", 0, True),
        ("Boolean", "true", True, False),
    ],
)
@on_site()
async def test_a_field_that_has_its_default_is_nobodys_deed(
    site: Site, kind: str, default: str, value: str | float, *, stays: bool
) -> None:
    site.box.store.fields.define("SCORE", kind, default=default)
    site.want()
    await site.quiet()
    site.contact().data["SCORE"] = value
    site.want(name=None)
    await site.quiet()
    assert (site.held() is not None) is stays


@on_site()
async def test_an_opt_out_by_a_changed_word_list_is_ours(site: Site) -> None:
    site.publish(site.change(ChangeKind.DESIRED_CONTACT, ANN, 0, DesiredContact(b"{}", True, words=1)))
    await site.quiet()
    site.publish(site.change(ChangeKind.DESIRED_CONTACT, ANN, 0, DesiredContact(b"{}", False, words=2)))
    await site.until(lambda: site.contact().email_status == "unsubscribed")
    site.want(name=None)
    await site.quiet()
    assert site.held() is None


@on_site()
async def test_who_unsubscribed_there_keeps_the_contact(site: Site) -> None:
    site.want(opted=True)
    await site.quiet()
    site.contact().email_status = "unsubscribed"
    site.want(name=None)
    await site.quiet()
    assert site.contact().email_status == "unsubscribed"


@on_site(settings=READ)
async def test_a_sign_up_that_a_reading_saw_counts_though_the_person_has_left_since(site: Site) -> None:
    site.want()
    await site.quiet()
    await site.pass_(70)
    contact = site.contact()
    contact.set_email_status("subscribed", site.box.store.now())
    contact.updated = site.box.store.now()
    await site.pass_(130)
    contact.set_email_status("unsubscribed", site.box.store.now())
    contact.updated = site.box.store.now()
    await site.restart()
    site.want(name=None)
    await site.quiet()
    assert site.contact().email_status == "unsubscribed"


@pytest.mark.parametrize("status", ["hardBounced", "softBounced"])
@on_site()
async def test_a_bounce_an_opt_out_of_ours_and_what_the_platform_fills_in_are_nobodys_deed(site: Site, status: str) -> None:
    site.want(opted=True, despatched=site.now)
    site.record("A1")
    await site.quiet()
    site.contact().email_status = status
    site.contact().data |= {"LASTSUBSCRIBED": "2026-01-01T00:00:00Z", "FULLNAME": "Ann"}
    site.want(name=None)
    await site.quiet()
    assert site.held() is None


@on_site()
async def test_a_contact_that_we_opted_out_is_ours_to_delete(site: Site) -> None:
    site.want(opted=True)
    await site.quiet()
    site.want(opted=False)
    await site.quiet()
    assert site.contact().email_status == "unsubscribed"
    site.want(name=None)
    await site.quiet()
    assert site.held() is None


@on_site()
async def test_an_erasure_deletes_whatever_others_have_done(site: Site) -> None:
    site.want()
    await site.quiet()
    for deed in DEEDS[:1] + DEEDS[2:]:
        deed(site.contact())
    site.erase()
    await site.quiet()
    assert site.held() is None


def test_our_own_creation_that_a_reading_shows_first_is_nobodys_sign_up() -> None:
    row = ContactDeliveryState()
    attempted = CreationAttempted(task="", at=0, created_as="subscribed")
    created = ContactCreated(task="", at=0, digest=b"", contact=1, created_as="subscribed")
    observe(row, ContactObserved(1, "subscribed"), b"1")
    for event in (attempted, created):
        apply_result(row, event)
    assert not row.touched
    observe(row, ContactObserved(1, "unsubscribed"), b"2")
    for event in (attempted, created):
        apply_result(row, event)
    assert row.touched, "an event that is read twice takes back no deed"
