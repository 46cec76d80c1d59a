"""Checks and types one JSON value of one column.

Every function takes the value and the column's name, and raises ``RecordError`` with a code and the column. The value itself,
which may be personal data, never gets into a message. ``None`` stays ``None``.
"""

import re
import unicodedata
from datetime import UTC, datetime, tzinfo
from decimal import Context, Decimal
from html import unescape
from typing import Any

from streams.core.errors import RecordError

_INT64 = 2**63
# Beyond it a float is one of several whole numbers.
_EXACT_FLOAT = 2**53
# A whole number may come from a numeric column with decimal places, all of them zero.
_INTEGER = re.compile(r"\s*(-?[0-9]{1,19})(?:\.0+)?\s*")
_DECIMAL = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")
_ORDINARY = re.compile(r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?")
"""Numbers within all bounds: nearly every one that is captured."""
_MOST_DIGITS = 38
_WHOLE_DIGITS = 18
_TRIMMING = Context(prec=10 * _MOST_DIGITS)
_LAST_PLACE = -40
_YES = frozenset({"true", "t", "yes", "y", "on", "1", "-1"})
_NO = frozenset({"false", "f", "no", "n", "off", "0"})
_ENTITY = re.compile(r"&(?:#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6}|[A-Za-z][A-Za-z0-9]{1,31});")


def integer(value: Any, column: str) -> int | None:
    """A whole number of at most 64 bits. Its column may be an integer, a numeric of any scale, a float, or text.

    Raises:
        RecordError: ``bad_integer`` or ``integer_out_of_range``.
    """
    if type(value) is int:
        if -_INT64 <= value < _INT64:
            return value
        raise RecordError("integer_out_of_range", f"{column}: more than 64 bits")
    if value is None:
        return None
    if type(value) is str and (written := _INTEGER.fullmatch(value)):
        return integer(int(written[1]), column)
    if type(value) is float and value.is_integer() and abs(value) <= _EXACT_FLOAT:
        return int(value)
    raise RecordError("bad_integer", f"{column}: not a whole number")


def reference(value: Any, column: str) -> int | None:
    """A foreign key. Orderwise writes both 0 and null for "none"."""
    return integer(value, column) or None


def decimal(value: Any, column: str) -> Decimal | None:
    """A number as it is written: text (``decimal.handling.mode=string``), a whole number, or the shortest text of a float.

    A column of type ``float`` or ``real`` is a JSON number in every mode. Text is accepted only in the plain notation that
    Debezium writes: the base64 of ``precise`` mode may read ``12E4`` and must not pass for a number.

    Raises:
        RecordError: ``bad_decimal``, or ``decimal_out_of_range`` when the value without its closing zeros has more digits than
            SQL Server's widest decimal, or than Dotdigital holds before the point.
    """
    if type(value) is str:
        if _ORDINARY.fullmatch(value):
            return Decimal(value)
        if not _DECIMAL.fullmatch(value):
            raise RecordError("bad_decimal", f"{column}: not a decimal; is decimal.handling.mode 'string'?")
        return _bounded(Decimal(value), column)
    if value is None:
        return None
    if type(value) in (int, float):
        return _bounded(Decimal(repr(value)), column)
    raise RecordError("bad_decimal", f"{column}: not a decimal")


def _bounded(number: Decimal, column: str) -> Decimal:
    """The number, without closing zeros if it has very many; sums and products stay exact (``domain.money.EXACT``)."""
    _, digits, exponent = number.as_tuple()
    if number and (number.adjusted() >= _WHOLE_DIGITS or len(digits) > 10 * _MOST_DIGITS):
        raise RecordError("decimal_out_of_range", f"{column}: more than {_WHOLE_DIGITS} digits before the point")
    if isinstance(exponent, int) and (exponent < -9 or exponent > 0):
        number = number.normalize(_TRIMMING)
        _, digits, exponent = number.as_tuple()
        if len(digits) > _MOST_DIGITS or (isinstance(exponent, int) and exponent < _LAST_PLACE):
            raise RecordError("decimal_out_of_range", f"{column}: more than {_MOST_DIGITS} digits, or too small a part")
        number = Decimal(f"{number:f}")
    return number


def instant(value: Any, column: str, zone: tzinfo, *, zoned: bool = False) -> int | None:
    """UTC epoch seconds of a time on the site's wall clock; text with an offset of its own (``datetimeoffset``) keeps it.

    Debezium's ``Z`` is nominal for a column without a zone, so the site's zone replaces it. For a ``datetimeoffset`` it is the
    offset +00:00, and nothing in the text shows the difference: ``zoned`` says so. A bare number is ambiguous, because its
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
        if zoned and moment.tzinfo is None:
            raise RecordError("bad_time", f"{column}: has no offset, though the mapping says that it is zoned")
        if not zoned and (moment.tzinfo is None or value.endswith("Z")):
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
    """A bit, or what sites store in columns of other types: 1, 0, -1, also as decimals, and the usual words; null is False."""
    if value is None or type(value) is bool:
        return bool(value)
    if type(value) in (int, float) and value in (1, 0, -1):
        return bool(value)
    if type(value) is str:
        word = value.strip().casefold()
        if (number := _INTEGER.fullmatch(word)) is not None:
            word = str(int(number[1]))
        if word in _YES or word in _NO:
            return word in _YES
    raise RecordError("bad_flag", f"{column}: not a flag")
