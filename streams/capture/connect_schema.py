"""Kafka Connect's inline schemas: turns logical types into the text that Debezium's recommended modes write.

Sources: the sections on temporal and decimal values of Debezium's connector pages. Times become ``...Z`` text, in which the
``Z`` is nominal, because the source column has no zone; decimals become plain text with their scale.
"""

import base64
import binascii
import contextlib
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import Context, Decimal
from typing import Any, TypeAlias

from streams.core.errors import RecordError

Converter: TypeAlias = Callable[[Any, str], str]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# SQL Server's decimal has at most 38 digits, which fit into 127 bits and a sign.
_MOST_DIGITS = 38
_MOST_BYTES = 16
_FLOAT_DIGITS = 15
# Python's default context would round to 28 digits. Scaling needs room for the digits and as many zeros after the point.
_EXACT = Context(prec=2 * _MOST_DIGITS)


def plain_row(schema: Any, part: str, row: dict[str, Any] | None) -> dict[str, Any] | None:
    """``row`` with its logical types in plain text.

    Args:
        schema: the message's ``schema`` member.
        part: ``before`` or ``after``, the field of the envelope that contains ``row``.
        row: column to JSON value; None stays None.

    Raises:
        RecordError: ``bad_schema`` if the schema does not describe the row; ``bad_decimal``, ``decimal_as_float``, ``bad_time``
            or ``..._out_of_range`` if a value does not fit its schema.
    """
    return None if row is None else _converted(row, _row_converters(schema, part))


def plain_key(schema: Any, key: dict[str, Any]) -> dict[str, Any]:
    """A record's key with its logical types in plain text: a ``numeric`` key is bytes in ``precise`` mode.

    Raises:
        RecordError: as :func:`plain_row`.
    """
    if type(schema) is not dict or schema.get("type") != "struct":
        return key
    return _converted(key, _converters(schema, "the key"))


def readable_row(schema: Any, part: str, row: dict[str, Any]) -> dict[str, Any] | None:
    """As :func:`plain_row`, without the columns that do not fit their schema; None if the schema does not describe the row."""
    try:
        converters = _row_converters(schema, part)
    except RecordError:
        return None
    plain: dict[str, Any] = {}
    for column, value in row.items():
        with contextlib.suppress(RecordError):
            plain |= _converted({column: value}, {column: converters[column]} if column in converters else {})
    return plain


def _converted(row: dict[str, Any], converters: dict[str, Converter]) -> dict[str, Any]:
    if not converters:
        return row
    plain = dict(row)
    for column, convert in converters.items():
        value = plain.get(column)
        if value is not None:
            plain[column] = convert(value, column)
    return plain


def _row_converters(schema: Any, part: str) -> dict[str, Converter]:
    try:
        return _converters(next(field for field in schema["fields"] if field["field"] == part), part)
    except (StopIteration, AttributeError, KeyError, TypeError):
        raise RecordError("bad_schema", f"the schema does not describe {part}") from None


def _converters(struct: dict[str, Any], part: str) -> dict[str, Converter]:
    try:
        return {field["field"]: found for field in struct["fields"] if (found := _converter(field)) is not None}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise RecordError("bad_schema", f"the schema does not describe {part}") from None


def _converter(field: dict[str, Any]) -> Converter | None:
    name = field.get("name")
    if name == "org.apache.kafka.connect.data.Decimal":
        scale = int(field["parameters"]["scale"])
        if not 0 <= scale <= _MOST_DIGITS:
            raise ValueError
        return lambda value, column: _decimal(value, column, scale)
    if name in _UNITS:
        unit = _UNITS[name]
        return lambda value, column: _instant(value, column, unit)
    if name == "io.debezium.time.ZonedTimestamp":
        return _zoned
    # Other logical types (times of day, XML) are no types of mapped columns, or are text already.
    if name in ("io.debezium.time.Date", "org.apache.kafka.connect.data.Date"):
        return _date
    return None


_UNITS = {
    "io.debezium.time.Timestamp": 1_000,
    "org.apache.kafka.connect.data.Timestamp": 1_000,
    "io.debezium.time.MicroTimestamp": 1,
    "io.debezium.time.NanoTimestamp": 0,
}
"""Microseconds in one unit of each logical type; 0 stands for nanoseconds."""


def _decimal(value: Any, column: str, scale: int) -> str:
    # With the converter's decimal.format=NUMERIC a decimal is a JSON number. Up to 15 digits a float gives them back.
    if type(value) is int:
        return str(value)
    if type(value) is float:
        number = Decimal(repr(value))
        if len(number.as_tuple().digits) > _FLOAT_DIGITS:
            raise RecordError("decimal_as_float", f"{column}: a binary float; set decimal.handling.mode to 'string'")
        return f"{number:f}"
    try:
        raw = base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise RecordError("bad_decimal", f"{column}: not the base64 of a decimal") from None
    if not raw:
        raise RecordError("bad_decimal", f"{column}: empty")
    if len(raw) > _MOST_BYTES:
        # Refused before the conversion, whose time grows with the square of the length.
        raise RecordError("decimal_out_of_range", f"{column}: more than {_MOST_DIGITS} digits")
    return f"{Decimal(int.from_bytes(raw, 'big', signed=True)).scaleb(-scale, _EXACT):f}"


def _zoned(value: Any, column: str) -> str:
    # Of this type a Z is no figure of speech: it is the offset +00:00.
    if type(value) is not str:
        raise RecordError("bad_time", f"{column}: not text, although its schema is a time with an offset")
    return f"{value[:-1]}+00:00" if value.endswith("Z") else value


def _instant(value: Any, column: str, unit: int) -> str:
    if type(value) is not int:
        raise RecordError("bad_time", f"{column}: not an integer, although its schema is epoch time")
    # Adding to the epoch also works before 1970 and up to the year 9999, where ``fromtimestamp`` depends on the platform.
    try:
        instant = _EPOCH + timedelta(microseconds=value * unit if unit else value // 1_000)
    except OverflowError:
        raise RecordError("time_out_of_range", f"{column}: beyond the years 1 to 9999") from None
    return instant.isoformat().replace("+00:00", "Z")


def _date(value: Any, column: str) -> str:
    if type(value) is not int:
        raise RecordError("bad_time", f"{column}: not an integer, although its schema is a date")
    try:
        return f"{date(1970, 1, 1) + timedelta(days=value)}Z"
    except OverflowError:
        raise RecordError("time_out_of_range", f"{column}: beyond the years 1 to 9999") from None
