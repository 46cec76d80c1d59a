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

from streams.runtime.errors import DirectoryUnusable, PortTaken, ProgramDied, ProgramNotReady, ProgramNotStopped
from streams.runtime.jars import Progress, file_lock
from streams.runtime.java import end, is_running, last_words, read_log, spawn_detached
from streams.runtime.ports import choose_port

START_SECONDS = 60.0
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
class State:
    """The content of the state file; ``identity`` is by what the program that answers is known to be this one."""

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
        stops: the signal that stops it.
        crashes: the signal that ends it at once, its own child processes included.
    """

    directory: Path
    name: str
    title: str
    marker: str
    stops: signal.Signals = signal.SIGTERM
    crashes: signal.Signals = signal.SIGKILL

    @property
    def log(self) -> Path:
        """Its log file."""
        return self.directory / f"{self.name}.log"

    def lock(self, progress: Progress) -> AbstractContextManager[None]:
        """Keep other processes from starting or stopping it."""
        waiting = "Waiting for another process that starts or stops it"
        return file_lock(self.directory / f"{self.name}.lock", lambda: progress(waiting))

    def state(self) -> State | None:
        """What the last start or stop left; None before the first."""
        try:
            return State(**json.loads(self._state_file.read_text()))
        except (OSError, ValueError, TypeError):
            # Nothing is lost with it: a program that does run here keeps a second one out by its own means.
            return None

    def condition(self) -> Condition:
        """Whether it runs; looks at the process and does not connect."""
        state = self.state()
        if state is None or state.pid is None:
            return "stopped"
        return "running" if is_running(state.pid, self.marker) else "stale"

    def launch(
        self, command: Sequence[str | Path], port: int, identity: str, answers: Callable[[State], bool], timeout: float
    ) -> State:
        """Start ``command``, detached, and return once ``answers`` says so; whatever goes wrong, nothing is left running.

        Raises:
            PortTaken: its log says so.
            ProgramDied: it ended.
            ProgramNotReady: it did not answer within ``timeout`` seconds.
        """
        if self.log.exists() and self.log.stat().st_size > _LOG_BYTES:
            self.log.replace(self.log.with_suffix(".log.1"))
        log_start = self.log.stat().st_size if self.log.exists() else 0
        pid = spawn_detached(command, self.log)
        state = State(pid, port, identity)
        try:
            # Before it is ready: if this process dies meanwhile, the program can still be found and stopped.
            self._write(state)
            self.wait_until_ready(state, answers, timeout, log_start)
        except BaseException:
            end(pid, self.marker, self.crashes, _AFTER_SIGKILL_SECONDS)
            self._write(State(None, port, identity))
            raise
        return state

    def wait_until_ready(self, state: State, answers: Callable[[State], bool], timeout: float, log_start: int = 0) -> None:
        """Return once it answers; raises as ``launch`` does. ``log_start`` is where its own part of the log begins."""
        assert state.pid is not None
        deadline = time.monotonic() + timeout
        while not answers(state):
            if not is_running(state.pid, self.marker):
                said = read_log(self.log, log_start)
                if taken := _BIND_FAILED.search(said):
                    raise PortTaken(int(taken[1]))
                raise ProgramDied(self.title, self.log, last_words(said))
            if time.monotonic() > deadline:
                words = last_words(read_log(self.log, log_start))
                raise ProgramNotReady(self.title, state.pid, state.port, timeout, self.log, words)
            time.sleep(_POLL_SECONDS)

    def stop(self, timeout: float, progress: Progress) -> StopOutcome:
        """Stop it and return once it is gone; after ``timeout`` seconds by force. Its data and port are kept.

        Raises ``ProgramNotStopped`` if not even that ends it.
        """
        if not self.directory.exists():
            return "not running"
        with self.lock(progress):
            state = self.state()
            if state is None or state.pid is None:
                return "not running"
            outcome: StopOutcome = "not running"
            if is_running(state.pid, self.marker):
                outcome = "stopped"
                if not end(state.pid, self.marker, self.stops, timeout):
                    progress(f"{self.title} did not end within {timeout:g} s of {self.stops.name}: killing it")
                    self.kill()
                    outcome = "killed"
            self._write(State(None, state.port, state.identity))
            return outcome

    def kill(self) -> bool:
        """End it as a crash would, and return once it is gone; False if it did not run.

        Takes no lock, so that it can hit a program in the middle of its start.
        """
        state = self.state()
        if state is None or state.pid is None or not is_running(state.pid, self.marker):
            return False
        if not end(state.pid, self.marker, self.crashes, _AFTER_SIGKILL_SECONDS):
            raise ProgramNotStopped(self.title, state.pid)
        return True

    @property
    def _state_file(self) -> Path:
        return self.directory / f"{self.name}.json"

    def _write(self, state: State) -> None:
        new = self._state_file.with_suffix(".json.new")
        new.write_text(json.dumps(asdict(state)) + "\n")
        new.replace(self._state_file)


def absolute(directory: Path) -> Path:
    """The one name of a data directory, by which its program is recognised."""
    return directory.expanduser().resolve()


def prepare(directory: Path, title: str) -> None:
    """Make the data directory; raises ``DirectoryUnusable``."""
    if "," in str(directory):
        raise DirectoryUnusable(title, directory, "A path with a comma would be taken for several paths.")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DirectoryUnusable(title, directory, str(error)) from error


def on_a_port(asked: int | None, last: int | None, launch: Callable[[int], State]) -> State:
    """``launch`` on the port asked for, else the last one if it is free, else any free one.

    Raises:
        PortTaken: somebody listens on the port asked for; and whatever ``launch`` raises.
    """
    for tries_left in reversed(range(_PORT_TRIES)):
        try:
            return launch(choose_port(asked, last))
        except PortTaken as taken:
            # Lost between the look and the bind; only a port that was asked for by number cannot be swapped.
            if taken.port == asked or not tries_left:
                raise
    raise AssertionError("the last try returns or raises")
