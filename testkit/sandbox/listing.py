"""`GET /contacts/v3`: contacts outside the bin, page by page.

The specification promises ascending order without a sort parameter; ascending contactId is assumed, which also
makes a marker stable while contacts change. Only `self`, `first` and `next` links are given; a page without `next`
is the last. A field named in `data-fields` is shown as null when it is empty, `[[ALL]]` shows only those that hold
something, so a client must take absent and null alike.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from urllib.parse import parse_qs

from starlette.requests import Request
from starlette.responses import Response

from testkit.sandbox.error_replies import invalid_filter, invalid_value, json_response
from testkit.sandbox.store import Contact, Store
from testkit.sandbox.v3 import NUMBER, Query, last, links, page_limit, read_marker, since
from testkit.sandbox.views import EXPANSIONS, basics, expand

ALL_FIELDS = "[[ALL]]"

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
        following = shown[-1].id if len(found) > page.limit else None
        rows = [self._row(contact, page) for contact in shown]
        return json_response({"_items": rows, "_links": links(request, query, page.after, following)})

    def _row(self, contact: Contact, page: _Page) -> dict[str, object]:
        row = basics(contact)
        if page.fields is None:
            row["dataFields"] = contact.data
        elif page.fields:
            row["dataFields"] = {name: contact.data.get(name) for name in page.fields}
        expand(row, contact, page.wanted, self._store.lists.names)
        return row

    def _parse(self, query: Query) -> _Page:
        return _Page(
            page_limit(query),
            read_marker(last(query, "marker")),
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
    if (text := last(query, "~created")) is not None:
        created = since(text)
        tests.append(lambda contact: contact.created >= created)
    if (text := last(query, "~modified")) is not None:
        modified = since(text)
        tests.append(lambda contact: contact.updated >= modified)
    if (text := last(query, "~listId")) is not None:
        number = _id(text)
        tests.append(lambda contact: number in contact.lists)
    if (text := last(query, "~segmentId")) is not None:
        # Segments are only made in the application, so the account has none.
        raise invalid_filter(f"The segment '{_id(text)}' does not exist")
    return tests


def _id(text: str) -> int:
    if NUMBER.fullmatch(text) is None:
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
