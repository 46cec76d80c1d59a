"""``goals``: every benchmark that a goal of speed hangs on, one after the other, and a table of what is met and what is missed.

Each step is written to the results file as soon as it is done, a line of JSON each, and a step that is there for the same
commit is not played again: so a run can be resumed, but for one of files that no commit has. A quiet machine of two cores takes
about an hour.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import orjson

from bench import backlog, growth, ingest, join, pace, partitions, recovery, restart, startup, trickle
from bench.contenders.peers import BARE, FAUST, PATHWAY, QUIX, STREAMS, STREAMS_ONCE
from bench.delivery import command as delivery
from bench.results import Circumstances, Goal, Result, as_json, commit
from bench.site import Site, load_average, open_site
from testkit.virtual.traces import BACKFILL

RESULTS = Path("build/goals.jsonl")

_LARGE_JOIN = join.Scope((STREAMS, STREAMS_ONCE, PATHWAY, BARE), 400_000)
_SMALL_JOIN = join.Scope((FAUST, QUIX), 20_000)
_RESTARTED, _LOADED = 1_000_000, 1_000_000


@dataclass(frozen=True, slots=True)
class Step:
    """One benchmark at the size of a goal; ``quick`` is its small form, for trying out."""

    name: str
    run: Callable[[bool], Coroutine[Any, Any, tuple[Result, str | None]]]
    minutes: float


async def _on_site(benchmark: Callable[..., Awaitable[Result]], repetitions: int, quick: bool) -> tuple[Result, str | None]:
    async with open_site() as site:
        return await benchmark(site, quick=quick, repetitions=repetitions), site.kafka_version()


def _site(name: str, benchmark: Callable[..., Awaitable[Result]], minutes: float, repetitions: int = 1) -> Step:
    return Step(name, partial(_on_site, benchmark, repetitions), minutes)


async def _large_join(site: Site, *, quick: bool, repetitions: int) -> Result:
    scope = replace(_LARGE_JOIN, changes=0) if quick else _LARGE_JOIN
    return await join.run(site, quick=quick, repetitions=repetitions, scope=scope)


async def _small_join(site: Site, *, quick: bool, repetitions: int) -> Result:
    result = await join.run(site, quick=quick, repetitions=repetitions, scope=_SMALL_JOIN)
    # Memory and pace are those of the large one.
    return replace(result, goals=[goal for goal in result.goals if FAUST in goal.name])


async def _restarted(site: Site, *, quick: bool, repetitions: int) -> Result:
    return await restart.run(site, quick=quick, repetitions=repetitions, contacts=0 if quick else _RESTARTED)


async def _partitions(quick: bool) -> tuple[Result, str | None]:
    return await partitions.run(quick=quick, repetitions=1), None


async def _loaded(quick: bool) -> tuple[Result, str | None]:
    run = partial(delivery.run, quick=quick, seeds=1, backfill=_LOADED, only=BACKFILL, alone=True)
    return await asyncio.to_thread(run), None


async def _startup(quick: bool) -> tuple[Result, str | None]:
    return await asyncio.to_thread(partial(startup.run, quick=quick, repetitions=1)), None


STEPS = (
    _site("idle", pace.idle, 6.5, repetitions=3),
    _site("everyday", pace.everyday, 5.5, repetitions=2),
    _site("backfill", pace.backfill, 4),
    _site("trickle", trickle.run, 9),
    _site("join", _large_join, 6),
    _site("join, small", _small_join, 3),
    Step("partitions", _partitions, 3),
    _site("growth", growth.run, 4),
    _site("ingest", ingest.run, 0.5, repetitions=3),
    _site("backlog", backlog.run, 2),
    _site("recovery", recovery.run, 2, repetitions=3),
    _site("restart", _restarted, 8),
    Step("load", _loaded, 6),
    Step("startup", _startup, 0.5),
)


def play(
    file: Path, publish: Callable[[Result, Circumstances], None], report: Callable[[str], None], *, quick: bool, again: bool
) -> list[dict[str, Any]]:
    """Play every step that ``file`` has not for this commit (``again``: all of them); the lines of all steps.

    Raises:
        BenchError: a step failed; those before it are in ``file``.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    built = commit()
    before = [] if again or not built else [line for line in _lines(file) if (line["commit"], line["quick"]) == (built, quick)]
    found = {line["step"]: line for line in before}
    left = [step for step in STEPS if step.name not in found]
    for number, step in enumerate(left, 1):
        minutes = sum(one.minutes for one in left[number - 1 :])
        report(f"step {number} of {len(left)}: {step.name}; about {minutes:g} minutes left")
        load, began = load_average(), time.monotonic()
        result, kafka = asyncio.run(step.run(quick))
        around = Circumstances.now(kafka, load)
        publish(result, around)
        line = {"step": step.name, "commit": built, "quick": quick, "minutes": (time.monotonic() - began) / 60}
        line |= as_json(result, around) | {"columns": result.columns, "rows": result.rows}
        with file.open("ab") as lines:
            lines.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
        found[step.name] = line
    return [found[step.name] for step in STEPS]


def _lines(file: Path) -> Iterable[dict[str, Any]]:
    return map(orjson.loads, file.read_bytes().splitlines()) if file.exists() else ()


def missed(line: dict[str, Any]) -> bool:
    """Whether a step missed something."""
    return bool(line["failed"]) or not all(goal["met"] for goal in line["goals"])


def table(lines: Iterable[dict[str, Any]]) -> str:
    """What is met and what is missed, in Markdown."""
    rows = ["| goal | bar | measured | |", "|---|---|---|---|"]
    for line in lines:
        for data in line["goals"]:
            goal = Goal(**{name: value for name, value in data.items() if name != "met"})
            rows.append(f"| {goal.name} | {goal.shown_bar} | {goal.shown} | {'met' if goal.met else '**missed**'} |")
        rows += [f"| {failed} | | | **missed** |" for failed in line["failed"]]
    return "\n".join(rows)
