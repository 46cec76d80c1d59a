"""Single contacts against the account: lists, statuses, and what the bin does. Errors: ``tests/dispatch/test_client.py``."""

from dataclasses import replace

import pytest

from streams.dotdigital.client import DotdigitalClient
from streams.dotdigital.contact_calls import Profile
from streams.dotdigital.errors import ContactExistsError, DataError
from testkit.sandbox import SandboxApp
from tests.dotdigital.conftest import NOON, Person

ANN = "ann@example.com"
BOB = "bob@example.com"


async def test_a_contact_is_created_with_its_status_and_lists(client: DotdigitalClient, box: SandboxApp) -> None:
    made = await client.create(ANN, b'{"FIRSTNAME":"Ann"}', "unsubscribed", (7,))
    held = box.store.find("email", ANN)
    assert held is not None and (held.id, held.lists, held.email_status) == (made.contact_id, [7], "unsubscribed")
    assert (made.email, made.email_status, made.updated) == (ANN, "unsubscribed", int(NOON.timestamp()))
    found = await client.find(ANN)
    assert found is not None and replace(found, profile=Profile()) == made
    assert found.profile == Profile({"FIRSTNAME": "Ann"}, frozenset({7}))


async def test_an_update_joins_lists_and_leaves_the_status(client: DotdigitalClient, person: Person) -> None:
    held = person(ANN, "pendingOptIn")
    answer = await client.upsert_by_email(ANN, b'{"OW_SPEND":1}', lists=(7,))
    assert not answer.created and (answer.contact.email_status, held.lists) == ("pendingoptin", [7])


async def test_an_update_tightens(client: DotdigitalClient, person: Person) -> None:
    held = person(ANN)
    await client.upsert_by_email(ANN, b"{}", "unsubscribed")
    assert held.email_status == "unsubscribed"


async def test_an_update_of_nobody_creates(client: DotdigitalClient) -> None:
    assert (await client.upsert_by_email(ANN, b"{}")).created


async def test_a_change_by_id_joins_lists_too(client: DotdigitalClient, person: Person) -> None:
    held = person(ANN)
    changed = await client.update_by_id(held.id, b'{"FIRSTNAME":"Ann"}', (7,))
    assert (changed.contact_id, held.data, held.lists) == (held.id, {"FIRSTNAME": "Ann"}, [7])


async def test_a_change_by_id_creates_nobody(client: DotdigitalClient, box: SandboxApp) -> None:
    with pytest.raises(DataError):
        await client.update_by_id(5, b"{}")
    assert len(box.store) == 0


async def test_a_contact_keeps_everything_when_its_address_changes(
    client: DotdigitalClient, box: SandboxApp, person: Person
) -> None:
    held = person(ANN)
    held.preferences[1], held.data["POSTCODE"] = True, "AB1 2CD"
    held.lists.append(7)
    renamed = await client.rename(held.id, BOB, b'{"FIRSTNAME":"Ann"}')
    assert (renamed.contact_id, renamed.email, renamed.email_status) == (held.id, BOB, "subscribed")
    assert await client.find(ANN) is None
    found = await client.find_by_id(held.id)
    assert found is not None and found.email == BOB
    assert found.profile == Profile({"FIRSTNAME": "Ann", "POSTCODE": "AB1 2CD"}, frozenset({7}), preferences=True)


async def test_an_opt_out_goes_with_the_change_of_address(client: DotdigitalClient, person: Person) -> None:
    held = person(ANN)
    assert (await client.rename(held.id, BOB, b"{}", "unsubscribed")).email_status == "unsubscribed"


@pytest.mark.parametrize("binned", [False, True])
async def test_an_address_that_has_a_contact_is_refused(
    client: DotdigitalClient, box: SandboxApp, person: Person, *, binned: bool
) -> None:
    held, other = person(ANN), box.store.create({"email": BOB})
    if binned:
        box.store.bin(other)
    with pytest.raises(ContactExistsError):
        await client.rename(held.id, BOB, b'{"FIRSTNAME":"Bob"}')
    assert (held.email, held.data) == (ANN, {})


async def test_an_address_is_free_when_the_bin_is_emptied(client: DotdigitalClient, box: SandboxApp, person: Person) -> None:
    held, other = person(ANN), box.store.create({"email": BOB})
    box.store.bin(other)
    box.store.purge()
    assert (await client.rename(held.id, BOB, b"{}")).email == BOB


async def test_nobody_is_found_by_an_id_that_is_gone(client: DotdigitalClient, box: SandboxApp, person: Person) -> None:
    held = person(ANN)
    box.store.bin(held)
    assert await client.find_by_id(held.id) is None


async def test_a_second_creation_is_refused(client: DotdigitalClient, person: Person) -> None:
    person(ANN)
    with pytest.raises(ContactExistsError):
        await client.create(ANN, b"{}", "unsubscribed")


async def test_a_list_that_is_not_there_refuses_the_write(client: DotdigitalClient, person: Person) -> None:
    person(ANN)
    with pytest.raises(DataError):
        await client.upsert_by_email(ANN, b"{}", lists=(99,))


async def test_who_is_deleted_is_gone(client: DotdigitalClient, person: Person) -> None:
    person(ANN)
    assert await client.delete(ANN)
    assert await client.find(ANN) is None and not await client.delete(ANN)


@pytest.mark.parametrize("fault", ["casing", "extra_members"])
async def test_an_answer_in_other_words_is_the_same_answer(
    client: DotdigitalClient, box: SandboxApp, person: Person, fault: str
) -> None:
    person(ANN)
    plain = await client.find(ANN)
    box.faults.update({"next": [fault]})
    assert await client.find(ANN) == plain
