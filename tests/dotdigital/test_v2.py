"""Lists, programmes, refusals and events: what only v2 has, and the one service without reports."""

from collections.abc import Callable

import httpx
import orjson
import pytest

from streams.dotdigital.client import DotdigitalClient
from streams.dotdigital.errors import ConnectivityError, DataError, Limit, MissingError, ThrottledError
from streams.dotdigital.events import Event
from streams.dotdigital.lists import ContactList
from streams.dotdigital.programs import Program
from streams.dotdigital.suppression import Removal
from testkit.sandbox import SandboxApp
from tests.dotdigital.conftest import NOON, Person, settings_for

ANN, BOB = "ann@example.com", "bob@example.com"
NOW = int(NOON.timestamp())
Advance = Callable[[float], None]


async def test_lists_are_created_and_listed(client: DotdigitalClient, person: Person) -> None:
    person(ANN).lists.append(7)
    await client.create_list("Another")
    first, second = await client.lists()
    assert first == ContactList(7, "Recent buyers", 1) and second.name == "Another"


async def test_a_name_is_taken_once(client: DotdigitalClient) -> None:
    with pytest.raises(DataError) as caught:
        await client.create_list("recent buyers")
    assert caught.value.code == "ERROR_ADDRESSBOOK_DUPLICATE"


async def test_more_lists_than_a_page_holds_are_all_there(client: DotdigitalClient, box: SandboxApp) -> None:
    for number in range(1000):
        box.store.lists.create(f"List {number}", "Private")
    assert len(await client.lists()) == 1001


async def test_a_contact_leaves_a_list(client: DotdigitalClient, person: Person) -> None:
    held = person(ANN)
    held.lists.append(7)
    assert await client.leave_list(7, held.id)
    assert held.lists == [] and await client.leave_list(7, held.id), "leaving twice is leaving once"


async def test_nobody_cannot_leave(client: DotdigitalClient) -> None:
    assert not await client.leave_list(7, 5)


async def test_a_list_that_is_not_there_is_missing(client: DotdigitalClient, person: Person) -> None:
    with pytest.raises(MissingError):
        await client.leave_list(99, person(ANN).id)


async def test_programmes_and_whether_they_run(client: DotdigitalClient) -> None:
    active, draft = await client.programs()
    assert active == Program(5, "Program 5", "Active") and active.active
    assert draft.program_id == 6 and not draft.active


async def test_who_cannot_get_mail_is_not_enrolled(
    client: DotdigitalClient, box: SandboxApp, person: Person, advance: Advance
) -> None:
    ann, bob = person(ANN), person(BOB, "unsubscribed")
    assert await client.enrol(5, [ann.id, bob.id])
    advance(5)
    box.store.jobs.settle(box.store.clock().timestamp())
    assert box.store.programs.enrolled == {5: [ann.id]}


@pytest.mark.parametrize(("program", "contact"), [(6, True), (99, True), (5, False)])
async def test_an_enrolment_needs_a_running_programme_and_a_contact(
    client: DotdigitalClient, person: Person, program: int, contact: bool
) -> None:
    number = person(ANN).id
    with pytest.raises(MissingError):
        await client.enrol(program, [number if contact else 5])


async def test_the_allowance_of_an_hour_is_a_ceiling_of_its_own(client: DotdigitalClient, person: Person) -> None:
    number = person(ANN).id
    for _ in range(20):
        await client.enrol(5, [number])
    with pytest.raises(ThrottledError) as caught:
        await client.enrol(5, [number])
    assert caught.value.scope is Limit.ENROLMENTS


async def test_an_unsubscribe_is_reported_once_and_of_nobody_not_at_all(client: DotdigitalClient, person: Person) -> None:
    held = person(ANN)
    assert await client.unsubscribe(ANN) and held.email_status == "unsubscribed"
    assert not await client.unsubscribe(BOB)


async def test_suppression_names_whom_it_did_not_find(client: DotdigitalClient, person: Person) -> None:
    held = person(ANN)
    assert await client.suppress([ANN, BOB]) == {BOB}
    assert held.email_status == "suppressed"


async def test_who_left_is_read_back(client: DotdigitalClient, person: Person, advance: Advance) -> None:
    left, gone = person(ANN), person(BOB)
    advance(60)
    await client.unsubscribe(ANN)
    await client.suppress([BOB])
    unsubscribed = [page async for page in client.unsubscribed_since(NOW)]
    suppressed = [page async for page in client.suppressed_since(NOW)]
    ann = Removal(left.id, ANN, "unsubscribed", NOW + 60)
    assert unsubscribed == [(ann,)]
    assert suppressed == [(ann, Removal(gone.id, BOB, "suppressed", NOW + 60))]
    assert [page async for page in client.unsubscribed_since(NOW + 61)] == [()]


async def test_who_left_is_read_back_page_by_page(client: DotdigitalClient, person: Person) -> None:
    for number in range(1001):
        person(f"{number}@example.com", "unsubscribed")
    pages = [page async for page in client.unsubscribed_since(NOW)]
    assert [len(page) for page in pages] == [1000, 1]
    assert len({removal.email for page in pages for removal in page}) == 1001


async def test_an_event_arrives_with_its_data(client: DotdigitalClient, box: SandboxApp, person: Person) -> None:
    held = person(ANN)
    data = b'{"credit_note":"CN1","amount":10.10,"currency":"GBP"}'
    await client.import_events([Event(ANN, "refund", "CN1", NOW, data), Event(BOB, "refund", "CN2", NOW, b"{}")])
    (event,) = box.store.events
    assert (event["contactId"], event["type"], event["id"]) == (held.id, "refund", "CN1")
    assert event["eventTimestamp"] == "2025-03-01T12:00:00.000Z"
    assert float(event["eventData"]["amount"]) == 10.1


async def test_a_malformed_event_is_refused(client: DotdigitalClient) -> None:
    with pytest.raises(DataError) as caught:
        await client.import_events([Event(ANN, "x" * 81, "CN1", NOW, b"{}")])
    assert caught.value.code == "events:badJson"


async def test_an_empty_body_is_no_failure_where_nothing_is_read_from_it() -> None:
    empty = httpx.MockTransport(lambda _: httpx.Response(200))
    async with DotdigitalClient(settings_for(), print, empty) as client:
        await client.create_list("New")
        assert await client.leave_list(7, 5)
        assert await client.unsubscribe(ANN)
        with pytest.raises(ConnectivityError):
            # Nobody would be on a list of nobody: that is not believed.
            await client.lists()


def test_an_event_goes_out_as_it_is() -> None:
    sent = Event(ANN, "refund", "CN1", NOW, b'{"amount":10.10}').encode()
    assert b'{"amount":10.10}' in sent
    assert orjson.loads(sent)["contactIdentity"] == {"identifier": "email", "value": ANN}
