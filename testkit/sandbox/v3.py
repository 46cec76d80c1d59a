"""What the v3 services beside single contacts share: bodies of imports, contacts in paths, pages."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from testkit.sandbox.codec import BadJsonError, loads
from testkit.sandbox.error_replies import ApiError, invalid_filter, invalid_value, v3_error
from testkit.sandbox.identifiers import normalise
from testkit.sandbox.instants import parse_instant, stamp
from testkit.sandbox.store import Contact, Store

MAX_LIMIT = 5000
_SINCE = re.compile(r"gte::(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z)")
NUMBER = re.compile(r"\d{1,18}", re.ASCII)

Query = Mapping[str, list[str]]


async def json_body(request: Request, service: str, most: int | None = None) -> Any:
    """The parsed body. Raises ApiError 400 `<service>:badJson`, or 413 above `most` bytes.

    The status for an import above its size limit is not published; 413 is what gateways answer.
    """
    raw = await request.body()
    if most is not None and len(raw) > most:
        raise v3_error(413, "server:badRequest", f"The request body is larger than {most} bytes")
    try:
        return loads(raw)
    except BadJsonError:
        raise v3_error(400, f"{service}:badJson", "The request body is not valid JSON") from None


def find_contact(store: Store, kind: str, value: object) -> Contact | None:
    """The contact outside the bin that an identifier names. Raises ApiError 400 `contacts:invalidId`."""
    found = store.find(kind, normalise(kind, value, store.config.custom_identifiers))
    return None if found is None or found.binned is not None else found


def in_service(error: ApiError, service: str) -> ApiError:
    """`error` under the name of another service, as each v3 service prefixes its own codes."""
    _, _, code = str(error.body["errorCode"]).partition(":")
    return ApiError(error.status, {**error.body, "errorCode": f"{service}:{code}"})


def last(query: Query, name: str) -> str | None:
    return query[name][-1] if name in query else None


def page_limit(query: Query) -> int:
    """`limit`, 1 to 5000. Raises ApiError 400."""
    limit = last(query, "limit")
    if limit is not None and (NUMBER.fullmatch(limit) is None or not 1 <= int(limit) <= MAX_LIMIT):
        raise invalid_value([("limit", f"must be between 1 and {MAX_LIMIT}")])
    return MAX_LIMIT if limit is None else int(limit)


def since(text: str) -> str:
    """The stamp in a `gte::` filter. Raises ApiError 400 `contacts:invalidFilter`."""
    form = _SINCE.fullmatch(text)
    moment = parse_instant(form[1]) if form else None
    if moment is None:
        raise invalid_filter(f"The filter value '{text}' is invalid")
    return stamp(moment)


def read_marker(marker: str | None) -> int:
    """What the last page ended with; 0 at the start. Raises ApiError 400."""
    if marker is None:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(marker).decode().partition(":")
        if word == "after":
            return int(number)
    except (binascii.Error, ValueError):
        pass
    raise invalid_value([("marker", "is not a marker of this listing")])


def links(request: Request, query: Query, after: int, following: int | None) -> dict[str, dict[str, str]]:
    """`self`, `first` and, unless this is the last page, `next`."""
    places = {"self": after, "first": 0}
    if following is not None:
        places["next"] = following
    return {name: _link(request, query, place) for name, place in places.items()}


def _link(request: Request, query: Query, after: int) -> dict[str, str]:
    marker = base64.urlsafe_b64encode(f"after:{after}".encode()).decode()
    rest = {name: values for name, values in query.items() if name != "marker"}
    text = urlencode(rest | {"marker": [marker]}, doseq=True)
    return {"marker": marker, "link": f"{request.url.scheme}://{request.url.netloc}{request.url.path}?{text}"}
