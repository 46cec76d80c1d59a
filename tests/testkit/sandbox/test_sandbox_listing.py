"""Paging, filters and expansions of the contact listing."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

pytestmark = pytest.mark.asyncio

LISTING = "/contacts/v3"


async def add(api: httpx.AsyncClient, name: str, **members: object) -> int:
    reply = await api.post(LISTING, json={"identifiers": {"email": f"{name}@example.com"}, **members})
    number: int = reply.json()["contactId"]
    return number


def names(page: dict[str, Any]) -> list[str]:
    return [row["identifiers"]["email"].partition("@")[0] for row in page["_items"]]


async def test_pages_join_up_until_there_is_no_next(api: httpx.AsyncClient) -> None:
    for name in "abcde":
        await add(api, name)
    seen: list[str] = []
    params = {"limit": "2"}
    while True:
        page = (await api.get(LISTING, params=params)).json()
        assert {"self", "first"} <= page["_links"].keys()
        seen += names(page)
        if "next" not in page["_links"]:
            break
        params["marker"] = page["_links"]["next"]["marker"]
    assert seen == list("abcde")


async def test_a_link_can_be_followed_as_it_is(api: httpx.AsyncClient) -> None:
    for name in "abc":
        await add(api, name, dataFields={"FIRSTNAME": name})
    params = {"limit": "2", "data-fields": "FIRSTNAME", "~modified": "gte::2025-01-01T00:00:00Z"}
    page = (await api.get(LISTING, params=params)).json()
    following = (await api.get(page["_links"]["next"]["link"])).json()
    assert names(following) == ["c"]
    assert following["_items"][0]["dataFields"] == {"FIRSTNAME": "c"}
    assert names((await api.get(following["_links"]["first"]["link"])).json()) == ["a", "b"]


async def test_a_plain_row_has_the_least(api: httpx.AsyncClient) -> None:
    await add(api, "a", dataFields={"FIRSTNAME": "A"}, lists=[7])
    row = (await api.get(LISTING)).json()["_items"][0]
    assert row.keys() == {"contactId", "status", "created", "updated", "identifiers"}


async def test_named_fields_are_null_when_empty_and_all_shows_only_the_filled(api: httpx.AsyncClient) -> None:
    await add(api, "a", dataFields={"FIRSTNAME": "A"})
    named = (await api.get(LISTING, params={"data-fields": "firstname|LASTNAME"})).json()
    every = (await api.get(LISTING, params={"data-fields": "[[ALL]]"})).json()
    assert named["_items"][0]["dataFields"] == {"FIRSTNAME": "A", "LASTNAME": None}
    assert every["_items"][0]["dataFields"] == {"FIRSTNAME": "A"}


@pytest.mark.parametrize("query", ["include=channelProperties|lists", "include=channelProperties,lists"])
async def test_expansions_come_in_any_array_style(api: httpx.AsyncClient, query: str) -> None:
    await add(api, "a", lists=[7])
    row = (await api.get(f"{LISTING}?{query}")).json()["_items"][0]
    assert row["channelProperties"]["email"]["status"] == "subscribed"
    assert row["lists"][0]["id"] == 7
    assert "consentRecords" not in row


async def test_filters_by_time_are_inclusive(api: httpx.AsyncClient, advance: Callable[[timedelta], None]) -> None:
    await add(api, "old")
    await add(api, "touched")
    advance(timedelta(minutes=1))
    await add(api, "new")
    await api.patch("/contacts/v3/email/touched%40example.com", json={"dataFields": {"FIRSTNAME": "T"}})
    since = "gte::2025-03-01T09:31:00Z"
    assert names((await api.get(LISTING, params={"~created": since})).json()) == ["new"]
    assert names((await api.get(LISTING, params={"~modified": since})).json()) == ["touched", "new"]
    assert names((await api.get(LISTING, params={"~modified": "gte::2025-03-01T09:31:00.001Z"})).json()) == []


async def test_filter_by_list(api: httpx.AsyncClient) -> None:
    await add(api, "in", lists=[7])
    await add(api, "out")
    assert names((await api.get(LISTING, params={"~listId": 7})).json()) == ["in"]


@pytest.mark.parametrize(
    ("params", "expected"),
    [
        ({"~modified": "2025-01-01T00:00:00Z"}, "contacts:invalidFilter"),
        ({"~modified": "gte::2025-01-01"}, "contacts:invalidFilter"),
        ({"~modified": "gte::2025-13-01T00:00:00Z"}, "contacts:invalidFilter"),
        ({"~modified": "gte::2025-01-01T00:00:00Z", "~created": "gte::2025-01-01T00:00:00Z"}, "contacts:invalidFilter"),
        ({"~listId": "x"}, "contacts:invalidFilter"),
        ({"~listId": "1", "~segmentId": "1"}, "contacts:invalidFilter"),
        ({"~segmentId": "1"}, "contacts:invalidFilter"),
        ({"limit": "0"}, "contacts:invalidValue"),
        ({"limit": "5001"}, "contacts:invalidValue"),
        ({"limit": "x"}, "contacts:invalidValue"),
        ({"marker": "%%%"}, "contacts:invalidValue"),
        ({"data-fields": "NOPE"}, "contacts:invalidValue"),
        ({"include": "everything"}, "contacts:invalidValue"),
    ],
)
async def test_a_bad_query_is_a_400(api: httpx.AsyncClient, params: dict[str, str], expected: str) -> None:
    reply = await api.get(LISTING, params=params)
    assert (reply.status_code, reply.json()["errorCode"]) == (400, expected)
