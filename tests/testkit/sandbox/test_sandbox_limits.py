"""Budgets: tiers with their headers, and the flat limit of old accounts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta

import httpx
import pytest
import pytest_asyncio

from testkit.sandbox import SandboxConfig, create_app
from testkit.sandbox.calls import HIGH, LOW, MEDIUM, call_of
from testkit.sandbox.config import Clock
from tests.testkit.sandbox.calls import CONTACT_IMPORT, add, read, row, turn
from tests.testkit.sandbox.conftest import CREDENTIALS

MINUTE = timedelta(minutes=1)
EPOCH = 1_740_821_400
Advance = Callable[[timedelta], None]


@pytest_asyncio.fixture
async def tiered(clock: Clock) -> AsyncIterator[httpx.AsyncClient]:
    box = create_app(SandboxConfig(*CREDENTIALS, tiers={LOW: 1, HIGH: 3}), clock=clock)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(box), base_url="http://sandbox", auth=CREDENTIALS) as api:
        yield api


def limits(reply: httpx.Response) -> dict[str, str]:
    return {name.removeprefix("x-ratelimit-"): value for name, value in reply.headers.items() if name.startswith("x-ratelimit")}


class TestTiers:
    async def test_every_reply_reports_what_is_left(self, tiered: httpx.AsyncClient) -> None:
        replies = [await read(tiered) for _ in range(2)]
        assert [limits(reply)["remaining"] for reply in replies] == ["2", "1"]
        assert limits(replies[0]) == {"limit": "3", "remaining": "2", "reset": str(EPOCH + 60), "scope": HIGH}

    async def test_the_budget_is_refused_above_and_whole_after_the_reset(
        self, tiered: httpx.AsyncClient, advance: Advance
    ) -> None:
        replies = [await read(tiered) for _ in range(4)]
        assert [reply.status_code for reply in replies] == [404, 404, 404, 429]
        assert limits(replies[3]) == {"limit": "3", "remaining": "0", "reset": str(EPOCH + 60), "scope": HIGH}
        assert ("errorCode" in replies[3].json(), "retry-after" in replies[3].headers) == (False, False)
        advance(MINUTE)
        assert (await read(tiered)).status_code == 404

    async def test_a_refused_call_has_no_effect(self, tiered: httpx.AsyncClient) -> None:
        first, second = [await tiered.put(CONTACT_IMPORT, json={"contacts": [row()]}) for _ in range(2)]
        assert (first.status_code, second.status_code) == (202, 429)
        assert len((await tiered.get("/_sandbox/jobs")).json()["jobs"]) == 1

    async def test_tiers_are_independent_and_polling_is_free(self, tiered: httpx.AsyncClient) -> None:
        started = await tiered.put(CONTACT_IMPORT, json={"contacts": [row()]})
        polls = [await tiered.get(f"{CONTACT_IMPORT}/{started.json()['importId']}") for _ in range(5)]
        assert {(poll.status_code, bool(limits(poll))) for poll in polls} == {(200, False)}
        assert (await read(tiered)).status_code == 404

    async def test_reading_page_by_page_is_another_tier_than_creating(self, api: httpx.AsyncClient) -> None:
        await api.post("/_sandbox/limits", json={MEDIUM: 9, HIGH: 9})
        assert limits(await api.get("/contacts/v3"))["scope"] == MEDIUM
        assert limits(await api.post("/contacts/v3", json={}))["scope"] == HIGH

    async def test_a_stranger_uses_nothing_up(self, tiered: httpx.AsyncClient) -> None:
        for _ in range(5):
            assert (await tiered.get("/contacts/v3/email/a%40b.com", auth=("no", "body"))).status_code == 401
        assert limits(await read(tiered))["remaining"] == "2"

    async def test_another_system_eats_the_same_budget(self, tiered: httpx.AsyncClient) -> None:
        await tiered.post("/_sandbox/limits/consume", json={"tier": HIGH, "calls": 2})
        assert limits(await read(tiered))["remaining"] == "0"
        assert (await tiered.post("/_sandbox/limits/consume", json={"tier": "no", "calls": 2})).status_code == 400
        assert (await tiered.post("/_sandbox/limits/consume", json={"tier": HIGH, "calls": 0})).status_code == 400

    async def test_a_fault_uses_budget_too(self, tiered: httpx.AsyncClient) -> None:
        await turn(tiered, next=["http_503"])
        assert (await read(tiered)).status_code == 503
        assert limits(await read(tiered))["remaining"] == "1"


class TestFlat:
    async def test_the_old_limit_answers_400_until_the_hour_has_rolled(self, api: httpx.AsyncClient, advance: Advance) -> None:
        await api.post("/_sandbox/limits", json={"flat": 2})
        await read(api)
        advance(timedelta(minutes=30))
        await read(api)
        refused = await read(api)
        assert (refused.status_code, limits(refused)) == (400, {})
        assert refused.json()["message"].endswith("ERROR_APIUSAGE_EXCEEDED")
        advance(timedelta(minutes=30))
        assert [(await read(api)).status_code for _ in range(2)] == [404, 400]

    async def test_account_information_speaks_of_it(self, api: httpx.AsyncClient) -> None:
        await api.post("/_sandbox/limits", json={"flat": 50})
        info = (await api.get("/v2/account-info")).json()
        assert {part["name"]: part["value"] for part in info["properties"]}["ApiCallsRemaining"] == "50"


class TestAdmin:
    async def test_budgets_are_set_shown_lifted_and_reset(self, api: httpx.AsyncClient) -> None:
        await api.post("/_sandbox/limits", json={LOW: 5, "flat": 9})
        await read(api)
        shown = (await api.get("/_sandbox/limits")).json()
        assert shown == {"tiers": {LOW: {"limit": 5, "used": 0}}, "flat": {"limit": 9, "used": 1}}
        assert (await api.post("/_sandbox/limits", json={LOW: None})).json()["tiers"] == {}
        await api.post("/_sandbox/reset")
        assert (await api.get("/_sandbox/limits")).json() == {"tiers": {}, "flat": None}

    @pytest.mark.parametrize("changes", [{"boom": 1}, {LOW: 0}, {LOW: True}, {"flat": "many"}])
    async def test_a_wrong_budget_is_refused_whole(self, api: httpx.AsyncClient, changes: dict[str, object]) -> None:
        assert (await api.post("/_sandbox/limits", json={HIGH: 9, **changes})).status_code == 400
        assert (await api.get("/_sandbox/limits")).json() == {"tiers": {}, "flat": None}


async def test_without_budgets_no_header_is_sent(api: httpx.AsyncClient) -> None:
    await add(api, "ann")
    assert limits(await read(api)) == {}


def test_every_route_of_the_sandbox_has_its_call() -> None:
    box = create_app(SandboxConfig(*CREDENTIALS))
    paths = {getattr(route, "path", "") for route in box.routes}
    served = {path.replace(":path}", "}") for path in paths if not path.startswith("/_sandbox/")}
    shapes = {path: call_of(path.replace("{", "").replace("}", "")).route for path in served}
    assert all(path.count("/") == route.count("/") for path, route in shapes.items()), shapes
