"""``python -m bench`` and one of the names below, ``all``, ``goals``, ``delivery`` or ``startup``."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Protocol, TypeAlias, TypeVar

import orjson
import typer

from bench import (
    backlog,
    console,
    goals,
    growth,
    ingest,
    join,
    memory,
    pace,
    rebuild,
    recovery,
    restart,
    startup,
    transactions,
    trickle,
    urgent,
    watching,
)
from bench.contenders.peers import LABELS
from bench.delivery import command as delivery
from bench.errors import BenchError
from bench.results import Circumstances, Result, as_json, show
from bench.site import Site, load_average, open_site
from testkit.virtual.traces import PLOTS

T = TypeVar("T")
Outcome: TypeAlias = tuple[Result, Circumstances]


class Benchmark(Protocol):
    """A module's ``run``."""

    def __call__(self, site: Site, *, quick: bool, repetitions: int) -> Awaitable[Result]:
        """Measure on a fresh site."""


BENCHMARKS: dict[str, Benchmark] = {
    "join": join.run,
    "growth": growth.run,
    "ingest": ingest.run,
    "memory": memory.run,
    "backlog": backlog.run,
    "urgent": urgent.run,
    "recovery": recovery.run,
    "rebuild": rebuild.run,
    "restart": restart.run,
    "idle": pace.idle,
    "everyday": pace.everyday,
    "backfill": pace.backfill,
    "trickle": trickle.run,
    "transactions": transactions.run,
    "console": console.run,
    "watching": watching.run,
}

Json = Annotated[Path | None, typer.Option("--json", help="Also write the results to this file.")]
Quick = Annotated[bool, typer.Option("--quick", help="Smaller input: for trying out, not for quoting.")]
Repetitions = Annotated[int, typer.Option(min=1, help="How often each contender is measured.")]

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_show_locals=False)


def _command(names: list[str]) -> Callable[[Path | None, bool, int], None]:
    def command(json: Json = None, quick: Quick = False, repetitions: Repetitions = 3) -> None:
        _run({name: BENCHMARKS[name] for name in names}, json, quick=quick, repetitions=repetitions)

    return command


for _name in BENCHMARKS.keys() - {"join"}:
    app.command(_name, help=f"Run only {_name}.")(_command([_name]))
app.command("all", help="Run every benchmark, each on a broker of its own.")(_command(list(BENCHMARKS)))


def _peers(labels: list[str] | None) -> list[str] | None:
    for label in labels or ():
        if label not in LABELS:
            raise typer.BadParameter(f"it must be one of {', '.join(LABELS)}")
    return labels


@app.command("join", help="Run only join.")
def _join(
    json: Json = None,
    quick: Quick = False,
    repetitions: Repetitions = 3,
    contender: Annotated[
        list[str] | None, typer.Option(callback=_peers, help="Only this peer beside ours; may be given more than once.")
    ] = None,
    changes: Annotated[int, typer.Option(min=0, help="Changes of orders; 0: as many as usual.")] = 0,
) -> None:
    scope = join.Scope(contender or (), changes)
    _run({"join": partial(join.run, scope=scope)}, json, quick=quick, repetitions=repetitions)


def _known(trace: str | None) -> str | None:
    names = [plot.name for plot in PLOTS]
    if trace is not None and trace not in names:
        raise typer.BadParameter(f"it must be one of {', '.join(names)}")
    return trace


@app.command("delivery", help="Calls per delivered change, in virtual time and without a broker; not part of all.")
def _delivery(
    json: Json = None,
    quick: Quick = False,
    seeds: Annotated[int, typer.Option(min=1, help="How many shops each trace is made of.")] = 3,
    backfill: Annotated[int, typer.Option(min=1, help="Contacts of the backfill.")] = 200_000,
    trace: Annotated[str | None, typer.Option(callback=_known, help="Only this one.")] = None,
) -> None:
    load = load_average()
    result = _checked("delivery", lambda: delivery.run(quick=quick, seeds=seeds, backfill=backfill, only=trace))
    found = [(result, Circumstances.now(None, load))]
    _publish(found, json)
    _judge(found, quick=quick)


@app.command("goals", help="Every benchmark that a goal of speed hangs on, at its full size; resumes where it ended.")
def _goals(
    results: Annotated[Path, typer.Option(help="Where each step goes, a line each.")] = goals.RESULTS,
    quick: Quick = False,
    again: Annotated[bool, typer.Option("--again", help="Also the steps that are there for this commit.")] = False,
) -> None:
    _prepare()
    lines = _checked("goals", lambda: goals.play(results, show, typer.echo, quick=quick, again=again))
    typer.echo(goals.table(lines))
    if not quick and any(goals.missed(line) for line in lines):
        raise typer.Exit(2)


@app.command("startup", help="Start-up of commands beside drt's, without a broker; not part of all.")
def _startup(json: Json = None, quick: Quick = False, repetitions: Repetitions = 3) -> None:
    load = load_average()
    result = _checked("startup", lambda: startup.run(quick=quick, repetitions=repetitions))
    found = [(result, Circumstances.now(None, load))]
    _publish(found, json)
    _judge(found, quick=quick)


def _prepare() -> None:
    # The broker and the workers end in `with` blocks, which a bare SIGTERM would skip.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A topic just created has no leader for a moment, and aiokafka warns of every try.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)


def _run(benchmarks: Mapping[str, Benchmark], file: Path | None, *, quick: bool, repetitions: int) -> None:
    _prepare()
    found: list[Outcome] = []
    for name, benchmark in benchmarks.items():
        found.append(_checked(name, partial(_measure, benchmark, quick, repetitions)))
        _publish(found, file)
    _judge(found, quick=quick)


def _checked(name: str, work: Callable[[], T]) -> T:
    try:
        return work()
    except BenchError as error:
        typer.echo(f"{name}: {type(error).__name__}: {error}", err=True)
        raise typer.Exit(1) from error


def _publish(found: list[Outcome], file: Path | None) -> None:
    show(*found[-1])
    if file is not None:
        options = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
        file.write_bytes(orjson.dumps([as_json(result, around) for result, around in found], option=options))


def _judge(found: list[Outcome], *, quick: bool) -> None:
    if any(result.missed for result, _ in found) and not quick:
        raise typer.Exit(2)


def _measure(benchmark: Benchmark, quick: bool, repetitions: int) -> Outcome:
    return asyncio.run(_one(benchmark, quick=quick, repetitions=repetitions))


async def _one(benchmark: Benchmark, *, quick: bool, repetitions: int) -> Outcome:
    load = load_average()
    async with open_site() as site:
        result = await benchmark(site, quick=quick, repetitions=repetitions)
        return result, Circumstances.now(site.kafka_version(), load)


if __name__ == "__main__":
    app()
