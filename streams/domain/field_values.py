"""Values of a contact's data fields: whether what Dotdigital shows is what was sent. Pure."""

from contextlib import suppress
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any


def same(one: Any, other: Any) -> bool:
    """Whether two values of a data field are the same: Dotdigital writes numbers, times and empty values its own way."""
    return bool(_folded(one) == _folded(other))


def _folded(value: Any) -> Any:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or str(value).lower() in ("true", "false"):
        return str(value).lower()
    with suppress(InvalidOperation):
        # "Nan" is a name, and an account may be called SNAN001: as numbers they equal nothing, themselves included.
        if (number := Decimal(str(value))).is_finite():
            return number
    with suppress(ValueError):
        found = datetime.fromisoformat(str(value))
        return found if found.tzinfo is not None else found.replace(tzinfo=UTC)
    return str(value)
