"""Consent over v2, and the listings of what changed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

import httpx
import pytest

from tests.testkit.sandbox.calls import add, read

HOUR = timedelta(hours=1)
SINCE = "2025-03-01T10:00:00Z"
Advance = Callable[[timedelta], None]


async def status(api: httpx.AsyncClient, name: str = "ann") -> str:
    found: str = (await read(api, name)).json()["channelProperties"]["email"]["status"]
    return found


async def emails(api: httpx.AsyncClient, feed: str, since: str = SINCE) -> list[str]:
    rows = (await api.get(f"/v2/contacts/{feed}-since/{since}")).json()
    return [row.get("suppressedContact", row)["email"][0] for row in rows]


async def test_an_unsubscribe_is_seen_in_v3_and_in_the_feed(api: httpx.AsyncClient, advance: Advance) -> None:
    (ann,) = await add(api, "ann")
    advance(HOUR)
    removal = {
        "suppressedContact": {
            "id": ann,
            "email": "ann@example.com",
            "optInType": "Unknown",
            "emailType": "Html",
            "dataFields": None,
            "status": "Unsubscribed",
        },
        "dateRemoved": "2025-03-01T10:30:00.000Z",
        "reason": "Unsubscribed",
    }
    assert (await api.post("/v2/contacts/unsubscribe", json={"Email": "ANN@example.com"})).json() == removal
    assert await status(api) == "unsubscribed"
    advance(HOUR)
    await api.patch("/contacts/v3/email/ann%40example.com", json={"dataFields": {"FIRSTNAME": "Ann"}})
    assert (await api.get(f"/v2/contacts/unsubscribed-since/{SINCE}")).json() == [removal]


async def test_the_feeds_hold_what_their_names_say(api: httpx.AsyncClient, advance: Advance) -> None:
    await add(api, "a", "b", "c", "d")
    advance(HOUR)
    await api.post("/v2/contacts/unsubscribe", json={"email": "a@example.com"})
    await api.put("/v2/contacts/suppress-contacts", json=[{"email": "b@example.com"}])
    await api.patch("/contacts/v3/email/c%40example.com", json={"dataFields": {"FIRSTNAME": "C"}})
    assert await emails(api, "unsubscribed") == ["a"]
    assert await emails(api, "suppressed") == ["a", "b"]
    assert await emails(api, "modified") == ["a", "b", "c"]
    assert await emails(api, "modified", "2025-03-01") == ["a", "b", "c", "d"]
    assert await emails(api, "suppressed", "2025-03-01T11:00:00Z") == []
    await api.delete("/contacts/v3/email/a%40example.com")
    assert await emails(api, "unsubscribed") == []


async def test_feeds_come_in_pages_and_with_data_on_request(api: httpx.AsyncClient) -> None:
    await add(api, "a", "b", dataFields={"FIRSTNAME": "A"})
    feed = "/v2/contacts/modified-since/2025-01-01"
    (last,) = (await api.get(f"{feed}?select=1&skip=1&withFullData=true")).json()
    assert (last["email"], last["dataFields"]) == ("b@example.com", [{"key": "FIRSTNAME", "value": "A"}])
    assert (await api.get(f"{feed}?skip=2")).json() == []
    assert (await api.get(f"{feed}?select=2001")).status_code == 400
    assert (await api.get("/v2/contacts/modified-since/lately")).json()["message"].endswith("ERROR_PARAMETER_INVALID")


async def test_suppression_distinguishes_found_from_unknown(api: httpx.AsyncClient) -> None:
    (ann,) = await add(api, "ann")
    await add(api, "bob", status="hardBounced")
    rows = [{"id": ann}, {"email": "bob@example.com"}, {"email": "nobody@example.com"}, {"id": 9}]
    reply = await api.put("/v2/contacts/suppress-contacts", json=rows)
    assert reply.json() == {
        "suppressed": [{"id": ann, "email": None}, {"id": 0, "email": "bob@example.com"}],
        "notFound": [{"id": 0, "email": "nobody@example.com"}, {"id": 9, "email": None}],
    }
    assert (await status(api), await status(api, "bob")) == ("suppressed", "hardBounced")
    assert (await api.put("/v2/contacts/suppress-contacts", json=[])).status_code == 400


@pytest.mark.parametrize(
    ("before", "path", "answer", "after"),
    [
        ("unsubscribed", "resubscribe", "ContactChallenged", "unsubscribed"),
        ("unsubscribed", "resubscribe-with-no-challenge", "ContactAdded", "subscribed"),
        ("subscribed", "resubscribe", "ContactAdded", "subscribed"),
        ("suppressed", "resubscribe", "ContactCannotBeUnsuppressed", "suppressed"),
        ("hardBounced", "resubscribe-with-no-challenge", "ContactCannotBeUnsuppressed", "hardBounced"),
    ],
)
async def test_a_resubscription_is_challenged_done_or_impossible(
    api: httpx.AsyncClient, before: str, path: str, answer: str, after: str
) -> None:
    await add(api, "ann", status=before)
    reply = await api.post(f"/v2/contacts/{path}", json={"unsubscribedContact": {"email": "ann@example.com"}})
    assert (reply.json()["status"], await status(api)) == (answer, after)


async def test_an_unsubscribe_does_not_soften_a_suppression(api: httpx.AsyncClient) -> None:
    await add(api, "ann", status="suppressed")
    reply = await api.post("/v2/contacts/unsubscribe", json={"email": "ann@example.com"})
    assert (reply.json()["reason"], await status(api)) == ("Suppressed", "suppressed")


@pytest.mark.parametrize(
    ("path", "body", "answer"),
    [
        ("unsubscribe", {"email": "no@example.com"}, (404, "ERROR_CONTACT_NOT_FOUND")),
        ("unsubscribe", {"email": "no"}, (400, "ERROR_INVALID_EMAIL")),
        ("unsubscribe", [], (400, "ERROR_MALFORMED_REQUEST")),
        ("resubscribe", {"email": "no@example.com"}, (400, "ERROR_INVALID_EMAIL")),
    ],
)
async def test_who_cannot_be_found_is_an_error(
    api: httpx.AsyncClient, path: str, body: object, answer: tuple[int, str]
) -> None:
    reply = await api.post(f"/v2/contacts/{path}", json=body)
    assert (reply.status_code, reply.json()["message"].rsplit(" ", 1)[-1]) == answer
