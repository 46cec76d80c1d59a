"""Every call that the sandbox serves: the path template that the log counts it under, and the tier that pays for it.

Dotdigital publishes the tiers (low for bulk, medium, high for light single calls, unlimited for polling and sends) but
not which call falls in which; the tiers below are the sandbox's reading of those words.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

LOW = "lowCallRate"
MEDIUM = "mediumCallRate"
HIGH = "highCallRate"
TIERS = (LOW, MEDIUM, HIGH)
OTHER = "(other)"


class Call(NamedTuple):
    """A path template and the tier of its calls; a tier of None is never counted."""

    route: str
    tier: str | None


_CONTACT = Call("/contacts/v3/{identifier}/{value}", HIGH)
_ONE = "/contacts/v3/"
_UNKNOWN = Call(OTHER, HIGH)
_RECORDS = "/insightData/v3/contacts/{identifier}/{value}/{collectionName}"
_BOOK = "/v2/address-books/{id}"

_CALLS: tuple[tuple[str | None, tuple[str, ...]], ...] = (
    (
        None,
        (
            "/contacts/v3/import/{importId}",
            "/contacts/v3/delete/{deleteId}",
            "/insightData/v3/import/{importId}",
            "/insightData/v3/async/{jobId}",
            "/v2/account-info",
            "/v2/server-time",
            "/v2/contacts/deletion/{id}",
            "/v2/programs/enrolments/{id}",
            "/v2/programs/enrolments/{id}/report-faults",
        ),
    ),
    (
        LOW,
        (
            "/contacts/v3/import",
            "/contacts/v3/delete",
            "/insightData/v3/import",
            "/insightData/v3/accounts/{collectionName}/deleteRecords",
            "/insightData/v3/collections/{collectionName}/empty",
            f"{_RECORDS}/deleteRecords",
            f"{_RECORDS}/empty",
            "/events/v3/import",
            f"{_BOOK}/contacts/delete",
            f"{_BOOK}/contacts/delete-all",
            "/v2/accounts/empty-recycle-bin",
            "/v2/contacts/suppress-contacts",
            "/v2/programs/enrolments",
        ),
    ),
    (
        MEDIUM,
        (
            "/insightData/v3/collections",
            "/insightData/v3/collections/{collectionName}",
            "/insightData/v3/collections/{collectionName}/schema",
            "/insightData/v3/account",
            "/insightData/v3/account/{collectionName}",
            "/insightData/v3/contacts/{collectionName}",
            "/insightData/v3/contacts/{identifier}/{value}",
            _RECORDS,
            "/v2/address-books",
            _BOOK,
            f"{_BOOK}/contacts",
            "/v2/contacts/modified-since/{date}",
            "/v2/contacts/suppressed-since/{date}",
            "/v2/contacts/unsubscribed-since/{date}",
            "/v2/data-fields",
            "/v2/data-fields/{name}",
            "/v2/programs",
            "/v2/programs/{id}",
        ),
    ),
    (
        HIGH,
        (
            "/contacts/v3",
            "/insightData/v3/account/{collectionName}/{recordId}",
            f"{_RECORDS}/{{recordId}}",
            f"{_BOOK}/contacts/{{contactId}}",
            "/v2/contacts/resubscribe",
            "/v2/contacts/resubscribe-with-no-challenge",
            "/v2/contacts/unsubscribe",
            "/v2/contacts/{id}",
            "/v2/contacts/{id}/address-books",
        ),
    ),
)


def _all() -> Iterator[Call]:
    for tier, routes in _CALLS:
        for route in routes:
            yield Call(route, tier)


_FIXED = {call.route: call for call in _all() if "{" not in call.route}
_PATTERNS = tuple((re.compile(re.sub(r"\{\w+\}", "[^/]+", call.route)), call) for call in _all() if "{" in call.route)


def call_of(path: str) -> Call:
    """The call that `path`, as sent and without its query, belongs to; `(other)` for what is not served."""
    if path.startswith(_ONE):
        rest = path[len(_ONE) :]
        if "/" in rest and not rest.startswith(("import/", "delete/")):
            return _CONTACT
    found = _FIXED.get(path)
    if found is None:
        found = next((call for pattern, call in _PATTERNS if pattern.fullmatch(path)), _UNKNOWN)
    return found


def tier_of(method: str, path: str) -> str | None:
    """The tier of a call; reading the contacts page by page is bulk, writing one is not."""
    call = call_of(path)
    return MEDIUM if call.route == "/contacts/v3" and method == "GET" else call.tier
