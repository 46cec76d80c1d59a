"""Debezium's own records, in the modes that we render and in its defaults, through our decoder."""

import re
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from streams.capture import rows, values
from streams.capture.envelope import UNAVAILABLE, Control, RowEvent, Tombstone
from streams.capture.position import BEFORE_EVERYTHING
from streams.capture.reader import readers
from streams.core.errors import RecordError
from streams.mapping import load_mapping
from testkit.local_services.jars import pom
from tests.golden.events import GOLDEN
from tests.golden.generate import DEFAULT, DEFAULT_PLAIN, EVENTS, POM, RECOMMENDED, generate

READERS = readers(load_mapping())
LONDON = ZoneInfo("Europe/London")

READABLE = pytest.mark.parametrize("mode", [RECOMMENDED, DEFAULT])
EVERY_MODE = pytest.mark.parametrize("mode", [RECOMMENDED, DEFAULT, DEFAULT_PLAIN])

COMMITTED_MS = 1772700072613
ORDERED = int(datetime(2026, 3, 5, 8, 41, 12, tzinfo=UTC).timestamp())
COMMIT = b"\0\0" + bytes.fromhex("0000003a000012f80004")
NEXT_COMMIT = b"\0\0" + bytes.fromhex("0000003a000013300006")
SNAPSHOT = b"\0\0" + bytes.fromhex("0000002d00000a400003")

ROWS = {
    "customer_detail": rows.Customer("BRI001", True, ("accounts@bright.co.uk",)),
    "customer_contact": rows.Contact(("ann@bright.co.uk",), "Zoë", 'Lee "L"', None),
    "order_header": rows.Header("SO10042", ORDERED, 7, 1, 2),
    "order_header_detail": rows.Detail("ann@bright.co.uk", 1),
    "order_header_total": rows.Total(Decimal("-140.0000")),
    "order_line_item": rows.Line(None, 900, Decimal("2.0000"), Decimal("140.5000")),
    "delivery_header": rows.Despatch(ORDERED, "JD000000000053GB"),
    "order_status": rows.StatusText("awaiting despatch"),
}


def row_of(mode: str, case: str) -> RowEvent:
    return GOLDEN[mode][case].row()


def after(mode: str, case: str) -> dict[str, Any]:
    found = row_of(mode, case).after
    assert found is not None
    return found


def code_of(read: Any, *arguments: Any) -> str:
    """The code with which a reading is refused."""
    with pytest.raises(RecordError) as refused:
        read(*arguments)
    return refused.value.code


class TestFile:
    def test_it_is_what_debezium_writes_today(self) -> None:
        assert generate() == EVENTS.read_bytes(), "run 'make golden' and judge the difference"

    def test_it_belongs_to_the_debezium_of_our_plugins(self) -> None:
        poms = [POM, pom("plugin-sqlserver"), pom("plugin-postgres")]
        versions = {re.findall(r"<debezium.version>(.+)</debezium.version>", path.read_text())[0] for path in poms}
        written = set(re.findall(r'\\"version\\":\\"([^"\\]+)\\"', EVENTS.read_text()))
        assert len(versions) == 1
        assert versions == written

    def test_kafka_is_one_version_everywhere(self) -> None:
        paths: list[Path] = [POM, pom("broker"), pom("connect")]
        versions = [re.findall(r"<kafka.version>(.+)</kafka.version>", path.read_text()) for path in paths]
        assert versions == [versions[0]] * len(paths)
        assert len(versions[0]) == 1

    def test_every_mode_has_every_case(self) -> None:
        assert GOLDEN.keys() == {RECOMMENDED, DEFAULT, DEFAULT_PLAIN}
        assert GOLDEN[RECOMMENDED].keys() == GOLDEN[DEFAULT].keys() == GOLDEN[DEFAULT_PLAIN].keys()

    @EVERY_MODE
    def test_no_envelope_is_refused(self, mode: str) -> None:
        for event in GOLDEN[mode].values():
            assert isinstance(event.decoded(), RowEvent | Tombstone | Control)


class TestRows:
    @READABLE
    @pytest.mark.parametrize("table", ROWS)
    def test_an_inserted_row_becomes_what_it_means(self, mode: str, table: str) -> None:
        event = row_of(mode, f"insert {table}")
        assert (event.table, event.op, event.before, event.snapshot) == (table, "c", None, False)
        assert (event.position, event.at) == (COMMIT, COMMITTED_MS)
        assert event.after is not None
        assert READERS[table].read(event.after) == ROWS[table]
        assert READERS[table].primary_key(event.key) == event.after[READERS[table].key]

    @READABLE
    def test_an_update_has_both_rows(self, mode: str) -> None:
        event = row_of(mode, "update")
        assert (event.op, event.position, event.key) == ("u", COMMIT, {"oh_id": 5})
        assert event.before is not None
        assert event.after is not None
        assert READERS["order_header"].read(event.before) == ROWS["order_header"]
        assert READERS["order_header"].read(event.after) == rows.Header("SO10042", ORDERED, 7, 1, 5)

    @READABLE
    def test_a_delete_has_the_row_before_and_a_tombstone_behind(self, mode: str) -> None:
        event = row_of(mode, "delete")
        assert (event.op, event.position, event.after) == ("d", NEXT_COMMIT, None)
        assert event.before is not None
        assert READERS["order_header"].read(event.before) == rows.Header("SO10042", ORDERED, 7, 1, 5)
        assert GOLDEN[mode]["tombstone"].decoded() == Tombstone({"oh_id": 5})

    @EVERY_MODE
    def test_a_text_that_cdc_did_not_keep_is_marked(self, mode: str) -> None:
        event = row_of(mode, "update of a row whose text is unavailable")
        assert event.before is not None
        assert event.before["ohd_special_instructions"] == UNAVAILABLE
        assert after(mode, "update of a row whose text is unavailable")["ohd_special_instructions"] == UNAVAILABLE

    def test_a_null_stays_a_null_only_in_the_mode_that_we_render(self) -> None:
        read = READERS["order_header_detail"].read
        assert read(after(RECOMMENDED, "null with a default")) == rows.Detail("ann@bright.co.uk", None)
        assert read(after(DEFAULT, "null with a default")) == rows.Detail("ann@bright.co.uk", 1)


class TestKeyChanges:
    @READABLE
    def test_of_the_primary_key_are_a_delete_and_an_insert_in_one_commit(self, mode: str) -> None:
        deleted, inserted = row_of(mode, "key change: delete"), row_of(mode, "key change: insert")
        assert (deleted.op, deleted.key, deleted.position) == ("d", {"oh_id": 5}, COMMIT)
        assert GOLDEN[mode]["key change: tombstone"].decoded() == Tombstone({"oh_id": 5})
        assert (inserted.op, inserted.key, inserted.position) == ("c", {"oh_id": 6}, COMMIT)
        assert "__debezium.newkey" not in GOLDEN[mode]["key change: delete"].headers

    @READABLE
    def test_of_another_key_are_the_same_with_headers(self, mode: str) -> None:
        events = GOLDEN[mode]
        deleted, inserted = row_of(mode, "message key change: delete"), row_of(mode, "message key change: insert")
        assert (deleted.op, deleted.key, deleted.position) == ("d", {"oh_order_number": "SO10042"}, COMMIT)
        assert (inserted.op, inserted.key, inserted.position) == ("c", {"oh_order_number": "SO10099"}, COMMIT)
        assert events["message key change: tombstone"].decoded() == Tombstone({"oh_order_number": "SO10042"})
        assert events["message key change: delete"].headers["__debezium.newkey"] == '{"oh_order_number":"SO10099"}'
        assert events["message key change: insert"].headers["__debezium.oldkey"] == '{"oh_order_number":"SO10042"}'


class TestSnapshots:
    @EVERY_MODE
    @pytest.mark.parametrize("marker", ["first", "true", "first_in_data_collection", "last_in_data_collection", "last"])
    def test_every_marker_says_that_the_row_was_read(self, mode: str, marker: str) -> None:
        event = row_of(mode, f"snapshot {marker}")
        assert (event.op, event.snapshot, event.position) == ("r", True, SNAPSHOT)
        assert f'"snapshot":"{marker}"'.encode() in (GOLDEN[mode][f"snapshot {marker}"].value or b"")

    @EVERY_MODE
    @pytest.mark.parametrize("case", ["snapshot before the first commit", "incremental snapshot before any change"])
    def test_a_row_read_before_the_first_commit_comes_before_everything(self, mode: str, case: str) -> None:
        assert row_of(mode, case).position == b"\0\0" + BEFORE_EVERYTHING

    @EVERY_MODE
    def test_an_incremental_snapshot_stands_where_streaming_does(self, mode: str) -> None:
        event = row_of(mode, "incremental snapshot")
        assert (event.op, event.snapshot, event.position) == ("r", True, COMMIT)
        for case in ("change before the incremental snapshot", "change after the incremental snapshot"):
            assert not row_of(mode, case).snapshot


class TestControl:
    @EVERY_MODE
    @pytest.mark.parametrize(
        ("case", "control"),
        [
            ("heartbeat", Control("heartbeat", 1772700073190)),
            ("transaction begin", Control("transaction", COMMITTED_MS)),
            ("transaction end", Control("transaction", COMMITTED_MS)),
            ("schema change: create", Control("schema_change", 1772700073190)),
            ("schema change: alter", Control("schema_change", 1772700073190)),
        ],
    )
    def test_a_record_about_the_stream_is_no_row(self, mode: str, case: str, control: Control) -> None:
        assert GOLDEN[mode][case].decoded() == control

    @READABLE
    def test_a_row_with_a_transaction_block_is_read_like_any_other(self, mode: str) -> None:
        first, second = row_of(mode, "first change of a transaction"), row_of(mode, "second change of a transaction")
        assert first.position == second.position == COMMIT
        assert READERS["order_header_total"].read(second.after or {}) == rows.Total(Decimal("140.0000"))


def seconds(*moment: int, zone: Any = LONDON) -> int:
    return int(datetime(*moment, tzinfo=zone).timestamp())  # type: ignore[arg-type, misc]


class TestTypes:
    @READABLE
    @pytest.mark.parametrize(
        ("case", "column", "number"),
        [
            ("every type", "c_decimal_18_4", "12.5000"),
            ("every type", "c_numeric_18_6", "1249.375000"),
            ("every type", "c_decimal_38_0", "42"),
            ("every type", "c_money", "-99.9500"),
            ("every type", "c_smallmoney", "0.2500"),
            ("every type", "c_int", "42"),
            ("every type at its edge", "c_decimal_18_4", "-99999999999999.9999"),
            ("every type at its edge", "c_numeric_18_6", "0.000001"),
            ("every type at its edge", "c_money", "-922337203685477.5808"),
            ("every type at its edge", "c_smallmoney", "214748.3647"),
        ],
    )
    def test_numbers_are_exact_with_their_scale(self, mode: str, case: str, column: str, number: str) -> None:
        read = values.decimal(after(mode, case)[column], column)
        assert str(read) == str(Decimal(number))

    @EVERY_MODE
    @pytest.mark.parametrize(
        ("case", "column", "number"),
        [
            ("every type", "c_tinyint", 200),
            ("every type", "c_smallint", -7),
            ("every type", "c_bigint", 5_000_000_123),
            ("every type at its edge", "c_tinyint", 255),
            ("every type at its edge", "c_smallint", -(2**15)),
            ("every type at its edge", "c_int", -(2**31)),
            ("every type at its edge", "c_bigint", 2**63 - 1),
        ],
    )
    def test_whole_numbers_of_every_width(self, mode: str, case: str, column: str, number: int) -> None:
        assert values.integer(after(mode, case)[column], column) == number

    @READABLE
    @pytest.mark.parametrize(
        ("case", "column", "at"),
        [
            ("every type", "c_date", seconds(2026, 2, 28)),
            ("every type", "c_datetime", seconds(2026, 2, 28, 10, 15, 30)),
            ("every type", "c_smalldatetime", seconds(2026, 2, 28, 10, 16)),
            ("every type", "c_datetime2_3", seconds(2026, 2, 28, 10, 15, 30)),
            ("every type", "c_datetime2_6", seconds(2026, 2, 28, 10, 15, 30)),
            ("every type", "c_datetime2_7", seconds(2026, 2, 28, 10, 15, 30)),
            ("every type", "c_datetimeoffset", seconds(2026, 2, 28, 10, 15, 30, zone=UTC)),
            ("every type at its edge", "c_datetime", seconds(1753, 1, 1)),
            ("every type at its edge", "c_smalldatetime", seconds(2079, 6, 6, 23, 59)),
            ("every type at its edge", "c_datetime2_3", seconds(9999, 12, 31, 23, 59, 59)),
            ("every type at its edge", "c_datetime2_7", seconds(2262, 4, 11, 23, 47, 16)),
            ("every type at its edge", "c_datetimeoffset", seconds(2026, 2, 28, zone=UTC)),
        ],
    )
    def test_times_are_the_sites_wall_clock(self, mode: str, case: str, column: str, at: int) -> None:
        assert values.instant(after(mode, case)[column], column, LONDON) == at

    @EVERY_MODE
    @pytest.mark.parametrize(
        ("column", "text"),
        [
            ("c_char", "ab"),
            ("c_varchar", "varchar"),
            ("c_nchar", "ét"),
            ("c_nvarchar", "Zoë 📦"),
            ("c_nvarchar_max", "long text"),
            ("c_uniqueidentifier", "6F9619FF-8B86-D011-B42D-00CF4FC964FF"),
            ("c_xml", "<a>b</a>"),
            ("c_varbinary", "AQL/"),
            ("c_rowversion", "AAAAAAAAB9E="),
        ],
    )
    def test_text_is_text(self, mode: str, column: str, text: str) -> None:
        assert values.text(after(mode, "every type")[column], column) == text

    @EVERY_MODE
    def test_a_bit_is_a_flag(self, mode: str) -> None:
        assert values.flag(after(mode, "every type")["c_bit"], "c_bit")
        assert not values.flag(after(mode, "every type at its edge")["c_bit"], "c_bit")

    @EVERY_MODE
    def test_null_is_null_in_every_type(self, mode: str) -> None:
        row = after(mode, "every type null")
        said = {column: value for column, value in row.items() if value is not None}
        assert said.pop("id") == 2
        # What was NULL in the source is the column's default here, unless the converter is told otherwise.
        assert said == ({} if mode == RECOMMENDED else {"c_nvarchar_default": "none"})

    @EVERY_MODE
    def test_only_large_columns_can_be_unavailable(self, mode: str) -> None:
        marked = after(mode, "every type unavailable that can be")
        assert {column for column, value in marked.items() if value == UNAVAILABLE} == {"c_nvarchar_max", "c_xml"}
        assert {column for column, value in after(mode, "every type").items() if value != marked[column]} == {
            "c_nvarchar_max",
            "c_xml",
            "c_varbinary_max",
        }

    @EVERY_MODE
    @pytest.mark.parametrize(("column", "number"), [("c_real", "4.323"), ("c_float", "0.1")])
    def test_a_float_is_a_number_in_every_mode(self, mode: str, column: str, number: str) -> None:
        assert values.decimal(after(mode, "every type")[column], column) == Decimal(number)

    @EVERY_MODE
    @pytest.mark.parametrize("column", ["c_real", "c_float"])
    def test_a_float_that_is_no_amount_is_refused(self, mode: str, column: str) -> None:
        assert code_of(values.decimal, after(mode, "every type at its edge")[column], column) == "decimal_out_of_range"

    @READABLE
    def test_a_column_with_a_zone_has_its_own_offset(self, mode: str) -> None:
        at = seconds(2026, 2, 28, 10, 15, 30, zone=UTC)
        for zoned in (True, False):
            assert values.instant(after(mode, "every type")["c_datetimeoffset"], "column", LONDON, zoned=zoned) == at

    @READABLE
    def test_more_digits_than_dotdigital_holds_are_refused(self, mode: str) -> None:
        huge = after(mode, "every type at its edge")["c_decimal_38_0"]
        assert code_of(values.decimal, huge, "c_decimal_38_0") == "decimal_out_of_range"

    @READABLE
    def test_a_time_of_day_is_no_instant(self, mode: str) -> None:
        expected = "bad_time" if mode == RECOMMENDED else "ambiguous_time"
        assert code_of(values.instant, after(mode, "every type")["c_time_6"], "c_time_6", LONDON) == expected

    def test_the_end_of_time_survives_only_in_the_mode_that_we_render(self) -> None:
        kept = after(RECOMMENDED, "end of time")["c_datetime2_7"]
        assert values.instant(kept, "c_datetime2_7", UTC) == seconds(9999, 12, 31, zone=UTC)
        # Nanoseconds of it do not fit into 64 bits: Debezium warns in its log and writes null.
        assert after(DEFAULT, "end of time")["c_datetime2_7"] is None


class TestTraps:
    @READABLE
    def test_a_wide_scale_is_the_number_without_its_zeros(self, mode: str) -> None:
        assert values.decimal(after(mode, "traps")["c_decimal_38_20"], "column") == Decimal("12.5")

    @READABLE
    def test_the_offset_0_is_a_z(self, mode: str) -> None:
        at = seconds(2026, 2, 28, 10, 15, 30, zone=UTC)
        assert values.instant(after(mode, "traps")["c_datetimeoffset"], "column", LONDON, zoned=True) == at

    @EVERY_MODE
    def test_a_large_text_that_an_update_left_alone_is_null_in_both_images(self, mode: str) -> None:
        event = row_of(mode, "update that leaves a large text alone")
        assert ((event.before or {})["c_varchar_max"], (event.after or {})["c_varchar_max"]) == (None, None)

    @EVERY_MODE
    def test_a_large_text_that_was_cleared_has_its_old_value(self, mode: str) -> None:
        event = row_of(mode, "update that clears a large text")
        assert ((event.before or {})["c_varchar_max"], (event.after or {})["c_varchar_max"]) == ("long text", None)


class TestDefaultsWithoutSchemas:
    """Bytes without a scale and numbers without a unit cannot be read, and must not be guessed."""

    @pytest.mark.parametrize("table", ["customer_detail", "customer_contact", "order_header_detail", "order_status"])
    def test_tables_of_text_and_whole_numbers_are_readable(self, table: str) -> None:
        assert READERS[table].read(after(DEFAULT_PLAIN, f"insert {table}")) == ROWS[table]

    @pytest.mark.parametrize(
        ("table", "code"),
        [
            ("order_header", "ambiguous_time"),
            ("delivery_header", "ambiguous_time"),
            ("order_header_total", "bad_decimal"),
            ("order_line_item", "bad_decimal"),
        ],
    )
    def test_the_others_are_refused_with_a_code_that_names_the_setting(self, table: str, code: str) -> None:
        assert code_of(READERS[table].read, after(DEFAULT_PLAIN, f"insert {table}")) == code

    @pytest.mark.parametrize("column", ["c_decimal_18_4", "c_numeric_18_6", "c_decimal_38_0", "c_money", "c_smallmoney"])
    def test_decimals_are_refused(self, column: str) -> None:
        assert code_of(values.decimal, after(DEFAULT_PLAIN, "every type")[column], column) == "bad_decimal"

    @pytest.mark.parametrize(
        "column", ["c_date", "c_datetime", "c_smalldatetime", "c_datetime2_3", "c_datetime2_6", "c_datetime2_7"]
    )
    def test_times_are_refused(self, column: str) -> None:
        assert code_of(values.instant, after(DEFAULT_PLAIN, "every type")[column], column, LONDON) == "ambiguous_time"
