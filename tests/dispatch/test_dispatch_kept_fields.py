"""Names when a contact leaves that is not ours to delete: emptied where they are certainly ours, kept where a person may have typed them."""

from collections.abc import Callable

import pytest

from testkit.sandbox.store import Contact
from tests.dispatch.dispatch_harness import ANN, Site, on_site


def theirs(site: Site, status: str = "unsubscribed") -> Contact:
    """A contact that somebody else has created, and that we fill."""
    contact = site.box.store.create({"email": ANN})
    contact.email_status = status
    return contact


async def leaves(site: Site) -> Contact:
    """The contact is filled by us, and leaves."""
    site.want(name=None)
    await site.quiet()
    return site.contact()


@on_site()
async def test_a_name_that_still_is_what_we_sent_goes_with_the_contact(site: Site) -> None:
    theirs(site)
    site.want()
    await site.quiet()
    assert site.contact().data["FIRSTNAME"] == "Ann"
    assert (await leaves(site)).data.get("FIRSTNAME") is None


def types_another_name(contact: Contact) -> None:
    contact.data["FIRSTNAME"] = "Annie"


def signs_up(contact: Contact) -> None:
    contact.email_status = "subscribed"


def gives_consent(contact: Contact) -> None:
    contact.consents.append({"text": "yes", "dateTimeConsented": "2026-01-01T00:00:00Z"})


@pytest.mark.parametrize("deed", [types_another_name, signs_up, gives_consent])
@on_site()
async def test_a_name_that_the_person_may_have_typed_stays(site: Site, deed: Callable[[Contact], None]) -> None:
    theirs(site)
    site.want()
    await site.quiet()
    deed(site.contact())
    name = site.contact().data["FIRSTNAME"]
    assert (await leaves(site)).data["FIRSTNAME"] == name


@pytest.mark.parametrize("status", ["subscribed", "pendingOptIn"])
@on_site()
async def test_a_name_stays_where_a_reading_saw_a_sign_up_though_the_person_has_left_since(site: Site, status: str) -> None:
    contact = theirs(site)
    site.want()
    await site.quiet()
    site.found(contact, status)
    await site.quiet()
    await site.pass_(1)
    site.found(contact, "unsubscribed")
    await site.quiet()
    assert (await leaves(site)).data["FIRSTNAME"] == "Ann"


@on_site()
async def test_what_was_never_delivered_says_nothing_of_what_is_there(site: Site) -> None:
    theirs(site).data["FIRSTNAME"] = "Anna"
    site.want(name="Ann")
    await site.quiet()
    site.contact().data["FIRSTNAME"] = "Anna"
    site.line.cut = True
    site.want(name="Anna")
    await site.pass_(5)
    site.want(name=None)
    site.line.cut = False
    await site.quiet()
    assert site.contact().data["FIRSTNAME"] == "Anna"


@on_site()
async def test_a_restart_forgets_nothing_of_it(site: Site) -> None:
    theirs(site)
    site.want()
    await site.quiet()
    site.line.cut = True
    site.want(name=None)
    await site.pass_(5)
    site.line.cut = False
    await site.restart()
    await site.until(lambda: site.contact().data.get("FIRSTNAME") is None)
