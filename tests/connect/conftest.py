"""A site for real: Kafka, Kafka Connect with Debezium, and PostgreSQL in SQL Server's place."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psycopg
import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.cli.exit_codes import ExitCode
from streams.connect.render import PASSWORD_FILE, connector
from streams.mapping import load_mapping
from streams.settings import Settings, SourceKind
from testkit.local_services import connect, kafka, postgres
from testkit.local_services.ports import free_port
from testkit.simulate.sql_dialects import DIALECTS
from testkit.simulate.sql_writer import Sql

MAPPING = load_mapping()


@dataclass(frozen=True)
class CommandResult:
    """What a command returned."""

    code: ExitCode
    data: dict[str, Any]
    output: str


@dataclass(frozen=True)
class Site:
    """What runs, and how the command line is told of it."""

    directory: Path
    environment: dict[str, str]
    server: postgres.PostgresInfo
    jvm_metrics: str

    @property
    def password(self) -> str:
        return self.server.password

    @property
    def settings(self) -> Settings:
        lowered = {key.removeprefix("OWDD_").lower(): value for key, value in self.environment.items()}
        return Settings.model_validate(lowered)

    def owdd(self, *arguments: str, **environment: str) -> CommandResult:
        """Run ``owdd connectors`` with ``--json``."""
        result = CliRunner().invoke(app, ["connectors", *arguments, "--json"], env=self.environment | environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert self.password not in result.output
        return CommandResult(ExitCode(result.exit_code), json.loads(result.stdout), result.output)

    def file(self, kind: SourceKind = "postgres", **changes: str) -> str:
        """A file with the rendered configuration and some changes; ``__`` stands for a dot."""
        config = connector(MAPPING, kind, self.settings)
        path = self.directory / "changed.json"
        path.write_text(json.dumps(config | {key.replace("__", "."): value for key, value in changes.items()}))
        return str(path)


@pytest.fixture(scope="session")
def site(broker: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    directory = tmp_path_factory.mktemp("site")
    running = kafka.status(broker).broker
    assert running is not None
    try:
        server = postgres.start(directory / "postgres")
        _make_database(server)
        secrets = directory / "secrets"
        secrets.mkdir()
        (secrets / PASSWORD_FILE).write_text(server.password)
        metrics = free_port()
        worker = connect.start(directory / "connect", running.bootstrap, secrets=secrets, metrics=metrics, short_lived=True)
        environment = {
            "OWDD_CONNECT_URL": worker.url,
            "OWDD_CONNECT_CREDENTIALS": str(secrets),
            "OWDD_KAFKA_BOOTSTRAP": running.bootstrap,
            "OWDD_SOURCE_HOST": "127.0.0.1",
            "OWDD_SOURCE_KIND": "postgres",
            "OWDD_SOURCE_PORT": str(server.port),
            "OWDD_SOURCE_TLS": "off",
            "OWDD_SOURCE_USER": postgres.USER,
        }
        assert not environment.keys() & os.environ.keys()
        yield Site(directory, environment, server, f"http://127.0.0.1:{metrics}/metrics")
    finally:
        connect.stop(directory / "connect")
        postgres.stop(directory / "postgres")


def _make_database(server: postgres.PostgresInfo) -> None:
    database = MAPPING.source.database
    with psycopg.connect(server.url("postgres"), password=server.password, autocommit=True) as administrator:
        administrator.execute(f'CREATE DATABASE "{database}"'.encode())
    dialect = DIALECTS["postgresql"]
    shop = dialect.connect(urlsplit(server.url(database)), server.password)
    for statement in Sql(MAPPING, dialect).create():
        shop.cursor().execute(statement)
    shop.commit()
    shop.close()
