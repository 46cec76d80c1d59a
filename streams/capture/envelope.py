"""Decodes Debezium's JSON records: finds the kind of a record, and checks everything that the product relies on.

It accepts converters with schemas on or off, and every kind of record in the captured topics: row events (``c``, ``u``, ``d``,
``r``), tombstones, heartbeats, transaction markers and schema changes. With a schema, ``precise`` decimals and epoch times are
converted to the text of the recommended modes, so that the rest of the product sees one format.

Source: Debezium's SQL Server page, "Data change events"; where the page and the connector differ (``source.snapshot`` is text,
``event_serial_no`` a number), the connector's output decides.
"""

import re
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
import orjson

from streams.capture.connect_schema import plain_key, plain_row, readable_row
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
    before, after = _images(op, message, schema)
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


def _images(op: str, message: Row, schema: Any) -> tuple[Row | None, Row | None]:
    """The row before and after the change. A delete has no row after it, whatever the message contains.

    A damaged ``before`` does not refuse a change whose ``after`` is sound: only the place that the row left is unknown then.
    """
    before, after = message.get("before"), message.get("after")
    if after is not None and type(after) is not dict:
        raise RecordError("bad_after", "after is not an object")
    if op == "d":
        if before is not None and type(before) is not dict:
            raise RecordError("bad_before", "before is not an object")
        # The old row holds the references by which a delete finds the documents it concerns.
        if before is None:
            raise RecordError("delete_without_before" if after is None else "delete_with_after", "a delete needs before")
        return before if schema is None else plain_row(schema, "before", before), None
    if after is None:
        raise RecordError("no_row" if before is None else "change_without_after", "a change needs after")
    if type(before) is not dict:
        before = None
    if schema is None:
        return before, after
    return None if before is None else readable_row(schema, "before", before), plain_row(schema, "after", after)


def _key(key: bytes | None) -> Row:
    if key is None:
        raise RecordError("no_key", "the record has no key")
    loaded = _load(key, "key")
    if "payload" in loaded and "schema" in loaded:
        schema, loaded = loaded["schema"], loaded["payload"]
        if type(loaded) is not dict:
            raise RecordError("bad_key", "the key's payload is not an object")
        loaded = plain_key(schema, loaded)
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
        loaded = _loads(data)
    except orjson.JSONDecodeError as error:
        raise RecordError(f"{part}_{_why_not_json(data, error)}", f"the {part} is not JSON") from None
    if type(loaded) is not dict:
        raise RecordError(f"{part}_not_object", f"the {part} is JSON, but not an object")
    return loaded


def _loads(data: bytes) -> Any:
    """The JSON value; half a surrogate pair in a text is replaced by U+FFFD.

    SQL Server cuts a text after so many UTF-16 units, perhaps in the middle of a character, and its row would be refused in
    every version, and its delete. Java writes such a half as an escape, or as three bytes that are not UTF-8.

    Raises:
        orjson.JSONDecodeError: the data is not JSON for another reason.
    """
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        mended = _ESCAPES.sub(_whole_escape, _HALVES.sub("\ufffd".encode(), data))
        if mended == data:
            raise
    return orjson.loads(mended)


# A pair, half a pair, or any other escape, so that what follows an escaped backslash is not taken for one.
_ESCAPES = re.compile(rb"\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\u[dD][89a-fA-F][0-9a-fA-F]{2}|\\.")
_HALVES = re.compile(rb"\xed[\xa0-\xbf][\x80-\xbf]")


def _whole_escape(escape: re.Match[bytes]) -> bytes:
    half = len(escape[0]) == len(rb"\ud83d") and escape[0][1:2] == b"u"
    return rb"\ufffd" if half else escape[0]


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
    if "unexpected end" in message or "EOF" in message:
        return "truncated"
    return "not_json"
