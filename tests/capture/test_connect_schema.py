"""Logical types of inline schemas: every value comes out exactly as the recommended modes would have written it."""

import base64
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture import values
from streams.capture.connect_schema import plain_row
from tests.capture.records import Row, decimal_type, time_type

unhurried = settings(deadline=None)


def plain(value: object, kind: Row) -> object:
    """The plain text of a value in a column of some type."""
    column = {"field": "column", "optional": True} | kind
    schema = {"type": "struct", "fields": [{"field": "after", "type": "struct", "fields": [column]}]}
    row = plain_row(schema, "after", {"column": value})
    assert row is not None
    return row["column"]


def precise(unscaled: int) -> str:
    """A decimal as Kafka Connect writes it: base64 of the shortest big-endian two's complement."""
    return base64.b64encode(unscaled.to_bytes((unscaled.bit_length() // 8) + 1, "big", signed=True)).decode()


@unhurried
@given(st.integers(-(10**38) + 1, 10**38 - 1), st.integers(0, 38))
def test_a_decimal_of_sql_server_keeps_every_digit(unscaled: int, scale: int) -> None:
    text = plain(precise(unscaled), decimal_type(scale, 38))
    assert isinstance(text, str)
    sign, digits = Decimal(text).as_tuple()[:2]
    assert (-1) ** sign * int("".join(map(str, digits))) == unscaled
    assert len(text.partition(".")[2]) == scale
    assert "E" not in text


@unhurried
@given(st.integers(-(10**18) + 1, 10**18 - 1), st.integers(0, 9))
def test_what_precise_and_string_mode_write_is_one_number(unscaled: int, scale: int) -> None:
    number = Decimal(unscaled).scaleb(-scale)
    assert plain(precise(unscaled), decimal_type(scale)) == f"{number:f}"
    assert values.decimal(plain(precise(unscaled), decimal_type(scale)), "column") == number


@unhurried
@given(st.datetimes(datetime(1678, 1, 1), datetime(2262, 1, 1)))
def test_an_epoch_time_of_any_unit_is_the_wall_clock_that_it_counts(wall: datetime) -> None:
    micros = (wall - datetime(1970, 1, 1)) // timedelta(microseconds=1)
    expected = int(wall.replace(microsecond=0, tzinfo=UTC).timestamp())
    for name, value in {
        "io.debezium.time.NanoTimestamp": micros * 1000 + 999,
        "io.debezium.time.MicroTimestamp": micros,
        "io.debezium.time.Timestamp": micros // 1000,
        "org.apache.kafka.connect.data.Timestamp": micros // 1000,
    }.items():
        assert values.instant(plain(value, time_type(name)), "column", ZoneInfo("UTC")) == expected


@unhurried
@given(st.dates())
def test_a_day_is_the_day_that_it_counts(day: date) -> None:
    days = (day - date(1970, 1, 1)).days
    assert plain(days, time_type("io.debezium.time.Date")) == f"{day.isoformat()}Z"


def test_null_stays_null_whatever_its_type() -> None:
    assert plain(None, decimal_type(4)) is None
    assert plain(None, time_type("io.debezium.time.Date")) is None


def test_a_type_without_a_logical_name_is_left_alone() -> None:
    assert plain("AehI", {"type": "bytes"}) == "AehI"
    assert plain(20512, {"type": "int32"}) == 20512


def test_a_type_whose_logical_name_is_unknown_is_left_alone() -> None:
    assert plain("2026-03-05T08:41:12.25Z", time_type("io.debezium.time.IsoTimestamp")) == "2026-03-05T08:41:12.25Z"
    assert plain("2026-03-05T08:41:12+07:00", time_type("io.debezium.time.ZonedTimestamp")) == "2026-03-05T08:41:12+07:00"


def test_columns_that_the_row_lacks_are_no_matter() -> None:
    schema = {"fields": [{"field": "after", "fields": [{"field": "other"} | decimal_type(4)]}]}
    assert plain_row(schema, "after", {"column": 1}) == {"column": 1}


def test_a_side_without_a_row_needs_no_schema() -> None:
    assert plain_row({}, "before", None) is None


def test_the_row_that_is_read_is_not_changed() -> None:
    schema = {"fields": [{"field": "after", "fields": [{"field": "column"} | decimal_type(4)]}]}
    row = {"column": "AehI"}
    assert plain_row(schema, "after", row) == {"column": "12.5000"}
    assert row == {"column": "AehI"}
