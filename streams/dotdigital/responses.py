"""Answers as typed values: what does not have the documented form is not believed, what was added to it is ignored."""

from datetime import UTC, datetime
from typing import TypeVar

import httpx
import msgspec

from streams.dotdigital.errors import ConnectivityError

T = TypeVar("T")


class ApiModel(msgspec.Struct, rename="camel", gc=False):
    """Base of what answers are read into; members that are not named are ignored."""


class Identifiers(ApiModel):
    """Who a contact is."""

    email: str | None = None
    contact_id: int | str | None = None


class Accepted(ApiModel):
    """The answer to an import that is accepted."""

    import_id: str


def read(answer: httpx.Response, operation: str, form: type[T]) -> T:
    """The answer's body as ``form``.

    Raises:
        ConnectivityError: it is no JSON (``not-json``) or has another form (``unexpected``); the call may have worked.
    """
    try:
        return msgspec.json.decode(answer.content, type=form)
    except msgspec.ValidationError:
        raise ConnectivityError(operation, "unexpected") from None
    except msgspec.DecodeError:
        raise ConnectivityError(operation, "not-json") from None


def seconds(text: str | None) -> int:
    """UTC epoch seconds of a date, 0 for what is none; v2 puts a blank between date and time, and may leave out the zone."""
    try:
        moment = datetime.fromisoformat((text or "").strip())
    except ValueError:
        return 0
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())


def stamp(moment: int) -> str:
    """A moment (UTC epoch seconds) as filters and paths want it."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z")


def address(text: str | None) -> str:
    """An address of an answer as we compare it; empty for none."""
    return (text or "").strip().lower()
