"""A measurement with its spread, the machine and the versions; as a table and as JSON."""

import platform
import shlex
import statistics
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped, unused-ignore]
from rich.console import Console
from rich.table import Table

_PACKAGES = (
    "owdd",
    "drt-core",
    "faust-streaming",
    "quixstreams",
    "aiokafka",
    "confluent-kafka",
    "rocksdict",
    "msgspec",
    "orjson",
    "uvloop",
)
_WIDTH = 150


@dataclass(frozen=True, slots=True)
class Spread:
    """Repeated measurements of one number."""

    values: tuple[float, ...]

    @classmethod
    def of(cls, values: Sequence[float]) -> "Spread":
        """Of at least one value."""
        return cls(tuple(values))

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def text(self, digits: int = 2) -> str:
        """Median and range."""
        if len(self.values) == 1:
            return f"{self.median:,.{digits}f}"
        return f"{self.median:,.{digits}f} ({min(self.values):,.{digits}f}–{max(self.values):,.{digits}f})"

    def json(self) -> dict[str, Any]:
        """For the result file."""
        return {"median": self.median, "min": min(self.values), "max": max(self.values), "values": list(self.values)}


@dataclass(frozen=True, slots=True)
class Sample:
    """One measured run: seconds of wall clock and CPU for ``changes``; the broker's CPU beside it."""

    changes: int
    wall: float
    cpu: float
    broker_cpu: float
    peak_rss: int

    @property
    def rate(self) -> float:
        """Changes per second of wall clock."""
        return self.changes / self.wall

    @property
    def cost(self) -> float:
        """CPU seconds for 100,000 changes."""
        return self.cpu / self.changes * 100_000

    @property
    def broker_cost(self) -> float:
        """The broker's CPU seconds for 100,000 changes."""
        return self.broker_cpu / self.changes * 100_000


@dataclass(frozen=True, slots=True)
class Goal:
    """A number that was to be at most ``bar``, or at least."""

    name: str
    measured: float
    bar: float
    unit: str = ""
    at_least: bool = False

    @property
    def met(self) -> bool:
        """Whether it is."""
        return self.measured >= self.bar if self.at_least else self.measured <= self.bar

    @property
    def shown(self) -> str:
        """The number, with its unit."""
        return _number(self.measured, self.unit)

    @property
    def shown_bar(self) -> str:
        """The bar, with its side and unit."""
        return f"{'≥' if self.at_least else '≤'} {_number(self.bar, self.unit)}"


@dataclass(slots=True)
class Result:
    """One benchmark's outcome: ``rows`` for people, ``data`` for machines, ``failed`` what is wrong besides missed goals."""

    name: str
    workload: str
    columns: list[str]
    rows: list[list[str]] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)

    @property
    def missed(self) -> list[str]:
        """What was not reached, for people."""
        return [f"{goal.name}: {goal.shown}, the goal is {goal.shown_bar}" for goal in self.goals if not goal.met] + self.failed


@dataclass(frozen=True, slots=True)
class Circumstances:
    """Where, when and with what."""

    command: str
    date: str
    cpu: str
    cores: int
    memory_gib: float
    load_before: float
    system: str
    python: str
    kafka: str | None
    versions: dict[str, str]

    @classmethod
    def now(cls, kafka: str | None, load_before: float) -> "Circumstances":
        """Those of this run; ``kafka`` is the broker's version if there is one, ``load_before`` the load average before."""
        return cls(
            command=shlex.join(["python", "-m", "bench", *sys.argv[1:]]),
            date=datetime.now(UTC).isoformat(timespec="seconds"),
            cpu=_cpu_model(),
            cores=psutil.cpu_count() or 0,
            memory_gib=round(psutil.virtual_memory().total / 2**30, 1),
            load_before=load_before,
            system=f"{platform.system()} {platform.release()}",
            python=platform.python_version(),
            kafka=kafka,
            versions=_versions(),
        )


def show(result: Result, around: Circumstances) -> None:
    """Print one benchmark."""
    console = Console()
    if not console.is_terminal:
        console = Console(width=_WIDTH)
    table = Table(title=f"{result.name}: {result.workload}", title_justify="left")
    for number, column in enumerate(result.columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=not number)
    for row in result.rows:
        table.add_row(*row)
    console.print(table)
    for note in result.notes:
        console.print(f"- {note}", highlight=False)
    for missed in result.missed:
        console.print(f"[bold red]missed:[/] {missed}", highlight=False)
    versions = ", ".join(f"{name} {number}" for name, number in around.versions.items())
    broker = f", Kafka {around.kafka}" if around.kafka else ""
    console.print(
        f"{around.command}\n{around.date}; {around.cpu}, {around.cores} cores, {around.memory_gib} GiB, "
        f"load {around.load_before} before; {around.system}, Python {around.python}{broker}\n{versions}\n",
        highlight=False,
    )


def as_json(result: Result, around: Circumstances) -> dict[str, Any]:
    """One benchmark for the result file."""
    return {
        "benchmark": result.name,
        "workload": result.workload,
        "circumstances": asdict(around),
        "results": result.data,
        "notes": result.notes,
        "goals": [asdict(goal) | {"met": goal.met} for goal in result.goals],
        "failed": result.failed,
    }


def commit() -> str:
    """The commit that is checked out; empty outside a checkout, and where files differ from it."""
    here = Path(__file__).parent
    found = subprocess.run(["git", "describe", "--always", "--dirty=+"], cwd=here, capture_output=True, text=True, check=False)
    return "" if found.stdout.strip().endswith("+") else found.stdout.strip()


def _versions() -> dict[str, str]:
    """Of those packages that are here: not every benchmark needs all of them."""
    found = {}
    for package in _PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found


def _number(value: float, unit: str) -> str:
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 3 if abs(value) < 0.1 else 2
    text = f"{value:,.{digits}f}"
    return f"{text.rstrip('0').rstrip('.') if digits else text} {unit}".rstrip()


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())
