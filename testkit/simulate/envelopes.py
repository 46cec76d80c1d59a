"""Debezium records, byte for byte: SQL Server connector 3.6, JSON without schemas, decimals as strings, ISO times.

An envelope is built in two steps. The *head* (rows, ``source``, ``op``) belongs to the change and is the same each time
the connector sends it; the *tail* (``ts_ms``, ``ts_us``, ``ts_ns``) says when this copy was sent.
"""

from dataclasses import dataclass
from typing import NamedTuple

import orjson

from streams.mapping import Mapping
from testkit.simulate.tables import TableNames

CONNECTOR_VERSION = "3.6.3.Final"
UNAVAILABLE = "__debezium_unavailable_value"
NULL = b"null"

STREAMED = NULL
"""``source.snapshot`` of a streamed row; null because null is not replaced by the column default."""


class Event(NamedTuple):
    """One Kafka record."""

    topic: str
    key: bytes
    value: bytes | None
    ts_ms: int


class Change(NamedTuple):
    """One record before it is sent; ``head`` is None for a tombstone, ``commit`` the number of its transaction."""

    topic: str
    key: bytes
    head: bytes | None
    commit: int


class Position(NamedTuple):
    """Where a change stands in the transaction log."""

    change_lsn: bytes
    commit_lsn: bytes
    serial: bytes


def commit_lsn(commit: int) -> str:
    """The LSN of the ``commit``-th transaction: 10 bytes as ``8:8:4`` hex digits, so text order is log order."""
    return f"{0x2D + commit // 0x8000:08x}:{0x108 + (commit % 0x8000) * 0x10:08x}:0001"


def change_lsn(commit: int, number: int) -> str:
    """The LSN of the ``number``-th log record of a transaction; below its commit's."""
    return f"{0x2D + commit // 0x8000:08x}:{0x100 + (commit % 0x8000) * 0x10:08x}:{number:04x}"


@dataclass(frozen=True, slots=True)
class TableEnvelope:
    """Writes the records of one table."""

    topic: str
    collection: str
    _key: bytes
    _source: bytes
    _place: bytes

    @classmethod
    def of(cls, mapping: Mapping, names: TableNames) -> "TableEnvelope":
        source = mapping.source
        return cls(
            topic=mapping.topic(names.table),
            collection=f"{source.database}.{source.schema_}.{names.table}",
            _key=b"{%b:%%d}" % orjson.dumps(names.key).replace(b"%", b"%%"),
            _source=_escaped(
                f'"source":{{"version":"{CONNECTOR_VERSION}","connector":"sqlserver","name":"{source.topic_prefix}"'
            ),
            _place=_escaped(f'"db":"{source.database}","sequence":null')
            + b',"ts_us":%d,"ts_ns":%d,'
            + _escaped(f'"schema":"{source.schema_}","table":"{names.table}"'),
        )

    def key(self, key: int) -> bytes:
        """The record key."""
        return self._key % key

    def head(
        self,
        op: bytes,
        before: bytes,
        after: bytes,
        position: Position,
        at_ms: int,
        snapshot: bytes = STREAMED,
        transaction: bytes = NULL,
    ) -> bytes:
        """Everything of the envelope but the time of sending; rows and ``transaction`` are JSON already."""
        place = self._place % (at_ms * 1000, at_ms * 1000000)
        return b'{"before":%b,"after":%b,%b,"ts_ms":%d,"snapshot":%b,%b,"change_lsn":%b,"commit_lsn":"%b",' % (
            before,
            after,
            self._source,
            at_ms,
            snapshot,
            place,
            position.change_lsn,
            position.commit_lsn,
        ) + b'"event_serial_no":%b},"transaction":%b,"op":"%b"' % (position.serial, transaction, op)


def _escaped(text: str) -> bytes:
    return text.encode().replace(b"%", b"%%")


def sent(change: Change, now_ns: int) -> Event:
    """The record as it goes to Kafka at ``now_ns``."""
    head = change.head
    now_ms = now_ns // 1000000
    if head is None:
        return Event(change.topic, change.key, None, now_ms)
    tail = b',"ts_ms":%d,"ts_us":%d,"ts_ns":%d}' % (now_ms, now_ns // 1000, now_ns)
    return Event(change.topic, change.key, head + tail, now_ms)


def heartbeat(mapping: Mapping, now_ns: int) -> Event:
    """The connector's sign of life."""
    prefix = mapping.source.topic_prefix
    now_ms = now_ns // 1000000
    key, value = orjson.dumps({"serverName": prefix}), orjson.dumps({"ts_ms": now_ms})
    return Event(f"__debezium-heartbeat.{prefix}", key, value, now_ms)


def transaction_mark(mapping: Mapping, commit: int, counts: dict[str, int] | None, now_ns: int) -> Event:
    """The ``BEGIN`` record of a transaction or, with the number of rows by collection, its ``END``."""
    now_ms = now_ns // 1000000
    lsn = commit_lsn(commit)
    value = {
        "status": "BEGIN" if counts is None else "END",
        "id": lsn,
        "event_count": None if counts is None else sum(counts.values()),
        "data_collections": None
        if counts is None
        else [{"data_collection": name, "event_count": count} for name, count in counts.items()],
        "ts_ms": now_ms,
    }
    return Event(f"{mapping.source.topic_prefix}.transaction", orjson.dumps({"id": lsn}), orjson.dumps(value), now_ms)


def schema_change(mapping: Mapping, names: TableNames, columns: list[str], now_ns: int) -> Event:
    """The record that announces a table's structure at the start of the snapshot."""
    source = mapping.source
    now_ms = now_ns // 1000000
    value = {
        "source": {
            "version": CONNECTOR_VERSION,
            "connector": "sqlserver",
            "name": source.topic_prefix,
            "ts_ms": now_ms,
            "snapshot": "true",
            "db": source.database,
            "sequence": None,
            "ts_us": now_ns // 1000,
            "ts_ns": now_ns,
            "schema": source.schema_,
            "table": names.table,
            "change_lsn": None,
            "commit_lsn": commit_lsn(0),
            "event_serial_no": None,
        },
        "ts_ms": now_ms,
        "databaseName": source.database,
        "schemaName": source.schema_,
        "ddl": None,
        "tableChanges": [
            {
                "type": "CREATE",
                "id": f'"{source.database}"."{source.schema_}"."{names.table}"',
                "table": {
                    "defaultCharsetName": None,
                    "primaryKeyColumnNames": [names.key],
                    "columns": [{"name": name, "position": at} for at, name in enumerate(columns, 1)],
                    "comment": None,
                },
            }
        ],
    }
    return Event(source.topic_prefix, orjson.dumps({"databaseName": source.database}), orjson.dumps(value), now_ms)
