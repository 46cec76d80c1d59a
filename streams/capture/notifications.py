"""What the connector says about its snapshots: the records of its topic of notifications.

Source: Debezium's page on notifications, and its ``InitialSnapshotNotificationService`` and
``IncrementalSnapshotNotificationService``. Both end in the same way; ``status`` says whether the table was read.
"""

from typing import Final

import msgspec

SOME_ROWS: Final = "owdd-part-"
"""Begins the id of a snapshot that reads only some rows of a table: nothing follows from its end."""

_WHOLE: Final = ("SUCCEEDED", "EMPTY")
"""How reading a table can end so that all of its rows are in Kafka."""


class Loaded(msgspec.Struct, frozen=True):
    """A table was read whole: ``collection`` is its name with schema, and with database where the connector has several.

    Without one it was the snapshot of all tables that ended, now or before the connector was started again. ``rows``: so many
    were read; 0 if that is not known.
    """

    collection: str | None
    rows: int = 0

    def is_of(self, topic: str) -> bool:
        """Whether the captured topic holds the rows of that table."""
        return self.collection is None or topic.casefold().endswith(f".{self.collection}".casefold())


class _Notification(msgspec.Struct):
    id: str = ""
    type: str = ""
    aggregate_type: str = ""
    additional_data: dict[str, str] | None = None


class _WithSchema(msgspec.Struct):
    payload: _Notification


_plain = msgspec.json.Decoder(_Notification).decode
_wrapped = msgspec.json.Decoder(_WithSchema).decode


def loaded(value: bytes | None) -> Loaded | None:
    """What the notification says was loaded; None: nothing, or it cannot be read."""
    try:
        said = _wrapped(value or b"").payload if b'"payload"' in (value or b"") else _plain(value or b"")
    except msgspec.MsgspecError:
        return None
    data = said.additional_data or {}
    match said.aggregate_type, said.type:
        case "Initial Snapshot", "COMPLETED" | "SKIPPED":
            # Skipped at a restart, because it was completed before.
            return Loaded(None)
        case "Initial Snapshot" | "Incremental Snapshot", "TABLE_SCAN_COMPLETED" if data.get("status") in _WHOLE:
            rows = data.get("total_rows_scanned", "")
            table = data.get("scanned_collection")
            partial = said.id.startswith(SOME_ROWS)
            return None if table is None or partial else Loaded(table, int(rows) if rows.isdecimal() else 0)
        case _:
            return None
