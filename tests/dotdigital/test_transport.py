"""The budget is asked before a call and told after it; every call is observed under its tier."""

import contextlib
import traceback
from urllib.parse import urlsplit

import httpx
import pytest

from streams.core.lanes import Lane
from streams.dotdigital.client import DotdigitalClient
from streams.dotdigital.errors import AccessError, ConnectivityError, DotdigitalError, Limit, ThrottledError
from streams.dotdigital.imports import ImportContact
from streams.dotdigital.tiers import Call, Operation, RateLimit, Tier
from testkit.sandbox import SandboxApp
from testkit.sandbox.calls import tier_of
from tests.dotdigital.conftest import NOON, PASSWORD, USER, Person, Recorder, settings_for

EMAIL = "ann@example.com"
NEXT_MINUTE = NOON.timestamp() + 60


async def test_the_budget_is_asked_for_the_lane_that_calls(client: DotdigitalClient, budget: Recorder) -> None:
    await client.find(EMAIL)
    await client.for_lane(Lane.BULK).import_contacts([ImportContact(EMAIL, b"{}")])
    await client.for_lane(Lane.URGENT).account()
    assert budget.asked == [(Tier.HIGH, Lane.LIVE), (Tier.LOW, Lane.BULK), (Tier.UNLIMITED, Lane.URGENT)]


async def test_the_budget_is_asked_before_a_connection_is_taken(box: SandboxApp) -> None:
    class Strict(Recorder):
        async def acquire(self, tier: Tier, lane: Lane) -> None:
            await super().acquire(tier, lane)
            if tier is Tier.HIGH:
                # Waiting here for another call would never end if the only connection were held meanwhile.
                await client.account()

    strict = Strict()
    async with DotdigitalClient(settings_for(connections=1), print, httpx.ASGITransport(box), strict) as client:
        await client.find(EMAIL)
    assert [tier for tier, _ in strict.asked] == [Tier.HIGH, Tier.UNLIMITED]


async def test_the_budget_learns_what_every_answer_says(client: DotdigitalClient, box: SandboxApp, budget: Recorder) -> None:
    box.store.limits.update({"highCallRate": 2})
    for _ in range(2):
        await client.find(EMAIL)
    with pytest.raises(ThrottledError) as caught:
        await client.find(EMAIL)
    assert (caught.value.scope, caught.value.reset_at) == (Limit.RATE, NEXT_MINUTE)
    assert budget.responses == [
        (Tier.HIGH, RateLimit(2, 1, NEXT_MINUTE), False),
        (Tier.HIGH, RateLimit(2, 0, NEXT_MINUTE), False),
        (Tier.HIGH, RateLimit(2, 0, NEXT_MINUTE), True),
    ]


async def test_the_old_limit_is_throttling_without_a_reset(client: DotdigitalClient, box: SandboxApp, budget: Recorder) -> None:
    box.store.limits.update({"flat": 1})
    await client.account()
    with pytest.raises(ThrottledError) as caught:
        await client.find(EMAIL)
    assert (caught.value.scope, caught.value.reset_at) == (Limit.FLAT, None)
    assert budget.responses[-1] == (Tier.HIGH, None, True)


async def test_a_full_queue_of_imports_is_not_a_used_up_budget(
    client: DotdigitalClient, box: SandboxApp, budget: Recorder
) -> None:
    box.faults.update({"import_stuck": 1.0})
    for number in range(25):
        await client.import_contacts([ImportContact(f"{number}@example.com", b"{}")])
    with pytest.raises(ThrottledError) as caught:
        await client.import_contacts([ImportContact(EMAIL, b"{}")])
    assert caught.value.scope is Limit.CONTACT_IMPORTS
    assert not any(throttled for _, _, throttled in budget.responses)


async def test_the_tier_that_an_answer_names_is_believed_over_the_table(calls: list[Call], budget: Recorder) -> None:
    headers = {"x-ratelimit-limit": "9", "x-ratelimit-remaining": "4", "x-ratelimit-reset": "60"}

    def answer(_: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=[], headers=headers)

    async with DotdigitalClient(settings_for(), calls.append, httpx.MockTransport(answer), budget) as client:
        for scope in ("LowCallRate", "lowcallrate", "somethingNew"):
            headers["x-ratelimit-scope"] = scope
            await client.lists()
    low = RateLimit(9, 4, 60.0)
    assert [tier for tier, _ in budget.asked] == [Tier.MEDIUM, Tier.LOW, Tier.LOW]
    # What a reply says of another tier than was asked for is no news of that one.
    assert budget.responses == [(Tier.MEDIUM, None, False), (Tier.LOW, low, False), (Tier.LOW, low, False)]


@pytest.mark.parametrize("missing", ["limit", "remaining", "reset"])
async def test_half_a_budget_is_none(budget: Recorder, missing: str) -> None:
    headers = {f"x-ratelimit-{name}": "5" for name in ("limit", "remaining", "reset") if name != missing}
    transport = httpx.MockTransport(lambda _: httpx.Response(200, json=[], headers=headers))
    async with DotdigitalClient(settings_for(), print, transport, budget) as client:
        await client.lists()
    assert budget.responses == [(Tier.MEDIUM, None, False)]


async def test_bulk_calls_are_waited_for_as_long_as_dotdigital_may_take() -> None:
    patience: dict[str, float] = {}

    def answer(request: httpx.Request) -> httpx.Response:
        patience[request.url.path] = request.extensions["timeout"]["read"]
        return httpx.Response(202, json={"importId": "i", "properties": []})

    async with DotdigitalClient(settings_for(), print, httpx.MockTransport(answer)) as client:
        await client.import_contacts([ImportContact(EMAIL, b"{}")])
        await client.account()
    assert patience["/contacts/v3/import"] >= 121
    assert patience["/v2/account-info"] == 30


async def test_a_call_without_an_answer_is_observed_and_counts(calls: list[Call], budget: Recorder) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        raise httpx.ReadTimeout("late")

    async with DotdigitalClient(settings_for(), calls.append, httpx.MockTransport(answer), budget) as client:
        with pytest.raises(ConnectivityError):
            await client.find(EMAIL)
    assert [(call.operation, call.tier, call.status) for call in calls] == [(Operation.GET_CONTACT, Tier.HIGH, "no-answer")]
    assert budget.responses == [(Tier.HIGH, None, False)]


async def test_a_connection_survives_a_failed_call(box: SandboxApp) -> None:
    box.faults.update({"next": ["http_503", "bad_gateway_html"]})
    async with DotdigitalClient(settings_for(connections=1), print, httpx.ASGITransport(box)) as client:
        for _ in range(2):
            with pytest.raises(ConnectivityError):
                await client.find(EMAIL)
        assert await client.find(EMAIL) is None


async def test_our_tiers_are_those_of_the_sandbox(client: DotdigitalClient, box: SandboxApp, person: Person) -> None:
    """What a call costs must be the same in the account and in our books, or the budget is spent twice."""
    number = person(EMAIL).id
    made = [
        client.find(EMAIL),
        client.create("new@example.com", b"{}", "unsubscribed"),
        client.upsert_by_email(EMAIL, b"{}"),
        client.update_by_id(number, b"{}"),
        client.delete("new@example.com"),
        client.import_contacts([ImportContact(EMAIL, b"{}")]),
        anext(client.contacts_since(None)),
        client.ensure_collection("Orders", "contact", "orders"),
        client.collections(),
        client.schema("Orders"),
        client.put_record("Orders", "1", b"{}", EMAIL),
        client.delete_record("Orders", "1", EMAIL),
        client.delete_records("Orders", ["1"], EMAIL),
        anext(client.records("Orders", "contact")),
        client.lists(),
        client.create_list("More"),
        client.leave_list(7, number),
        client.programs(),
        client.enrol(5, [number]),
        client.import_events([]),
        client.unsubscribe(EMAIL),
        client.suppress([EMAIL]),
        anext(client.unsubscribed_since(0)),
        anext(client.suppressed_since(0)),
        client.data_fields(),
        client.create_data_field("NEW", "String"),
        client.account(),
    ]
    seen: list[tuple[str, str]] = []
    transport = client._transport

    async def spy(request: httpx.Request) -> None:
        seen.append((request.method, urlsplit(str(request.url)).path))

    for connection in transport._connections._all:
        connection.event_hooks["request"].append(spy)
    asked: list[Tier] = []
    transport._observe = lambda call: asked.append(call.tier)
    for work in made:
        # Whether the call succeeds is not the question here.
        with contextlib.suppress(DotdigitalError):
            await work
    assert len(asked) == len(seen) == len(made)
    for tier, (method, path) in zip(asked, seen, strict=True):
        theirs = tier_of(method, path)
        assert tier is (Tier(theirs) if theirs else Tier.UNLIMITED), (method, path)


@pytest.mark.parametrize("switch", ["unauthorized", "wrong_region"])
async def test_no_secret_is_shown(client: DotdigitalClient, box: SandboxApp, switch: str) -> None:
    box.faults.update({switch: True})
    with pytest.raises(AccessError) as caught:
        await client.find(EMAIL)
    shown = "".join(traceback.format_exception(caught.value)) + repr(vars(client)) + repr(vars(client._transport))
    assert PASSWORD not in shown and USER not in shown
