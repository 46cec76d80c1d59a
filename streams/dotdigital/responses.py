"""Responses as typed values. A response without its documented form is an error; additional members are ignored.

Dotdigital adds members without notice, and clients with strict models broke when it did.
"""

from datetime import UTC, datetime
from typing import TypeVar

import httpx
import msgspec

from streams.dotdigital.errors import ConnectivityError

T = TypeVar("T")


class ApiModel(msgspec.Struct, rename="camel", gc=False):
    """Base of the models of responses; members that a model does not name are ignored."""


class Identifiers(ApiModel):
    """A contact's identifiers."""

    email: str | None = None
    contact_id: int | str | None = None


class Accepted(ApiModel):
    """The response to an import that was accepted."""

    import_id: str


def read(response: httpx.Response, operation: str, form: type[T]) -> T:
    """The response's body as ``form``.

    Raises:
        ConnectivityError: the body is not JSON (``not-json``) or has another form (``unexpected``); the call may have worked.
    """
    # The decoder's message is dropped with its exception: it could quote the body, which contains personal data.
    try:
        return msgspec.json.decode(response.content, type=form)
    except msgspec.ValidationError:
        raise ConnectivityError(operation, "unexpected") from None
    except msgspec.DecodeError:
        raise ConnectivityError(operation, "not-json") from None


def seconds(text: str | None) -> int:
    """UTC epoch seconds of a date, 0 if it is missing or unreadable.

    v2 puts a blank between date and time, and may leave out the zone, which is UTC then.
    """
    try:
        moment = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return 0
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def stamp(moment: int) -> str:
    """A moment (UTC epoch seconds) in the form that filters and paths need."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def address(text: str | None) -> str:
    """An address of a response in the form that we compare, lower-cased and trimmed; empty if there is none."""
    return (text or "").strip().lower()
