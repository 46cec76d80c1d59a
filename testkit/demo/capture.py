"""The local stack behind real capture: a database that an ERP could write to, Kafka Connect with Debezium, and the rest.

PostgreSQL stands in for SQL Server, which cannot run everywhere. Nothing behind the captured topics can tell.
"""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, LiteralString

import psycopg
from psycopg import sql

from streams.connect.control import WaitLimits, healthy, wait_for
from streams.connect.render import PASSWORD_FILE, connector
from streams.connect.rest import ConnectClient
from streams.kafka.capture_topics import HEARTBEAT, SCHEMA, CaptureNames
from streams.mapping import load_mapping
from testkit.demo.stack import LocalStack
from testkit.local_services import connect, postgres
from testkit.local_services.connect import WorkerInfo
from testkit.local_services.postgres import PostgresInfo
from testkit.simulate.sql_runner import Part

_KIND: Final = "postgres"
_PATIENCE = WaitLimits(longest=60.0, lasting=0.5)
_SIGN_SECONDS = 0.5

_SIGN = sql.SQL("UPDATE {} SET beat = now() AT TIME ZONE 'UTC'").format(sql.Identifier(SCHEMA, HEARTBEAT))
_PLACES: LiteralString = "SELECT count(confirmed_flush_lsn) FROM pg_replication_slots"
_BEHIND: LiteralString = "SELECT coalesce(max(%s::pg_lsn - confirmed_flush_lsn), 1) FROM pg_replication_slots"


@dataclass
class CaptureStack(LocalStack):
    """A local stack whose events come from a database."""

    database: PostgresInfo | None = None
    connect: WorkerInfo | None = None
    _secrets: Path = field(init=False)

    def __post_init__(self) -> None:
        self._secrets = self.directory.resolve() / "secrets"

    @property
    def database_url(self) -> str:
        """The source database, without password."""
        assert self.database is not None
        return self.database.url(load_mapping(self.mapping).source.database)

    @property
    def connector(self) -> str:
        """The name of the connector."""
        return CaptureNames.of(load_mapping(self.mapping), _KIND).connector

    def connection(self) -> psycopg.Connection:
        """A connection to the source database."""
        assert self.database is not None
        return psycopg.connect(self.database_url, password=self.database.password, autocommit=True)

    def client(self) -> ConnectClient:
        """A client of the Connect worker."""
        assert self.connect is not None
        return ConnectClient(self.connect.url)

    async def _start(self) -> None:
        self.database = await asyncio.to_thread(postgres.start, self.directory / "postgres", progress=self.progress)
        self._secrets.mkdir(mode=0o700, exist_ok=True)
        password = self._secrets / PASSWORD_FILE
        password.touch(mode=0o600)
        password.write_text(self.database.password)
        await asyncio.to_thread(self._create_database)
        self.overrides = {
            **self.overrides,
            "OWDD_SOURCE_KIND": _KIND,
            "OWDD_SOURCE_PORT": str(self.database.port),
            "OWDD_SOURCE_USER": postgres.USER,
            "OWDD_SOURCE_TLS": "off",
            "OWDD_CONNECT_CREDENTIALS": str(self._secrets),
            "OWDD_ORDERWISE_PASSWORD": self.database.password,
        }
        await super()._start()
        await self.start_connect()

    def _create_database(self) -> None:
        assert self.database is not None
        name = load_mapping(self.mapping).source.database
        with psycopg.connect(self.database.url("postgres"), password=self.database.password, autocommit=True) as connection:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))

    async def start_connect(self) -> None:
        """Start the Connect worker, or start it again; it takes up its connectors by itself."""
        self.connect = await asyncio.to_thread(
            connect.start,
            self.directory / "connect",
            self.settings.kafka_bootstrap,
            group=f"{self.settings.app_id}-connect",
            secrets=self._secrets,
            short_lived=True,
            progress=self.progress,
        )
        # Workers that start from now on watch over the connector.
        self._environment["OWDD_CONNECT_URL"] = self.connect.url
        async with self.client() as client:
            await healthy(client, _PATIENCE)

    async def kill_connect(self) -> None:
        """SIGKILL the Connect worker, as a crash would."""
        await asyncio.to_thread(connect.kill, self.directory / "connect")

    async def capture(self) -> None:
        """Create the connector, and return once it captures what is committed from then on; its snapshot may go on.

        Raises:
            RuntimeError: it failed, or did not start in time.
            TimeoutError: it runs, but has no place in the database's log yet.
        """
        config = connector(load_mapping(self.mapping), _KIND, self.settings)
        async with self.client() as client:
            await client.put_config(self.connector, config)
        await self.capturing()
        await asyncio.to_thread(self._wait, wait_for_slot, _PATIENCE.longest)

    async def capturing(self) -> None:
        """Wait until the connector runs.

        Raises:
            RuntimeError: it failed, or does not run in time; with the reason that it gives.
        """
        async with self.client() as client:
            status = await wait_for(client, self.connector, lambda seen: seen.running or bool(seen.failed), _PATIENCE)
        if not status.running:
            reasons = [line for part in status.parts() for line in part.reasons()]
            raise RuntimeError(f"the connector does not run: {' / '.join(reasons) or status.connector.state}")

    async def simulate(self, arguments: list[str]) -> None:
        """Run ``owdd simulate`` on the database: the opening rows, then the connector's start, then what follows."""
        target = ["--sql-url", self.database_url]
        await super().simulate([*arguments, *target, "--part", Part.OPENING])
        await self.capture()
        await super().simulate([*arguments, *target, "--part", Part.LIVE])

    async def captured(self, timeout: float = 180.0) -> None:  # the caller's patience, not a cancellation
        """Wait until everything that is committed now is in Kafka.

        Raises:
            TimeoutError: with what was still on its way.
        """
        await asyncio.to_thread(self._wait, wait_until_captured, timeout)

    def _wait(self, condition: Callable[[psycopg.Connection, float], None], timeout: float) -> None:
        with self.connection() as connection:
            condition(connection, timeout)

    async def settled(self, timeout: float = 300.0) -> None:
        """As for any stack, once everything is captured."""
        await self.captured(timeout)
        await super().settled(timeout)

    async def stop(self) -> None:
        """Stop everything that this stack started; kill what does not go."""
        try:
            await asyncio.to_thread(connect.stop, self.directory / "connect", timeout=8)
        finally:
            try:
                await super().stop()
            finally:
                await asyncio.to_thread(postgres.stop, self.directory / "postgres")


def wait_for_slot(connection: psycopg.Connection, timeout: float) -> None:
    """Wait until a connector has its place in the log: what was committed before comes with its snapshot, the rest as changes.

    Raises:
        TimeoutError: it had none in time.
    """
    deadline = time.monotonic() + timeout
    while not int(_one(connection, _PLACES)):
        _pause(deadline, f"no connector has a place in the log after {timeout:.0f} s")


def wait_until_captured(connection: psycopg.Connection, timeout: float) -> None:
    """Wait until everything that is committed now is in Kafka.

    Debezium confirms a place of the log only after Kafka has acknowledged what stood before it. It moves on only with
    a captured change, so the heartbeat row is changed for as long as it takes. A new slot begins with a confirmed place,
    though nothing of the snapshot is in Kafka: the place to wait for is that of a change behind it.

    Raises:
        TimeoutError: with what was still on its way.
    """
    deadline = time.monotonic() + timeout
    wait_for_slot(connection, timeout)
    connection.execute(_SIGN)
    target = _one(connection, "SELECT pg_current_wal_insert_lsn()::text")
    while (behind := float(_one(connection, _BEHIND, target))) > 0:
        _pause(deadline, f"capture is still {behind:.0f} bytes behind after {timeout:.0f} s")
        connection.execute(_SIGN)


def _pause(deadline: float, late: str) -> None:
    if time.monotonic() > deadline:
        raise TimeoutError(late)
    time.sleep(_SIGN_SECONDS)  # the database tells nobody when a slot has moved on


def _one(connection: psycopg.Connection, question: LiteralString, *values: str) -> str:
    row = connection.execute(question, values).fetchone()
    assert row is not None
    return str(row[0])
