"""The sandbox's own controls."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from testkit.sandbox import SandboxApp

pytestmark = pytest.mark.asyncio

ANN = "/contacts/v3/email/ann%40example.com"
BODY = {"identifiers": {"email": "ann@example.com"}, "dataFields": {"FIRSTNAME": "Ann"}}


@pytest_asyncio.fixture
async def admin(box: SandboxApp) -> AsyncIterator[httpx.AsyncClient]:
    """A client without credentials."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(box), base_url="http://sandbox/_sandbox") as client:
        yield client


async def test_state_shows_everything(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    made = (await api.patch(ANN, json=BODY)).json()
    await api.delete(ANN)
    state = (await admin.get("/state")).json()
    assert state["now"] == "2025-03-01T09:30:00.000Z"
    assert state["contacts"] == [
        {
            "contactId": made["contactId"],
            "email": "ann@example.com",
            "status": "subscribed",
            "emailType": "Html",
            "optInType": "Unknown",
            "identifiers": {"email": "ann@example.com"},
            "dataFields": {"FIRSTNAME": "Ann"},
            "lists": [],
            "preferences": {},
            "consentRecords": [],
            "binned": True,
            "created": made["created"],
            "updated": made["updated"],
        }
    ]
    assert state["dataFields"][0]["name"] == "FIRSTNAME"


async def test_requests_are_numbered_and_can_be_followed(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await api.patch(ANN, json=BODY, params={"merge-option": "overwrite"})
    await api.get("/v2/server-time")
    await api.get("/nowhere")
    log = (await admin.get("/requests", params={"since": 0, "limit": 2})).json()
    assert log["total"] == 3
    row = log["requests"][0]
    assert row.pop("ms") >= 0
    assert row == {
        "n": 1,
        "at": "2025-03-01T09:30:00.000Z",
        "method": "PATCH",
        "path": "/contacts/v3/email/ann%40example.com",
        "route": "/contacts/v3/{identifier}/{value}",
        "status": 201,
        "fault": None,
    }
    rest = (await admin.get("/requests", params={"since": 2})).json()["requests"]
    assert [(row["n"], row["route"], row["status"]) for row in rest] == [(3, "(other)", 404)]


async def test_the_log_forgets_the_oldest_calls_but_not_the_sums(box: SandboxApp) -> None:
    log = box.store.log
    for _ in range(100_005):
        log.add(0.0, "GET", "/contacts/v3", 200, 0.1, None)
    assert [row.n for row in log.since(0, 2)] == [6, 7]
    assert [row.n for row in log.since(100_004, 10)] == [100_005]
    assert log.counters()["total"] == 100_005


async def test_counters_sum_by_method_route_and_status(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    for _ in range(3):
        await api.patch(ANN, json=BODY)
    counters = (await admin.get("/counters")).json()
    route = "/contacts/v3/{identifier}/{value}"
    assert counters == {
        "total": 3,
        "calls": [
            {"method": "PATCH", "route": route, "status": 200, "count": 2},
            {"method": "PATCH", "route": route, "status": 201, "count": 1},
        ],
        "faults": {},
    }


async def test_reset_goes_back_to_the_start(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    first = (await api.patch(ANN, json=BODY)).json()
    await api.post("/v2/data-fields", json={"name": "EXTRA", "type": "String"})
    await admin.post("/faults", json={"outage": True})
    assert (await admin.post("/reset")).json() == {"reset": True}
    state = (await admin.get("/state")).json()
    assert state["contacts"] == []
    assert {"OW_SPEND"} == {row["name"] for row in state["dataFields"]} & {"OW_SPEND", "EXTRA"}
    assert (await admin.get("/requests")).json() == {"total": 0, "requests": []}
    assert (await admin.get("/faults")).json()["outage"] is False
    assert (await api.patch(ANN, json=BODY)).json()["contactId"] == first["contactId"]


async def test_seeding_creates_and_overwrites(admin: httpx.AsyncClient, api: httpx.AsyncClient) -> None:
    rows: list[dict[str, Any]] = [
        {"email": "Ann@example.com", "status": "unsubscribed", "dataFields": {"OW_SPEND": 1.5}, "erpId": "C-1"},
        {"email": "bob@example.com", "created": "2020-01-01T00:00:00Z", "updated": "2021-01-01T00:00:00Z"},
        {"email": "cid@example.com", "binned": True},
    ]
    made = await admin.post("/contacts", json={"contacts": rows})
    assert (made.status_code, len(made.json()["contactIds"])) == (201, 3)
    again = await admin.post("/contacts", json={"contacts": [{"email": "ann@example.com", "status": "suppressed"}]})
    assert again.json()["contactIds"] == made.json()["contactIds"][:1]
    ann, bob, cid = (await admin.get("/state")).json()["contacts"]
    assert (ann["status"], ann["dataFields"]) == ("suppressed", {"OW_SPEND": 1.5})
    assert (bob["created"], bob["updated"]) == ("2020-01-01T00:00:00.000Z", "2021-01-01T00:00:00.000Z")
    assert cid["binned"]
    assert (await api.get("/contacts/v3/erpId/C-1")).status_code == 200


@pytest.mark.parametrize(
    "row",
    [
        {},
        {"email": "x"},
        {"email": "a@example.com", "status": "sleepy"},
        {"email": "a@example.com", "colour": "red"},
        {"email": "a@example.com", "optInType": "single"},
        {"email": "a@example.com", "dataFields": {"NOPE": 1}},
        {"email": "a@example.com", "created": "yesterday"},
        {"email": "b@example.com", "mobileNumber": "447123123123"},
    ],
)
async def test_a_bad_seed_is_a_400(admin: httpx.AsyncClient, row: dict[str, Any]) -> None:
    await admin.post("/contacts", json={"contacts": [{"email": "z@example.com", "mobileNumber": "447123123123"}]})
    assert (await admin.post("/contacts", json={"contacts": [row]})).status_code == 400


async def test_unsubscribe_is_what_the_holder_does(api: httpx.AsyncClient, admin: httpx.AsyncClient) -> None:
    await api.patch(ANN, json=BODY)
    assert (await admin.post("/unsubscribe", json={"email": "Ann@example.com"})).json()["status"] == "unsubscribed"
    assert (await api.patch(ANN, json=BODY)).json()["status"] == "unsubscribed"
    assert (await admin.post("/unsubscribe", json={"email": "no@example.com"})).status_code == 404


@pytest.mark.parametrize("call", [("GET", "/nothing"), ("POST", "/state"), ("POST", "/contacts"), ("POST", "/faults")])
async def test_mistakes_get_a_message(admin: httpx.AsyncClient, call: tuple[str, str]) -> None:
    reply = await admin.request(*call, content="not json")
    assert reply.status_code in {400, 404, 405}
    assert reply.json()["message"]


async def test_only_this_machine_may_administer(box: SandboxApp) -> None:
    far = httpx.ASGITransport(box, client=("192.0.2.7", 5))
    async with httpx.AsyncClient(transport=far, base_url="http://sandbox") as client:
        assert (await client.get("/_sandbox/state")).status_code == 403
