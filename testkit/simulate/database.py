"""The ERP's database: rows by table, and the change record of everything written inside a transaction."""

from collections import Counter
from collections.abc import Iterator, KeysView

import msgspec
import orjson

from streams.mapping import Mapping
from testkit.simulate.envelopes import NULL, UNAVAILABLE, Change, Position, TableEnvelope, change_lsn, commit_lsn
from testkit.simulate.tables import (
    CONTACT,
    CUSTOMER,
    ERASED,
    KEYS,
    LINE,
    LOB_COLUMN,
    OPT_IN,
    Row,
    TableNames,
    Value,
    site_names,
)

# Not orjson: it keeps the kilobytes of its working buffer for as long as the result lives, and these live long.
_encode = msgspec.json.Encoder().encode


class Database:
    """Rows, held as the JSON that events carry: a large shop then fits in memory, and an event is only put together.

    Outside a transaction writes are silent: that is how the shop got its history before the capture began.
    """

    def __init__(self, mapping: Mapping, *, transactions: bool = False) -> None:
        """Start empty; with ``transactions`` every row carries Debezium's transaction block."""
        self.names: dict[str, TableNames] = site_names(mapping)
        self.tables = tuple(table for table in KEYS if table in self.names)
        self.envelopes = {table: TableEnvelope.of(mapping, names) for table, names in self.names.items()}
        self.opt_in_values: set[tuple[str, str]] = set()
        self.erased_values: set[tuple[str, str]] = set()
        self._back = {table: {new: old for old, new in names.columns.items()} for table, names in self.names.items()}
        self._rows: dict[str, dict[int, bytes]] = {table: {} for table in self.tables}
        self.former: dict[str, dict[int, list[bytes | None]]] = {table: {} for table in self.tables}
        self._captured: set[tuple[str, int]] = set()
        self._snapshot_taken = False
        self._next = dict.fromkeys(self.tables, 0)
        self._reserved = mapping.house_accounts
        self._commit = 0
        self._open: list[Change] | None = None
        self._at_ms = 0
        self._descending = False
        self._with_blocks = transactions
        self._seen: Counter[str] = Counter()

    def row(self, table: str, key: int) -> Row:
        """A copy of one row, under the usual column names. Raises KeyError."""
        row: Row = orjson.loads(self._rows[table][key])
        if back := self._back[table]:
            return {back.get(name, name): value for name, value in row.items()}
        return row

    def has(self, table: str, key: int) -> bool:
        return key in self._rows[table]

    def keys(self, table: str) -> KeysView[int]:
        return self._rows[table].keys()

    def encoded(self, table: str) -> dict[int, bytes]:
        """The rows of a table as the site's JSON; not to be changed."""
        return self._rows[table]

    def new_key(self, table: str) -> int:
        """The next identity value; a house account's own id is never given to another customer."""
        self._next[table] += 1
        while table == CUSTOMER and self._next[table] in self._reserved:
            self._next[table] += 1
        return self._next[table]

    @property
    def recording(self) -> bool:
        return self._open is not None

    def begin(self, at_ms: int, *, descending: bool = False) -> None:
        """Open a transaction at ``at_ms`` (UTC); ``descending`` lets ``change_lsn`` fall inside it, as CDC may."""
        self._open = []
        self._at_ms = at_ms
        self._descending = descending
        self._seen.clear()

    def commit(self) -> list[Change]:
        """Close the transaction and hand out its changes in log order; an empty one leaves no trace in the log."""
        changes, self._open = self._open or [], None
        return changes

    def insert(self, table: str, row: Row) -> None:
        """Add a row. Raises KeyError when its key is taken."""
        key = row[KEYS[table]]
        assert isinstance(key, int)
        if key in self._rows[table]:
            raise KeyError(f"{table} {key} exists")
        self._rows[table][key] = after = self._encoded(table, row)
        if key in self.former[table]:
            self.former[table][key].append(None)
        self._note_person(table, row)
        self._record(table, key, b"c", NULL, after, b"1")

    def update(self, table: str, key: int, **values: Value) -> None:
        """Change columns of one row. Raises KeyError."""
        row = self.row(table, key)
        before, former = self._old_image(table, key, row, values), row.get("cc_email")
        row.update(values)
        self._keep(table, key)
        self._rows[table][key] = after = self._encoded(table, row)
        self._note_person(table, row, former)
        self._record(table, key, b"u", before, after, b"2")

    def delete(self, table: str, key: int) -> Row:
        """Remove a row and return it: a delete event, then a tombstone. Raises KeyError."""
        row = self.row(table, key)
        # The record of a deletion still says which order had the line; other rows are then known to be gone, and no more.
        self._keep(table, key, seen=table == LINE and self.recording)
        self._record(table, key, b"d", self._rows[table].pop(key), NULL, b"1")
        self._tombstone(table, key)
        return row

    def rekey(self, table: str, key: int, new: int) -> None:
        """Change a primary key: CDC logs a delete and an insert that share both LSNs."""
        row = self.row(table, key)
        self._keep(table, key)
        self._record(table, key, b"d", self._rows[table].pop(key), NULL, b"1")
        self._tombstone(table, key)
        row[KEYS[table]] = new
        self._rows[table][new] = after = self._encoded(table, row)
        self._record(table, new, b"c", NULL, after, b"2", same_change=True)

    def snapshot(self, at_ms: int) -> Iterator[Change]:
        """Every row as the initial snapshot reads it, table by table, with Debezium's markers."""
        self._snapshot_taken = True
        tables = [table for table in self.tables if self._rows[table]]
        position = Position(NULL, commit_lsn(0).encode(), NULL)
        for table in tables:
            rows, envelope = self._rows[table], self.envelopes[table]
            final = len(rows) - 1
            for index, (key, row) in enumerate(rows.items()):
                mark = b'"true"'
                if index == final:
                    mark = b'"last"' if table == tables[-1] else b'"last_in_data_collection"'
                elif index == 0:
                    mark = b'"first"' if table == tables[0] else b'"first_in_data_collection"'
                yield Change(envelope.topic, envelope.key(key), envelope.head(b"r", NULL, row, position, at_ms, mark), 0)

    def _encoded(self, table: str, row: Row) -> bytes:
        if columns := self.names[table].columns:
            row = {columns.get(name, name): value for name, value in row.items()}
        return _encode(row)

    def _old_image(self, table: str, key: int, row: Row, values: dict[str, Value]) -> bytes:
        lob = LOB_COLUMN.get(table)
        if lob is None or lob in values:
            return self._rows[table][key]
        return self._encoded(table, row | {lob: UNAVAILABLE})

    def _keep(self, table: str, key: int, *, seen: bool = False) -> None:
        """Remember a version that is written over, if it was ``seen``, or a snapshot or a change record has it."""
        if seen or self._snapshot_taken or (table, key) in self._captured:
            self.former[table].setdefault(key, []).append(self._rows[table][key])

    def _record(
        self, table: str, key: int, op: bytes, before: bytes, after: bytes, serial: bytes, *, same_change: bool = False
    ) -> None:
        if self._open is None:
            return
        self._captured.add((table, key))
        if not self._open:
            self._commit += 1
        envelope = self.envelopes[table]
        number = self._seen.total() + (0 if same_change else 1)
        change = change_lsn(self._commit, 0x4000 - number if self._descending else number)
        commit = commit_lsn(self._commit).encode()
        block = NULL
        if self._with_blocks:
            block = b'{"id":"%b","total_order":%d,"data_collection_order":%d}' % (
                commit,
                self._seen.total() + 1,
                self._seen[table] + 1,
            )
        self._seen[table] += 1
        position = Position(b'"%b"' % change.encode(), commit, serial)
        head = envelope.head(op, before, after, position, self._at_ms, transaction=block)
        self._open.append(Change(envelope.topic, envelope.key(key), head, self._commit))

    def _tombstone(self, table: str, key: int) -> None:
        if self._open is not None:
            envelope = self.envelopes[table]
            self._open.append(Change(envelope.topic, envelope.key(key), None, self._commit))

    def _note_person(self, table: str, row: Row, former: Value = None) -> None:
        """Remember what a version of a contact row said of a person for good, whatever becomes of the row.

        Who asks to be forgotten asks for the address that the same save replaces (``former``), too.
        """
        if table != CONTACT:
            return
        if row[OPT_IN] is not None and row["cc_email"]:
            self.opt_in_values.add((str(row[OPT_IN]), str(row["cc_email"])))
        if row[ERASED] is not None:
            self.erased_values.update((str(row[ERASED]), str(email)) for email in (row["cc_email"], former) if email)
