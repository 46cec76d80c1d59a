"""Debezium's JSON records, told apart and checked.

Accepts schemas on or off, and every record kind that shares or neighbours the table topics: row events (``c``, ``u``,
``d``, ``r``), tombstones, heartbeats, transaction markers and schema changes. With a schema present, ``precise`` decimals
and epoch times are turned into what the recommended modes would have written (decimal text, ISO text), so that everything
behind this module sees one format.
"""

from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import msgspec
import orjson

from streams.capture.connect_schema import plain_row
from streams.capture.position import BEFORE_EVERYTHING, STREAMED, position_of
from streams.core.errors import RecordError

UNAVAILABLE: Final = "__debezium_unavailable_value"
"""Debezium's mark for a large column that the change table did not hold: keep what we have."""

_MAX_BYTES: Final = 8 * 1024 * 1024

Row: TypeAlias = dict[str, Any]


class RowEvent(msgspec.Struct, frozen=True, gc=False):
    """One change of one row; a struct because one is made for every record, and a frozen dataclass takes ten times as long.

    ``before`` and ``after`` map column to JSON value; ``position`` orders the versions of a row; ``at`` is the source's
    time in epoch milliseconds (0 when unknown); ``snapshot`` says that the row was read, not changed.
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
    """The null record that follows a delete and lets compaction forget the key."""

    key: Row


@dataclass(frozen=True, slots=True)
class Control:
    """A record about the stream, not about a row: ``heartbeat``, ``transaction`` or ``schema_change``."""

    kind: str
    at: int


Decoded: TypeAlias = RowEvent | Tombstone | Control


def decode(key: bytes | None, value: bytes | None, epoch: int = 0) -> Decoded:
    """Read one record of a captured topic.

    Raises:
        RecordError: with one of the codes of ``docs/dead-letters.md``; the text names the member that is wrong and never
            holds a value.
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
    if not read and position.endswith(BEFORE_EVERYTHING):
        raise RecordError("bad_lsn", "source.commit_lsn is null, though the row was not read by a snapshot")
    return RowEvent(table, op, _key(key), before, after, position, at or 0, read)


def _payload(value: bytes) -> tuple[Row | None, Any]:
    """The message and, where the converter wrote one, its Connect schema; no message stands for a tombstone."""
    message = _load(value, "value")
    if "payload" not in message or "schema" not in message:
        return message, None
    payload = message["payload"]
    if payload is not None and type(payload) is not dict:
        raise RecordError("bad_payload", "the payload is not an object")
    return payload, message["schema"]


def _images(op: str, message: Row) -> tuple[Row | None, Row | None]:
    """The row before and after the change. A delete has no row after it, whatever the message holds there."""
    before, after = message.get("before"), message.get("after")
    if before is not None and type(before) is not dict:
        raise RecordError("bad_before", "before is not an object")
    if after is not None and type(after) is not dict:
        raise RecordError("bad_after", "after is not an object")
    if op == "d":
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
    """Name the way in which ``data`` fails to be JSON; runs only for records that are already refused."""
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
