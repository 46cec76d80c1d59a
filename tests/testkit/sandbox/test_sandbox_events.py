"""Custom events: accepted in batches, without a report."""

from __future__ import annotations

import httpx
import pytest

from tests.testkit.sandbox.calls import add

IMPORT = "/events/v3/import"


def event(name: str = "ann", **members: object) -> dict[str, object]:
    identity = {"identifier": "email", "value": f"{name}@example.com"}
    return {"contactIdentity": identity, "type": "Refund", **members}


async def test_events_are_kept_for_contacts_that_exist(api: httpx.AsyncClient) -> None:
    (ann,) = await add(api, "ann")
    rich = event(
        id="CN1",
        eventTimestamp="2025-02-01T10:00:00Z",
        timelineDetails={"summary": "Refunded"},
        eventData={"total": 10.5},
    )
    reply = await api.post(IMPORT, json=[rich, event("nobody"), event()])
    assert (reply.status_code, reply.content) == (202, b"")
    assert (await api.get("/_sandbox/events")).json()["events"] == [
        {
            "contactId": ann,
            "type": "Refund",
            "id": "CN1",
            "eventTimestamp": "2025-02-01T10:00:00.000Z",
            "timelineDetails": {"summary": "Refunded"},
            "eventData": {"total": 10.5},
        },
        {
            "contactId": ann,
            "type": "Refund",
            "id": None,
            "eventTimestamp": "2025-03-01T09:30:00.000Z",
            "timelineDetails": None,
            "eventData": None,
        },
    ]


@pytest.mark.parametrize(
    "bad",
    [
        [],
        {},
        [event()] * 5001,
        ["x"],
        [{"type": "Refund"}],
        [event(type="")],
        [event(type="x" * 81)],
        [event(eventTimestamp="yesterday")],
        [event(timelineDetails={"summary": "x" * 161})],
        [event(eventData=[])],
    ],
)
async def test_one_malformed_event_refuses_the_batch(api: httpx.AsyncClient, bad: object) -> None:
    await add(api, "ann")
    reply = await api.post(IMPORT, json=[event(), *bad] if isinstance(bad, list) and 0 < len(bad) < 9 else bad)
    assert (reply.status_code, reply.json()["errorCode"]) == (400, "events:badJson")
    assert (await api.get("/_sandbox/events")).json()["events"] == []
