"""Contacts in bulk: what goes out, and reports in every form that Dotdigital has been seen to give."""

from collections.abc import Callable

import httpx
import orjson
import pytest

from streams.core.lanes import Lane
from streams.dotdigital.batches import batches
from streams.dotdigital.client import DotdigitalClient
from streams.dotdigital.errors import ConnectivityError, DataError, MissingError, NotFoundError
from streams.dotdigital.imports import ContactImport, ImportContact, ImportedRow, ImportState, RejectedRow, state
from testkit.sandbox import SandboxApp
from tests.dotdigital.conftest import Person, settings_for

ANN, BOB = "ann@example.com", "bob@example.com"
Advance = Callable[[float], None]


async def test_an_import_is_accepted_then_done(
    client: DotdigitalClient, box: SandboxApp, person: Person, advance: Advance
) -> None:
    held = person(BOB)
    rows = [ImportContact(ANN, b'{"FIRSTNAME":"Ann"}', "unsubscribed", (7,)), ImportContact(BOB, b'{"OW_SPEND":10.10}')]
    number = await client.for_lane(Lane.BULK).import_contacts(rows)
    assert await client.contact_import(number) == ContactImport(ImportState.RUNNING)
    advance(5)
    report = await client.contact_import(number)
    made = box.store.find("email", ANN)
    assert made is not None and (made.email_status, made.lists, made.data) == ("unsubscribed", [7], {"FIRSTNAME": "Ann"})
    assert report == ContactImport(ImportState.DONE, (ImportedRow(made.id, ANN),), (ImportedRow(held.id, BOB),))
    assert held.email_status == "subscribed" and str(held.data["OW_SPEND"]) in ("10.10", "10.1")


async def test_what_is_refused_is_reported_row_by_row(
    client: DotdigitalClient, box: SandboxApp, person: Person, advance: Advance
) -> None:
    listed = person(BOB)
    rows = [
        ImportContact("no address", b"{}"),
        ImportContact(ANN, b'{"OW_SPEND":"much"}'),
        ImportContact(BOB, b"{}", lists=(99,)),
    ]
    number = await client.import_contacts(rows)
    advance(5)
    report = await client.contact_import(number)
    assert report.failures == (
        RejectedRow("no address", None, ("invalidemail",)),
        RejectedRow(ANN, None, ("apischemaviolation",)),
        RejectedRow(BOB, listed.id, ("invalidaddressbookids",)),
    )
    assert [row.email for row in report.updated] == [BOB], "the rest of the row was imported"


async def test_who_is_known_is_matched_by_id_and_nobody_is_created(
    client: DotdigitalClient, box: SandboxApp, person: Person, advance: Advance
) -> None:
    held = person(BOB)
    rows = [
        ImportContact(BOB, b'{"FIRSTNAME":"Bob"}', contact_id=held.id),
        ImportContact(ANN, b'{"FIRSTNAME":"Ann"}', contact_id=5),
    ]
    number = await client.import_contacts(rows)
    advance(5)
    report = await client.contact_import(number)
    assert (report.updated, report.created) == ((ImportedRow(held.id, BOB),), ())
    assert report.failures == (RejectedRow(None, 5, ("invalidcontactid",)),)
    assert len(box.store) == 1 and held.data == {"FIRSTNAME": "Bob"}
    assert ANN.encode() not in rows[1].encode()


async def test_a_report_in_other_words_is_the_same_report(client: DotdigitalClient, box: SandboxApp, advance: Advance) -> None:
    number = await client.import_contacts([ImportContact(ANN, b"{}"), ImportContact(ANN.upper(), b"{}")])
    advance(5)
    plain = await client.contact_import(number)
    for fault in ("casing", "extra_members"):
        box.faults.update({"next": [fault]})
        assert await client.contact_import(number) == plain
    assert plain.failures[0].codes == ("duplicate",)


@pytest.mark.parametrize(
    ("fault", "end"),
    [
        ("import_stuck", ImportState.RUNNING),
        ("import_failed", ImportState.FAILED),
        ("import_rejected", ImportState.REJECTED),
    ],
)
async def test_the_ends_of_an_import_are_distinguished(
    client: DotdigitalClient, box: SandboxApp, advance: Advance, fault: str, end: ImportState
) -> None:
    box.faults.update({"next_import": [fault]})
    number = await client.import_contacts([ImportContact(ANN, b"{}")])
    advance(3600)
    assert await client.contact_import(number) == ContactImport(end)


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("Finished", ImportState.DONE),
        ("finished", ImportState.DONE),
        ("Complete", ImportState.DONE),
        ("Completed", ImportState.DONE),
        ("ExceedsAllowedContactLimit", ImportState.OVER_LIMIT),
        ("exceedsAllowedContactLimit", ImportState.OVER_LIMIT),
        ("NotFinished", ImportState.RUNNING),
        ("NotStarted", ImportState.RUNNING),
        ("Processing", ImportState.RUNNING),
        ("Started", ImportState.RUNNING),
        (None, ImportState.RUNNING),
    ],
)
def test_states_in_the_words_of_all_documents(word: str | None, meant: ImportState) -> None:
    assert state(word) is meant


async def test_a_report_with_holes_can_be_read() -> None:
    body = {
        "status": "Finished",
        "summary": None,
        "created": [{"contactId": 5, "identifiers": {"email": " Ann@Example.com"}}, {"contactId": 6, "identifiers": None}],
        "updated": None,
        "failures": [{"failures": [{"failureCode": "InvalidEmail"}, {}]}],
    }
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=body))
    async with DotdigitalClient(settings_for(), print, transport) as client:
        report = await client.contact_import("i")
    assert report.created == (ImportedRow(5, ANN), ImportedRow(6, ""))
    assert report.failures == (RejectedRow(None, None, ("invalidemail", "unknown")),)


async def test_an_import_that_nobody_knows_is_not_found(client: DotdigitalClient) -> None:
    with pytest.raises(NotFoundError):
        await client.contact_import("5b6bb1e0-0000-4000-8000-000000000000")


async def test_an_import_whose_acceptance_was_lost_can_be_repeated(
    client: DotdigitalClient, box: SandboxApp, advance: Advance
) -> None:
    box.faults.update({"next": ["lost_reply"]})
    rows = [ImportContact(ANN, b'{"FIRSTNAME":"Ann"}', "unsubscribed")]
    with pytest.raises(ConnectionAbortedError):
        # In memory the loss of a reply shows as the server's own exception.
        await client.import_contacts(rows)
    number = await client.import_contacts(rows)
    advance(5)
    report = await client.contact_import(number)
    assert (report.created, [row.email for row in report.updated], len(box.store)) == ((), [ANN], 1)


@pytest.mark.parametrize("body", [b"", b"<html>", b'{"importId":null}', b"{}"])
async def test_an_acceptance_that_cannot_be_read_may_have_been_one(body: bytes) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(202, content=body))
    async with DotdigitalClient(settings_for(), print, transport) as client:
        with pytest.raises(ConnectivityError):
            await client.import_contacts([ImportContact(ANN, b"{}")])


async def test_a_structural_fault_refuses_the_whole_import(client: DotdigitalClient, box: SandboxApp) -> None:
    with pytest.raises(DataError) as caught:
        await client.import_contacts([ImportContact(ANN, b"null"), ImportContact(BOB, b"{}")])
    assert caught.value.code == "contacts:badRequest" and not isinstance(caught.value, MissingError)
    assert not list(box.store.jobs)


def test_data_goes_out_as_it_is() -> None:
    row = ImportContact(ANN, b'{"OW_SPEND":10.10,"FIRSTNAME":null}', "unsubscribed", (7, 8)).encode()
    assert b'"dataFields":{"OW_SPEND":10.10,"FIRSTNAME":null}' in row
    sent = orjson.loads(row)
    assert sent["matchIdentifier"] == "email" and sent["identifiers"] == {"email": ANN}
    assert sent["channelProperties"] == {"email": {"status": "unsubscribed"}} and sent["lists"] == [7, 8]


def test_without_status_and_lists_neither_is_spoken_of() -> None:
    assert orjson.loads(ImportContact(ANN, b"{}").encode()).keys() == {"matchIdentifier", "identifiers", "dataFields"}


def test_batches_keep_order_and_stay_below_both_bounds() -> None:
    items = [ImportContact(f"{number:05}@example.com", b"{}") for number in range(10)]
    size = len(items[0].encode()) + 1
    assert [len(batch) for batch in batches(items, most=4)] == [4, 4, 2]
    assert [len(batch) for batch in batches(items, most=100, most_bytes=3 * size)] == [3, 3, 3, 1]
    assert [item for batch in batches(items, most=3) for item in batch] == items


def test_an_item_above_the_bound_goes_by_itself() -> None:
    small, large = ImportContact(ANN, b"{}"), ImportContact(BOB, b'{"FIRSTNAME":"%b"}' % (b"x" * 500))
    assert list(batches([small, large, small], most=9, most_bytes=400)) == [[small], [large], [small]]


def test_nothing_makes_no_batch() -> None:
    assert list(batches([], most=5)) == []
