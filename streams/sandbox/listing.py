"""`GET /contacts/v3`: contacts outside the bin, page by page.

The specification promises ascending order without a sort parameter; ascending contactId is assumed, which also
makes a marker stable while contacts change. Only `self`, `first` and `next` links are given; a page without `next`
is the last. A field named in `data-fields` is shown as null when it is empty, `[[ALL]]` shows only those that hold
something, so a client must take absent and null alike.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import islice
from urllib.parse import parse_qs, urlencode

from starlette.requests import Request
from starlette.responses import Response

from streams.sandbox.errors import invalid_filter, invalid_value, json_response
from streams.sandbox.instants import parse_instant, stamp
from streams.sandbox.store import Contact, Store
from streams.sandbox.views import EXPANSIONS, basics, expand

MAX_LIMIT = 5000
ALL_FIELDS = "[[ALL]]"
_SINCE = re.compile(r"gte::(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{3})?Z)")
_NUMBER = re.compile(r"\d{1,18}", re.ASCII)

Query = Mapping[str, list[str]]
Test = Callable[[Contact], bool]


@dataclass(frozen=True, slots=True)
class _Page:
    limit: int
    after: int
    fields: tuple[str, ...] | None
    """Names to show; None for all."""
    wanted: frozenset[str]
    tests: tuple[Test, ...]


class Listing:
    """Handler of the contact listing."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def read(self, request: Request) -> Response:
        query = parse_qs(request.scope["query_string"].decode("latin-1"))
        page = self._parse(query)
        matches = (contact for contact in self._store.after(page.after) if all(test(contact) for test in page.tests))
        found = list(islice(matches, page.limit + 1))
        shown = found[: page.limit]
        markers = {"self": page.after, "first": 0}
        if len(found) > page.limit:
            markers["next"] = shown[-1].id
        links = {name: _link(request, query, after) for name, after in markers.items()}
        return json_response({"_items": [self._row(contact, page) for contact in shown], "_links": links})

    def _row(self, contact: Contact, page: _Page) -> dict[str, object]:
        row = basics(contact)
        if page.fields is None:
            row["dataFields"] = contact.data
        elif page.fields:
            row["dataFields"] = {name: contact.data.get(name) for name in page.fields}
        expand(row, contact, page.wanted, self._store.config.lists)
        return row

    def _parse(self, query: Query) -> _Page:
        limit = _last(query, "limit")
        if limit is not None and (_NUMBER.fullmatch(limit) is None or not 1 <= int(limit) <= MAX_LIMIT):
            raise invalid_value([("limit", f"must be between 1 and {MAX_LIMIT}")])
        return _Page(
            MAX_LIMIT if limit is None else int(limit),
            _read_marker(_last(query, "marker")),
            self._fields(query),
            _expansions(query),
            tuple(_tests(query)),
        )

    def _fields(self, query: Query) -> tuple[str, ...] | None:
        names = _split(query, "data-fields")
        if ALL_FIELDS in names:
            return None
        found = {name: self._store.fields.find(name) for name in names}
        unknown = [(name, "is not a data field of this account") for name, known in found.items() if known is None]
        if unknown:
            raise invalid_value(unknown)
        return tuple(known.name for known in found.values() if known is not None)


def _tests(query: Query) -> list[Test]:
    if "~created" in query and "~modified" in query:
        raise invalid_filter("~created and ~modified exclude each other")
    if "~listId" in query and "~segmentId" in query:
        raise invalid_filter("~listId and ~segmentId exclude each other")
    tests: list[Test] = []
    if (text := _last(query, "~created")) is not None:
        created = _since(text)
        tests.append(lambda contact: contact.created >= created)
    if (text := _last(query, "~modified")) is not None:
        modified = _since(text)
        tests.append(lambda contact: contact.updated >= modified)
    if (text := _last(query, "~listId")) is not None:
        number = _id(text)
        tests.append(lambda contact: number in contact.lists)
    if (text := _last(query, "~segmentId")) is not None:
        # Segments are only made in the application, so the account has none.
        raise invalid_filter(f"The segment '{_id(text)}' does not exist")
    return tests


def _since(text: str) -> str:
    form = _SINCE.fullmatch(text)
    moment = parse_instant(form[1]) if form else None
    if moment is None:
        raise invalid_filter(f"The filter value '{text}' is invalid")
    return stamp(moment)


def _id(text: str) -> int:
    if _NUMBER.fullmatch(text) is None:
        raise invalid_filter(f"The filter value '{text}' is invalid")
    return int(text)


def _expansions(query: Query) -> frozenset[str]:
    wanted = frozenset(_split(query, "include"))
    unknown = [(name, f"must be one of {', '.join(EXPANSIONS)}") for name in sorted(wanted.difference(EXPANSIONS))]
    if unknown:
        raise invalid_value(unknown)
    return wanted


def _split(query: Query, name: str) -> list[str]:
    """The values of a multiple parameter: sources disagree on pipes, commas or repetition, so all are read."""
    return [part for text in query.get(name, ()) for part in re.split(r"[|,]", text) if part]


def _last(query: Query, name: str) -> str | None:
    return query[name][-1] if name in query else None


def _marker(after: int) -> str:
    return base64.urlsafe_b64encode(f"after:{after}".encode()).decode()


def _read_marker(marker: str | None) -> int:
    if marker is None:
        return 0
    try:
        word, _, number = base64.urlsafe_b64decode(marker).decode().partition(":")
        if word == "after":
            return int(number)
    except (binascii.Error, ValueError):
        pass
    raise invalid_value([("marker", "is not a marker of this listing")])


def _link(request: Request, query: Query, after: int) -> dict[str, str]:
    marker = _marker(after)
    rest = {name: values for name, values in query.items() if name != "marker"}
    text = urlencode(rest | {"marker": [marker]}, doseq=True)
    return {"marker": marker, "link": f"{request.url.scheme}://{request.url.netloc}{request.url.path}?{text}"}
