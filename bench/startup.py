"""How long a command takes to start, beside drt's, and what the probe of a container costs: no broker, and nothing to do.

All commands take turns. The bars are of the wall clock; they are compared with CPU seconds: one process starts on one core, and
other work on the machine makes it wait without making it dearer.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Final

from bench.errors import ChildDied
from bench.results import Goal, Result, Spread
from streams.observability import probe

_BIN: Final = Path(sys.executable).parent
_TURNS, _QUICK_TURNS = 5, 2


@dataclass(frozen=True, slots=True)
class Start:
    """One command, and the seconds that it may take."""

    name: str
    command: tuple[str, ...]
    bar: float | None = None


class _Ready(BaseHTTPRequestHandler):
    """A worker that is ready."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Nothing."""


def run(*, quick: bool, repetitions: int) -> Result:
    """Start each command ``repetitions`` times five.

    Raises:
        ChildDied: one ended with an error.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Ready)
    Thread(target=server.serve_forever, daemon=True).start()
    try:
        starts = _starts(f"http://127.0.0.1:{server.server_port}/health/ready")
        return _result(starts, repetitions * (_QUICK_TURNS if quick else _TURNS))
    finally:
        server.shutdown()
        server.server_close()


def _starts(url: str) -> tuple[Start, ...]:
    owdd, drt = str(_BIN / "owdd"), str(_BIN / "drt")
    return (
        Start("owdd --help", (owdd, "--help"), 0.4),
        Start("drt --help", (drt, "--help")),
        Start("owdd config show", (owdd, "config", "show"), 0.6),
        Start("drt list", (drt, "list")),
        Start("the probe of a container", (sys.executable, "-I", "-S", str(probe.__file__), url), 0.1),
        Start("an empty Python", (sys.executable, "-I", "-S", "-c", "")),
    )


def _result(starts: Sequence[Start], turns: int) -> Result:
    result = Result("startup", f"{turns} starts of each, in turn", ["command", "wall, s", "CPU, s", "bar, s"])
    found: dict[str, list[tuple[float, float]]] = {start.name: [] for start in starts}
    with tempfile.TemporaryDirectory() as directory:
        for turn in range(turns + 1):
            for start in starts:
                took = _took(start, directory)
                if turn:  # the first reads files that nobody has read yet
                    found[start.name].append(took)
    for start in starts:
        wall, cpu = (Spread.of(values) for values in zip(*found[start.name], strict=True))
        result.rows.append([start.name, wall.text(), cpu.text(), "" if start.bar is None else f"{start.bar}"])
        result.data[start.name] = {"wall": wall.json(), "cpu": cpu.json(), "bar": start.bar}
        if start.bar is not None:
            result.goals.append(Goal(f"{start.name}: CPU", cpu.median, start.bar, "s"))
    return result


def _took(start: Start, directory: str) -> tuple[float, float]:
    """Wall clock and CPU seconds of one start, in a directory without settings."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OWDD_")} | {"HOME": directory}
    began = time.perf_counter()
    process = subprocess.Popen(start.command, cwd=directory, env=environment, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise ChildDied(f"{start.name} ended with {process.returncode}")
    return wall, usage.ru_utime + usage.ru_stime
