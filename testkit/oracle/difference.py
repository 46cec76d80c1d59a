"""One thing that is not as the rows say, and when two values are the same."""

from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

Kind = Literal["contact", "record", "catalogue", "list", "follow-up", "erasure", "consent"]


@dataclass(frozen=True, slots=True)
class Difference:
    """One thing that is not as the rows say.

    ``whom`` is the address concerned, empty where it is nobody's; ``field`` the data field, the property of a record, or
    what is wrong; ``key`` the record, list or credit note, where there is one.
    """

    kind: Kind
    whom: str
    field: str
    expected: object
    actual: object
    key: str = ""


def same(expected: object, actual: Any, *, is_date: bool = False) -> bool:
    """Whether the account holds a value; numbers by value, dates by instant, text and flags exactly."""
    if expected is None or actual is None:
        return expected is None and actual is None
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, Decimal | int):
        return number(actual) == expected
    if is_date:
        return instant(actual) == instant(expected)
    return isinstance(actual, str) and actual == expected


def number(value: Any) -> Decimal | None:
    """A JSON number, exactly; text that reads like one is of another type to Dotdigital."""
    return Decimal(str(value)) if isinstance(value, int | float | Decimal) else None


def instant(value: Any) -> datetime | None:
    """The instant of an ISO-8601 text; a text without an offset is UTC, as in Dotdigital's replies."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        return None
    return moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
