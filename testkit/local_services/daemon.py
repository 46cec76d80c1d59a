"""A program that outlives whoever started it, and the data directory that holds all there is to know of it.

The files of a program called NAME::

    NAME.json   pid (null once stopped), port and identity
    NAME.log    what it says; NAME.log.1 is the part before
    NAME.lock   held while someone starts or stops it

Kafka, Kafka Connect and PostgreSQL differ in how they are configured and asked whether they are there; the rest is here.
All functions block.
"""

import json
import re
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from testkit.local_services.jars import Progress, file_lock
from testkit.local_services.java import end, is_running, last_lines, read_log, spawn_detached
from testkit.local_services.ports import HOST, choose_port, keep_port
from testkit.local_services.start_errors import DirectoryUnusable, PortTaken, ProgramDied, ProgramNotReady, ProgramNotStopped

START_SECONDS = 180.0
STOP_SECONDS = 30.0

Condition: TypeAlias = Literal["running", "stopped", "stale"]
"""``stale``: the state file names a pid that is gone or that belongs to another program by now."""

StopOutcome: TypeAlias = Literal["stopped", "killed", "not running"]

_POLL_SECONDS = 0.05
_AFTER_SIGKILL_SECONDS = 10.0
_PORT_TRIES = 5
_LOG_BYTES = 16 * 1024 * 1024
_BIND_FAILED = re.compile(r"(?:failed to bind to \S*?:|another postmaster already running on port )(\d+)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Program:
    """A program that was started; ``identity`` is by what the one that answers is known to be this one."""

    pid: int
    port: int
    identity: str


@dataclass(frozen=True, slots=True)
class Command:
    """How to start a program, and as what it will be known."""

    arguments: Sequence[str | Path]
    identity: str


@dataclass(frozen=True, slots=True)
class _State:
    """The content of the state file."""

    pid: int | None
    port: int
    identity: str


@dataclass(frozen=True, slots=True)
class Daemon:
    """One program of one data directory.

    Attributes:
        directory: absolute; see :func:`absolute`.
        name: begins the names of its files.
        title: what people call it.
        marker: an argument on its command line that no other program has; a pid alone may have been re-used.
        answers: whether a program that was started is ready.
        stops: the signal that stops it.
        crashes: the signal that ends it at once, its own child processes included.
    """

    directory: Path
    name: str
    title: str
    marker: str
    answers: Callable[[Program], bool]
    stops: signal.Signals = signal.SIGTERM
    crashes: signal.Signals = signal.SIGKILL

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.directory / f"{self.name}.log"

    def status(self) -> tuple[Condition, Program | None]:
        """Whether it runs, and which it is or was; looks at the process and does not connect."""
        state = self._state()
        if state is None or state.pid is None:
            return "stopped", None
        program = Program(state.pid, state.port, state.identity)
        return ("running" if is_running(program.pid, self.marker) else "stale"), program

    def start(
        self,
        configure: Callable[[int], Command],
        port: int | None,
        timeout: float,
        progress: Progress,
        preferred: int | None = None,
    ) -> tuple[Program, bool]:
        """Start it, detached, and return once it answers; whatever goes wrong, nothing is left running.

        Does nothing if it runs already, which is the second value. ``port`` is chosen when None: the last one, or
        ``preferred`` at the first start, if it is free, else any. ``configure`` prepares a start on a port.

        Raises:
            DirectoryUnusable: the data directory cannot be made.
            PortTaken: somebody listens on the port asked for.
            ProgramDied: it ended.
            ProgramNotReady: it did not answer within ``timeout`` seconds.
        """
        self._prepare()
        with self._lock(progress):
            condition, program = self.status()
            if condition == "running" and program:
                self._wait_until_ready(program, timeout)
                return program, True
            last = self._state()
            for tries_left in reversed(range(_PORT_TRIES)):
                chosen = choose_port(port, last.port if last else preferred)
                command = configure(chosen)
                progress(f"Starting {self.title} on {HOST}:{chosen}")
                try:
                    return self._launch(command, chosen, timeout), False
                except PortTaken as taken:
                    # Lost between the look and the bind; only a port that was asked for by number cannot be swapped.
                    if taken.port == port or not tries_left:
                        raise
        raise AssertionError("the last try returns or raises")

    def stop(self, timeout: float, progress: Progress) -> StopOutcome:
        """Stop it and return once it is gone; after ``timeout`` seconds by force. Its data and port are kept.

        Raises ``ProgramNotStopped`` if not even that ends it.
        """
        if not self.directory.exists():
            return "not running"
        with self._lock(progress):
            condition, program = self.status()
            if program is None:
                return "not running"
            outcome: StopOutcome = "not running"
            if condition == "running":
                outcome = "stopped"
                if not end(program.pid, self.marker, self.stops, timeout):
                    progress(f"{self.title} did not end within {timeout:g} s of {self.stops.name}: killing it")
                    self.kill()
                    outcome = "killed"
                keep_port(program.port)
            self._write(_State(None, program.port, program.identity))
            return outcome

    def kill(self) -> bool:
        """End it as a crash would, and return once it is gone; False if it did not run.

        Takes no lock, so that it can hit a program in the middle of its start.
        """
        condition, program = self.status()
        if condition != "running" or program is None:
            return False
        if not end(program.pid, self.marker, self.crashes, _AFTER_SIGKILL_SECONDS):
            raise ProgramNotStopped(self.title, program.pid)
        keep_port(program.port)
        return True

    def _prepare(self) -> None:
        if "," in str(self.directory):
            raise DirectoryUnusable(self.title, self.directory, "A path with a comma would be taken for several paths.")
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise DirectoryUnusable(self.title, self.directory, str(error)) from error

    def _lock(self, progress: Progress) -> AbstractContextManager[None]:
        waiting = "Waiting for another process that starts or stops it"
        return file_lock(self.directory / f"{self.name}.lock", lambda: progress(waiting))

    def _launch(self, command: Command, port: int, timeout: float) -> Program:
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        log_start = self.log.stat().st_size if self.log.exists() else 0
        program = Program(spawn_detached(command.arguments, self.log), port, command.identity)
        try:
            # Before it is ready: if this process dies meanwhile, the program can still be found and stopped.
            self._write(_State(program.pid, port, command.identity))
            self._wait_until_ready(program, timeout, log_start)
        except BaseException:
            end(program.pid, self.marker, self.crashes, _AFTER_SIGKILL_SECONDS)
            self._write(_State(None, port, command.identity))
            raise
        return program

    def _wait_until_ready(self, program: Program, timeout: float, log_start: int = 0) -> None:
        """Return once it answers; ``log_start`` is where its own part of the log begins."""
        deadline = time.monotonic() + timeout
        while not self.answers(program):
            if not is_running(program.pid, self.marker):
                said = read_log(self.log, log_start)
                if taken := _BIND_FAILED.search(said):
                    raise PortTaken(int(taken[1]))
                raise ProgramDied(self.title, self.log, last_lines(said))
            if time.monotonic() > deadline:
                words = last_lines(read_log(self.log, log_start))
                raise ProgramNotReady(self.title, program.pid, program.port, timeout, self.log, words)
            time.sleep(_POLL_SECONDS)  # a detached program tells nobody when it is ready

    def _state(self) -> _State | None:
        """What the last start or stop left; None before the first."""
        try:
            return _State(**json.loads(self._state_file.read_text()))
        except (OSError, ValueError, TypeError):
            # Nothing is lost with it: a program that does run here keeps a second one out by its own means.
            return None

    @property
    def _state_file(self) -> Path:
        return self.directory / f"{self.name}.json"

    def _write(self, state: _State) -> None:
        new = self._state_file.with_suffix(".json.new")
        new.write_text(json.dumps(asdict(state)) + "\n")
        new.replace(self._state_file)


def absolute(directory: Path) -> Path:
    """The one name of a data directory, by which its program is recognised."""
    return directory.expanduser().resolve()
