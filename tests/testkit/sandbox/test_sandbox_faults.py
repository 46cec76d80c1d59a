"""Each fault as a client meets it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter

import httpx
import pytest

from testkit.sandbox import SandboxApp
from testkit.sandbox.faults import AFTERWARDS, RATES, Faults
from tests.patience import PATIENCE

ANN = "/contacts/v3/email/ann%40example.com"
BODY = {"identifiers": {"email": "ann@example.com"}}
EPOCH = 1_740_821_400


async def turn(api: httpx.AsyncClient, **changes: object) -> None:
    reply = await api.post("/_sandbox/faults", json=changes)
    assert reply.status_code == 200, reply.text


async def exists(api: httpx.AsyncClient) -> bool:
    contacts = (await api.get("/_sandbox/state")).json()["contacts"]
    return bool(contacts)


@pytest.mark.asyncio
class TestRefusals:
    async def test_429_reports_when_to_come_back(self, api: httpx.AsyncClient) -> None:
        await turn(api, http_429=1, reset_seconds=5)
        reply = await api.patch(ANN, json=BODY)
        assert (reply.status_code, "errorCode" in reply.json()) == (429, False)
        limits = {name: value for name, value in reply.headers.items() if name.startswith("x-ratelimit")}
        assert limits == {
            "x-ratelimit-limit": "6000",
            "x-ratelimit-remaining": "0",
            "x-ratelimit-reset": str(EPOCH + 5),
            "x-ratelimit-scope": "highCallRate",
        }
        assert "retry-after" not in reply.headers

    async def test_the_flat_limit_is_a_400(self, api: httpx.AsyncClient) -> None:
        await turn(api, flat_limit_400=1)
        reply = await api.patch(ANN, json=BODY)
        assert reply.status_code == 400
        assert reply.json()["message"].endswith("ERROR_APIUSAGE_EXCEEDED")

    @pytest.mark.parametrize(("name", "status"), [("http_500", 500), ("http_503", 503)])
    async def test_server_errors_come_in_the_shape_of_their_framework(
        self, api: httpx.AsyncClient, name: str, status: int
    ) -> None:
        await turn(api, **{name: 1})
        v2, v3 = await api.get("/v2/account-info"), await api.patch(ANN, json=BODY)
        assert (v2.status_code, v3.status_code) == (status, status)
        assert "ERROR_" in v2.json()["message"]
        assert v3.json()["errorCode"].startswith("server:")

    async def test_a_bad_gateway_is_not_json(self, api: httpx.AsyncClient) -> None:
        await turn(api, bad_gateway_html=1)
        reply = await api.patch(ANN, json=BODY)
        assert (reply.status_code, reply.headers["content-type"]) == (502, "text/html; charset=utf-8")
        assert reply.text.startswith("<html>")

    @pytest.mark.parametrize(("name", "status"), [("http_401", 401), ("http_403", 403)])
    async def test_credentials_and_region_can_fail_for_a_while(self, api: httpx.AsyncClient, name: str, status: int) -> None:
        await turn(api, next=[{"fault": name, "times": 2}])
        assert [(await api.patch(ANN, json=BODY)).status_code for _ in range(3)] == [status, status, 201]

    @pytest.mark.parametrize("name", sorted(set(RATES) - set(AFTERWARDS)))
    async def test_a_refused_call_has_no_effect(self, api: httpx.AsyncClient, name: str) -> None:
        await turn(api, **{name: 1})
        await api.patch(ANN, json=BODY)
        assert not await exists(api)


@pytest.mark.asyncio
class TestSwitches:
    async def test_an_outage_answers_503_even_to_strangers(self, api: httpx.AsyncClient) -> None:
        await turn(api, outage=True)
        assert (await api.get("/v2/account-info", auth=("no", "body"))).status_code == 503
        await turn(api, outage=False)
        assert (await api.get("/v2/account-info")).status_code == 200

    async def test_credentials_can_expire(self, api: httpx.AsyncClient) -> None:
        await turn(api, unauthorized=True)
        assert (await api.patch(ANN, json=BODY)).status_code == 401

    async def test_the_wrong_region_answers_account_information_only(self, api: httpx.AsyncClient) -> None:
        await turn(api, wrong_region=True)
        assert (await api.patch(ANN, json=BODY)).status_code == 403
        info = (await api.get("/v2/account-info")).json()
        values = {row["name"]: row["value"] for row in info["properties"]}
        assert values["ApiEndpoint"] != "http://sandbox/"


@pytest.mark.asyncio
class TestSlowness:
    async def test_latency_is_added(self, api: httpx.AsyncClient) -> None:
        await turn(api, latency_ms=30, latency_jitter_ms=5)
        started = time.perf_counter()
        await api.patch(ANN, json=BODY)
        assert time.perf_counter() - started >= 0.03

    async def test_a_hanging_call_has_taken_effect_before_its_reply(self, api: httpx.AsyncClient) -> None:
        await turn(api, hang_seconds=3600)
        call = asyncio.create_task(api.patch(ANN, json=BODY))
        async with asyncio.timeout(PATIENCE):
            while not await exists(api):
                await asyncio.sleep(0)
        assert not call.done()
        call.cancel()

    async def test_a_hanging_reply_comes_in_the_end(self, api: httpx.AsyncClient) -> None:
        await turn(api, hang_seconds=0.02)
        assert (await api.patch(ANN, json=BODY)).status_code == 201
        await turn(api, hang_seconds=0)
        assert (await api.get("/_sandbox/faults")).json()["hang"] == 0


@pytest.mark.asyncio
async def test_the_queue_hits_the_next_calls_one_by_one(api: httpx.AsyncClient) -> None:
    await turn(api, next=["http_503", "none", "http_429"])
    replies = [(await api.patch(ANN, json=BODY)).status_code for _ in range(4)]
    assert replies == [503, 201, 429, 200]
    counters = (await api.get("/_sandbox/counters")).json()
    assert counters["faults"] == {"http_503": 1, "http_429": 1}


@pytest.mark.asyncio
async def test_a_lost_reply_is_an_error_in_memory_and_the_write_stands(api: httpx.AsyncClient, box: SandboxApp) -> None:
    await turn(api, next=["lost_reply"])
    with pytest.raises(ConnectionAbortedError):
        await api.patch(ANN, json=BODY)
    assert len(box.store) == 1
    (row,) = (await api.get("/_sandbox/requests")).json()["requests"]
    assert (row["status"], row["fault"]) == (201, "lost_reply")


def test_the_same_seed_draws_the_same_faults_at_the_given_rates() -> None:
    def draws(faults: Faults) -> list[str | None]:
        return [faults.draw() for _ in range(4000)]

    rates = {"lost_reply": 0.1, "http_429": 0.25}
    one, two = Faults(5), Faults(5)
    one.update(rates)
    two.update(rates)
    first = draws(one)
    assert first == draws(two)
    one.update({"seed": 5})
    assert first == draws(one)
    counts = Counter(first)
    assert set(counts) == {None, "lost_reply", "http_429"}
    assert abs(counts["http_429"] / 4000 - 0.25) < 0.03


@pytest.mark.parametrize(
    "changes",
    [
        {"http_5oo": 1},
        {"http_500": 2},
        {"http_500": -0.1},
        {"http_500": "1"},
        {"http_500": 0.6, "http_503": 0.6},
        {"outage": 1},
        {"next": ["boom"]},
        {"next": "http_500"},
        {"next": ["import_stuck"]},
        {"next": [{"fault": "http_500", "times": 0}]},
        {"next_import": ["http_500"]},
        {"import_failed": 0.6, "import_stuck": 0.6},
        {"seed": 1.5},
    ],
)
def test_a_wrong_switch_is_refused_whole(changes: dict[str, object]) -> None:
    faults = Faults(0)
    before = faults.show()
    with pytest.raises(ValueError, match=r"\w"):
        faults.update({"latency_ms": 5, **changes})
    assert faults.show() == before
    assert faults.quiet


def test_imports_meet_the_same_faults_however_many_calls_come_between() -> None:
    busy, idle = Faults(5), Faults(5)
    for faults in (busy, idle):
        faults.update({"import_failed": 0.3, "import_partial": 0.3, "http_500": 0.5})
    drawn = []
    for _ in range(200):
        busy.draw()
        drawn.append(busy.draw_import())
    assert drawn == [idle.draw_import() for _ in range(200)]
    assert set(drawn) == {None, "import_failed", "import_partial"}


@pytest.mark.parametrize("name", ["casing", "extra_members"])
async def test_a_changed_reply_is_still_that_of_a_call_that_took_effect(api: httpx.AsyncClient, name: str) -> None:
    await turn(api, next=[name])
    reply = await api.patch(ANN, json=BODY | {"dataFields": {"FIRSTNAME": "status"}})
    assert reply.status_code == 201
    body = reply.json()
    assert (body["identifiers"], body["dataFields"]) == (BODY["identifiers"], {"FIRSTNAME": "status"})
    cased = body["channelProperties"]["email"] == {"emailType": "html", "optInType": "unknown", "status": "Subscribed"}
    assert (cased, "addedLater" in body) == (name == "casing", name == "extra_members")


async def test_a_reply_without_a_body_is_left_alone(api: httpx.AsyncClient) -> None:
    await api.patch(ANN, json=BODY)
    await api.post("/insightData/v3/collections/Orders?collectionScope=contact&collectionType=orders")
    record = "/insightData/v3/contacts/email/ann%40example.com/Orders/1"
    await api.put(record, json={"n": 1})
    await turn(api, next=["extra_members"])
    reply = await api.put(record, json={"n": 1})
    assert (reply.status_code, reply.content) == (204, b"")
