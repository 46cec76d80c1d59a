"""The stand-in for SQL Server: one PostgreSQL server with logical decoding on, that listens on 127.0.0.1 only.

Its programs come packed in a jar from Maven Central and are unpacked into the cache once. Its data directory holds, beside
the files of :mod:`testkit.local_services.daemon`::

    password    of the only user, for those who may read it
    cluster/    PostgreSQL's own

PostgreSQL refuses to run as root (it looks at its effective user id). Started by root it gets the identity of ``nobody``
from ``setpriv``, and with it the right to pass directories that only root may enter: data and programs stay where they are.

All functions block; from async code use ``asyncio.to_thread``.
"""

import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tarfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import psycopg

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
from testkit.local_services.jars import Progress, cache_dir, file_lock, pom, resolve, silent
from testkit.local_services.java import last_lines
from testkit.local_services.ports import HOST
from testkit.local_services.start_errors import PostgresNotPrepared

USER: Final = "owdd"
"""The server's only user, a superuser: Debezium makes its publication and its slot with it."""

_UNPRIVILEGED = "nobody"
_SETTINGS = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "wal_level": "logical",
    "timezone": "UTC",
    # What the kernel has been given outlives a kill of the server, and a crash of the machine is not what it is here for.
    "fsync": "off",
    "full_page_writes": "off",
}


@dataclass(frozen=True, slots=True)
class PostgresInfo:
    """A server that was started; ``already_running`` when ``start`` found it so and did nothing."""

    data_dir: Path
    pid: int
    port: int
    already_running: bool = False

    @property
    def password(self) -> str:
        """The password of ``USER``."""
        return _password_file(self.data_dir).read_text()

    @property
    def log(self) -> Path:
        """The server's log file."""
        return _daemon(self.data_dir).log

    def url(self, database: str) -> str:
        """The URL of a database, without password."""
        return f"postgresql://{USER}@{HOST}:{self.port}/{database}"


@dataclass(frozen=True, slots=True)
class PostgresStatus:
    """Whether the server of a directory runs, and which it is or was."""

    state: Condition
    server: PostgresInfo | None = None


def start(
    data_dir: Path, port: int | None = None, *, timeout: float = START_SECONDS, progress: Progress = silent
) -> PostgresInfo:
    """Start the server of ``data_dir``, detached, and return once it lets its user in.

    Does nothing when it runs already. ``port`` is chosen when None: the last one if it is free, else any. ``timeout`` is in
    seconds, without the time that fetching and unpacking take.

    Raises any ``RuntimeUnavailableError``, and leaves no server of its own behind then.
    """
    daemon = _daemon(data_dir)

    def configure(chosen: int) -> Command:
        programs = _programs(progress)
        _initialise_once(daemon.directory, programs, progress)
        settings = _SETTINGS | {"port": str(chosen)}
        arguments: list[str | Path] = [*_identity(), programs / "bin" / "postgres", "-D", daemon.directory / "cluster"]
        for option in [*(f"{name}={value}" for name, value in settings.items()), daemon.marker]:
            arguments += ["-c", option]
        return Command(arguments, str(daemon.directory))

    program, already = daemon.start(configure, port, timeout, progress)
    return PostgresInfo(daemon.directory, program.pid, program.port, already)


def stop(data_dir: Path, *, timeout: float = STOP_SECONDS, progress: Progress = silent) -> StopOutcome:
    """Stop the server and return once it is gone; after ``timeout`` seconds by force. Its data and port are kept.

    Raises ``ProgramNotStopped`` if not even that ends it.
    """
    return _daemon(data_dir).stop(timeout, progress)


def kill(data_dir: Path) -> bool:
    """End the server as a crash would, without a last checkpoint; False if it did not run."""
    return _daemon(data_dir).kill()


def status(data_dir: Path) -> PostgresStatus:
    """Whether the server of ``data_dir`` runs; looks at the process and does not connect."""
    daemon = _daemon(data_dir)
    state, program = daemon.status()
    return PostgresStatus(state, PostgresInfo(daemon.directory, program.pid, program.port) if program else None)


def _daemon(data_dir: Path) -> Daemon:
    directory = absolute(data_dir)
    # SIGINT is the "fast" shutdown, which does not wait for clients. SIGQUIT takes the server's own processes along;
    # after a SIGKILL they would hold the data for a while.
    signals = {"stops": signal.SIGINT, "crashes": signal.SIGQUIT}
    return Daemon(directory, "postgres", "PostgreSQL", f"owdd.directory={directory}", _answers, **signals)


def _password_file(directory: Path) -> Path:
    return directory / "password"


def _answers(program: Program) -> bool:
    """True if the user of this very data directory is let in."""
    server = PostgresInfo(Path(program.identity), program.pid, program.port)
    try:
        psycopg.connect(server.url("postgres"), password=server.password, connect_timeout=2).close()
    except psycopg.OperationalError:
        return False
    return True


def _programs(progress: Progress) -> Path:
    """The directory of ``bin``, ``lib`` and ``share``, unpacked at the first call."""
    jars = resolve(pom("postgres"), progress)
    root = cache_dir() / "postgres"
    kept = root / jars.name
    if kept.is_dir():
        return kept
    root.mkdir(parents=True, exist_ok=True)
    with file_lock(root / "lock", lambda: progress("Waiting for another process that unpacks PostgreSQL")):
        if not kept.is_dir():
            progress("Unpacking PostgreSQL")
            partial = kept.with_suffix(".partial")
            shutil.rmtree(partial, ignore_errors=True)
            _unpack(jars, partial)
            partial.rename(kept)
    return kept


def _unpack(jars: Path, target: Path) -> None:
    try:
        (jar,) = jars.glob("embedded-postgres-binaries-*.jar")
        with zipfile.ZipFile(jar) as archive:
            (packed,) = (name for name in archive.namelist() if name.endswith(".txz"))
            with archive.open(packed) as stream, tarfile.open(fileobj=stream, mode="r|xz") as files:
                files.extractall(target, filter="data")
    except (OSError, ValueError, tarfile.TarError, zipfile.BadZipFile) as error:
        raise PostgresNotPrepared(
            f"PostgreSQL could not be unpacked from {jars}: {error}.",
            f"See that {target.parent} has room (70 MB), delete {jars} and start again.",
        ) from error


def _initialise_once(directory: Path, programs: Path, progress: Progress) -> None:
    cluster, password = directory / "cluster", _password_file(directory)
    if cluster.exists():
        return
    progress("Preparing PostgreSQL's data")
    password.touch(mode=0o600)
    password.write_text(secrets.token_urlsafe())
    # Made beside its place and then renamed: an interrupted initdb leaves nothing that looks ready.
    partial = directory / "cluster.partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(partial, _UNPRIVILEGED)
    options = ["--username", USER, "--auth=scram-sha-256", f"--pwfile={password}", "--locale=C", "--encoding=UTF8", "--no-sync"]
    result = subprocess.run(
        [*_identity(), programs / "bin" / "initdb", "-D", partial, *options],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )
    if result.returncode:
        raise PostgresNotPrepared(
            f"PostgreSQL could not prepare its data in {directory}.",
            "Give it another data directory, or see that this one can be written and has room; then start again.",
            last_lines(result.stdout),
        )
    partial.rename(cluster)


def _identity() -> list[str]:
    """What to put before a command so that it does not run as root; nothing for ordinary users."""
    if os.geteuid() != 0:
        return []
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        raise PostgresNotPrepared(
            "PostgreSQL refuses to run as root, and there is no setpriv to lend it another identity.",
            "Run as an ordinary user, or install util-linux, which brings setpriv.",
        )
    user = pwd.getpwnam(_UNPRIVILEGED)
    identity = [f"--reuid={user.pw_uid}", f"--regid={user.pw_gid}", "--clear-groups"]
    # Without the secure bit, access(2) would not count the capability, and initdb asks by it whether it may run programs.
    capability = ["--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override", "--securebits=+no_setuid_fixup"]
    return [setpriv, *identity, *capability]
