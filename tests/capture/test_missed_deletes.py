"""A deletion that nobody captured, as the connector would have written it."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from streams.capture.envelope import RowEvent, decode
from streams.capture.missed_deletes import delete_of
from streams.capture.position import BEFORE_EVERYTHING
from streams.core.errors import RecordError
from tests.capture import records

KEY = b'{"oh_id":5}'
POSTGRES = [orjson.loads(line) for line in (Path(__file__).parent / "postgres_events.jsonl").read_bytes().splitlines()]


def sqlserver(op: str = "u", snapshot: str | None = None) -> dict[str, Any]:
    source = {"connector": "sqlserver", "table": "order_header", "commit_lsn": records.LSN, "snapshot": snapshot, "ts_ms": 1}
    return {"before": None, "after": records.HEADER, "source": source, "op": op, "ts_ms": 1}


def event(value: bytes) -> RowEvent:
    found = decode(KEY, value, 3)
    assert isinstance(found, RowEvent)
    return found


@pytest.mark.parametrize(("op", "snapshot"), [("c", None), ("u", "false"), ("r", "true"), ("r", "incremental")])
def test_it_names_the_row_and_has_no_place_in_the_log(op: str, snapshot: str | None) -> None:
    deletion = delete_of(orjson.dumps(sqlserver(op, snapshot)), 9)
    assert deletion is not None
    found = event(deletion)
    assert (found.table, found.op, found.before, found.after) == ("order_header", "d", records.HEADER, None)
    assert found.position == (3).to_bytes(2, "big") + BEFORE_EVERYTHING
    assert found.snapshot, "in the bulk lane"


def test_postgresql_has_another_way_to_say_that_there_is_no_place() -> None:
    rows = [one for one in POSTGRES if one["value"] is not None and one["value"].get("op") in ("c", "u", "r")]
    assert rows
    for row in rows:
        deletion = delete_of(orjson.dumps(row["value"]), 9)
        assert deletion is not None
        found = decode(orjson.dumps(row["key"]), deletion, 0)
        assert isinstance(found, RowEvent)
        assert (found.before, found.after, found.position) == (row["value"]["after"], None, bytes(2) + BEFORE_EVERYTHING)


def test_a_record_with_a_schema_keeps_it() -> None:
    fields: list[dict[str, Any]] = [{"field": name, "type": "struct", "fields": []} for name in ("before", "after")]
    deletion = delete_of(orjson.dumps({"schema": {"type": "struct", "fields": fields}, "payload": sqlserver()}), 9)
    assert deletion is not None
    assert event(deletion).before == records.HEADER


def test_a_deletion_is_not_deleted_again() -> None:
    deletion = delete_of(orjson.dumps(sqlserver()), 9)
    assert deletion is not None
    assert delete_of(deletion, 10) is None
    assert delete_of(b'{"schema": {}, "payload": null}', 9) is None


@pytest.mark.parametrize("value", [b"", b"[]", b"{", b"{}", b'{"op": "u"}', b'{"op": "u", "source": 3, "after": {}}'])
def test_what_is_no_row_cannot_be_deleted(value: bytes) -> None:
    with pytest.raises(RecordError, match="not_debezium"):
        delete_of(value, 9)
