"""The v3 events service: custom events on a contact's timeline, accepted in batches and never reported on.

The specification gives neither a job id nor a report. An event of an unknown contact is therefore dropped in silence,
which is assumed, and so is that the whole batch is refused for one malformed event.
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from testkit.sandbox.error_replies import ApiError, Detail, v3_error
from testkit.sandbox.instants import parse_instant, stamp
from testkit.sandbox.store import Store
from testkit.sandbox.v3 import find_contact, json_body

MOST_EVENTS = 5000
_TYPE_LIMIT = 80
_SUMMARY_LIMIT = 160


class Events:
    """Handler of `/events/v3/import`."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def start(self, request: Request) -> Response:
        rows = await json_body(request, "events", self._store.config.most_import_bytes)
        if not isinstance(rows, list) or not 1 <= len(rows) <= MOST_EVENTS:
            raise _bad([("(body)", f"must be an array of 1 to {MOST_EVENTS} events")])
        details = [(f"[{position}]{path}", text) for position, row in enumerate(rows) for path, text in _wrong(row)]
        if details:
            raise _bad(details)
        for row in rows:
            self._take(row)
        return Response(status_code=202)

    def _take(self, row: dict[str, Any]) -> None:
        identity = row["contactIdentity"]
        try:
            contact = find_contact(self._store, identity["identifier"], str(identity["value"]))
        except ApiError:
            contact = None
        if contact is None:
            return
        moment = parse_instant(row["eventTimestamp"]) if "eventTimestamp" in row else None
        self._store.events.append(
            {
                "contactId": contact.id,
                "type": row["type"],
                "id": row.get("id"),
                "eventTimestamp": self._store.now() if moment is None else stamp(moment),
                "timelineDetails": row.get("timelineDetails"),
                "eventData": row.get("eventData"),
            }
        )


def _wrong(row: object) -> list[Detail]:
    """What is wrong with one event."""
    if not isinstance(row, dict):
        return [("", "must be an object")]
    identity, kind = row.get("contactIdentity"), row.get("type")
    details: list[Detail] = []
    if not isinstance(identity, dict) or not isinstance(identity.get("identifier"), str) or "value" not in identity:
        details.append((".contactIdentity", "must have identifier and value"))
    if not isinstance(kind, str) or not 1 <= len(kind) <= _TYPE_LIMIT:
        details.append((".type", f"must be text of 1 to {_TYPE_LIMIT} characters"))
    moment = row.get("eventTimestamp")
    if "eventTimestamp" in row and (not isinstance(moment, str) or parse_instant(moment) is None):
        details.append((".eventTimestamp", "must be an ISO-8601 date and time with Z or an offset"))
    timeline = row.get("timelineDetails", {})
    summary = timeline.get("summary", "") if isinstance(timeline, dict) else None
    if not isinstance(summary, str) or len(summary) > _SUMMARY_LIMIT:
        details.append((".timelineDetails", f"must be an object with a summary of at most {_SUMMARY_LIMIT} characters"))
    if not isinstance(row.get("eventData", {}), dict):
        details.append((".eventData", "must be an object"))
    return details


def _bad(details: list[Detail]) -> ApiError:
    return v3_error(400, "events:badJson", "The request JSON is badly formed", details)
