"""The local Connect worker: Kafka Connect in distributed mode with Debezium's connectors, its REST API on 127.0.0.1 only.

Its data directory holds, beside the files of :mod:`testkit.local_services.daemon`::

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
from pathlib import Path

import httpx

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
from testkit.local_services.java import find_java, jvm_options
from testkit.local_services.jmx import jmx_agent
from testkit.local_services.ports import HOST
from testkit.local_services.properties import IDENTITY_HEADER, logging_option, worker_properties
from testkit.local_services.start_errors import KafkaUnreachable, RunsOtherwise

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


def start(  # noqa: PLR0913 - the options of a local program, all but one with a default
    data_dir: Path,
    bootstrap: str,
    port: int | None = None,
    *,
    group: str = GROUP,
    secrets: Path | None = None,
    metrics: int | None = None,
    heap: str = "512m",
    short_lived: bool = False,
    timeout: float = START_SECONDS,
    progress: Progress = silent,
) -> WorkerInfo:
    """Start the worker of ``data_dir``, detached, and return once it is in its group and lists its connector plugins.

    Does nothing when it runs already with the same settings. ``bootstrap`` is Kafka's ``host:port``; ``port`` the REST
    API's, chosen when None: the last one if it is free, else any. Workers of one ``group`` share connectors. Connectors may
    refer to files below ``secrets``, the subdirectory of that name when None, and to the variables ``OWDD_SOURCE_...`` of
    this process. ``metrics`` is the port on which it shows its metrics to Prometheus, and Debezium's; None: it does not.
    ``heap``, ``short_lived`` and ``timeout`` as for ``kafka.start``.

    Raises any ``RuntimeUnavailableError``, and leaves no worker of its own behind then.
    """
    daemon = _daemon(data_dir)
    secrets = absolute(secrets) if secrets else daemon.directory / "secrets"
    identity = _identity(daemon.directory, bootstrap, group, secrets)

    def configure(chosen: int) -> Command:
        _look_for_kafka(bootstrap)
        java = find_java()
        jars = resolve(pom("connect"), progress)
        plugins = _linked_plugins(daemon.directory, progress)
        secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
        config = daemon.directory / "worker.properties"
        config.write_text(worker_properties(bootstrap, plugins, chosen, group=group, secrets=secrets, identity=identity))
        agent = jmx_agent("connect", metrics, progress)
        options = [*jvm_options(heap, short_lived), *agent, daemon.marker, logging_option(daemon.directory)]
        return Command([java.program, "-cp", f"{jars}/*", *options, _MAIN, config], identity)

    program, already = daemon.start(configure, port, timeout, progress)
    if program.identity != identity:
        raise RunsOtherwise(daemon.title, program.pid)
    return WorkerInfo(daemon.directory, program.pid, program.port, already)


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
    state, program = daemon.status()
    return WorkerStatus(state, WorkerInfo(daemon.directory, program.pid, program.port) if program else None)


def _daemon(data_dir: Path) -> Daemon:
    directory = absolute(data_dir)
    return Daemon(directory, "connect", "Kafka Connect", f"-Dowdd.connect={directory}", _answers)


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


def _linked_plugins(data_dir: Path, progress: Progress) -> Path:
    """A directory with a link to the jars of each plugin, resolved apart so that their libraries do not mix."""
    directory = data_dir / "plugins"
    directory.mkdir(exist_ok=True)
    for name in PLUGINS:
        link = directory / name
        link.unlink(missing_ok=True)
        link.symlink_to(resolve(pom(f"plugin-{name}"), progress))
    return directory


def _answers(program: Program) -> bool:
    """True if the worker, and no other, is a member of its group and has found its plugins."""
    with httpx.Client(base_url=f"http://{HOST}:{program.port}", timeout=_ANSWER_SECONDS, trust_env=False) as http:
        try:
            answers = [http.get("/health"), http.get("/connector-plugins")]
        except httpx.HTTPError:
            return False
    return all(answer.is_success and answer.headers.get(IDENTITY_HEADER) == program.identity for answer in answers)
