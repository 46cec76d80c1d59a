"""JSON in and out without losing a digit.

orjson reads every fraction as a double, which is exact up to fifteen significant digits. Dotdigital's numeric
fields hold 27 (18 before the point, 9 after), so a body that shows a longer number is read again with `Decimal`.
"""

from __future__ import annotations

import json
import re
from decimal import Decimal

import orjson

_LONG_NUMBER = re.compile(rb"[0-9][0-9.]{15}")


class BadJsonError(ValueError):
    """The bytes are not JSON."""


def loads(raw: bytes) -> object:
    """Parse `raw`; fractions come as float when that is exact and as Decimal otherwise. Raises BadJsonError."""
    try:
        value: object = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        raise BadJsonError(str(error)) from None
    if _LONG_NUMBER.search(raw):
        value = json.loads(raw, parse_float=Decimal)
    return value


def dumps(value: object) -> bytes:
    """Serialise `value`; a Decimal is written digit for digit."""
    return orjson.dumps(value, default=_exact)


def _exact(value: object) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f").encode())
    raise TypeError(f"{type(value).__name__} is not JSON")
