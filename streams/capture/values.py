"""Checks and types one JSON value of one column.

Every function takes the value and the column's name, and raises ``RecordError`` with a code and the column. The value itself,
which may be personal data, never gets into a message. ``None`` stays ``None``.
"""

import re
import unicodedata
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from html import unescape
from typing import Any

from streams.core.errors import RecordError

_INT64 = 2**63
_INTEGER = re.compile(r"\s*-?[0-9]{1,19}\s*")
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


def integer(value: Any, column: str) -> int | None:
    """A whole number of at most 64 bits. Digits in text are accepted, because some sites store foreign keys as text.

    Raises:
        RecordError: ``bad_integer`` or ``integer_out_of_range``.
    """
    if type(value) is int:
        if -_INT64 <= value < _INT64:
            return value
        raise RecordError("integer_out_of_range", f"{column}: more than 64 bits")
    if value is None:
        return None
    if type(value) is str and _INTEGER.fullmatch(value):
        return integer(int(value), column)
    raise RecordError("bad_integer", f"{column}: not a whole number")


def reference(value: Any, column: str) -> int | None:
    """A foreign key. Orderwise writes both 0 and null for "none"."""
    return integer(value, column) or None


def decimal(value: Any, column: str) -> Decimal | None:
    """An exact number, from text (``decimal.handling.mode=string``) or from a whole number.

    A JSON number with a fraction may have lost digits already, so it is refused. Text is accepted only in the plain notation
    that Debezium writes: the base64 of ``precise`` mode may read ``12E4`` and must not pass for a number.

    Raises:
        RecordError: ``bad_decimal``, ``decimal_as_float`` or ``decimal_out_of_range``.
    """
    if type(value) is str:
        if not _DECIMAL.fullmatch(value):
            raise RecordError("bad_decimal", f"{column}: not a decimal; is decimal.handling.mode 'string'?")
        return _bounded(Decimal(value), column)
    if value is None:
        return None
    if type(value) is int:
        return _bounded(Decimal(value), column)
    if type(value) is float:
        raise RecordError("decimal_as_float", f"{column}: a binary float; set decimal.handling.mode to 'string'")
    raise RecordError("bad_decimal", f"{column}: not a decimal")


def _bounded(number: Decimal, column: str) -> Decimal:
    # Dotdigital holds 18 digits before and 9 after the point; sums of such numbers stay exact in 28 digits.
    exponent = number.as_tuple().exponent
    if number.adjusted() >= 18 or (isinstance(exponent, int) and exponent < -9):
        raise RecordError("decimal_out_of_range", f"{column}: more than 18 digits before or 9 after the point")
    return number


def instant(value: Any, column: str, zone: tzinfo) -> int | None:
    """UTC epoch seconds of a time on the site's wall clock; text with an offset of its own (``datetimeoffset``) keeps it.

    Debezium's ``Z`` is nominal: the column has no zone, so the site's zone replaces it. A bare number is ambiguous, because its
    unit depends on the column's precision, so it is refused. With schemas on, it was converted to text before.

    Raises:
        RecordError: ``bad_time``, ``ambiguous_time`` or ``time_out_of_range``.
    """
    if type(value) is str:
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            # isostring dates read "2026-02-28Z", which fromisoformat does not take.
            try:
                moment = datetime.fromisoformat(value.removesuffix("Z"))
            except ValueError:
                raise RecordError("bad_time", f"{column}: not an ISO 8601 time") from None
        if moment.tzinfo is None or value.endswith("Z"):
            moment = moment.replace(tzinfo=zone)
        try:
            return int(moment.replace(microsecond=0).astimezone(UTC).timestamp())
        except (OverflowError, ValueError):
            raise RecordError("time_out_of_range", f"{column}: beyond the years 1 to 9999") from None
    if value is None:
        return None
    if type(value) in (int, float):
        raise RecordError("ambiguous_time", f"{column}: a bare number; set time.precision.mode to 'isostring'")
    raise RecordError("bad_time", f"{column}: not a time")


def text(value: Any, column: str, longest: int = 1000) -> str | None:
    """Text without surrounding white space, cut to ``longest`` characters (Dotdigital's limit); empty text is None."""
    if type(value) is str:
        return value.replace("\0", "").strip()[:longest] or None
    if value is None:
        return None
    raise RecordError("bad_text", f"{column}: not text")


def name(value: Any, column: str, longest: int = 1000) -> str | None:
    """Text that people read: the name of a person, product or category. Otherwise as :func:`text`.

    Web shops hand names over as HTML, so entities are decoded, once and only whole ones: ``R&D`` and ``&notes`` are no
    entities. Control characters would break up mails and terminals: those that are white space become blanks, others go.

    Raises:
        RecordError: ``bad_text``.
    """
    if type(value) is not str:
        return text(value, column)
    decoded = _ENTITY.sub(lambda found: unescape(found[0]), value) if "&" in value else value
    if not decoded.isprintable():
        decoded = "".join(_printed(character) for character in decoded)
    return text(decoded, column, longest)


def _printed(character: str) -> str:
    if unicodedata.category(character) != "Cc":
        return character
    return " " if character.isspace() else ""


def flag(value: Any, column: str) -> bool:
    """A bit; null is False. Sites also have text columns with ``True`` and ``False``, and columns with 0 and 1."""
    if value is None or type(value) is bool:
        return bool(value)
    if type(value) is int and value in (0, 1):
        return value == 1
    if type(value) is str and value.strip().casefold() in ("true", "false", "0", "1"):
        return value.strip().casefold() in ("true", "1")
    raise RecordError("bad_flag", f"{column}: not a flag")
