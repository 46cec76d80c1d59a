"""What writes may and may not do to the e-mail channel."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from testkit.sandbox import SandboxConfig, create_app
from testkit.sandbox.consent import HARD_STATUSES

pytestmark = pytest.mark.asyncio

ANN = "/contacts/v3/email/ann%40example.com"


def channel(**members: object) -> dict[str, Any]:
    return {"identifiers": {"email": "ann@example.com"}, "channelProperties": {"email": members}}


async def seed(api: httpx.AsyncClient, status: str) -> None:
    reply = await api.post("/_sandbox/contacts", json={"contacts": [{"email": "ann@example.com", "status": status}]})
    assert reply.status_code == 201


def status(reply: httpx.Response) -> str:
    found: str = reply.json()["channelProperties"]["email"]["status"]
    return found


@pytest.mark.parametrize("before", ["unsubscribed", "pendingOptIn", "softBounced", *sorted(HARD_STATUSES)])
async def test_data_is_accepted_and_the_status_stays(api: httpx.AsyncClient, before: str) -> None:
    await seed(api, before)
    body = {"identifiers": {"email": "Ann@example.com"}, "dataFields": {"FIRSTNAME": "Ann"}}
    reply = await api.patch(ANN, json=body)
    assert (reply.status_code, status(reply)) == (200, before)
    assert reply.json()["dataFields"] == {"FIRSTNAME": "Ann"}


@pytest.mark.parametrize("wanted", ["subscribed", "unsubscribed", "suppressed"])
async def test_a_new_contact_takes_the_status_it_is_given(api: httpx.AsyncClient, wanted: str) -> None:
    assert status(await api.patch(ANN, json=channel(status=wanted))) == wanted


@pytest.mark.parametrize("before", ["pendingOptIn", *sorted(HARD_STATUSES)])
async def test_subscribing_a_waiting_or_barred_contact_is_refused_whole(api: httpx.AsyncClient, before: str) -> None:
    await seed(api, before)
    reply = await api.patch(ANN, json=channel(status="subscribed") | {"dataFields": {"FIRSTNAME": "Ann"}})
    assert (reply.status_code, reply.json()["errorCode"]) == (400, "contacts:badRequest")
    assert (await api.get(ANN)).json()["dataFields"] == {}


@pytest.mark.parametrize(("silent", "after"), [(None, "subscribed"), (True, "subscribed"), (False, "unsubscribed")])
async def test_resubscribing_follows_the_challenge_option(api: httpx.AsyncClient, silent: bool | None, after: str) -> None:
    await seed(api, "unsubscribed")
    options = {} if silent is None else {"resubscribeOptions": {"resubscribeWithNoChallenge": silent}}
    assert status(await api.patch(ANN, json=channel(status="subscribed", **options))) == after


async def test_resubscribe_options_are_not_for_a_create(api: httpx.AsyncClient) -> None:
    reply = await api.post("/contacts/v3", json=channel(resubscribeOptions={}))
    assert reply.json()["errorCode"] == "contacts:invalidValue"


@pytest.mark.parametrize(
    ("before", "after"),
    [("subscribed", "unsubscribed"), ("pendingOptIn", "unsubscribed"), ("suppressed", "suppressed")],
)
async def test_an_opt_out_tightens_and_never_loosens(api: httpx.AsyncClient, before: str, after: str) -> None:
    await seed(api, before)
    assert status(await api.patch(ANN, json=channel(status="unsubscribed"))) == after


async def test_types_are_read_back_in_another_casing(api: httpx.AsyncClient) -> None:
    reply = await api.patch(ANN, json=channel(emailType="plainText", optInType="single"))
    shown = {"emailType": "PlainText", "optInType": "Single", "status": "subscribed"}
    assert reply.json()["channelProperties"]["email"] == shown


async def test_verified_double_waits_for_the_holder_once(api: httpx.AsyncClient) -> None:
    await api.patch(ANN, json=channel())
    assert status(await api.patch(ANN, json=channel(optInType="verifiedDouble"))) == "pendingOptIn"
    await api.post("/_sandbox/contacts", json={"contacts": [{"email": "ann@example.com", "optInType": "VerifiedDouble"}]})
    assert status(await api.patch(ANN, json=channel(optInType="verifiedDouble"))) == "subscribed"


async def test_an_account_may_enforce_double_opt_in() -> None:
    app = create_app(SandboxConfig("user", "password", lists={1: "News"}, enforce_double_opt_in=True))
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://sandbox", auth=("user", "password")
    ) as api:
        reply = await api.patch(ANN, json=channel() | {"lists": [1]})
    assert (reply.json()["status"], status(reply)) == ("pendingOptIn", "pendingOptIn")
    assert reply.json()["lists"][0]["status"] == "pending"


async def test_an_unsubscribed_contact_stays_so_through_the_bin(api: httpx.AsyncClient) -> None:
    await seed(api, "unsubscribed")
    await api.delete(ANN)
    assert status(await api.patch(ANN, json=channel())) == "unsubscribed"


async def test_the_contacts_own_status_knows_fewer_values(api: httpx.AsyncClient) -> None:
    await seed(api, "hardBounced")
    assert (await api.get(ANN)).json()["status"] == "suppressed"
    await seed(api, "softBounced")
    assert (await api.get(ANN)).json()["status"] == "subscribed"


async def test_phone_channels_keep_their_own_status(api: httpx.AsyncClient) -> None:
    body = {
        "identifiers": {"mobileNumber": "+353871234567"},
        "channelProperties": {"sms": {"status": "subscribed"}, "whatsApp": {"status": "unsubscribed"}},
    }
    reply = await api.post("/contacts/v3", json=body)
    assert reply.json()["status"] == "subscribed"
    assert reply.json()["channelProperties"] == {
        "sms": {"countryCode": "IE", "status": "subscribed"},
        "whatsApp": {"status": "unsubscribed"},
    }
    opened = await api.patch("/contacts/v3/mobileNumber/353871234567", json={"identifiers": {"email": "a@example.com"}})
    assert status(opened) == "subscribed"


async def test_losing_the_address_does_not_lose_the_opt_out(api: httpx.AsyncClient) -> None:
    both = {"email": "ann@example.com", "mobileNumber": "447123123123"}
    await api.post("/contacts/v3", json=channel(status="unsubscribed") | {"identifiers": both})
    await api.put(ANN, json={"identifiers": {"mobileNumber": "447123123123"}})
    reply = await api.patch("/contacts/v3/mobileNumber/447123123123", json=channel())
    assert status(reply) == "unsubscribed"
