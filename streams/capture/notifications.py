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


class WholeRead(msgspec.Struct, frozen=True):
    """A snapshot has read all ``rows`` of a table, between ``began`` and now; appended at (epoch ms)."""

    began: int
    rows: int


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
    said = _read(value)
    match said.aggregate_type, said.type:
        case "Initial Snapshot", "COMPLETED" | "SKIPPED":
            # Skipped at a restart, because it was completed before.
            return Loaded(None)
        case "Initial Snapshot" | "Incremental Snapshot", "TABLE_SCAN_COMPLETED":
            return _scanned(said)
        case _:
            return None


class WholeReads:
    """The newest whole reading of each table, as far as the notifications say when it began; given in their order."""

    def __init__(self) -> None:
        self._began: dict[str, int] = {}
        self._found: dict[str, WholeRead] = {}

    def take(self, value: bytes | None, at: int) -> None:
        """Look at the next notification, which was appended ``at`` (epoch ms)."""
        said = _read(value)
        match said.aggregate_type, said.type:
            case "Initial Snapshot", "STARTED":
                self._began[said.aggregate_type] = at
            case "Incremental Snapshot", "STARTED":
                # Tables that are asked for while others are read join them: some rows of these may be older than this.
                self._began.setdefault(said.aggregate_type, at)
            case "Incremental Snapshot", "COMPLETED" | "ABORTED":
                self._began.pop(said.aggregate_type, None)
            case "Initial Snapshot" | "Incremental Snapshot", "TABLE_SCAN_COMPLETED":
                scanned, began = _scanned(said), self._began.get(said.aggregate_type)
                if scanned is not None and scanned.collection is not None and began is not None:
                    self._found[scanned.collection] = WholeRead(began, scanned.rows)

    def of(self, topic: str) -> WholeRead | None:
        """The newest reading of the table whose rows the captured topic holds; None: none is known."""
        found = [read for collection, read in self._found.items() if Loaded(collection).is_of(topic)]
        return max(found, key=lambda read: read.began, default=None)


def _read(value: bytes | None) -> _Notification:
    """The notification; an empty one if it cannot be read."""
    try:
        return _wrapped(value or b"").payload if b'"payload"' in (value or b"") else _plain(value or b"")
    except msgspec.MsgspecError:
        return _Notification()


def _scanned(said: _Notification) -> Loaded | None:
    """The table that was read whole, by the end of its scan; None: not all of it was read."""
    data = said.additional_data or {}
    table, rows = data.get("scanned_collection"), data.get("total_rows_scanned", "")
    if table is None or data.get("status") not in _WHOLE or said.id.startswith(SOME_ROWS):
        return None
    return Loaded(table, int(rows) if rows.isdecimal() else 0)
