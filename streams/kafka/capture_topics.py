"""What capture is called by a name of ours: the connector, its topics, and our two tables in the source database.

The tables have a schema of their own, so that nothing of ours stands among the vendor's tables.
"""

from dataclasses import dataclass

from streams.mapping import Mapping
from streams.settings import SourceKind

SCHEMA = "owdd"
"""Schema of our tables in the source database."""

HEARTBEAT = "heartbeat"
"""Table of one row, which the connector itself updates: it proves the whole way from the database into Kafka."""

HEARTBEAT_COLUMNS = ("id", "beat")
"""``id`` is 1; ``beat`` is when the connector last wrote, in UTC."""

SIGNAL = "signal"
"""Table through which the connector gets its signals, and in which it marks the windows of incremental snapshots."""

SIGNAL_COLUMNS = ("id", "type", "data")
"""Debezium wants these three in this order (its page on signals)."""

OUR_TABLES = {HEARTBEAT: HEARTBEAT_COLUMNS, SIGNAL: SIGNAL_COLUMNS}
"""Our tables in the source database and their columns, the key first."""


@dataclass(frozen=True, slots=True)
class CaptureNames:
    """The connector and its topics.

    Attributes:
        connector: its name in Kafka Connect.
        prefix: Debezium's ``topic.prefix``; offsets are stored under it, so it never changes.
        heartbeat_rows: topic of the heartbeat table's rows.
        heartbeats: topic of the heartbeats that the connector writes without the database.
        schema_changes: topic of changes of the tables themselves.
        notifications: topic on which snapshots and capture instances report.
        signals: topic through which the connector gets its signals; keys must equal ``prefix``.
        history: the connector's memory of table schemas; nobody else reads it.
    """

    connector: str
    prefix: str
    heartbeat_rows: str
    heartbeats: str
    schema_changes: str
    notifications: str
    signals: str
    history: str

    @classmethod
    def of(cls, mapping: Mapping, kind: SourceKind = "sqlserver") -> "CaptureNames":
        """The names at one site; table topics are equal for both kinds.

        SQL Server's topics are ``<prefix>.<database>.<schema>.<table>``, PostgreSQL's lack the database.
        """
        source = mapping.source
        prefix = source.topic_prefix if kind == "sqlserver" else f"{source.topic_prefix}.{source.database}"
        return cls(
            connector=f"orderwise-{kind}",
            prefix=prefix,
            heartbeat_rows=mapping.topic(HEARTBEAT, SCHEMA),
            heartbeats=f"__debezium-heartbeat.{prefix}",
            schema_changes=prefix,
            notifications=f"{source.topic_prefix}.notifications",
            signals=f"{source.topic_prefix}.signals",
            history=f"{source.topic_prefix}.schema-history",
        )
