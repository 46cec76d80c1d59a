"""The embedded broker: one Kafka node in KRaft mode, controller included, that listens on 127.0.0.1 only.

A data directory holds all there is to know of a broker::

    broker.json         pid (null once stopped), port and cluster id
    broker.log          what it says; broker.log.1 is the part before
    broker.lock         held while someone starts or stops it
    server.properties   written anew at each start, and log4j2.properties with it
    storage/            Kafka's own

All functions block; from async code use ``asyncio.to_thread`` or ``embedded_broker``.
"""

import asyncio
import base64
import json
import re
import shutil
import signal
import socket
import subprocess
import time
import uuid
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Literal

from aiokafka.admin import AIOKafkaAdminClient  # type: ignore[import-untyped, unused-ignore]
from aiokafka.errors import KafkaError  # type: ignore[import-untyped, unused-ignore]

from streams.runtime.errors import BrokerDied, BrokerNotReady, BrokerNotStopped, PortTaken, StorageFormatFailed
from streams.runtime.jars import Progress, file_lock, pom, resolve, silent
from streams.runtime.java import Java, end, find_java, is_running, last_words, read_log, spawn_detached
from streams.runtime.ports import HOST, choose_port, free_port
from streams.runtime.properties import LOG4J2_PROPERTIES, server_properties

START_SECONDS = 60.0
STOP_SECONDS = 30.0

_POLL_SECONDS = 0.05
_ANSWER_MS = 2_000
_AFTER_SIGKILL_SECONDS = 10.0
_PORT_TRIES = 5
_LOG_BYTES = 16 * 1024 * 1024
_BIND_FAILED = re.compile(r"failed to bind to \S*?:(\d+)")

# The serial collector starts fastest and is the smallest; perf data would be left in /tmp after a SIGKILL.
_JVM = ("-XX:+UseSerialGC", "-XX:-UsePerfData", "-XX:+ExitOnOutOfMemoryError", "-Djava.awt.headless=true")
_NO_OPTIMISING_COMPILER = "-XX:TieredStopAtLevel=1"

StopOutcome = Literal["stopped", "killed", "not running"]


@dataclass(frozen=True, slots=True)
class BrokerInfo:
    """A broker that was started; ``already_running`` when ``start`` found it so and did nothing."""

    data_dir: Path
    pid: int
    port: int
    cluster_id: str
    already_running: bool = False

    @property
    def bootstrap(self) -> str:
        """``host:port`` for ``bootstrap.servers``."""
        return f"{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """The broker's log file."""
        return self.data_dir / "broker.log"


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """``stale``: the state file names a pid that is gone or that belongs to another program by now."""

    state: Literal["running", "stopped", "stale"]
    broker: BrokerInfo | None = None


@dataclass(frozen=True, slots=True)
class _State:
    """The content of ``broker.json``."""

    pid: int | None
    port: int
    cluster_id: str


def start(
    data_dir: Path,
    port: int | None = None,
    *,
    heap: str = "512m",
    short_lived: bool = False,
    timeout: float = START_SECONDS,
    progress: Progress = silent,
) -> BrokerInfo:
    """Start the broker of ``data_dir``, detached, and return once it answers a metadata request.

    Does nothing when it runs already. ``port`` is chosen when None: the last one if it is free, else any.
    ``heap`` is in the JVM's notation. ``short_lived`` leaves out the optimising compiler: about a second faster to
    start, and slower under load. ``timeout`` is in seconds, without the time that fetching the jars takes.
    Raises any ``RuntimeUnavailableError``, and leaves no broker of its own behind then.
    """
    data_dir = _prepared(data_dir)
    with _lock(data_dir, progress):
        found = status(data_dir)
        if found.state == "running" and found.broker:
            _wait_until_ready(found.broker, 0, timeout)
            return replace(found.broker, already_running=True)
        java = find_java()
        jars = resolve(pom("broker"), java, progress)
        jvm = (f"-Xmx{heap}", *_JVM, *([_NO_OPTIMISING_COMPILER] if short_lived else []))
        last = _read_state(data_dir)
        for tries_left in reversed(range(_PORT_TRIES)):
            chosen = choose_port(port, last.port if last else None)
            try:
                return _launch(data_dir, chosen, java, jars, jvm, timeout, progress)
            except PortTaken as taken:
                # Lost between the look and the bind; only a port that was asked for by number cannot be swapped.
                if taken.port == port or not tries_left:
                    raise
        raise AssertionError("the last try returns or raises")


def stop(data_dir: Path, *, timeout: float = STOP_SECONDS, progress: Progress = silent) -> StopOutcome:
    """Stop the broker and return once it is gone; after ``timeout`` seconds with SIGKILL. Its data and port are kept.

    Raises ``BrokerNotStopped`` if not even SIGKILL ends it.
    """
    data_dir = _absolute(data_dir)
    if not data_dir.exists():
        return "not running"
    with _lock(data_dir, progress):
        found = status(data_dir)
        outcome: StopOutcome = "not running"
        if found.state == "running" and found.broker:
            outcome = "stopped"
            if not end(found.broker.pid, _marker(data_dir), signal.SIGTERM, timeout):
                progress(f"Kafka did not end within {timeout:g} s of SIGTERM: killing it")
                kill(data_dir)
                outcome = "killed"
        if found.broker:
            _write_state(data_dir, _State(None, found.broker.port, found.broker.cluster_id))
        return outcome


def kill(data_dir: Path) -> bool:
    """SIGKILL the broker, as a crash would, and return once it is gone; False if it did not run.

    Takes no lock, so that it can hit a broker in the middle of its start. ``start`` brings it back on the same port.
    """
    data_dir = _absolute(data_dir)
    found = status(data_dir)
    if found.state != "running" or not found.broker:
        return False
    if not end(found.broker.pid, _marker(data_dir), signal.SIGKILL, _AFTER_SIGKILL_SECONDS):
        raise BrokerNotStopped(found.broker.pid)
    return True


def status(data_dir: Path) -> BrokerStatus:
    """Whether the broker of ``data_dir`` runs; looks at the process and does not connect."""
    data_dir = _absolute(data_dir)
    state = _read_state(data_dir)
    if state is None or state.pid is None:
        return BrokerStatus("stopped")
    broker = BrokerInfo(data_dir, state.pid, state.port, state.cluster_id)
    return BrokerStatus("running" if is_running(state.pid, _marker(data_dir)) else "stale", broker)


class EmbeddedBroker:
    """The context manager behind ``embedded_broker``, sync and async."""

    def __init__(self, data_dir: Path, port: int | None, heap: str, short_lived: bool, progress: Progress) -> None:
        self._data_dir = data_dir
        self._port = port
        self._heap = heap
        self._short_lived = short_lived
        self._progress = progress
        self._ours = False

    def __enter__(self) -> BrokerInfo:
        broker = start(self._data_dir, self._port, heap=self._heap, short_lived=self._short_lived, progress=self._progress)
        self._ours = not broker.already_running
        return broker

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None) -> None:
        if self._ours:
            stop(self._data_dir, progress=self._progress)

    async def __aenter__(self) -> BrokerInfo:
        starting = asyncio.create_task(asyncio.to_thread(self.__enter__))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            # The thread cannot be cancelled: left alone it would leave a broker that nobody stops.
            with suppress(Exception):
                await starting
            await asyncio.to_thread(self.__exit__, None, None, None)
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await asyncio.to_thread(self.__exit__, kind, error, traceback)


def embedded_broker(
    data_dir: Path,
    port: int | None = None,
    *,
    heap: str = "512m",
    short_lived: bool = False,
    progress: Progress = silent,
) -> EmbeddedBroker:
    """A broker for the length of a ``with`` or ``async with`` block, which yields its ``BrokerInfo``.

    The block may ``kill`` and ``start`` the broker as it likes: whatever runs at its end is stopped, unless it ran
    before the block. Arguments and errors are those of ``start``.
    """
    return EmbeddedBroker(data_dir, port, heap, short_lived, progress)


def _launch(
    data_dir: Path, port: int, java: Java, jars: Path, jvm: tuple[str, ...], timeout: float, progress: Progress
) -> BrokerInfo:
    base = (java.program, "-cp", f"{jars}/*")
    controller_port = free_port(besides=port)
    cluster_id = _format_once(data_dir, base, port, controller_port, progress)
    config = data_dir / "server.properties"
    config.write_text(server_properties(data_dir / "storage", port, controller_port))
    log4j2 = data_dir / "log4j2.properties"
    log4j2.write_text(LOG4J2_PROPERTIES)
    log = data_dir / "broker.log"
    if log.exists() and log.stat().st_size > _LOG_BYTES:
        log.replace(log.with_suffix(".log.1"))
    log_start = log.stat().st_size if log.exists() else 0
    progress(f"Starting Kafka on {HOST}:{port}")
    options = [*jvm, _marker(data_dir), f"-Dlog4j2.configurationFile={log4j2.as_uri()}"]
    pid = spawn_detached([*base, *options, "kafka.Kafka", config], log)
    broker = BrokerInfo(data_dir, pid, port, cluster_id)
    try:
        # Before it is ready: if this process dies meanwhile, the broker can still be found and stopped.
        _write_state(data_dir, _State(pid, port, cluster_id))
        _wait_until_ready(broker, log_start, timeout)
    except BaseException:
        end(pid, _marker(data_dir), signal.SIGKILL, _AFTER_SIGKILL_SECONDS)
        _write_state(data_dir, _State(None, port, cluster_id))
        raise
    return broker


def _format_once(data_dir: Path, base: tuple[Path, str, str], port: int, controller_port: int, progress: Progress) -> str:
    """Format the storage if there is none; returns the cluster id, "" if the storage names none (Kafka will say)."""
    storage = data_dir / "storage"
    if storage.exists():
        meta = storage / "meta.properties"
        text = meta.read_text(errors="replace") if meta.exists() else ""
        named = re.search(r"^cluster\.id=(\S+)", text, re.MULTILINE)
        return named[1] if named else ""
    progress("Formatting Kafka's storage")
    # Formatted beside its place and then renamed: an interrupted format leaves nothing that looks formatted.
    partial = data_dir / "storage.partial"
    shutil.rmtree(partial, ignore_errors=True)
    config = data_dir / "format.properties"
    config.write_text(server_properties(partial, port, controller_port))
    cluster_id = _new_cluster_id()
    tool = ("-XX:+UseSerialGC", _NO_OPTIMISING_COMPILER, "kafka.tools.StorageTool")
    result = subprocess.run(
        [*base, *tool, "format", "--standalone", "--cluster-id", cluster_id, "--config", config],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    config.unlink()
    if result.returncode:
        raise StorageFormatFailed(data_dir, last_words(result.stdout))
    partial.rename(storage)
    return cluster_id


def _wait_until_ready(broker: BrokerInfo, log_start: int, timeout: float) -> None:
    """Return once ``broker`` answers; raises ``PortTaken``, ``BrokerDied`` or ``BrokerNotReady``."""
    deadline = time.monotonic() + timeout
    while not _answers(broker):
        if not is_running(broker.pid, _marker(broker.data_dir)):
            said = read_log(broker.log, log_start)
            if taken := _BIND_FAILED.search(said):
                raise PortTaken(int(taken[1]))
            raise BrokerDied(broker.log, last_words(said))
        if time.monotonic() > deadline:
            said = read_log(broker.log, log_start)
            raise BrokerNotReady(broker.pid, broker.port, timeout, broker.log, last_words(said))
        time.sleep(_POLL_SECONDS)


def _answers(broker: BrokerInfo) -> bool:
    """True if a metadata request is answered, and by this cluster rather than one that came first to the port."""
    # The client logs an error when nobody listens, which is the normal case here.
    try:
        socket.create_connection((HOST, broker.port), timeout=_ANSWER_MS / 1000).close()
    except OSError:
        return False
    return asyncio.run(_cluster_id(broker.bootstrap)) == broker.cluster_id


async def _cluster_id(bootstrap: str) -> str | None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap, request_timeout_ms=_ANSWER_MS)
    try:
        await admin.start()
        cluster = await admin.describe_cluster()
    except (KafkaError, OSError):
        return None
    finally:
        await admin.close()
    # A broker that the controller has not let in yet answers too, with nobody on the list.
    return str(cluster["cluster_id"]) if cluster["brokers"] else None


def _new_cluster_id() -> str:
    """Kafka's notation of a UUID; one that starts with a dash would be read as an option."""
    while (text := base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")).startswith("-"):
        pass
    return text


def _marker(data_dir: Path) -> str:
    """A property on the JVM's command line that makes it recognisable as the broker of this directory."""
    return f"-Dowdd.broker={data_dir}"


def _absolute(data_dir: Path) -> Path:
    return data_dir.expanduser().resolve()


def _prepared(data_dir: Path) -> Path:
    data_dir = _absolute(data_dir)
    if "," in str(data_dir):
        raise StorageFormatFailed(data_dir, ["Kafka would take a path with a comma for several paths."])
    try:
        data_dir.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageFormatFailed(data_dir, [str(error)]) from error
    return data_dir


def _lock(data_dir: Path, progress: Progress) -> AbstractContextManager[None]:
    return file_lock(data_dir / "broker.lock", lambda: progress("Waiting for another process that starts or stops it"))


def _read_state(data_dir: Path) -> _State | None:
    try:
        return _State(**json.loads((data_dir / "broker.json").read_text()))
    except (OSError, ValueError, TypeError):
        # Nothing is lost with it: if a broker does run here, Kafka's own lock keeps a second one out.
        return None


def _write_state(data_dir: Path, state: _State) -> None:
    new = data_dir / "broker.json.new"
    new.write_text(json.dumps({"pid": state.pid, "port": state.port, "cluster_id": state.cluster_id}) + "\n")
    new.replace(data_dir / "broker.json")
