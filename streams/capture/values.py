"""One JSON value of one column, checked and given its type.

Every function takes the value and the column's name, and raises ``RecordError`` with a code and the column: the value itself
never reaches a message. ``None`` stays ``None``.
"""

import re
from datetime import UTC, datetime, tzinfo
from decimal import Decimal
from functools import lru_cache
from typing import Any

from email_validator import EmailNotValidError, validate_email

from streams.core.errors import RecordError

_INT64 = 2**63
_INTEGER = re.compile(r"\s*-?[0-9]{1,19}\s*")
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_SEPARATORS = re.compile(r"[;,\s]+")
_LONGEST_FIELD = 4000
_SIMPLE_ADDRESS = re.compile(
    r"(?=[^@]{1,64}@)(?=.{6,254}\Z)[a-z0-9_+-]+(?:\.[a-z0-9_+-]+)*@(?:[a-z0-9](?:[a-z0-9]|-(?!-)){0,61}(?<!-)\.)+(?:com|net|org|co\.uk|uk)"
)
"""Plain addresses that email-validator accepts and leaves as they are; everything else takes the slow road through it."""


def integer(value: Any, column: str) -> int | None:
    """A whole number of at most 64 bits; digits in text are accepted, as sites store some foreign keys so."""
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
    """A foreign key: 0 and null both mean "none"."""
    return integer(value, column) or None


def decimal(value: Any, column: str) -> Decimal | None:
    """An exact number, from text (``decimal.handling.mode=string``) or a whole number.

    A JSON number with a fraction has already lost digits, so it is refused rather than guessed. Text is taken only in the
    plain notation that Debezium writes: ``precise`` mode's base64, which may read ``12E4``, must not pass for a number.
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
    """UTC epoch seconds of the site's wall clock; text with an offset of its own (``datetimeoffset``) keeps it.

    Debezium's ``Z`` is nominal: the column has no zone. A bare number is ambiguous (its unit depends on the column's
    precision), so it is refused; with schemas on it has been turned into text before it comes here.
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
    """Text without surrounding white space, cut to ``longest``; empty is None."""
    if type(value) is str:
        return value.replace("\0", "").strip()[:longest] or None
    if value is None:
        return None
    raise RecordError("bad_text", f"{column}: not text")


def flag(value: Any, column: str) -> bool:
    """A bit; null is False. Text ``True``/``False`` and 0/1 occur in the field."""
    if value is None or type(value) is bool:
        return bool(value)
    if type(value) is int and value in (0, 1):
        return value == 1
    if type(value) is str and value.strip().casefold() in ("true", "false", "0", "1"):
        return value.strip().casefold() in ("true", "1")
    raise RecordError("bad_flag", f"{column}: not a flag")


def addresses(value: Any, column: str) -> tuple[str, ...]:
    """The valid e-mail addresses in a field, in order, normalised, each once; what is not an address is ignored."""
    if value is None:
        return ()
    if type(value) is not str:
        raise RecordError("bad_text", f"{column}: not text")
    if len(value) > _LONGEST_FIELD:
        # An address that the cut would shorten might be somebody else's: the piece under the knife is dropped.
        value = " ".join(_SEPARATORS.split(value[: _LONGEST_FIELD + 1])[:-1])
    return _addresses(value)


@lru_cache(maxsize=65_536)
def _addresses(field: str) -> tuple[str, ...]:
    found: dict[str, None] = {}
    for piece in _SEPARATORS.split(field):
        candidate = piece.strip("<>()\"'").rstrip(".").strip("<>()\"'").lower().removeprefix("mailto:")
        if _SIMPLE_ADDRESS.fullmatch(candidate):
            found[candidate] = None
        elif "@" in candidate:
            try:
                found[validate_email(candidate, check_deliverability=False).normalized.lower()] = None
            except EmailNotValidError:
                continue
    return tuple(found)
