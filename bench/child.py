"""A process under test: started, its CPU sampled, and ended whatever happens."""

import contextlib
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

import psutil  # type: ignore[import-untyped, unused-ignore]

from bench.errors import ChildDied, NotDrained

_SAMPLE_SECONDS = 0.05
_STOP_SECONDS = 20.0


@dataclass
class Meter:
    """CPU seconds (user and system) of one process over time, sampled by a thread."""

    pid: int
    peak_rss: int = 0
    _samples: list[tuple[float, float]] = field(default_factory=list)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        self.sample()
        self._thread = threading.Thread(target=self._run, name=f"meter-{self.pid}", daemon=True)
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        if self._thread is not None:
            self._thread.join()

    def sample(self) -> tuple[float, float]:
        """Now (monotonic seconds) and the CPU seconds so far; the last sample if the process is gone."""
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(self.pid)
            times = process.cpu_times()
            self.peak_rss = max(self.peak_rss, process.memory_info().rss)
            self._samples.append((time.monotonic(), times.user + times.system))
        return self._samples[-1]

    def at(self, moment: float) -> float:
        """CPU seconds at ``moment`` (monotonic): the first sample not before it."""
        return next((cpu for taken, cpu in self._samples if taken >= moment), self._samples[-1][1])

    def _run(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self.sample()


class Child:
    """A subprocess in a ``with`` block: SIGTERM at its end, SIGKILL if that does not help or if we die ourselves."""

    def __init__(self, name: str, command: Sequence[str], env: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.command = list(command)
        self._env = dict(env)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._meter: Meter | None = None

    def __enter__(self) -> Self:
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [*_dying_with_us(), *self.command],
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
            )
        self._meter = Meter(self._process.pid).__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._meter is not None:
            self._meter.__exit__(kind, error, trace)
        self.end()

    @property
    def meter(self) -> Meter:
        """The child's CPU and memory."""
        if self._meter is None:
            raise RuntimeError("the child was not started")
        return self._meter

    def rss(self) -> int:
        """Bytes of memory it holds now."""
        return int(psutil.Process(self.meter.pid).memory_info().rss)

    def end(self) -> None:
        """SIGTERM, then SIGKILL; returns once the process is gone."""
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.terminate()
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()

    def check(self) -> None:
        """Raises :class:`ChildDied` if the process ended by itself."""
        code = None if self._process is None else self._process.poll()
        if code is not None:
            raise ChildDied(f"{self.name} ended with code {code}:\n{self.said(30)}")

    def said(self, lines: int) -> str:
        """The last lines of its output."""
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-lines:])

    def wait_for_text(self, text: str, timeout: float = 60.0) -> float:
        """Wait until its output contains ``text``; the moment (monotonic).

        Raises:
            ChildDied: it ended.
            NotDrained: it did not say so in time.
        """
        return self._until(lambda: text.encode() in self._log.read_bytes(), f"say {text!r}", timeout)

    def wait_for_port(self, port: int, timeout: float = 60.0) -> float:
        """Wait until something listens on ``port`` of 127.0.0.1; the moment (monotonic). Raises as above."""

        def open_() -> bool:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=0.2).close()
            except OSError:
                return False
            return True

        return self._until(open_, f"listen on port {port}", timeout)

    def _until(self, holds: Callable[[], bool], what: str, timeout: float) -> float:
        deadline = time.monotonic() + timeout
        while not holds():
            self.check()
            if time.monotonic() > deadline:
                raise NotDrained(f"{self.name} did not {what} within {timeout:g} s:\n{self.said(30)}")
            time.sleep(0.01)  # another process: its state can only be looked at again
        return self.meter.sample()[0]


def _dying_with_us() -> list[str]:
    """A prefix that has the kernel kill the child should this process be killed; it execs the child, so the pid is its own."""
    setpriv = shutil.which("setpriv")
    return [] if setpriv is None else [setpriv, "--pdeathsig", "KILL", "--"]


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])
