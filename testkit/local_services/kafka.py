"""The embedded broker: one Kafka node in KRaft mode, controller included, that listens on 127.0.0.1 only.

Its data directory holds, beside the files of :mod:`testkit.local_services.daemon`::

    server.properties   written anew at each start, and log4j2.properties with it
    storage/            Kafka's own

All functions block; from async code use ``asyncio.to_thread`` or ``embedded_broker``.
"""

import asyncio
import base64
import re
import shutil
import socket
import subprocess
import uuid
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType

from aiokafka.errors import KafkaError  # type: ignore[import-untyped, unused-ignore]

from streams.kafka import client
from streams.kafka.security import KafkaConfig
from testkit.local_services.broker_security import BrokerSecurity, Security
from testkit.local_services.daemon import (
    START_SECONDS,
    STOP_SECONDS,
    Command,
    Condition,
    Daemon,
    Program,
    StopOutcome,
    absolute,
)
from testkit.local_services.jars import Progress, pom, resolve, silent
from testkit.local_services.java import NO_OPTIMISING_COMPILER, find_java, jvm_options, last_lines
from testkit.local_services.jmx import jmx_agent
from testkit.local_services.ports import HOST, free_port
from testkit.local_services.properties import (
    BROKER_SESSION_SECONDS,
    REVIVED_SESSION_SECONDS,
    Listener,
    logging_option,
    server_properties,
)
from testkit.local_services.start_errors import SecurityFixed, StorageFormatFailed

_ANSWER_MS = 2_000


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
    def security(self) -> BrokerSecurity:
        """How its listener is secured."""
        return BrokerSecurity.of(self.data_dir)

    @property
    def kafka_config(self) -> KafkaConfig:
        """How a client gets in."""
        return self.security.kafka_config(self.bootstrap)

    @property
    def environment(self) -> dict[str, str]:
        """The same as variables of the product."""
        return {"OWDD_KAFKA_BOOTSTRAP": self.bootstrap, **self.security.environment()}

    @property
    def log(self) -> Path:
        """The broker's log file."""
        return _daemon(self.data_dir).log


@dataclass(frozen=True, slots=True)
class BrokerStatus:
    """Whether the broker of a directory runs, and which it is or was."""

    state: Condition
    broker: BrokerInfo | None = None


def start(  # noqa: PLR0913 - the options of a local program, all but one with a default
    data_dir: Path,
    port: int | None = None,
    *,
    heap: str = "512m",
    short_lived: bool = False,
    listeners: Sequence[Listener] = (),
    security: Security | None = None,
    metrics: int | None = None,
    session_seconds: float | None = None,
    timeout: float = START_SECONDS,
    progress: Progress = silent,
    preferred: int | None = None,
) -> BrokerInfo:
    """Start the broker of ``data_dir``, detached, and return once it answers a metadata request.

    Does nothing when it runs already. ``port`` is chosen when None: the last one, or ``preferred`` at the first start, if it
    is free, else any. ``heap`` is in the JVM's notation. ``short_lived`` leaves out the optimising compiler: about a second
    faster to start, and slower under load. ``listeners`` are further addresses, in plain text. ``security`` is fixed by the
    first start: None is the choice made then, at first plain text.
    ``metrics`` is the port on which it shows its metrics to Prometheus; None: it does not. ``session_seconds`` is how late its
    heartbeat may be before its own controller takes it for gone.
    ``timeout`` is in seconds, without the time that fetching the jars takes.
    Raises any ``RuntimeUnavailableError``, and leaves no broker of its own behind then.
    """
    daemon = _daemon(data_dir)
    killed = daemon.status()[0] == "stale"

    def configure(chosen: int) -> Command:
        java = find_java()
        chosen_security = _security(daemon.directory, security)
        base = (java.program, "-cp", f"{resolve(pom('broker'), progress)}/*")
        controller_port = free_port(besides=chosen)
        cluster_id = _format_once(daemon.directory, base, chosen, controller_port, chosen_security, progress)
        config = daemon.directory / "server.properties"
        config.touch(0o600)
        storage = daemon.directory / "storage"
        properties = server_properties(
            storage,
            chosen,
            controller_port,
            listeners,
            chosen_security.protocol,
            chosen_security.properties(),
            session_seconds or (REVIVED_SESSION_SECONDS if killed else BROKER_SESSION_SECONDS),
        )
        config.write_text(properties)
        agent = jmx_agent("kafka", metrics, progress)
        options = [*jvm_options(heap, short_lived), *agent, daemon.marker, logging_option(daemon.directory)]
        return Command([*base, *options, "kafka.Kafka", config], cluster_id)

    program, already = daemon.start(configure, port, timeout, progress, preferred)
    return BrokerInfo(daemon.directory, program.pid, program.port, program.identity, already)


def stop(data_dir: Path, *, timeout: float = STOP_SECONDS, progress: Progress = silent) -> StopOutcome:
    """Stop the broker and return once it is gone; after ``timeout`` seconds with SIGKILL. Its data and port are kept.

    Raises ``ProgramNotStopped`` if not even SIGKILL ends it.
    """
    return _daemon(data_dir).stop(timeout, progress)


def kill(data_dir: Path) -> bool:
    """SIGKILL the broker, as a crash would, and return once it is gone; False if it did not run.

    Takes no lock, so that it can hit a broker in the middle of its start. ``start`` brings it back on the same port.
    """
    return _daemon(data_dir).kill()


def status(data_dir: Path) -> BrokerStatus:
    """Whether the broker of ``data_dir`` runs; looks at the process and does not connect."""
    daemon = _daemon(data_dir)
    state, program = daemon.status()
    return BrokerStatus(state, BrokerInfo(daemon.directory, program.pid, program.port, program.identity) if program else None)


class EmbeddedBroker:
    """The context manager behind ``embedded_broker``, sync and async."""

    def __init__(
        self, data_dir: Path, port: int | None, heap: str, short_lived: bool, security: Security | None, progress: Progress
    ) -> None:
        self._data_dir = data_dir
        self._port = port
        self._heap = heap
        self._short_lived = short_lived
        self._security = security
        self._progress = progress
        self._ours = False

    def __enter__(self) -> BrokerInfo:
        broker = start(
            self._data_dir,
            self._port,
            heap=self._heap,
            short_lived=self._short_lived,
            security=self._security,
            progress=self._progress,
        )
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
    security: Security | None = None,
    progress: Progress = silent,
) -> EmbeddedBroker:
    """A broker for the length of a ``with`` or ``async with`` block, which yields its ``BrokerInfo``.

    The block may ``kill`` and ``start`` the broker as it likes: whatever runs at its end is stopped, unless it ran
    before the block. Arguments and errors are those of ``start``.
    """
    return EmbeddedBroker(data_dir, port, heap, short_lived, security, progress)


def _daemon(data_dir: Path) -> Daemon:
    directory = absolute(data_dir)
    return Daemon(directory, "broker", "Kafka", f"-Dowdd.broker={directory}", partial(_answers, directory))


def _security(data_dir: Path, wanted: Security | None) -> BrokerSecurity:
    """The security of a directory, which is made with the storage.

    Raises:
        SecurityFixed: the storage was made with another.
    """
    found = BrokerSecurity.of(data_dir)
    if not (data_dir / "storage").exists():
        return BrokerSecurity.make(data_dir, wanted or "plaintext")
    if wanted not in {None, found.security}:
        raise SecurityFixed(data_dir, found.security)
    return found


def _format_once(
    data_dir: Path,
    base: tuple[Path, str, str],
    port: int,
    controller_port: int,
    security: BrokerSecurity,
    progress: Progress,
) -> str:
    """Format the storage if there is none; returns the cluster id, "" if the storage names none (Kafka will say)."""
    storage = data_dir / "storage"
    if storage.exists():
        meta = storage / "meta.properties"
        text = meta.read_text(errors="replace") if meta.exists() else ""
        named = re.search(r"^cluster\.id=(\S+)", text, re.MULTILINE)
        return named[1] if named else ""
    progress("Formatting Kafka's storage")
    # Formatted beside its place and then renamed: an interrupted format leaves nothing that looks formatted.
    unfinished = data_dir / "storage.partial"
    shutil.rmtree(unfinished, ignore_errors=True)
    config = data_dir / "format.properties"
    config.touch(0o600)
    config.write_text(server_properties(unfinished, port, controller_port, (), security.protocol, security.properties()))
    cluster_id = _new_cluster_id()
    tool = ("-XX:+UseSerialGC", NO_OPTIMISING_COMPILER, "kafka.tools.StorageTool")
    result = subprocess.run(
        [*base, *tool, "format", "--standalone", "--cluster-id", cluster_id, "--config", config, *security.format_options()],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    config.unlink()
    if result.returncode:
        raise StorageFormatFailed(data_dir, last_lines(result.stdout))
    unfinished.rename(storage)
    return cluster_id


def _answers(data_dir: Path, program: Program) -> bool:
    """True if a metadata request is answered, and by this cluster rather than one that came first to the port."""
    # The client logs an error when nobody listens, which is the normal case here.
    try:
        socket.create_connection((HOST, program.port), timeout=_ANSWER_MS / 1000).close()
    except OSError:
        return False
    kafka = BrokerSecurity.of(data_dir).kafka_config(f"{HOST}:{program.port}")
    return asyncio.run(_cluster_id(kafka)) == program.identity


async def _cluster_id(kafka: KafkaConfig) -> str | None:
    admin = client.admin_client(kafka, request_timeout_ms=_ANSWER_MS)
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
