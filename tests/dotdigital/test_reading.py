"""Contacts are read back page by page, with what consent needs."""

from collections.abc import Callable

import httpx
import pytest

from streams.dotdigital.client import DotdigitalClient
from streams.dotdigital.contact_calls import Contact
from streams.dotdigital.contact_pages import ContactPage
from streams.dotdigital.errors import ConnectivityError
from streams.dotdigital.responses import seconds, stamp
from testkit.sandbox import SandboxApp
from tests.dotdigital.conftest import NOON, Person, settings_for

NOW = int(NOON.timestamp())


async def test_all_contacts_come_in_pages_that_can_be_taken_up_again(client: DotdigitalClient, person: Person) -> None:
    ids = [person(f"{number}@example.com").id for number in range(5)]
    pages = [page async for page in client.contacts_since(None, limit=2)]
    assert [[contact.contact_id for contact in page.contacts] for page in pages] == [ids[:2], ids[2:4], ids[4:]]
    assert [page.marker is None for page in pages] == [False, False, True]
    rest = [page async for page in client.contacts_since(None, limit=2, marker=pages[0].marker)]
    assert rest == pages[1:]


async def test_a_row_has_the_address_and_the_channels_status(client: DotdigitalClient, person: Person) -> None:
    held = person("Ann@example.com".lower(), "softBounced")
    (page,) = [page async for page in client.contacts_since(None)]
    assert page == ContactPage((Contact(held.id, "softbounced", "ann@example.com", NOW, created=NOW),), None)


async def test_without_the_channels_the_overall_status_is_shown(client: DotdigitalClient, person: Person) -> None:
    person("ann@example.com", "suppressed")
    (page,) = [page async for page in client.contacts_since(None, with_status=False)]
    assert page.contacts[0].email_status == "suppressed"


async def test_only_what_changed_since_is_read(
    client: DotdigitalClient, person: Person, advance: Callable[[float], None]
) -> None:
    person("ann@example.com")
    advance(60)
    person("bob@example.com")
    pages = [page async for page in client.contacts_since(NOW + 60)]
    assert [contact.email for page in pages for contact in page.contacts] == ["bob@example.com"]


async def test_who_has_no_address_is_passed_over(client: DotdigitalClient, box: SandboxApp) -> None:
    box.store.create({"mobileNumber": "447123123123"})
    assert [page async for page in client.contacts_since(None)] == [ContactPage((), None)]


@pytest.mark.parametrize("fault", ["casing", "extra_members"])
async def test_a_page_in_other_words_is_the_same_page(
    client: DotdigitalClient, box: SandboxApp, person: Person, fault: str
) -> None:
    person("ann@example.com", "hardBounced")
    plain = [page async for page in client.contacts_since(None)]
    box.faults.update({"next": [fault]})
    assert [page async for page in client.contacts_since(None)] == plain


@pytest.mark.parametrize("body", [{"_items": None}, {"_items": [], "_links": {"next": None}}, {"_links": {"next": {}}}])
async def test_a_page_without_a_next_one_is_the_last(body: object) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
    async with DotdigitalClient(settings_for(), print, transport) as client:
        assert [page async for page in client.contacts_since(0)] == [ContactPage((), None)]


@pytest.mark.parametrize("body", [b"[]", b'{"_items":[{"contactId":"7"}]}', b"<html>", b""])
async def test_a_page_that_cannot_be_read_is_not_the_last(body: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(200, content=body))
    async with DotdigitalClient(settings_for(), print, transport) as client:
        with pytest.raises(ConnectivityError):
            await anext(client.contacts_since(0))


@pytest.mark.parametrize(
    "text",
    [
        "2025-03-01T12:00:00.000Z",
        "2025-03-01T12:00:00Z",
        "2025-03-01T12:00:00.1234567Z",
        "2025-03-01T13:00:00+01:00",
        "2025-03-01 12:00:00+00:00",
        "2025-03-01 12:00:00Z",
        "2025-03-01T12:00:00",
        " 2025-03-01T12:00 ",
    ],
)
def test_dates_of_all_forms_are_read(text: str) -> None:
    assert seconds(text) == NOW


@pytest.mark.parametrize("text", [None, "", "yesterday", "01/03/2025"])
def test_what_is_no_date_is_none(text: str | None) -> None:
    assert seconds(text) == 0


def test_a_moment_goes_out_in_utc() -> None:
    assert stamp(NOW) == "2025-03-01T12:00:00.000Z"
