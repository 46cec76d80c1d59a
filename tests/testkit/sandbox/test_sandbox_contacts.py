"""Reading, merging, replacing, deleting and reviving single contacts."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.asyncio

ANN = "/contacts/v3/email/ann%40example.com"
BOB = "/contacts/v3/email/bob%40example.com"


def person(email: str = "ann@example.com", **members: object) -> dict[str, Any]:
    return {"identifiers": {"email": email}, **members}


def code(reply: httpx.Response) -> str:
    found: str = reply.json()["errorCode"]
    return found


async def test_a_patch_creates_and_the_next_updates(api: httpx.AsyncClient) -> None:
    created = await api.patch(ANN, json=person(dataFields={"FIRSTNAME": "Ann"}))
    updated = await api.patch(ANN, json=person(dataFields={"LASTNAME": "Lee"}))
    assert (created.status_code, updated.status_code) == (201, 200)
    assert updated.headers["content-type"] == "application/json; charset=utf-8"
    assert updated.json() == {
        "contactId": created.json()["contactId"],
        "status": "subscribed",
        "created": "2025-03-01T09:30:00.000Z",
        "updated": "2025-03-01T09:30:00.000Z",
        "identifiers": {"email": "ann@example.com"},
        "dataFields": {"FIRSTNAME": "Ann", "LASTNAME": "Lee"},
        "channelProperties": {"email": {"emailType": "Html", "optInType": "Unknown", "status": "subscribed"}},
        "lists": [],
        "consentRecords": [],
    }


async def test_an_email_is_the_same_in_any_case(api: httpx.AsyncClient) -> None:
    await api.patch("/contacts/v3/email/Ann%40Example.com", json=person("ANN@example.COM"))
    reply = await api.get(ANN)
    assert reply.json()["identifiers"] == {"email": "ann@example.com"}


@pytest.mark.parametrize("path", ["a%2Bb%40example.com", "a+b@example.com"])
async def test_a_plus_sign_in_the_path_is_kept(api: httpx.AsyncClient, path: str) -> None:
    reply = await api.patch(f"/contacts/v3/email/{path}", json=person("a+b@example.com"))
    assert reply.json()["identifiers"]["email"] == "a+b@example.com"


async def test_an_encoded_slash_belongs_to_the_value(api: httpx.AsyncClient) -> None:
    await api.post("/contacts/v3", json=person("a/b@example.com"))
    assert (await api.get("/contacts/v3/email/a%2Fb%40example.com")).status_code == 200


async def test_post_refuses_a_known_contact(api: httpx.AsyncClient) -> None:
    assert (await api.post("/contacts/v3", json=person())).status_code == 201
    again = await api.post("/contacts/v3", json=person("Ann@example.com"))
    assert (again.status_code, code(again)) == (409, "contacts:idAlreadyExists")


async def test_a_contact_is_found_by_each_of_its_identifiers(api: httpx.AsyncClient) -> None:
    identifiers = {"email": "ann@example.com", "mobileNumber": "+447123123123", "erpId": "C-1"}
    made = (await api.post("/contacts/v3", json={"identifiers": identifiers})).json()
    assert made["identifiers"]["mobileNumber"] == "447123123123"
    assert made["channelProperties"]["sms"] == {"countryCode": "GB", "status": "noSubscription"}
    for path in (
        f"contactId/{made['contactId']}",
        "mobileNumber/447123123123",
        "mobileNumber/%2B447123123123",
        "erpId/C-1",
    ):
        assert (await api.get(f"/contacts/v3/{path}")).json()["contactId"] == made["contactId"]


async def test_an_unknown_contact_is_named_in_the_404(api: httpx.AsyncClient) -> None:
    reply = await api.get(ANN)
    assert (reply.status_code, code(reply)) == (404, "contacts:contactNotFound")
    assert reply.json()["details"][0]["item"] == "ann@example.com"


@pytest.mark.parametrize(
    "path",
    ["email/nobody", "email/a%40b", "contactId/x1", "mobileNumber/12ab", "bad%20kind/x", f"{'k' * 51}/x", "unknown/x"],
)
async def test_an_impossible_identifier_is_a_400(api: httpx.AsyncClient, path: str) -> None:
    reply = await api.get(f"/contacts/v3/{path}")
    assert (reply.status_code, code(reply)) == (400, "contacts:invalidId")


class TestRename:
    async def test_to_a_free_address_keeps_the_contact(self, api: httpx.AsyncClient) -> None:
        made = (await api.patch(ANN, json=person(dataFields={"FIRSTNAME": "Ann"}))).json()
        moved = await api.patch(ANN, json=person("bob@example.com"))
        assert (moved.status_code, moved.json()["contactId"]) == (200, made["contactId"])
        assert moved.json()["dataFields"] == {"FIRSTNAME": "Ann"}
        assert [(await api.get(path)).status_code for path in (ANN, BOB)] == [404, 200]

    async def test_by_id_keeps_subscription_lists_preferences_and_consent(self, api: httpx.AsyncClient) -> None:
        record = {
            "text": "Yes",
            "dateTimeConsented": "2025-01-01T00:00:00Z",
            "url": "https://shop.example",
            "ipAddress": "192.0.2.1",
            "userAgent": "x",
        }
        kept: dict[str, Any] = {"preferences": [{"id": 3, "isOptedIn": True}], "consentRecords": [record], "lists": [7]}
        made = (await api.patch(ANN, json=person(**kept))).json()
        moved = (await api.patch(f"/contacts/v3/contactId/{made['contactId']}", json=person("bob@example.com"))).json()
        assert moved["identifiers"]["email"] == "bob@example.com"
        for name in ("contactId", "created", "status", "channelProperties", "lists", "preferences", "consentRecords"):
            assert moved[name] == made[name], name

    async def test_to_anothers_address_is_a_409_and_changes_nothing(self, api: httpx.AsyncClient) -> None:
        await api.patch(ANN, json=person(dataFields={"FIRSTNAME": "Ann"}))
        await api.patch(BOB, json=person("bob@example.com"))
        reply = await api.patch(ANN, json=person("Bob@example.com", dataFields={"FIRSTNAME": "Bob"}))
        assert (reply.status_code, code(reply)) == (409, "contacts:idAlreadyExists")
        assert (await api.get(ANN)).json()["dataFields"] == {"FIRSTNAME": "Ann"}

    async def test_matching_by_mobile_does_not_get_around_it(self, api: httpx.AsyncClient) -> None:
        await api.patch("/contacts/v3/mobileNumber/447123123123", json={"identifiers": {"mobileNumber": "447123123123"}})
        await api.patch(ANN, json=person())
        reply = await api.patch("/contacts/v3/mobileNumber/447123123123", json=person())
        assert reply.status_code == 409


class TestCreatingByPatch:
    @pytest.mark.parametrize("body", [{}, {"identifiers": {}}, {"identifiers": {"erpId": "C-1"}}])
    async def test_needs_an_address_in_the_body(self, api: httpx.AsyncClient, body: dict[str, Any]) -> None:
        reply = await api.patch(ANN, json=body)
        assert (reply.status_code, code(reply)) == (400, "contacts:badRequest")

    async def test_cannot_choose_the_contact_id(self, api: httpx.AsyncClient) -> None:
        reply = await api.patch("/contacts/v3/contactId/5", json=person())
        assert (reply.status_code, code(reply)) == (400, "contacts:invalidId")

    async def test_keeps_the_identifier_of_the_path(self, api: httpx.AsyncClient) -> None:
        reply = await api.patch("/contacts/v3/erpId/C-1", json=person())
        assert reply.json()["identifiers"] == {"erpId": "C-1", "email": "ann@example.com"}


async def test_an_update_needs_no_identifiers_but_the_contact_id_cannot_be_written(api: httpx.AsyncClient) -> None:
    made = (await api.patch(ANN, json=person())).json()
    assert (await api.patch(ANN, json={"dataFields": {"FIRSTNAME": "Ann"}})).status_code == 200
    own, other = made["contactId"], made["contactId"] + 1
    assert (await api.patch(ANN, json={"identifiers": {"contactId": own}})).status_code == 200
    assert (await api.patch(ANN, json={"identifiers": {"contactId": other}})).status_code == 400


@pytest.mark.parametrize(
    ("option", "expected"),
    [
        ("overwrite", {"LASTNAME": "", "GENDER": "f"}),
        ("overwrite-if-not-empty", {"FIRSTNAME": "Ann", "LASTNAME": "Lee", "GENDER": "f"}),
        ("overwrite-if-empty", {"FIRSTNAME": "Ann", "LASTNAME": "Lee", "GENDER": "f"}),
    ],
)
async def test_merge_options_treat_blanks_differently(api: httpx.AsyncClient, option: str, expected: dict[str, str]) -> None:
    await api.patch(ANN, json=person(dataFields={"FIRSTNAME": "Ann", "LASTNAME": "Lee"}))
    changes = {"FIRSTNAME": None, "LASTNAME": "", "GENDER": "f"}
    reply = await api.patch(ANN, params={"merge-option": option}, json=person(dataFields=changes))
    assert reply.json()["dataFields"] == expected


async def test_overwrite_if_empty_keeps_what_is_there(api: httpx.AsyncClient) -> None:
    await api.patch(ANN, json=person(dataFields={"FIRSTNAME": "Ann"}))
    changes = {"FIRSTNAME": "Bea", "LASTNAME": "Lee"}
    reply = await api.patch(ANN, params={"merge-option": "overwrite-if-empty"}, json=person(dataFields=changes))
    assert reply.json()["dataFields"] == {"FIRSTNAME": "Ann", "LASTNAME": "Lee"}


async def test_an_unknown_merge_option_is_a_400(api: httpx.AsyncClient) -> None:
    reply = await api.patch(ANN, params={"merge-option": "overwriteIfEmpty"}, json=person())
    assert (reply.status_code, code(reply)) == (400, "contacts:invalidValue")


class TestPut:
    async def test_replaces_data_and_identifiers(self, api: httpx.AsyncClient) -> None:
        identifiers = {"email": "ann@example.com", "erpId": "C-1"}
        await api.patch(ANN, json={"identifiers": identifiers, "dataFields": {"FIRSTNAME": "Ann"}, "lists": [7]})
        reply = await api.put(ANN, json=person(dataFields={"LASTNAME": "Lee", "GENDER": None}))
        assert reply.status_code == 200
        assert reply.json()["identifiers"] == {"email": "ann@example.com"}
        assert reply.json()["dataFields"] == {"LASTNAME": "Lee"}
        assert [row["id"] for row in reply.json()["lists"]] == [7]
        assert (await api.get("/contacts/v3/erpId/C-1")).status_code == 404

    async def test_never_creates(self, api: httpx.AsyncClient) -> None:
        assert (await api.put(ANN, json=person())).status_code == 404

    async def test_refuses_anothers_identifiers_and_missing_ones(self, api: httpx.AsyncClient) -> None:
        await api.patch(ANN, json=person())
        await api.patch(BOB, json=person("bob@example.com"))
        assert (await api.put(ANN, json=person("bob@example.com"))).status_code == 409
        assert code(await api.put(ANN, json={"dataFields": {}})) == "contacts:badRequest"


class TestRecycleBin:
    async def test_a_deleted_contact_is_gone_until_a_patch_revives_it(self, api: httpx.AsyncClient) -> None:
        made = (await api.patch(ANN, json=person(dataFields={"FIRSTNAME": "Ann"}, lists=[7]))).json()
        deleted = await api.delete(ANN)
        assert (deleted.status_code, deleted.json()) == (200, {"contactId": made["contactId"]})
        for call in (api.get, api.delete):
            assert (await call(ANN)).status_code == 404
        assert (await api.put(ANN, json=person())).status_code == 404
        assert (await api.get("/contacts/v3")).json()["_items"] == []
        revived = await api.patch(ANN, json=person(dataFields={"LASTNAME": "Lee"}))
        assert (revived.status_code, revived.json()["contactId"]) == (200, made["contactId"])
        assert revived.json()["dataFields"] == {"FIRSTNAME": "Ann", "LASTNAME": "Lee"}
        assert revived.json()["lists"] == []

    async def test_after_the_bin_period_the_address_starts_afresh(
        self, api: httpx.AsyncClient, advance: Callable[[timedelta], None]
    ) -> None:
        made = (await api.patch(ANN, json=person(dataFields={"FIRSTNAME": "Ann"}))).json()
        await api.delete(ANN)
        advance(timedelta(days=30))
        reply = await api.patch(ANN, json=person())
        assert (reply.status_code, reply.json()["dataFields"]) == (201, {})
        assert reply.json()["contactId"] != made["contactId"]

    async def test_post_revives_and_a_rename_cannot_take_the_address(self, api: httpx.AsyncClient) -> None:
        made = (await api.post("/contacts/v3", json=person())).json()
        await api.patch(BOB, json=person("bob@example.com"))
        await api.delete(ANN)
        assert (await api.patch(BOB, json=person())).status_code == 409
        reply = await api.post("/contacts/v3", json=person())
        assert (reply.status_code, reply.json()["contactId"]) == (201, made["contactId"])


async def test_updated_moves_with_every_patch_and_created_never(
    api: httpx.AsyncClient, advance: Callable[[timedelta], None]
) -> None:
    await api.patch(ANN, json=person())
    advance(timedelta(seconds=1.5))
    reply = (await api.patch(ANN, json=person())).json()
    assert (reply["created"], reply["updated"]) == ("2025-03-01T09:30:00.000Z", "2025-03-01T09:30:01.500Z")


async def test_lists_preferences_and_consent_records_add_up(api: httpx.AsyncClient) -> None:
    record = {
        "text": "Yes",
        "dateTimeConsented": "2025-01-01T00:00:00Z",
        "url": "https://example.com",
        "ipAddress": "192.0.2.1",
        "userAgent": "test",
    }
    await api.patch(ANN, json=person(lists=[7], preferences=[{"id": 3, "isOptedIn": True}]))
    reply = (await api.patch(ANN, json=person(lists=[7], consentRecords=[record]))).json()
    assert reply["lists"] == [{"id": 7, "name": "Recent buyers", "status": "subscribed"}]
    assert [(row["id"], row["isOptedIn"]) for row in reply["preferences"]] == [(3, True)]
    assert reply["consentRecords"] == [record | {"dateTimeCreated": "2025-03-01T09:30:00.000Z"}]


@pytest.mark.parametrize("body", ["", "{", "name=x", '{"a": NaN}'])
async def test_what_is_not_json_is_bad_json(api: httpx.AsyncClient, body: str) -> None:
    reply = await api.patch(ANN, content=body)
    assert (reply.status_code, code(reply)) == (400, "contacts:badJson")


@pytest.mark.parametrize(
    ("members", "expected"),
    [
        ({"dataFields": []}, "contacts:badRequest"),
        ({"dataFields": None}, "contacts:badRequest"),
        ({"identifiers": []}, "contacts:badRequest"),
        ({"identifiers": {"email": None}}, "contacts:invalidId"),
        ({"identifiers": {"unknown": "x"}}, "contacts:invalidId"),
        ({"lists": []}, "contacts:badRequest"),
        ({"lists": ["7"]}, "contacts:invalidValue"),
        ({"lists": [True]}, "contacts:invalidValue"),
        ({"lists": [8]}, "contacts:invalidValue"),
        ({"lists": [7] * 101}, "contacts:badRequest"),
        ({"preferences": [{"id": "1", "isOptedIn": True}]}, "contacts:invalidValue"),
        ({"preferences": [{"id": 1}]}, "contacts:invalidValue"),
        ({"consentRecords": [{}]}, "server:badJson"),
        ({"channelProperties": {"email": {"emailType": "Html"}}}, "contacts:invalidValue"),
        ({"channelProperties": {"email": {"optInType": "Single"}}}, "contacts:invalidValue"),
        ({"channelProperties": {"email": {"status": "pendingOptIn"}}}, "contacts:invalidValue"),
        ({"channelProperties": {"email": {"colour": "red"}}}, "contacts:invalidValue"),
        ({"channelProperties": {"fax": {}}}, "contacts:invalidValue"),
        ({"channelProperties": {"sms": {"status": "bounced"}}}, "contacts:invalidValue"),
    ],
)
async def test_a_malformed_member_is_refused_and_nothing_is_stored(
    api: httpx.AsyncClient, members: dict[str, Any], expected: str
) -> None:
    reply = await api.patch(ANN, json=person() | members)
    assert (reply.status_code, code(reply)) == (400, expected)
    assert (await api.get(ANN)).status_code == 404


async def test_unknown_paths_and_methods_answer_in_json(api: httpx.AsyncClient) -> None:
    assert (await api.get("/contacts/v3/")).json()["errorCode"] == "server:badRequest"
    assert (await api.get("/v2/nothing")).status_code == 404
    assert (await api.delete("/v2/data-fields")).status_code == 405
