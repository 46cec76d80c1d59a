"""Every record kind that a captured topic, or one of its neighbours, may hold: literal records, and what they decode to."""

from typing import Any

import orjson
import pytest

from streams.capture.envelope import UNAVAILABLE, Control, RowEvent, Tombstone, decode

KEY = b'{"oht_id":51}'
INSERT = (
    b'{"before":null,"after":{"oht_id":51,"oht_oh_id":5,"oht_net":"140.0000","oht_vat":"28.0000",'
    b'"oht_last_amended":"2026-03-05T08:41:12.25Z"},"source":{"version":"3.6.3.Final","connector":"sqlserver",'
    b'"name":"ow","ts_ms":1772700072613,"snapshot":"false","db":"Orderwise","sequence":null,"ts_us":1772700072613000,'
    b'"ts_ns":1772700072613000000,"schema":"dbo","table":"order_header_total","change_lsn":"0000003a:000012f8:0002",'
    b'"commit_lsn":"0000003a:000012f8:0004","event_serial_no":1},"transaction":null,"op":"c","ts_ms":1772700073190,'
    b'"ts_us":1772700073190482,"ts_ns":1772700073190482117}'
)
UPDATE = (
    b'{"before":{"oht_id":51,"oht_oh_id":5,"oht_net":"140.0000","oht_remark":"__debezium_unavailable_value"},'
    b'"after":{"oht_id":51,"oht_oh_id":5,"oht_net":"132.5000","oht_remark":"__debezium_unavailable_value"},'
    b'"source":{"version":"3.6.3.Final","connector":"sqlserver","name":"ow","ts_ms":1772700131027,"snapshot":"false",'
    b'"db":"Orderwise","sequence":null,"ts_us":1772700131027000,"ts_ns":1772700131027000000,"schema":"dbo",'
    b'"table":"order_header_total","change_lsn":"0000003a:00001330:0003","commit_lsn":"0000003a:00001330:0006",'
    b'"event_serial_no":2},"transaction":{"id":"0000003a:00001330:0006","total_order":1,"data_collection_order":1},'
    b'"op":"u","ts_ms":1772700133190,"ts_us":1772700133190482,"ts_ns":1772700133190482117}'
)
DELETE = (
    b'{"before":{"oht_id":51,"oht_oh_id":5,"oht_net":"132.5000"},"after":null,"source":{"version":"3.6.3.Final",'
    b'"connector":"sqlserver","name":"ow","ts_ms":1772700190400,"snapshot":"false","db":"Orderwise","sequence":null,'
    b'"ts_us":1772700190400000,"ts_ns":1772700190400000000,"schema":"dbo","table":"order_header_total",'
    b'"change_lsn":"0000003a:00001388:0002","commit_lsn":"0000003a:00001388:0005","event_serial_no":1},'
    b'"transaction":null,"op":"d","ts_ms":1772700193190,"ts_us":1772700193190482,"ts_ns":1772700193190482117}'
)
SNAPSHOT = (
    b'{"before":null,"after":{"oht_id":51,"oht_oh_id":5,"oht_net":"140.0000"},"source":{"version":"3.6.3.Final",'
    b'"connector":"sqlserver","name":"ow","ts_ms":1772699000000,"snapshot":"first","db":"Orderwise","sequence":null,'
    b'"ts_us":1772699000000000,"ts_ns":1772699000000000000,"schema":"dbo","table":"order_header_total",'
    b'"change_lsn":null,"commit_lsn":"0000002d:00000a40:0003","event_serial_no":null},"transaction":null,"op":"r",'
    b'"ts_ms":1772699000120,"ts_us":1772699000120000,"ts_ns":1772699000120000000}'
)
SCHEMA_KEY = (
    b'{"schema":{"type":"struct","fields":[{"type":"int32","optional":false,"field":"oht_id"}],"optional":false,'
    b'"name":"ow.Orderwise.dbo.order_header_total.Key"},"payload":{"oht_id":51}}'
)
_COLUMNS = (
    b'[{"type":"int32","optional":false,"field":"oht_id"},'
    b'{"type":"bytes","optional":true,"name":"org.apache.kafka.connect.data.Decimal","version":1,'
    b'"parameters":{"scale":"4","connect.decimal.precision":"18"},"field":"oht_net"},'
    b'{"type":"int64","optional":true,"name":"io.debezium.time.NanoTimestamp","version":1,"field":"oht_at_ns"},'
    b'{"type":"int64","optional":true,"name":"io.debezium.time.MicroTimestamp","version":1,"field":"oht_at_us"},'
    b'{"type":"int64","optional":true,"name":"io.debezium.time.Timestamp","version":1,"field":"oht_at_ms"},'
    b'{"type":"int64","optional":true,"name":"org.apache.kafka.connect.data.Timestamp","version":1,"field":"oht_at_c"},'
    b'{"type":"int32","optional":true,"name":"io.debezium.time.Date","version":1,"field":"oht_day"},'
    b'{"type":"int32","optional":true,"name":"org.apache.kafka.connect.data.Date","version":1,"field":"oht_day_c"},'
    b'{"type":"string","optional":true,"name":"io.debezium.time.IsoTimestamp","version":1,"field":"oht_iso"},'
    b'{"type":"string","optional":true,"field":"oht_remark"}]'
)
SCHEMA_INSERT = (
    b'{"schema":{"type":"struct","fields":[{"type":"struct","fields":' + _COLUMNS + b',"optional":true,"field":"before"},'
    b'{"type":"struct","fields":' + _COLUMNS + b',"optional":true,"field":"after"},'
    b'{"type":"string","optional":false,"field":"op"}],"optional":false,'
    b'"name":"ow.Orderwise.dbo.order_header_total.Envelope","version":2},"payload":{"before":null,"after":{"oht_id":51,'
    b'"oht_net":"FVzA","oht_at_ns":1772700072250000000,"oht_at_us":1772700072250000,"oht_at_ms":1772700072250,'
    b'"oht_at_c":1772700072000,"oht_day":20517,"oht_day_c":-1,"oht_iso":"2026-03-05T08:41:12.25Z","oht_remark":null},'
    b'"source":{"version":"3.6.3.Final","connector":"sqlserver","name":"ow","ts_ms":1772700072613,"snapshot":"false",'
    b'"db":"Orderwise","sequence":null,"schema":"dbo","table":"order_header_total",'
    b'"change_lsn":"0000003a:000012f8:0002","commit_lsn":"0000003a:000012f8:0004","event_serial_no":1},'
    b'"transaction":null,"op":"c","ts_ms":1772700073190,"ts_us":1772700073190482,"ts_ns":1772700073190482117}}'
)


def row_event(value: bytes, key: bytes = KEY, epoch: int = 0) -> RowEvent:
    """The row event that a record is."""
    event = decode(key, value, epoch)
    assert isinstance(event, RowEvent)
    return event


def edited(record: bytes, **source: Any) -> bytes:
    """A record with other values in its ``source`` block; ``...`` removes a member."""
    value = orjson.loads(record)
    value["source"] |= {name: item for name, item in source.items() if item is not ...}
    for name in [name for name, item in source.items() if item is ...]:
        del value["source"][name]
    return orjson.dumps(value)


class TestRowEvents:
    def test_an_insert_has_a_row_after_and_none_before(self) -> None:
        assert row_event(INSERT) == RowEvent(
            table="order_header_total",
            op="c",
            key={"oht_id": 51},
            before=None,
            after={
                "oht_id": 51,
                "oht_oh_id": 5,
                "oht_net": "140.0000",
                "oht_vat": "28.0000",
                "oht_last_amended": "2026-03-05T08:41:12.25Z",
            },
            position=bytes.fromhex("0000 0000003a000012f80004"),
            at=1772700072613,
            snapshot=False,
        )

    def test_an_update_has_both_rows_and_keeps_the_mark_of_an_unavailable_column(self) -> None:
        event = row_event(UPDATE)
        assert event.op == "u"
        assert event.before == {"oht_id": 51, "oht_oh_id": 5, "oht_net": "140.0000", "oht_remark": UNAVAILABLE}
        assert event.after == {"oht_id": 51, "oht_oh_id": 5, "oht_net": "132.5000", "oht_remark": UNAVAILABLE}

    def test_a_delete_has_only_the_row_before(self) -> None:
        event = row_event(DELETE)
        assert (event.op, event.after) == ("d", None)
        assert event.before == {"oht_id": 51, "oht_oh_id": 5, "oht_net": "132.5000"}

    def test_a_delete_that_has_both_rows_has_only_the_one_before(self) -> None:
        value = orjson.loads(DELETE)
        value["after"] = {"oht_id": 51}
        assert row_event(orjson.dumps(value)) == row_event(DELETE)

    def test_a_snapshot_row_was_read_and_not_changed(self) -> None:
        event = row_event(SNAPSHOT)
        assert (event.op, event.snapshot, event.before) == ("r", True, None)

    def test_members_that_nobody_knows_yet_are_ignored(self) -> None:
        value = orjson.loads(INSERT)
        value |= {"ts_ps": 1, "annotations": {"a": [1]}}
        value["source"] |= {"server": "sql2", "lsn_map": {"a": None}}
        assert row_event(orjson.dumps(value)) == row_event(INSERT)

    def test_members_that_nobody_needs_may_be_absent(self) -> None:
        value = orjson.loads(INSERT)
        for name in ("before", "transaction", "ts_ms", "ts_us", "ts_ns"):
            del value[name]
        assert row_event(orjson.dumps(value)) == row_event(INSERT)

    def test_a_transaction_block_changes_nothing(self) -> None:
        value = orjson.loads(UPDATE)
        value["transaction"] = None
        assert row_event(orjson.dumps(value)) == row_event(UPDATE)

    def test_a_source_without_a_time_gives_none(self) -> None:
        assert row_event(edited(INSERT, ts_ms=None)).at == 0
        assert row_event(edited(INSERT, ts_ms=...)).at == 0

    def test_a_key_may_have_more_columns_than_one(self) -> None:
        assert row_event(INSERT, b'{"oht_id":51,"oht_oh_id":5}').key == {"oht_id": 51, "oht_oh_id": 5}

    def test_the_last_of_two_members_of_one_name_counts(self) -> None:
        assert row_event(INSERT[:-1] + b',"op":"r"}').op == "r"

    def test_the_epoch_stands_before_the_lsn(self) -> None:
        assert row_event(INSERT, epoch=3).position == b"\0\x03" + row_event(INSERT).position[2:]

    def test_text_of_any_script_survives(self) -> None:
        value = orjson.loads(INSERT)
        value["after"]["oht_remark"] = "Zoë 🛒 \u0000 李"
        after = row_event(orjson.dumps(value)).after
        assert after is not None
        assert after["oht_remark"] == "Zoë 🛒 \u0000 李"


class TestSnapshotMark:
    @pytest.mark.parametrize("mark", [None, False, "false", ...], ids=str)
    def test_a_streamed_row_is_one_whose_mark_says_so_or_is_missing(self, mark: object) -> None:
        assert row_event(edited(INSERT, snapshot=mark)).snapshot is False

    @pytest.mark.parametrize(
        "mark",
        [True, "true", "first", "first_in_data_collection", "last_in_data_collection", "last", "incremental"],
        ids=str,
    )
    def test_any_other_mark_means_a_snapshot(self, mark: object) -> None:
        assert row_event(edited(INSERT, snapshot=mark)).snapshot is True

    @pytest.mark.parametrize("mark", [None, "false", ...], ids=str)
    def test_a_read_row_is_a_snapshot_whatever_its_mark(self, mark: object) -> None:
        assert row_event(edited(SNAPSHOT, snapshot=mark)).snapshot is True

    def test_a_snapshot_before_the_first_commit_comes_before_everything(self) -> None:
        assert row_event(edited(SNAPSHOT, commit_lsn=None)).position == bytes(12)


class TestSchemas:
    def test_logical_types_become_the_text_of_the_recommended_modes(self) -> None:
        assert row_event(SCHEMA_INSERT, SCHEMA_KEY).after == {
            "oht_id": 51,
            "oht_net": "140.0000",
            "oht_at_ns": "2026-03-05T08:41:12.250000Z",
            "oht_at_us": "2026-03-05T08:41:12.250000Z",
            "oht_at_ms": "2026-03-05T08:41:12.250000Z",
            "oht_at_c": "2026-03-05T08:41:12Z",
            "oht_day": "2026-03-05Z",
            "oht_day_c": "1969-12-31Z",
            "oht_iso": "2026-03-05T08:41:12.25Z",
            "oht_remark": None,
        }

    def test_the_rest_of_the_envelope_reads_as_without_schemas(self) -> None:
        event, plain = row_event(SCHEMA_INSERT, SCHEMA_KEY), row_event(INSERT)
        assert (event.table, event.op, event.key, event.position, event.at, event.snapshot) == (
            (plain.table, plain.op, plain.key, plain.position, plain.at, plain.snapshot)
        )

    @pytest.mark.parametrize(
        ("encoded", "scale", "plain"),
        [
            ("FVzA", 4, "140.0000"),
            ("FDfI", 4, "132.5000"),
            ("BDBE", 4, "27.4500"),
            ("AehI", 4, "12.5000"),
            ("8L+0", 4, "-99.9500"),
            ("CcQ=", 4, "0.2500"),
            ("SnfzGA==", 6, "1249.375000"),
            ("AA==", 4, "0.0000"),
            ("/w==", 0, "-1"),
            ("tMSzV6V5O4X2dd3AAAAAAQ==", 4, "-9999999999999999999999999999999999.9999"),
        ],
    )
    def test_precise_decimals_become_plain_text(self, encoded: str, scale: int, plain: str) -> None:
        record = orjson.loads(SCHEMA_INSERT)
        record["payload"]["after"] = {"oht_id": 51, "oht_net": encoded}
        record["schema"]["fields"][1]["fields"][1]["parameters"]["scale"] = str(scale)
        after = row_event(orjson.dumps(record), SCHEMA_KEY).after
        assert after == {"oht_id": 51, "oht_net": plain}

    def test_both_sides_of_an_update_are_turned_into_text(self) -> None:
        record = orjson.loads(SCHEMA_INSERT)
        record["payload"] |= {"op": "u", "before": {"oht_id": 51, "oht_net": "FVzA"}}
        event = row_event(orjson.dumps(record), SCHEMA_KEY)
        assert event.before == {"oht_id": 51, "oht_net": "140.0000"}

    def test_times_before_1970_and_far_ahead_are_times_too(self) -> None:
        record = orjson.loads(SCHEMA_INSERT)
        record["payload"]["after"] = {"oht_at_ms": -1, "oht_at_us": 253402300799000000, "oht_at_ns": -1_000_000_001}
        assert row_event(orjson.dumps(record), SCHEMA_KEY).after == {
            "oht_at_ms": "1969-12-31T23:59:59.999000Z",
            "oht_at_us": "9999-12-31T23:59:59Z",
            "oht_at_ns": "1969-12-31T23:59:58.999999Z",
        }

    def test_key_and_value_may_differ_in_whether_they_have_a_schema(self) -> None:
        assert row_event(SCHEMA_INSERT, KEY) == row_event(SCHEMA_INSERT, SCHEMA_KEY)
        assert row_event(INSERT, SCHEMA_KEY) == row_event(INSERT, KEY)

    def test_a_wrapper_with_a_null_schema_holds_a_plain_record(self) -> None:
        wrapped = b'{"schema":null,"payload":' + INSERT + b"}"
        assert row_event(wrapped) == row_event(INSERT)


class TestTombstones:
    def test_a_null_value_is_a_tombstone(self) -> None:
        assert decode(KEY, None) == Tombstone({"oht_id": 51})

    def test_so_is_a_null_payload(self) -> None:
        assert decode(SCHEMA_KEY, b'{"schema":null,"payload":null}') == Tombstone({"oht_id": 51})


class TestControls:
    """Records about the stream, which arrive when a topic is shared."""

    @pytest.mark.parametrize(
        ("key", "value", "control"),
        [
            (b'{"serverName":"ow"}', b'{"ts_ms":1772700075000}', Control("heartbeat", 1772700075000)),
            (
                b'{"id":"0000003a:00001330:0006"}',
                b'{"status":"BEGIN","id":"0000003a:00001330:0006","event_count":null,"data_collections":null,"ts_ms":7}',
                Control("transaction", 7),
            ),
            (
                b'{"id":"0000003a:00001330:0006"}',
                (
                    b'{"status":"END","id":"0000003a:00001330:0006","event_count":2,"data_collections":[{"data_collection":'
                    b'"Orderwise.dbo.order_header","event_count":2}],"ts_ms":8}'
                ),
                Control("transaction", 8),
            ),
            (
                b'{"databaseName":"Orderwise"}',
                (
                    b'{"source":{"connector":"sqlserver","table":"order_header"},"ts_ms":9,"databaseName":"Orderwise",'
                    b'"schemaName":"dbo","ddl":"N/A","tableChanges":[{"type":"ALTER","id":"\\"Orderwise\\".\\"dbo\\"",'
                    b'"table":null}]}'
                ),
                Control("schema_change", 9),
            ),
        ],
    )
    def test_it_is_reported_by_its_members(self, key: bytes, value: bytes, control: Control) -> None:
        assert decode(key, value) == control
        assert decode(key, b'{"schema":{"type":"struct"},"payload":' + value + b"}") == control

    def test_it_needs_no_key(self) -> None:
        assert decode(None, b'{"ts_ms":1}') == Control("heartbeat", 1)

    def test_a_time_that_is_none_is_zero(self) -> None:
        assert decode(None, b'{"ts_ms":null}') == Control("heartbeat", 0)
