"""The insight import: collections are made, contacts never are, and the report tells record by record."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.testkit.sandbox.calls import INSIGHT_IMPORT, add, order, orders, report, turn

SECOND = timedelta(seconds=1)
Advance = Callable[[timedelta], None]


async def start(api: httpx.AsyncClient, body: dict[str, object]) -> str:
    reply = await api.put(INSIGHT_IMPORT, json=body)
    assert reply.status_code == 202, reply.text
    found: str = reply.json()["importId"]
    return found


async def done(api: httpx.AsyncClient, advance: Advance, body: dict[str, object]) -> dict[str, Any]:
    wanted = await start(api, body)
    advance(SECOND)
    return await report(api, wanted, INSIGHT_IMPORT)


async def keys(api: httpx.AsyncClient) -> list[str]:
    (held,) = (await api.get("/_sandbox/records")).json()["collections"]
    return [record["key"] for record in held["records"]]


async def test_an_import_makes_its_collection_and_upserts(api: httpx.AsyncClient, advance: Advance) -> None:
    await add(api, "ann")
    wanted = await start(api, orders(order(order_total=1)))
    assert await report(api, wanted, INSIGHT_IMPORT) == {"importId": wanted, "status": "NotStarted"}
    assert (await api.get("/insightData/v3/collections")).json() == []
    advance(SECOND)
    found = await report(api, wanted, INSIGHT_IMPORT)
    assert found == {
        "importId": wanted,
        "status": "Finished",
        "collectionName": "Orders",
        "summary": {"totalRecords": 1, "totalImported": 1, "totalRejected": 0},
    }
    await done(api, advance, orders(order(order_total=2)))
    kept = await api.get("/insightData/v3/contacts/email/ann%40example.com/Orders/SO1")
    assert kept.json()["json"] == {"order_total": 2}


async def test_the_account_takes_a_catalogue(api: httpx.AsyncClient, advance: Advance) -> None:
    body = orders({"key": "P1", "json": {"name": "Hat"}}, name="catalog_shop", scope="account", kind="CATALOG")
    assert (await done(api, advance, body))["summary"]["totalImported"] == 1
    assert (await api.get("/insightData/v3/account/Catalog_Shop/P1")).json()["json"] == {"name": "Hat"}


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (order("X", "nobody"), "ContactEmailDoesNotExist"),
        ({"key": "X", "json": {}, "contactIdentity": {"identifier": "contactId", "value": 9}}, "ContactIdDoesNotExist"),
        (
            {"key": "X", "json": {}, "contactIdentity": {"identifier": "mobileNumber", "value": "447123123123"}},
            "ContactPhoneNumberDoesNotExist",
        ),
        (
            {"key": "X", "json": {}, "contactIdentity": {"identifier": "erpId", "value": "9"}},
            "ContactCustomIdentifierValueDoesNotExist",
        ),
        ({"key": "X", "json": {}, "contactIdentity": {"identifier": "email", "value": "9"}}, "InvalidContactIdentifier"),
        (order("SO1"), "DuplicateKey"),
        (order("HELD"), "KeyExistingForDifferentContact"),
        (order(24938), "InvalidClientKey"),
        (order(""), "InvalidClientKey"),
        (order("X") | {"json": "{}"}, "InvalidJson"),
        (order("X", order_total="10.50"), "JsonValueIncompatibleWithSchema"),
        (order("X", tags=[["a"]]), "JsonContainsNestedArray"),
    ],
)
async def test_a_bad_record_fails_alone(api: httpx.AsyncClient, advance: Advance, bad: dict[str, object], reason: str) -> None:
    await add(api, "ann", "bob")
    await done(api, advance, orders(order("HELD", "bob")))
    found = await done(api, advance, orders(order("SO1"), bad, order("SO2")))
    assert found["status"] == "Finished"
    assert found["summary"] == {"totalRecords": 3, "totalImported": 2, "totalRejected": 1}
    (failure,) = found["failures"]
    assert (failure["failureReason"], failure["key"]) == (reason, str(bad["key"]))
    assert failure["collectionOwner"] == {"ownerType": "contact", "contactIdentity": bad["contactIdentity"]}
    assert failure["details"]
    assert await keys(api) == ["HELD", "SO1", "SO2"]


async def test_an_import_never_makes_contacts(api: httpx.AsyncClient, advance: Advance) -> None:
    await done(api, advance, orders(order()))
    assert (await api.get("/_sandbox/state")).json()["contacts"] == []


async def test_five_may_be_in_flight(api: httpx.AsyncClient, advance: Advance) -> None:
    for _ in range(5):
        await start(api, orders(order()))
    assert (await api.put(INSIGHT_IMPORT, json=orders(order()))).status_code == 429
    advance(SECOND)
    await start(api, orders(order()))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (orders(name="1"), "insightData:invalidId"),
        (orders(), "insightData:badJson"),
        (orders(order(), scope="shop"), "insightData:badJson"),
        (orders(order(), kind="catalog"), "insightData:badJson"),
        (orders({"json": {}}), "insightData:badJson"),
        (orders({"key": "1", "json": {}}), "insightData:badJson"),
    ],
)
async def test_a_wrong_structure_refuses_the_whole_call(api: httpx.AsyncClient, body: dict[str, object], code: str) -> None:
    reply = await api.put(INSIGHT_IMPORT, json=body)
    assert (reply.status_code, reply.json()["errorCode"]) == (400, code)


async def test_a_collection_keeps_its_scope(api: httpx.AsyncClient, advance: Advance) -> None:
    await done(api, advance, orders(order()))
    reply = await api.put(INSIGHT_IMPORT, json=orders(order(), scope="account"))
    assert (reply.status_code, reply.json()["errorCode"]) == (400, "insightData:badJson")


async def test_unknown_imports_are_distinguished_from_wrong_ids(api: httpx.AsyncClient) -> None:
    unknown = await api.get(f"{INSIGHT_IMPORT}/d7de900d-d337-43f6-b1e1-c8ec73e1a434")
    assert (unknown.status_code, unknown.json()["errorCode"]) == (404, "insightData:importNotFound")
    assert (await api.get(f"{INSIGHT_IMPORT}/1")).json()["errorCode"] == "insightData:invalidId"


@pytest.mark.parametrize("fault", ["import_failed", "import_rejected"])
async def test_an_import_may_come_to_nothing(api: httpx.AsyncClient, advance: Advance, fault: str) -> None:
    await turn(api, next_import=[fault])
    found = await done(api, advance, orders(order()))
    assert (found["status"], "summary" in found) == ("Failed", False)


async def test_a_partial_import_and_a_partial_report(api: httpx.AsyncClient, advance: Advance) -> None:
    await add(api, "ann")
    await turn(api, next_import=["import_partial", "report_partial"])
    found = await done(api, advance, orders(order("1"), order("2")))
    assert [failure["key"] for failure in found["failures"]] == ["1"]
    assert await keys(api) == ["2"]
    found = await done(api, advance, orders(order("3", "no"), order("4", "no")))
    assert (found["summary"]["totalRejected"], len(found["failures"])) == (2, 1)


async def test_success_may_be_called_complete_and_stored_json_stays(api: httpx.AsyncClient, advance: Advance) -> None:
    wanted = await start(api, orders(order("1", "no", status="Open")))
    advance(SECOND)
    await turn(api, next=["casing"])
    found = await report(api, wanted, INSIGHT_IMPORT)
    assert (found["status"], found["failures"][0]["failureReason"]) == ("Complete", "contactEmailDoesNotExist")
    assert found["failures"][0]["json"] == {"status": "Open"}
