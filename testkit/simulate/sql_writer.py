"""The shop's changes as SQL: the statements by which an ERP would have made them, one transaction for each commit."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from itertools import groupby
from typing import Any, NamedTuple

import orjson

from streams.core.errors import OwddError
from streams.mapping import Mapping as SiteMapping
from testkit.simulate.envelopes import UNAVAILABLE, Change
from testkit.simulate.sql_dialects import Connection, Dialect
from testkit.simulate.sql_schema import DATETIME, DECIMAL, Table, site_tables

Row = Mapping[str, Any]


class NotEmptyError(OwddError):
    """The database has rows already, which no shop of ours put there or another run did."""


class Statement(NamedTuple):
    """SQL with ``%s`` for every value."""

    text: str
    values: tuple[Any, ...]


class Sql:
    """Turns changes into statements; pure."""

    def __init__(self, mapping: SiteMapping, dialect: Dialect) -> None:
        self.dialect = dialect
        self.tables = site_tables(mapping)
        self._tables = {table.name: table for table in self.tables}

    def create(self) -> list[str]:
        """The tables of the shop, and what the connector needs beside them; each is made only where it is missing."""
        shop = [statement for table in self.tables for statement in self.dialect.create(table)]
        return [*shop, *self.dialect.for_capture()]

    def statements(self, transaction: Iterable[Change]) -> Iterator[Statement]:
        """What made these changes. A delete and an insert that are one change of the log were a change of the key."""
        events = (orjson.loads(change.head + b"}") for change in transaction if change.head is not None)
        for _, same in groupby(events, _one_change):
            first, *rest = same
            table = self._tables[first["source"]["table"]]
            if rest:
                new = rest[0]["after"]
                yield self._update(table, first["before"], {table.key: new[table.key]})
            elif first["op"] == "d":
                yield self._delete(table, first["before"])
            elif first["op"] == "u":
                yield self._update(table, first["after"], _changed(table, first["before"], first["after"]))
            else:
                yield self._insert(table, first["after"])

    def _insert(self, table: Table, row: Row) -> Statement:
        columns = ", ".join(self.dialect.name(name) for name in row)
        places = ", ".join(["%s"] * len(row))
        text = f"INSERT INTO {self._name(table)} ({columns}) VALUES ({places})"
        return Statement(text, _values(table, row))

    def _update(self, table: Table, row: Row, changed: Row) -> Statement:
        columns = ", ".join(f"{self.dialect.name(name)} = %s" for name in changed)
        text = f"UPDATE {self._name(table)} SET {columns} WHERE {self.dialect.name(table.key)} = %s"
        return Statement(text, (*_values(table, changed), row[table.key]))

    def _delete(self, table: Table, row: Row) -> Statement:
        text = f"DELETE FROM {self._name(table)} WHERE {self.dialect.name(table.key)} = %s"
        return Statement(text, (row[table.key],))

    def _name(self, table: Table) -> str:
        return self.dialect.name(table.schema, table.name)


class SqlWriter:
    """Runs the statements of a shop on one connection."""

    def __init__(self, sql: Sql, connection: Connection) -> None:
        self._sql = sql
        self._connection = connection

    def create(self) -> None:
        """Make the tables.

        Raises:
            NotEmptyError: one of them has rows; and whatever the driver raises.
        """
        cursor = self._connection.cursor()
        for statement in self._sql.create():
            cursor.execute(statement)
        for table in self._sql.tables:
            name = self._sql.dialect.name(table.schema, table.name)
            cursor.execute(f"SELECT count(*) FROM {name}")
            if cursor.fetchone()[0]:
                raise NotEmptyError(f"{name} has rows already: the simulator fills an empty database")
        self._connection.commit()

    def write(self, transaction: Sequence[Change]) -> None:
        """Make changes, all or none. Raises what the driver raises."""
        cursor = self._connection.cursor()
        for text, same in groupby(self._sql.statements(transaction), lambda statement: statement.text):
            cursor.executemany(text, [statement.values for statement in same])
        self._connection.commit()


def _one_change(event: dict[str, Any]) -> object:
    """Equal for the two halves of a changed key, and for nothing else; rows of a snapshot have no place in the log."""
    source = event["source"]
    if source["change_lsn"] is None:
        return object()
    return source["table"], source["commit_lsn"], source["change_lsn"]


def _changed(table: Table, before: Row, after: Row) -> Row:
    """The columns to set; a row that was only saved again is written whole, as an ERP does."""
    changed = {name: value for name, value in after.items() if before[name] not in (value, UNAVAILABLE)}
    return changed or {name: value for name, value in after.items() if name != table.key}


def _values(table: Table, row: Row) -> tuple[Any, ...]:
    types = table.types
    return tuple(_value(types[name], value) for name, value in row.items())


def _value(kind: str, value: Any) -> Any:
    if value is None:
        return None
    if kind == DECIMAL:
        return Decimal(value)
    # The Z of an event is nominal: the column holds the site's wall clock.
    return datetime.fromisoformat(value.removesuffix("Z")) if kind == DATETIME else value
