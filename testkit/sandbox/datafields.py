"""Contact data fields: their definitions and what each type accepts.

Limits (name 20 characters, text 1000 characters, numbers 18 digits before and 9 after the point) are those of
Dotdigital's data-field specification and support article. How v3 answers an unknown or ill-typed field is not
published; `contacts:invalidValue` with one detail for each field is assumed. Names match without regard to case,
as Dotdigital's examples mix `firstName` and `FIRSTNAME`, and come back as defined.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC
from decimal import Decimal
from typing import Any

from testkit.sandbox.error_replies import Detail, v2_error
from testkit.sandbox.instants import parse_instant

Scalar = str | int | float | bool | Decimal
"""A stored value; an absent field is an empty one."""

TEXT_LIMIT = 1000
_WHOLE_LIMIT = 10**18
_DECIMAL_PLACES = 9
_NAME = re.compile(r"[A-Za-z0-9_-]{1,20}")
_TYPES = {"string": "String", "numeric": "Numeric", "date": "Date", "boolean": "Boolean"}
_VISIBILITIES = {"private": "Private", "public": "Public"}
_BUILT_IN = {
    "FIRSTNAME": "String",
    "LASTNAME": "String",
    "FULLNAME": "String",
    "GENDER": "String",
    "POSTCODE": "String",
    "LASTSUBSCRIBED": "Date",
}
_RESERVED = frozenset(
    (
        "ACCOUNT",
        "CAMPAIGN",
        "CAMPAIGNID",
        "CONTACT",
        "CONTACT_API_ID",
        "CONTACTID",
        "EMAIL",
        "HCONTACTID",
        "HEMAIL",
        "HEMAIL256",
        "ID",
        "MESSAGECONTENT",
        "MOBILENUMBERID",
        "NOTES",
        "UNSUBSCRIBED",
        "UNIQUECONTACTID",
    )
)


class UnfitError(ValueError):
    """A value that its field cannot hold; the message completes "<field> ..."."""


def _text(value: object) -> Scalar:
    if not isinstance(value, str):
        raise UnfitError("must be text")
    if len(value) > TEXT_LIMIT:
        raise UnfitError(f"must not be longer than {TEXT_LIMIT} characters")
    return value


def _number(value: Any) -> Scalar:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        raise UnfitError("must be a JSON number")
    if not -_WHOLE_LIMIT < value < _WHOLE_LIMIT:
        raise UnfitError("must not have more than 18 digits before the point")
    if not isinstance(value, int) and round(value, _DECIMAL_PLACES) != value:
        raise UnfitError("must not have more than 9 digits after the point")
    return value


def _date(value: object) -> Scalar:
    moment = parse_instant(value) if isinstance(value, str) else None
    if moment is None or not isinstance(value, str):
        raise UnfitError("must be an ISO-8601 date and time with Z or an offset")
    # The platform keeps instants, not offsets: a local time comes back in UTC.
    return value if value.endswith("Z") else moment.astimezone(UTC).isoformat().removesuffix("+00:00") + "Z"


def _flag(value: object) -> Scalar:
    if not isinstance(value, bool):
        raise UnfitError("must be true or false")
    return value


_CHECKS: Mapping[str, Callable[[object], Scalar]] = {
    "String": _text,
    "Numeric": _number,
    "Date": _date,
    "Boolean": _flag,
}


@dataclass(frozen=True, slots=True)
class DataField:
    """One definition, with Dotdigital's own spelling of type and visibility."""

    name: str
    type: str
    visibility: str = "Private"
    default: object = None

    def as_reply(self) -> dict[str, object]:
        reply = asdict(self)
        reply["defaultValue"] = reply.pop("default")
        return reply


class DataFields:
    """The account's definitions."""

    def __init__(self, extra: Mapping[str, str]) -> None:
        """Start with the built-ins and `extra` (name to type). Raises ApiError on a bad name or type."""
        self._extra = dict(extra)
        self._fields: dict[str, DataField] = {}
        self.reset()

    def reset(self) -> None:
        self._fields = {name: DataField(name, kind, "Public") for name, kind in _BUILT_IN.items()}
        for name, kind in self._extra.items():
            if name.upper() not in _BUILT_IN:
                self.define(name, kind)

    def define(self, name: object, kind: object, visibility: object = "Private", default: object = None) -> DataField:
        """Add a definition. Raises ApiError 400 with ERROR_DATAFIELD_INVALID or ERROR_NON_UNIQUE_DATAFIELD."""
        canonical = _TYPES.get(str(kind).lower())
        shown = _VISIBILITIES.get(str(visibility).lower())
        if not isinstance(name, str) or _NAME.fullmatch(name) is None or name.upper() in _RESERVED:
            raise v2_error(400, "The name of the data field cannot be used. ERROR_DATAFIELD_INVALID")
        if canonical is None or shown is None:
            raise v2_error(400, "The type or visibility of the data field is unknown. ERROR_DATAFIELD_INVALID")
        if name.upper() in self._fields:
            raise v2_error(400, "Field already exists. ERROR_NON_UNIQUE_DATAFIELD")
        made = self._fields[name.upper()] = DataField(name, canonical, shown, default)
        return made

    def remove(self, name: str) -> str:
        """Forget a definition; returns its name as defined. Raises ApiError 404 ERROR_DATAFIELD_NOTFOUND."""
        definition = self.find(name)
        if definition is None:
            raise v2_error(404, "Error: ERROR_DATAFIELD_NOTFOUND")
        del self._fields[definition.name.upper()]
        return definition.name

    def restore(self, definitions: Iterable[DataField]) -> None:
        self._fields = {made.name.upper(): made for made in definitions}

    def __iter__(self) -> Iterator[DataField]:
        return iter(self._fields.values())

    def find(self, name: str) -> DataField | None:
        return self._fields.get(name) or self._fields.get(name.upper())

    def check(self, values: Mapping[str, object]) -> tuple[dict[str, Scalar | None], list[Detail]]:
        """Sort `values` into what can be stored, under the defined names (None clears), and what is wrong."""
        accepted: dict[str, Scalar | None] = {}
        rejected: list[Detail] = []
        for name, value in values.items():
            definition = self.find(name)
            if definition is None:
                rejected.append((name, "is not a data field of this account"))
            elif value is None:
                accepted[definition.name] = None
            else:
                try:
                    accepted[definition.name] = _CHECKS[definition.type](value)
                except UnfitError as error:
                    rejected.append((name, str(error)))
        return accepted, rejected
