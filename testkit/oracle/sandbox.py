"""The state of a Dotdigital sandbox, read over its admin calls."""

import json
from decimal import Decimal
from typing import Any

import httpx

from streams.core.errors import OwddError
from testkit.oracle.account import Account, Actual, Collection, Event, Record
from testkit.oracle.difference import instant

ADMIN = "/_sandbox/"
_TIMEOUT_S = 120.0


class SandboxError(OwddError):
    """The sandbox cannot be reached, or what it answers is not a sandbox's state."""


def read_account(url: str, client: httpx.Client | None = None) -> Account:
    """Everything that the oracle compares of the sandbox at ``url``; contacts in the bin included, as such.

    Raises:
        SandboxError: no connection, an HTTP error, or an answer of another shape.
    """
    with client or httpx.Client(timeout=_TIMEOUT_S) as http:
        state, records, events, programs = (
            _get(http, url.rstrip("/") + ADMIN + name) for name in ("state", "records", "events", "programs")
        )
    try:
        return Account(
            contacts=tuple(_contact(contact) for contact in state["contacts"] if contact["email"]),
            lists={book["id"]: book["name"] for book in state["lists"]},
            collections=tuple(_collection(collection) for collection in records["collections"]),
            events=tuple(Event(event["contactId"], event["type"], event["id"]) for event in events["events"]),
            programs={program["id"]: tuple(program["contacts"]) for program in programs["programs"]},
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise SandboxError(f"{url}: unexpected shape ({error!r}): sandbox and client versions differ") from error


def _get(http: httpx.Client, target: str) -> Any:
    try:
        answer = http.get(target).raise_for_status()
        # Amounts are compared exactly: never through a binary float.
        return json.loads(answer.text, parse_float=Decimal)
    except httpx.HTTPStatusError as error:
        raise SandboxError(f"{target} answered {error.response.status_code}: is this a sandbox?") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise SandboxError(f"{target} cannot be reached ({error}): start the sandbox or correct --url") from error
    except ValueError as error:
        raise SandboxError(f"{target} did not answer JSON: is this a sandbox?") from error


def _contact(contact: dict[str, Any]) -> Actual:
    return Actual(
        email=contact["email"],
        status=contact["status"],
        fields=dict(contact["dataFields"]),
        binned=bool(contact["binned"]),
        id=contact["contactId"],
        lists=tuple(contact["lists"]),
        created=instant(contact["created"]),
    )


def _collection(collection: dict[str, Any]) -> Collection:
    records = (Record(row["key"], row.get("ownerContactId"), row["json"]) for row in collection["records"])
    return Collection(collection["name"], collection["scope"], collection["type"], tuple(records))
