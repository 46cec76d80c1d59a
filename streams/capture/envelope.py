"""Decodes Debezium's JSON records: finds the kind of a record, and checks everything that the product relies on.

It accepts converters with schemas on or off, and every kind of record in the captured topics: row events (``c``, ``u``, ``d``,
``r``), tombstones, heartbeats, transaction markers and schema changes. With a schema, ``precise`` decimals and epoch times are
converted to the text of the recommended modes, so that the rest of the product sees one format.

Source: Debezium's SQL Server page, "Data change events"; where the page and the connector differ (``source.snapshot`` is text,
``event_serial_no`` a number), the connector's output decides.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
import orjson

from streams.capture.connect_schema import plain_row
from streams.capture.position import BEFORE_EVERYTHING, STREAMED, position_of
from streams.core.errors import RecordError

UNAVAILABLE: Final = "__debezium_unavailable_value"
"""Debezium's placeholder for a large column (``varchar(max)`` and the like) that did not change: keep the stored value.

SQL Server's change table has NULL for such a column, so Debezium 3.6 and later writes this text (debezium/dbz#1164).
"""

# The connector may write larger records (``LARGEST_CAPTURED``). Decoded, a record takes a multiple of its size in memory, and
# hundreds are decoded in one poll, so a larger one is dead-lettered instead.
_MAX_BYTES: Final = 8 * 1024 * 1024

Row: TypeAlias = dict[str, Any]


class RowEvent(msgspec.Struct, frozen=True, gc=False):
    """One change of one row. It is a struct because every record creates one, and a frozen dataclass takes ten times as long.

    Attributes:
        table: its name, without database and schema.
        op: ``c``, ``u``, ``d`` or ``r``.
        key: key column to JSON value.
        before: column to JSON value; None for ``c`` and ``r``.
        after: column to JSON value; None for ``d``.
        position: orders the versions of a row; see :mod:`streams.capture.position`.
        at: the source's time in epoch milliseconds, 0 if unknown.
        snapshot: the row was read by a snapshot; nobody changed it now.
    """

    table: str
    op: str
    key: Row
    before: Row | None
    after: Row | None
    position: bytes
    at: int
    snapshot: bool


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The null record after a delete, by which log compaction removes the key."""

    key: Row


@dataclass(frozen=True, slots=True)
class Control:
    """A record about the stream instead of a row.

    ``kind`` is ``heartbeat``, ``transaction`` or ``schema_change``; ``at`` is epoch milliseconds, 0 if unknown.
    """

    kind: str
    at: int


Decoded: TypeAlias = RowEvent | Tombstone | Control


def decode(key: bytes | None, value: bytes | None, epoch: int = 0) -> Decoded:
    """Decode one record of a captured topic.

    Args:
        key: the record's key.
        value: the record's value; None is a tombstone.
        epoch: ``source.epoch`` of the mapping, the first part of every position.

    Raises:
        RecordError: with one of the codes of ``docs/dead-letters.md``; its text names the wrong member and never contains a
            value.
    """
    message, schema = (None, None) if value is None else _payload(value)
    if message is None:
        return Tombstone(_key(key))
    op = message.get("op")
    if op is None:
        return _control(message)
    if op not in ("c", "u", "d", "r"):
        raise RecordError("unknown_op" if type(op) is str else "bad_op", "op is none of c, u, d, r")
    source = message.get("source")
    if type(source) is not dict:
        raise RecordError("no_source" if source is None else "bad_source", "the source block is missing or not an object")
    table = source.get("table")
    if type(table) is not str or not table:
        raise RecordError("no_table", "source.table is missing")
    before, after = _images(op, message)
    if schema is not None:
        before, after = plain_row(schema, "before", before), plain_row(schema, "after", after)
    at = source.get("ts_ms")
    if at is not None and type(at) is not int:
        raise RecordError("bad_time", "source.ts_ms is not an integer")
    snapshot = source.get("snapshot")
    if snapshot is not None and type(snapshot) not in (str, bool):
        raise RecordError("bad_snapshot", "source.snapshot is neither text nor a flag")
    read = op == "r" or snapshot not in STREAMED
    position = position_of(source, epoch)
    # A snapshot's row may have no LSN: CDC had no commit yet when it began. A streamed change always has one. Without it, the
    # change would rank before everything that we have stored, and would be skipped as stale without a trace.
    if not read and position.endswith(BEFORE_EVERYTHING):
        raise RecordError("bad_lsn", "source.commit_lsn is null, though the row was not read by a snapshot")
    return RowEvent(table, op, _key(key), before, after, position, at or 0, read)


def _payload(value: bytes) -> tuple[Row | None, Any]:
    """The message and, if the converter wrote one, its Connect schema. A payload of null is a tombstone too."""
    message = _load(value, "value")
    if "payload" not in message or "schema" not in message:
        return message, None
    payload = message["payload"]
    if payload is not None and type(payload) is not dict:
        raise RecordError("bad_payload", "the payload is not an object")
    return payload, message["schema"]


def _images(op: str, message: Row) -> tuple[Row | None, Row | None]:
    """The row before and after the change. A delete has no row after it, whatever the message contains."""
    before, after = message.get("before"), message.get("after")
    if before is not None and type(before) is not dict:
        raise RecordError("bad_before", "before is not an object")
    if after is not None and type(after) is not dict:
        raise RecordError("bad_after", "after is not an object")
    if op == "d":
        # The old row holds the references by which a delete finds the documents it concerns.
        if before is None:
            raise RecordError("delete_without_before" if after is None else "delete_with_after", "a delete needs before")
        return before, None
    if after is None:
        raise RecordError("no_row" if before is None else "change_without_after", "a change needs after")
    return before, after


def _key(key: bytes | None) -> Row:
    if key is None:
        raise RecordError("no_key", "the record has no key")
    loaded = _load(key, "key")
    if "payload" in loaded and "schema" in loaded:
        loaded = loaded["payload"]
        if type(loaded) is not dict:
            raise RecordError("bad_key", "the key's payload is not an object")
    if not loaded:
        raise RecordError("bad_key", "the key has no column")
    return loaded


def _control(message: Row) -> Control:
    at = message.get("ts_ms")
    at = at if type(at) is int else 0
    # These records have no "op" and no kind of their own: they are recognised by their members.
    if message.keys() == {"ts_ms"}:
        return Control("heartbeat", at)
    if message.get("status") in ("BEGIN", "END") and "id" in message:
        return Control("transaction", at)
    if "tableChanges" in message and "databaseName" in message:
        return Control("schema_change", at)
    raise RecordError("not_debezium", "the record has no op and is no heartbeat, transaction or schema change")


def _load(data: bytes, part: str) -> Row:
    if len(data) > _MAX_BYTES:
        raise RecordError(f"{part}_too_large", f"the {part} is larger than {_MAX_BYTES // 2**20} MiB")
    try:
        loaded = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise RecordError(f"{part}_{_why_not_json(data, error)}", f"the {part} is not JSON") from None
    if type(loaded) is not dict:
        raise RecordError(f"{part}_not_object", f"the {part} is JSON, but not an object")
    return loaded


def _why_not_json(data: bytes, error: orjson.JSONDecodeError) -> str:
    """The suffix of the code: the way in which ``data`` is not JSON. It runs only for records that are refused anyway.

    It recognises orjson's messages, which may change with a release: an unknown one gives ``not_json``.
    """
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        return "invalid_utf8"
    if not text.strip():
        return "empty"
    message = error.msg
    if "depth limit" in message:
        return "too_deep"
    if text.startswith(("NaN", "Infinity"), error.pos):
        return "not_a_number"
    if "surrogate" in message:
        return "lone_surrogate"
    if "unexpected end" in message or "EOF" in message:
        return "truncated"
    return "not_json"
