"""The v2 calls that a v3 integration still needs: account information, server time, data fields.

v2 keys are matched without regard to case, as connectors send both camelCase and PascalCase.
"""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response

from streams.sandbox.codec import BadJsonError, loads
from streams.sandbox.errors import json_response, v2_error
from streams.sandbox.faults import Faults
from streams.sandbox.store import Store

_FLAT_LIMIT = 2000


class Account:
    """Handlers under `/v2`."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults

    async def info(self, request: Request) -> Response:
        """`{id, properties: [{name, type, value}]}`, every value a string; `ApiEndpoint` is where to call."""
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
            ("ApiCallsRemaining", "Int", str(max(0, _FLAT_LIMIT - used))),
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
        try:
            members = loads(await request.body())
        except BadJsonError:
            members = None
        if not isinstance(members, dict):
            raise v2_error(400, "The request body is not a JSON object. ERROR_MALFORMED_REQUEST")
        folded = {name.lower(): value for name, value in members.items()}
        made = self._store.fields.define(
            folded.get("name"),
            folded.get("type"),
            folded.get("visibility") or "Private",
            folded.get("defaultvalue"),
        )
        return json_response(made.as_reply(), 201)
