"""The local Connect worker: Kafka Connect in distributed mode with Debezium's connectors, its REST API on 127.0.0.1 only.

Its data directory holds, beside the files of :mod:`streams.runtime.daemon`::

    worker.properties   written anew at each start, and log4j2.properties with it
    plugins/            a link for each connector's own jars
    secrets/            what connectors may name as ``${file:...}`` or ``${dir:...}``, unless another directory is given

Connectors, their offsets and their status live in Kafka, in topics named after the group: a worker that was killed, or that
starts in another directory, takes them up again.

All functions block; from async code use ``asyncio.to_thread``.
"""

import hashlib
import socket
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx

from streams.runtime.daemon import (
    START_SECONDS,
    STOP_SECONDS,
    Condition,
    Daemon,
    State,
    StopOutcome,
    absolute,
    on_a_port,
    prepare,
)
from streams.runtime.errors import KafkaUnreachable, RunsOtherwise
from streams.runtime.jars import Progress, pom, resolve, silent
from streams.runtime.java import Java, find_java, jvm_options
from streams.runtime.ports import HOST
from streams.runtime.properties import IDENTITY_HEADER, LOG4J2_PROPERTIES, worker_properties

PLUGINS = ("sqlserver", "postgres")
"""The connectors of every worker; each has a pom, ``plugin-NAME``, and a directory of ``plugin.path`` of its own."""

GROUP = "owdd-connect"

_MAIN = "org.apache.kafka.connect.cli.ConnectDistributed"
_ANSWER_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class WorkerInfo:
    """A Connect worker that was started; ``already_running`` when ``start`` found it so and did nothing."""

    data_dir: Path
    pid: int
    port: int
    already_running: bool = False

    @property
    def url(self) -> str:
        """Base of the REST API."""
        return f"http://{HOST}:{self.port}"

    @property
    def log(self) -> Path:
        """The worker's log file."""
        return _daemon(self.data_dir).log


@dataclass(frozen=True, slots=True)
class WorkerStatus:
    """Whether the worker of a directory runs, and which it is or was."""

    state: Condition
    worker: WorkerInfo | None = None


def start(
    data_dir: Path,
    bootstrap: str,
    port: int | None = None,
    *,
    group: str = GROUP,
    secrets: Path | None = None,
    heap: str = "512m",
    short_lived: bool = False,
    timeout: float = START_SECONDS,
    progress: Progress = silent,
) -> WorkerInfo:
    """Start the worker of ``data_dir``, detached, and return once it is in its group and lists its connector plugins.

    Does nothing when it runs already with the same settings. ``bootstrap`` is Kafka's ``host:port``; ``port`` the REST
    API's, chosen when None: the last one if it is free, else any. Workers of one ``group`` share connectors. Connectors may
    refer to files below ``secrets``, the subdirectory of that name when None, and to the variables ``OWDD_SOURCE_...`` of
    this process.
    ``heap``, ``short_lived`` and ``timeout`` as for ``kafka.start``.

    Raises any ``RuntimeUnavailableError``, and leaves no worker of its own behind then.
    """
    daemon = _daemon(data_dir)
    prepare(daemon.directory, daemon.title)
    secrets = absolute(secrets) if secrets else daemon.directory / "secrets"
    identity = _identity(daemon.directory, bootstrap, group, secrets)
    with daemon.lock(progress):
        last = daemon.state()
        if last and last.pid and daemon.condition() == "running":
            if last.identity != identity:
                raise RunsOtherwise(daemon.title, last.pid)
            daemon.wait_until_ready(last, _answers, timeout)
            return WorkerInfo(daemon.directory, last.pid, last.port, already_running=True)
        _look_for_kafka(bootstrap)
        java = find_java()
        jars = resolve(pom("connect"), java, progress)
        _link_plugins(daemon.directory / "plugins", java, progress)
        secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        configure = partial(worker_properties, bootstrap, group=group, secrets=secrets, identity=identity)

        def launch(chosen: int) -> State:
            config = daemon.directory / "worker.properties"
            config.write_text(configure(daemon.directory / "plugins", chosen))
            log4j2 = daemon.directory / "log4j2.properties"
            log4j2.write_text(LOG4J2_PROPERTIES)
            progress(f"Starting Kafka Connect on {HOST}:{chosen}")
            options = [*jvm_options(heap, short_lived), daemon.marker, f"-Dlog4j2.configurationFile={log4j2.as_uri()}"]
            command: list[str | Path] = [java.program, "-cp", f"{jars}/*", *options, _MAIN, config]
            return daemon.launch(command, chosen, identity, _answers, timeout)

        started = on_a_port(port, last.port if last else None, launch)
    assert started.pid is not None
    return WorkerInfo(daemon.directory, started.pid, started.port)


def stop(data_dir: Path, *, timeout: float = STOP_SECONDS, progress: Progress = silent) -> StopOutcome:
    """Stop the worker and return once it is gone; after ``timeout`` seconds with SIGKILL. Its connectors stay known.

    Raises ``ProgramNotStopped`` if not even SIGKILL ends it.
    """
    return _daemon(data_dir).stop(timeout, progress)


def kill(data_dir: Path) -> bool:
    """SIGKILL the worker, as a crash would, and return once it is gone; False if it did not run."""
    return _daemon(data_dir).kill()


def status(data_dir: Path) -> WorkerStatus:
    """Whether the worker of ``data_dir`` runs; looks at the process and does not connect."""
    daemon = _daemon(data_dir)
    state = daemon.state()
    if state is None or state.pid is None:
        return WorkerStatus("stopped")
    return WorkerStatus(daemon.condition(), WorkerInfo(daemon.directory, state.pid, state.port))


def _daemon(data_dir: Path) -> Daemon:
    directory = absolute(data_dir)
    return Daemon(directory, "connect", "Kafka Connect", f"-Dowdd.connect={directory}")


def _identity(*settings: object) -> str:
    """What the worker puts into every answer, so that one that came first to the port is not taken for it."""
    return hashlib.sha256(repr(settings).encode()).hexdigest()[:16]


def _look_for_kafka(bootstrap: str) -> None:
    """Raise ``KafkaUnreachable`` now: the worker would try for a minute and then die of it."""
    for server in bootstrap.split(","):
        host, _, port = server.strip().rpartition(":")
        try:
            socket.create_connection((host.strip("[]"), int(port)), timeout=_ANSWER_SECONDS).close()
        except (OSError, ValueError):
            continue
        return
    raise KafkaUnreachable(bootstrap)


def _link_plugins(directory: Path, java: Java, progress: Progress) -> None:
    """Below ``directory``, a link to the jars of each plugin, resolved apart so that their libraries do not mix."""
    directory.mkdir(exist_ok=True)
    for name in PLUGINS:
        link = directory / name
        link.unlink(missing_ok=True)
        link.symlink_to(resolve(pom(f"plugin-{name}"), java, progress))


def _answers(state: State) -> bool:
    """True if the worker, and no other, is a member of its group and has found its plugins."""
    with httpx.Client(base_url=f"http://{HOST}:{state.port}", timeout=_ANSWER_SECONDS, trust_env=False) as http:
        try:
            answers = [http.get("/health"), http.get("/connector-plugins")]
        except httpx.HTTPError:
            return False
    return all(answer.is_success and answer.headers.get(IDENTITY_HEADER) == state.identity for answer in answers)
