"""What differs between the databases that the shop can write to: names, types, and what surrounds a table."""

from collections.abc import Iterator
from typing import Any, Protocol
from urllib.parse import SplitResult, unquote

import psycopg
import pymssql

from streams.connect.sql import names as sql_names
from streams.core.errors import ConfigurationError
from streams.kafka.capture_topics import HEARTBEAT, HEARTBEAT_COLUMNS, SCHEMA, SIGNAL, SIGNAL_COLUMNS
from testkit.simulate.sql_schema import BIT, DATETIME, DECIMAL, INT, MEMO, Table


class Connection(Protocol):
    """What we use of a DB-API connection; a transaction is open from the first statement until ``commit``."""

    def cursor(self) -> Any:
        """A new cursor; parameters are ``%s`` in both drivers."""
        ...

    def commit(self) -> None:
        """End the transaction."""
        ...

    def close(self) -> None:
        """Give the connection up, and with it what was not committed."""
        ...


class Dialect(Protocol):
    """One kind of database."""

    def connect(self, url: SplitResult, password: str) -> Connection:
        """Open a connection to the database that ``url`` names.

        Raises:
            OSError, psycopg.Error, pymssql.Error: nobody answers, or refuses.
        """
        ...

    def name(self, *parts: str) -> str:
        """A quoted name, which keeps its case."""
        ...

    def create(self, table: Table) -> Iterator[str]:
        """Make a table where it does not exist, and what must stand around it."""
        ...

    def for_capture(self) -> Iterator[str]:
        """Make what the connector needs besides, where nobody else does."""
        ...


_POSTGRES_TYPES = {INT: "integer", BIT: "boolean", DATETIME: "timestamp(3)", DECIMAL: "numeric(18,4)", MEMO: "text"}


class Postgres:
    """PostgreSQL, the stand-in; it also gets the connector's own tables, which a DBA's script makes on SQL Server."""

    def connect(self, url: SplitResult, password: str) -> Connection:
        """Open a connection."""
        return psycopg.connect(url.geturl(), password=password, connect_timeout=10)

    def name(self, *parts: str) -> str:
        """Names in double quotes."""
        return ".".join('"' + part.replace('"', '""') + '"' for part in parts)

    def create(self, table: Table) -> Iterator[str]:
        """A table whose deletes and updates carry the whole old row into the log, as SQL Server's do."""
        name = self.name(table.schema, table.name)
        columns = [
            f"{self.name(column.name)} {_postgres_type(column.type)}{' NOT NULL' if column.required else ''}"
            for column in table.columns
        ]
        yield f"CREATE SCHEMA IF NOT EXISTS {self.name(table.schema)}"
        yield f"CREATE TABLE IF NOT EXISTS {name} ({', '.join(columns)}, PRIMARY KEY ({self.name(table.key)}))"
        yield f"ALTER TABLE {name} REPLICA IDENTITY FULL"

    def for_capture(self) -> Iterator[str]:
        """Debezium's heartbeat and signal tables."""
        heartbeat, signal = self.name(SCHEMA, HEARTBEAT), self.name(SCHEMA, SIGNAL)
        number, beat = HEARTBEAT_COLUMNS
        key, kind, data = SIGNAL_COLUMNS
        yield f"CREATE SCHEMA IF NOT EXISTS {self.name(SCHEMA)}"
        yield f"CREATE TABLE IF NOT EXISTS {heartbeat} ({number} integer PRIMARY KEY, {beat} timestamp(3) NOT NULL)"
        yield f"INSERT INTO {heartbeat} VALUES (1, now() AT TIME ZONE 'UTC') ON CONFLICT DO NOTHING"
        yield (
            f"CREATE TABLE IF NOT EXISTS {signal} "
            f"({key} varchar(42) PRIMARY KEY, {kind} varchar(32) NOT NULL, {data} varchar(2048))"
        )


def _postgres_type(kind: str) -> str:
    return _POSTGRES_TYPES.get(kind) or kind.removeprefix("n")


class SqlServer:
    """SQL Server itself."""

    def connect(self, url: SplitResult, password: str) -> Connection:
        """Open a connection."""
        return pymssql.connect(
            server=url.hostname or "127.0.0.1",
            port=str(url.port or 1433),
            user=unquote(url.username or ""),
            password=password,
            database=unquote(url.path.removeprefix("/")),
            login_timeout=10,
        )

    def name(self, *parts: str) -> str:
        """Names in brackets."""
        return sql_names.qualified(*parts)

    def create(self, table: Table) -> Iterator[str]:
        """A table, and its schema, which must be the only statement of its batch."""
        name, schema = self.name(table.schema, table.name), sql_names.text(table.schema)
        columns = [
            f"{self.name(column.name)} {column.type} {'NOT NULL' if column.required else 'NULL'}" for column in table.columns
        ]
        key = f"CONSTRAINT {self.name('pk_' + table.name)} PRIMARY KEY ({self.name(table.key)})"
        make_schema = sql_names.text(f"CREATE SCHEMA {self.name(table.schema)}")
        yield f"IF SCHEMA_ID({schema}) IS NULL EXEC({make_schema})"
        yield f"IF OBJECT_ID({sql_names.text(name)}, N'U') IS NULL CREATE TABLE {name} ({', '.join(columns)}, {key})"

    def for_capture(self) -> Iterator[str]:
        """Nothing: what CDC and the connector need is the DBA's script (``owdd connectors sql``)."""
        yield from ()


DIALECTS: dict[str, Dialect] = {"postgresql": Postgres(), "mssql": SqlServer()}
"""By the scheme of a URL."""


def dialect_of(url: SplitResult) -> Dialect:
    """The dialect of a database URL.

    Raises:
        ConfigurationError: the URL is of another kind, names no database, or holds a password.
    """
    found = DIALECTS.get(url.scheme)
    if found is None:
        raise ConfigurationError(f"a database URL begins with {' or '.join(f'{scheme}://' for scheme in DIALECTS)}")
    try:
        _ = url.port
    except ValueError:
        raise ConfigurationError("the port of the database URL is not a number between 0 and 65535") from None
    if not url.path.strip("/"):
        raise ConfigurationError("the database URL names no database: add it, as in mssql://user@host:1433/Orderwise")
    if url.password is not None:
        raise ConfigurationError(
            "a password in the database URL can be seen by everybody on the machine: give it as OWDD_ORDERWISE_PASSWORD, "
            "or as a secret file owdd_orderwise_password"
        )
    return found
