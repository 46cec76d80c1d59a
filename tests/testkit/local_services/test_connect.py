"""The local Connect worker, for real: Kafka Connect and Debezium on this machine's Java."""

import asyncio
import json
import os
import stat
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import httpx
import pytest
from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped, unused-ignore]
from typer.testing import CliRunner

from streams.cli.exit_codes import ExitCode
from testkit.cli.connect import app
from testkit.local_services import daemon
from testkit.local_services.connect import WorkerInfo, kill, start, status, stop
from testkit.local_services.ports import choose_port, free_port
from testkit.local_services.start_errors import (
    DirectoryUnusable,
    JavaMissing,
    KafkaUnreachable,
    PortTaken,
    ProgramDied,
    RunsOtherwise,
)

PLUGINS = {
    "io.debezium.connector.sqlserver.SqlServerConnector",
    "io.debezium.connector.postgresql.PostgresConnector",
}


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "data dir"
    yield directory
    kill(directory)


class Impostor(BaseHTTPRequestHandler):
    """Answers everything with success, as another program on a port may."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def impostor() -> Iterator[int]:
    with HTTPServer(("127.0.0.1", free_port()), Impostor) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server.server_port
        server.shutdown()
        thread.join()


async def topics_of(bootstrap: str) -> set[str]:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        return set(await admin.list_topics())
    finally:
        await admin.close()


def test_it_has_debeziums_connectors_and_each_its_own_jars(worker: WorkerInfo) -> None:
    plugins = httpx.get(f"{worker.url}/connector-plugins", trust_env=False).json()
    assert {plugin["class"] for plugin in plugins} == PLUGINS
    directories = {link.name: {jar.name for jar in link.iterdir()} for link in (worker.data_dir / "plugins").iterdir()}
    assert directories.keys() == {"sqlserver", "postgres"}
    assert any(name.startswith("mssql-jdbc") for name in directories["sqlserver"] - directories["postgres"])
    # Classes that the worker shares with its plugins must come from the worker alone.
    assert not any(
        name.startswith(("kafka", "connect-api", "jackson", "slf4j")) for jars in directories.values() for name in jars
    )


def test_it_is_alone_in_its_session_and_listens_on_loopback_only(worker: WorkerInfo) -> None:
    assert os.getsid(worker.pid) != os.getsid(0)
    config = (worker.data_dir / "worker.properties").read_text().splitlines()
    assert [line for line in config if line.startswith("listeners=")] == [f"listeners=http://127.0.0.1:{worker.port}"]
    assert stat.S_IMODE((worker.data_dir / "secrets").stat().st_mode) == 0o700


def test_its_topics_are_named_after_its_group(worker: WorkerInfo, bootstrap: str) -> None:
    assert {"shared-configs", "shared-offsets", "shared-status"} <= asyncio.run(topics_of(bootstrap))


def test_a_second_start_changes_nothing_and_says_so(worker: WorkerInfo, bootstrap: str) -> None:
    again = start(worker.data_dir, bootstrap, group="shared")
    assert again.already_running
    assert (again.pid, again.port) == (worker.pid, worker.port)


def test_a_second_start_with_other_settings_is_refused(worker: WorkerInfo, bootstrap: str) -> None:
    with pytest.raises(RunsOtherwise, match=f"pid {worker.pid}"):
        start(worker.data_dir, bootstrap, group="another")
    assert status(worker.data_dir).state == "running"


def test_it_comes_back_on_its_port_after_a_stop_and_after_a_crash(data_dir: Path, bootstrap: str) -> None:
    first = start(data_dir, bootstrap, group="restarted", short_lived=True)
    assert stop(data_dir) == "stopped"
    assert status(data_dir).state == "stopped"
    assert stop(data_dir) == "not running"

    second = start(data_dir, bootstrap, group="restarted", short_lived=True)
    assert second.port == first.port
    assert second.pid != first.pid
    assert kill(data_dir)
    assert status(data_dir).state == "stale"
    assert not kill(data_dir)

    third = start(data_dir, bootstrap, group="restarted", short_lived=True)
    assert third.port == first.port
    assert status(data_dir).state == "running"


def test_a_taken_port_is_named(data_dir: Path, bootstrap: str, impostor: int) -> None:
    with pytest.raises(PortTaken, match=f"Port {impostor} .* taken"):
        start(data_dir, bootstrap, impostor)
    assert status(data_dir).state == "stopped"


def test_a_program_that_came_first_to_the_port_is_not_taken_for_the_worker(
    data_dir: Path, bootstrap: str, impostor: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    choices = iter([impostor])
    monkeypatch.setattr(daemon, "choose_port", lambda asked, last: next(choices, None) or choose_port(asked, last))
    running = start(data_dir, bootstrap, group="late", short_lived=True)
    assert running.port != impostor
    assert status(data_dir).state == "running"


def test_without_kafka_it_does_not_even_try(data_dir: Path) -> None:
    nobody = f"127.0.0.1:{free_port()}"
    with pytest.raises(KafkaUnreachable, match=f"No Kafka answers on {nobody}"):
        start(data_dir, nobody)
    with pytest.raises(KafkaUnreachable):
        start(data_dir, "no port")
    assert status(data_dir).state == "stopped"


def test_a_worker_that_dies_is_explained_with_its_last_words(data_dir: Path, bootstrap: str) -> None:
    with pytest.raises(ProgramDied, match=r"Kafka Connect ended .*\n.*Invalid maximum heap size"):
        start(data_dir, bootstrap, heap="plenty")
    assert status(data_dir).state == "stopped"


def test_a_directory_that_cannot_be_used_is_explained(tmp_path: Path, bootstrap: str) -> None:
    with pytest.raises(DirectoryUnusable, match="comma"):
        start(tmp_path / "a,b", bootstrap)


def test_without_java_it_says_what_to_install(tmp_path: Path, bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    with pytest.raises(JavaMissing, match="no Java was found"):
        start(tmp_path / "data", bootstrap)


def test_a_pid_that_is_another_program_by_now_is_stale_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "connect.json").write_text(json.dumps({"pid": os.getpid(), "port": 29_999, "identity": "0"}))
    assert status(tmp_path).state == "stale"
    assert not kill(tmp_path)
    assert stop(tmp_path) == "not running"
    assert status(tmp_path).state == "stopped"


def test_the_command_line_starts_reports_and_stops(tmp_path: Path, bootstrap: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWDD_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("OWDD_KAFKA_BOOTSTRAP", bootstrap)
    cli = CliRunner()

    assert cli.invoke(app, ["status"]).exit_code == ExitCode.NOT_RUNNING
    try:
        started = json.loads(cli.invoke(app, ["start", "--group", "cli", "--short-lived", "--json"]).stdout)
        assert started["url"] == f"http://127.0.0.1:{started['port']}"
        assert "runs already" in cli.invoke(app, ["start", "--group", "cli"]).stdout
        assert started["url"] in cli.invoke(app, ["status"]).stdout
        kill(tmp_path / "connect")
        gone = cli.invoke(app, ["status", "--json"])
        assert gone.exit_code == ExitCode.NOT_RUNNING
        assert json.loads(gone.stdout)["state"] == "stale"
        assert "is gone or is another program now" in cli.invoke(app, ["status"]).stdout
        assert json.loads(cli.invoke(app, ["stop", "--json"]).stdout)["state"] == "stopped"
    finally:
        kill(tmp_path / "connect")
    assert "not running" in cli.invoke(app, ["stop"]).stdout


def test_the_command_line_looks_for_the_broker_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OWDD_KAFKA_BOOTSTRAP", raising=False)
    failed = CliRunner().invoke(app, ["start", "--data-dir", str(tmp_path)])
    assert failed.exit_code == 1
    assert f"No Kafka answers on the embedded broker of {tmp_path}" in failed.stderr
