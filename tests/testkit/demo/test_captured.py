"""Whether everything is captured, asked of a real database: its slots are moved on by hand, as a connector would."""

import threading
import time
from collections.abc import Iterator
from typing import LiteralString

import psycopg
import pytest
from psycopg import sql

from streams.kafka.capture_topics import HEARTBEAT, SCHEMA
from testkit.demo.capture import wait_for_slot, wait_until_captured
from testkit.local_services import postgres
from testkit.local_services.postgres import PostgresInfo
from tests.patience import PATIENCE

_SLOT = "connector"
_SCHEMA = sql.Identifier(SCHEMA)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresInfo]:
    directory = tmp_path_factory.mktemp("captured")
    yield postgres.start(directory)
    postgres.stop(directory)


def connected(server: PostgresInfo) -> psycopg.Connection:
    return psycopg.connect(server.url("postgres"), password=server.password, autocommit=True)


@pytest.fixture
def database(server: PostgresInfo) -> Iterator[psycopg.Connection]:
    """With the row that a heartbeat changes, and without a slot."""
    with connected(server) as connection:
        connection.execute(sql.SQL("CREATE SCHEMA {}").format(_SCHEMA))
        row = sql.SQL("CREATE TABLE {} AS SELECT now() AT TIME ZONE 'UTC' AS beat")
        connection.execute(row.format(sql.Identifier(SCHEMA, HEARTBEAT)))
        yield connection
        connection.execute("SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots")
        connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(_SCHEMA))


def make_slot(connection: psycopg.Connection) -> None:
    connection.execute("SELECT pg_create_logical_replication_slot(%s, 'pgoutput')", (_SLOT,))


def waits_for(database: psycopg.Connection, seen: LiteralString) -> None:
    """Until another connection has asked this of the database again."""
    asked: LiteralString = (
        "SELECT count(*) FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND query = %s AND query_start > %s"
    )
    (began,) = database.execute("SELECT clock_timestamp()").fetchone() or (None,)
    deadline = time.monotonic() + PATIENCE
    while not (database.execute(asked, (seen, began)).fetchone() or (0,))[0]:
        assert time.monotonic() < deadline, f"nobody asked: {seen}"


def test_without_a_slot_nothing_is_captured(database: psycopg.Connection) -> None:
    with pytest.raises(TimeoutError, match="no connector has a place in the log"):
        wait_for_slot(database, 0.1)
    with pytest.raises(TimeoutError, match="no connector has a place in the log"):
        wait_until_captured(database, 0.1)


def test_a_new_slot_has_confirmed_nothing_of_its_snapshot(database: psycopg.Connection) -> None:
    make_slot(database)
    with pytest.raises(TimeoutError, match="bytes behind"):
        wait_until_captured(database, 0.1)


def test_a_slot_that_comes_late_has_confirmed_nothing_either(server: PostgresInfo, database: psycopg.Connection) -> None:
    """Its first confirmed place is behind all that was committed before, and its snapshot has still to be read."""
    captured = threading.Event()

    def wait() -> None:
        with connected(server) as connection:
            wait_until_captured(connection, PATIENCE)
        captured.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    waits_for(database, "SELECT count(confirmed_flush_lsn) FROM pg_replication_slots")
    make_slot(database)
    waits_for(database, 'UPDATE "owdd"."heartbeat" SET beat = now() AT TIME ZONE \'UTC\'')
    assert not captured.is_set()
    while waiting.is_alive():
        database.execute("SELECT pg_replication_slot_advance(%s, pg_current_wal_lsn())", (_SLOT,))
        waiting.join(0.05)
    assert captured.is_set()
