"""The v2 calls about the account itself: information, server time, data fields."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from testkit.sandbox import v2
from testkit.sandbox.error_replies import json_response
from testkit.sandbox.faults import Faults
from testkit.sandbox.store import Store

_FLAT_LIMIT = 2000
"""What account information speaks of, also where tiers or nothing bound the calls."""


class Account:
    """Handlers under `/v2`."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    async def info(self, request: Request) -> Response:
        """`{id, properties: [{name, type, value}]}`, every value a string; `ApiEndpoint` is where to call."""
        allowed = self._store.limits.flat or _FLAT_LIMIT
        used = self._store.log.last_hour(self._store.clock().timestamp())
        endpoint = f"{request.url.scheme}://{request.url.netloc}/"
        if self._faults.settings.wrong_region:
            # Never a real host: a client that follows it must not leave the test bed with its credentials.
            endpoint = "https://r2-api.dotdigital.invalid/"
        properties = (
            ("Name", "String", "Sandbox"),
            ("MainEmail", "String", self._store.config.user),
            ("ApiEndpoint", "String", endpoint),
            ("ApiCallsInLastHour", "Int", str(used)),
            ("ApiCallsRemaining", "Int", str(max(0, allowed - used))),
            ("APILocale", "String", "en-GB"),
            ("CurrencyCode", "String", "GBP"),
            ("TimeZoneIana", "String", "Europe/London"),
        )
        rows = [{"name": name, "type": kind, "value": value} for name, kind, value in properties]
        return json_response({"id": 1, "properties": rows})

    async def server_time(self, _request: Request) -> Response:
        """UTC as plain text, with a blank between date and time as in the specification's example."""
        return PlainTextResponse(str(self._store.clock()))

    async def data_fields(self, _request: Request) -> Response:
        return json_response([made.as_reply() for made in self._store.fields])

    async def create_data_field(self, request: Request) -> Response:
        members = await v2.object_body(request)
        made = self._store.fields.define(
            members.get("name"),
            members.get("type"),
            members.get("visibility") or "Private",
            members.get("defaultvalue"),
        )
        return json_response(made.as_reply(), 201)

    async def delete_data_field(self, request: Request) -> Response:
        """Every value of the field goes with it; nothing in the sandbox depends on a field."""
        name = self._store.fields.remove(request.path_params["name"])
        for contact in self._store:
            contact.data.pop(name, None)
        return json_response({"dependencies": None, "result": True})
