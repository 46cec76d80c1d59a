"""The command line of the benchmarks: ``python -m bench join|growth|ingest|memory|all``."""

import asyncio
import logging
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Annotated, Any, Protocol

import orjson
import typer

from bench import growth, ingest, join, memory
from bench.errors import BenchError
from bench.results import Circumstances, Result, as_json, show
from bench.site import Site, load_average, open_site


class Benchmark(Protocol):
    """A module's ``run``."""

    def __call__(self, site: Site, *, quick: bool, repetitions: int) -> Awaitable[Result]:
        """Measure on a fresh site."""


BENCHMARKS: dict[str, Benchmark] = {
    "join": join.run,
    "growth": growth.run,
    "ingest": ingest.run,
    "memory": memory.run,
}

Json = Annotated[Path | None, typer.Option("--json", help="Also write the results to this file.")]
Quick = Annotated[bool, typer.Option("--quick", help="Smaller input: for trying out, not for quoting.")]
Repetitions = Annotated[int, typer.Option(min=1, help="How often each contender is measured.")]

app = typer.Typer(help=__doc__, no_args_is_help=True, pretty_exceptions_show_locals=False)


def _command(names: list[str]) -> Callable[[Path | None, bool, int], None]:
    def command(json: Json = None, quick: Quick = False, repetitions: Repetitions = 3) -> None:
        _run(names, json, quick=quick, repetitions=repetitions)

    return command


for _name in BENCHMARKS:
    app.command(_name, help=f"Run only {_name}.")(_command([_name]))
app.command("all", help="Run every benchmark, each on a broker of its own.")(_command(list(BENCHMARKS)))


def _run(names: list[str], file: Path | None, *, quick: bool, repetitions: int) -> None:
    # The broker and the workers end in `with` blocks, which a bare SIGTERM would skip.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    # A topic just created has no leader for a moment, and aiokafka warns of every try.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    found: list[dict[str, Any]] = []
    failed = False
    for name in names:
        try:
            result, around = asyncio.run(_one(BENCHMARKS[name], quick=quick, repetitions=repetitions))
        except BenchError as error:
            typer.echo(f"{name}: {type(error).__name__}: {error}", err=True)
            raise typer.Exit(1) from error
        show(result, around)
        found.append(as_json(result, around))
        failed = failed or bool(result.failed)
        if file is not None:
            file.write_bytes(orjson.dumps(found, option=orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE))
    if failed and not quick:
        raise typer.Exit(2)


async def _one(benchmark: Benchmark, *, quick: bool, repetitions: int) -> tuple[Result, Circumstances]:
    load = load_average()
    async with open_site() as site:
        result = await benchmark(site, quick=quick, repetitions=repetitions)
        return result, Circumstances.now(site.kafka_version(), load)


if __name__ == "__main__":
    app()
