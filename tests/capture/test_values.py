"""One value of one column: what is accepted, what it becomes, and with which code the rest is refused."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture import values
from streams.core.errors import RecordError
from testkit.oracle.row_reading import name as oracle_name

LONDON = ZoneInfo("Europe/London")

unhurried = settings(deadline=None)


def code(read: Callable[[], object]) -> str:
    """The code with which a value is refused."""
    with pytest.raises(RecordError) as caught:
        read()
    assert caught.value.detail.startswith("column: ")
    return caught.value.code


class TestIntegers:
    @pytest.mark.parametrize(
        ("value", "number"),
        [
            (0, 0),
            (-7, -7),
            (2**63 - 1, 2**63 - 1),
            (-(2**63), -(2**63)),
            ("42", 42),
            ("-42", -42),
            ("0042", 42),
            ("42.0000", 42),
            ("-7.0", -7),
            (42.0, 42),
            (-0.0, 0),
            (-(2.0**53), -(2**53)),
        ],
    )
    def test_whole_numbers_and_their_text_are_read(self, value: object, number: int) -> None:
        assert values.integer(value, "column") == number

    def test_the_blanks_of_a_fixed_width_column_do_not_count(self) -> None:
        assert values.integer("42".ljust(30), "column") == 42

    def test_null_stays_null(self) -> None:
        assert values.integer(None, "column") is None

    @pytest.mark.parametrize(
        "value",
        [
            True,
            1.5,
            2.0**53 + 2,
            1e30,
            "",
            " ",
            "-",
            "--5",
            "-5-",
            "+5",
            "- 5",
            "4 2",
            "4.2",
            "42.",
            "42.0001",
            ".0",
            "1e3",
            "1_000",
            "٤٢",
            "x",
            [1],
            {},
        ],
        ids=repr,
    )
    def test_anything_else_is_none(self, value: object) -> None:
        assert code(lambda: values.integer(value, "column")) == "bad_integer"

    @pytest.mark.parametrize("value", [2**63, -(2**63) - 1, 2**64 - 1, "9999999999999999999"])
    def test_a_number_of_more_than_64_bits_is_refused(self, value: object) -> None:
        assert code(lambda: values.integer(value, "column")) == "integer_out_of_range"

    @unhurried
    @given(st.text(alphabet="0123456789-+ _.\t٤x", max_size=25))
    def test_text_is_a_number_or_refused(self, text: str) -> None:
        try:
            number = values.integer(text, "column")
        except RecordError:
            return
        assert number == Decimal(text.strip())

    @pytest.mark.parametrize("value", [None, 0, "0", "-0", "00"])
    def test_a_reference_to_0_or_null_is_none(self, value: object) -> None:
        assert values.reference(value, "column") is None

    @pytest.mark.parametrize(("value", "number"), [(7, 7), (-7, -7), ("7", 7)])
    def test_a_reference_to_anything_else_is_its_number(self, value: object, number: int) -> None:
        assert values.reference(value, "column") == number


class TestDecimals:
    @pytest.mark.parametrize("text", ["140.0000", "-99.9500", "0", "0.0000", "-0.01", "999999999999999999.999999999"])
    def test_text_is_read_exactly(self, text: str) -> None:
        assert str(values.decimal(text, "column")) == text

    def test_whole_json_numbers_are_exact_too(self) -> None:
        assert values.decimal(132, "column") == Decimal(132)

    def test_null_stays_null(self) -> None:
        assert values.decimal(None, "column") is None

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            (12.5, "12.5"),
            (0.0, "0.0"),
            (-0.1, "-0.1"),
            (4.323, "4.323"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e-7, "0.0000001"),
            (1e17, "100000000000000000"),
            (5.551115123125783e-17, "0.00000000000000005551115123125783"),
        ],
    )
    def test_a_float_is_its_shortest_text(self, value: float, text: str) -> None:
        assert f"{values.decimal(value, 'column'):f}" == text

    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("12.50000000000000000000", "12.5"),
            ("0.00000000000000000000", "0"),
            ("-99999999999999999.10000000000000000000", "-99999999999999999.1"),
            ("123456789012345678.12345678901234567890", "123456789012345678.1234567890123456789"),
        ],
    )
    def test_the_zeros_of_a_wide_scale_do_not_count(self, value: str, text: str) -> None:
        assert f"{values.decimal(value, 'column'):f}" == text

    @pytest.mark.parametrize(
        "value", ["", "FVzA", "12,50", "£5", "NaN", "sNaN1", "Infinity", "-inf", "1e9e9", True, [], {}, "\ud800"], ids=repr
    )
    def test_what_is_no_number_is_refused(self, value: object) -> None:
        assert code(lambda: values.decimal(value, "column")) == "bad_decimal"

    @pytest.mark.parametrize("value", ["12E4", "+123", "1_00", "1e18", "-1e999999", "1e-10", " 1.0", "1.", ".1", "٣", "1.0\n"])
    def test_text_is_a_number_only_as_debezium_writes_it(self, value: str) -> None:
        assert code(lambda: values.decimal(value, "column")) == "bad_decimal"

    @pytest.mark.parametrize(
        "value",
        [
            "1" + "0" * 18,
            "1" + "0" * 18 + ".0",
            10**18,
            1e18,
            1e300,
            1e-41,
            1e-300,
            "9" * 100_000,
            "0." + "9" * 100_000,
            "12345678901234567.1234567890123456789012",
        ],
    )
    def test_what_dotdigital_could_not_hold_is_refused(self, value: object) -> None:
        assert code(lambda: values.decimal(value, "column")) == "decimal_out_of_range"

    @unhurried
    @given(st.decimals(-(10**18) + 1, 10**18 - 1, places=9), st.integers(0, 9))
    def test_a_number_that_fits_makes_the_round_trip(self, number: Decimal, places: int) -> None:
        number = round(number, places) if places else Decimal(int(number))
        assert f"{values.decimal(f'{number:f}', 'column'):f}" == f"{number:f}"


class TestInstants:
    @pytest.mark.parametrize(
        ("text", "utc"),
        [
            ("2026-03-05T08:41:12Z", "2026-03-05T08:41:12"),
            ("2026-03-05T08:41:12.2Z", "2026-03-05T08:41:12"),
            ("2026-03-05T08:41:12.9999999Z", "2026-03-05T08:41:12"),
            ("2026-06-05T08:41:12.250Z", "2026-06-05T07:41:12"),
            ("2026-06-05T08:41:12", "2026-06-05T07:41:12"),
            ("2026-06-05 08:41:12", "2026-06-05T07:41:12"),
            ("2026-06-05Z", "2026-06-04T23:00:00"),
            ("2026-06-05", "2026-06-04T23:00:00"),
            ("1969-12-31T23:59:59.9Z", "1969-12-31T22:59:59"),
            ("9999-12-31T23:59:59.9999999Z", "9999-12-31T23:59:59"),
        ],
    )
    def test_a_wall_clock_reading_is_the_sites_and_its_z_means_nothing(self, text: str, utc: str) -> None:
        assert values.instant(text, "column", LONDON) == _epoch(utc)

    @pytest.mark.parametrize(
        ("text", "utc"),
        [
            ("2026-06-05T08:41:12.12+07:00", "2026-06-05T01:41:12"),
            ("2026-06-05T08:41:12-03:30", "2026-06-05T12:11:12"),
            ("2026-06-05T08:41:12+00:00", "2026-06-05T08:41:12"),
        ],
    )
    def test_an_offset_of_its_own_counts(self, text: str, utc: str) -> None:
        assert values.instant(text, "column", LONDON) == _epoch(utc)

    @pytest.mark.parametrize(
        ("wall", "utc"),
        [
            ("2026-10-25T00:59:59", "2026-10-24T23:59:59"),
            ("2026-10-25T01:00:00", "2026-10-25T00:00:00"),
            ("2026-10-25T01:30:00", "2026-10-25T00:30:00"),
            ("2026-10-25T01:59:59", "2026-10-25T00:59:59"),
            ("2026-10-25T02:00:00", "2026-10-25T02:00:00"),
        ],
    )
    def test_of_a_time_that_occurs_twice_it_is_the_first(self, wall: str, utc: str) -> None:
        assert values.instant(wall + "Z", "column", LONDON) == _epoch(utc)

    @pytest.mark.parametrize(
        ("wall", "utc"),
        [
            ("2026-03-29T00:59:59", "2026-03-29T00:59:59"),
            ("2026-03-29T01:00:00", "2026-03-29T01:00:00"),
            ("2026-03-29T01:30:00", "2026-03-29T01:30:00"),
            ("2026-03-29T02:00:00", "2026-03-29T01:00:00"),
        ],
    )
    def test_a_time_that_does_not_exist_has_the_offset_before_the_change(self, wall: str, utc: str) -> None:
        assert values.instant(wall + "Z", "column", LONDON) == _epoch(utc)

    @unhurried
    @given(
        st.datetimes(datetime(1990, 1, 1), datetime(2035, 1, 1)),
        st.sampled_from(["Europe/London", "Australia/Lord_Howe", "America/New_York", "Asia/Kathmandu", "UTC"]),
    )
    def test_in_every_zone_it_is_the_earliest_instant_at_which_the_clock_showed_it(self, wall: datetime, name: str) -> None:
        zone = ZoneInfo(name)
        found = values.instant(wall.isoformat() + "Z", "column", zone)
        assert found == _earliest(wall.replace(microsecond=0), zone)

    @pytest.mark.parametrize("text", ["2026-06-05T08:41:12Z", "2026-06-05T08:41:12.1234567Z", "2026-06-05T09:41:12+01:00"])
    def test_the_z_of_a_column_with_a_zone_is_utc(self, text: str) -> None:
        assert values.instant(text, "column", LONDON, zoned=True) == _epoch("2026-06-05T08:41:12")

    @pytest.mark.parametrize("text", ["2026-06-05T08:41:12", "2026-06-05", "2026-06-05Z"])
    def test_a_column_with_a_zone_has_one_in_every_value(self, text: str) -> None:
        assert code(lambda: values.instant(text, "column", LONDON, zoned=True)) == "bad_time"

    def test_null_stays_null(self) -> None:
        assert values.instant(None, "column", LONDON) is None

    @pytest.mark.parametrize("value", [0, 1772700072250, 1.5])
    def test_a_bare_number_has_no_unit(self, value: float) -> None:
        assert code(lambda: values.instant(value, "column", LONDON)) == "ambiguous_time"

    @pytest.mark.parametrize(
        "value",
        ["", "Z", "now", "05/03/2026", "2026-02-30", "2026-13-01", "0000-01-01", "10000-01-01", "08:41:12Z", True, [], {}],
        ids=repr,
    )
    def test_what_is_no_time_is_refused(self, value: object) -> None:
        assert code(lambda: values.instant(value, "column", LONDON)) == "bad_time"

    @pytest.mark.parametrize(
        ("text", "zone"),
        [
            ("9999-12-31T23:59:59Z", "America/New_York"),
            ("0001-01-01T00:00:00Z", "Asia/Tokyo"),
            ("9999-12-31T23:59:59-01:00", "Europe/London"),
        ],
    )
    def test_what_leaves_the_calendar_on_its_way_to_utc_is_refused(self, text: str, zone: str) -> None:
        assert code(lambda: values.instant(text, "column", ZoneInfo(zone))) == "time_out_of_range"

    @unhurried
    @given(st.text(alphabet="0123456789-:+.TZW ٣", max_size=40))
    def test_text_is_a_time_or_refused(self, text: str) -> None:
        try:
            assert isinstance(values.instant(text, "column", LONDON), int)
        except RecordError as error:
            assert error.code in ("bad_time", "time_out_of_range")


class TestText:
    @pytest.mark.parametrize(
        ("value", "text"),
        [
            ("Ann", "Ann"),
            ("  Ann \t\n", "Ann"),
            ("Ann  Lee", "Ann  Lee"),
            ("", None),
            (" \u00a0\u3000", None),
            (None, None),
            ("A\0nn", "Ann"),
            ("\0 Ann \0", "Ann"),
            ("\0", None),
            ("x" * 1001, "x" * 1000),
        ],
    )
    def test_it_is_trimmed_cut_and_none_when_empty(self, value: str | None, text: str | None) -> None:
        assert values.text(value, "column") == text

    @pytest.mark.parametrize("value", [0, 1.5, True, [], {}], ids=repr)
    def test_what_is_no_text_is_refused(self, value: object) -> None:
        assert code(lambda: values.text(value, "column")) == "bad_text"


class TestNames:
    @pytest.mark.parametrize(
        ("value", "name"),
        [
            (" Ann ", "Ann"),
            ("Ann\u00a0Lee", "Ann\u00a0Lee"),
            (None, None),
            ("", None),
            ("Nuts &amp; bolts", "Nuts & bolts"),
            ("5&#8217; &lt;left&gt;", "5\u2019 <left>"),
            ("&amp;amp;", "&amp;"),
            ("R&D &notes &unknown; &", "R&D &notes &unknown; &"),
            ("a\tb\r\nc\x1b[1md\x07\x9b\n", "a b  c[1md"),
            ("&#10;&#0; ", "\ufffd"),
            ("&#7;", None),
            ("&amp;" * 1001, "&" * 1000),
        ],
    )
    def test_it_is_decoded_and_printable(self, value: str | None, name: str | None) -> None:
        assert values.name(value, "column") == name

    @given(st.text(st.characters(codec="utf-8") | st.sampled_from("&;#x27amp\x1b\x85\u2028"), max_size=30))
    def test_the_oracle_reads_every_name_alike(self, value: str) -> None:
        assert values.name(value, "column") == oracle_name(value)

    def test_what_is_no_text_is_refused(self) -> None:
        assert code(lambda: values.name(5, "column")) == "bad_text"


class TestFlags:
    @pytest.mark.parametrize(
        "value", [True, 1, -1, 1.0, "1", "-1", "1.0000", "true", "True", " TRUE ", "t", "T", "Yes", "yes ", "y", "Y", "on"]
    )
    def test_true_is_written_in_many_ways(self, value: object) -> None:
        assert values.flag(value, "column") is True

    @pytest.mark.parametrize(
        "value", [None, False, 0, 0.0, "0", "-0", "0.00", "false", "False ", "f", "F", "No", "no", "n", "N ", "off"]
    )
    def test_so_is_false_and_null_is_false(self, value: object) -> None:
        assert values.flag(value, "column") is False

    @pytest.mark.parametrize("value", [2, -2, 0.5, "", " ", "2", "0.5", "yeah", "none", "null", "x", [], {}], ids=repr)
    def test_anything_else_is_refused(self, value: Any) -> None:
        assert code(lambda: values.flag(value, "column")) == "bad_flag"


def _epoch(utc: str) -> int:
    return int(datetime.fromisoformat(utc).replace(tzinfo=UTC).timestamp())


def _earliest(wall: datetime, zone: ZoneInfo) -> int:
    """The first instant at which the clock showed ``wall``; in a gap, ``wall`` with the offset before it."""
    begin = wall.replace(tzinfo=UTC) - timedelta(hours=15)
    offsets = {_offset(begin + timedelta(hours=hour), zone) for hour in range(31)}
    instants = {wall.replace(tzinfo=UTC) - offset for offset in offsets}
    shown = [instant for instant in instants if instant.astimezone(zone).replace(tzinfo=None) == wall]
    if shown:
        return int(min(shown).timestamp())
    return int((wall.replace(tzinfo=UTC) - _offset(begin, zone)).timestamp())


def _offset(instant: datetime, zone: ZoneInfo) -> timedelta:
    offset = instant.astimezone(zone).utcoffset()
    assert offset is not None
    return offset
