"""``owdd soak``: faults again and again, and a table of what came of them."""

import asyncio
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.exit_codes import ExitCode
from streams.core.errors import ConfigurationError, OwddError
from testkit.results_file import ResultsFile
from testkit.soak import clock
from testkit.soak.journal import Result, commit_of, played, result_of
from testkit.soak.play import Outcome, ground, play
from testkit.soak.scenario import SCENARIOS, Fault, Run, runs
from testkit.soak.table import BLOCK, render

_SHORT_SESSION = 2.0
"""Seconds: shorter than a stall of the broker, and than those that starvation alone makes."""


def soak(
    scenario: Annotated[list[str] | None, typer.Option(help=f"What to play: {', '.join(SCENARIOS)}; default: all.")] = None,
    seeds: Annotated[int, typer.Option(min=0, help="How many seeds of each; 0: only write the table.")] = 1,
    first_seed: Annotated[int, typer.Option(min=0, help="The first seed.")] = 0,
    rate: Annotated[int, typer.Option(min=1, help="Events per second of a shop; a slow one is open for more faults.")] = 500,
    results: Annotated[Path, typer.Option(dir_okay=False, help="Results are appended here.")] = Path("docs/soak/results.jsonl"),
    document: Annotated[
        Path | None, typer.Option(dir_okay=False, help="Write the table of all results into this document's marked block.")
    ] = None,
    since: Annotated[str, typer.Option(help="The table leaves out results before this date, as in 2026-11-30.")] = "",
    keep: Annotated[
        Path | None, typer.Option(file_okay=False, help="Keep data and logs of runs that went wrong below this directory.")
    ] = None,
) -> None:
    """Play shops under faults, compare Dotdigital with the oracle and state with its changelogs, and append the results.

    A run that this commit has a result of is not played again, so the command can be interrupted and goes on where it was.
    Exit code 0: nothing was wrong in the runs of this call; 2: something was, or a run has no result; 1: it could not play.
    """
    unknown = [name for name in scenario or () if name not in SCENARIOS]
    if unknown:
        raise ConfigurationError(f"no scenario is called {', '.join(unknown)}", remedy=f"There are {', '.join(SCENARIOS)}")
    file = ResultsFile(results, Result)
    chosen = [SCENARIOS[name] for name in scenario or SCENARIOS]
    if not scenario and not clock.available():
        chosen = [one for one in chosen if Fault.CLOCK not in one.faults]
        output.note(f"Left out: clock-jumps. {clock.REMEDY}")
    try:
        commit = commit_of(Path.cwd())
        before = list(file.all())
        todo = [run for run in runs(chosen, first_seed, seeds, rate) if not played(before, run, commit)]
        wrong = asyncio.run(_play_all(todo, commit, file, keep)) if todo else 0
        if document is not None:
            BLOCK.write(document, render(result for result in file.all() if result.at >= since))
    except (RuntimeError, ValueError, OSError) as error:
        raise OwddError(str(error)) from error
    if wrong:
        raise typer.Exit(ExitCode.CHANGES)


async def _play_all(todo: list[Run], commit: str, file: ResultsFile[Result], keep: Path | None) -> int:
    """Play these runs; returns how many went wrong."""
    wrong = 0
    directory = Path(tempfile.mkdtemp(prefix="owdd-soak-"))
    try:
        stalls = any(Fault.BROKER_STALL in run.scenario.faults for run in todo)
        async with ground(directory / "kafka", session=_SHORT_SESSION if stalls else None) as on:
            for run in todo:
                place = directory / run.name
                place.mkdir()
                outcome = await play(run, on, place)
                result = result_of(run, commit, outcome)
                file.append(result)
                _show(result)
                wrong += not outcome.clean
                await asyncio.to_thread(_put_away, run, outcome, place, keep)
    finally:
        shutil.rmtree(directory, ignore_errors=True)
    return wrong


def _put_away(run: Run, outcome: Outcome, place: Path, keep: Path | None) -> None:
    if keep is not None and not outcome.clean:
        with suppress(FileExistsError):
            keep.mkdir(parents=True)
        shutil.move(place, keep / run.name)
    else:
        shutil.rmtree(place, ignore_errors=True)


def _show(result: Result) -> None:
    faults = ", ".join(f"{name} {count}" for name, count in sorted(result.faults.items()))
    found = result.error or f"{result.differences} differences, {result.unlike} of {result.rows:,} rows unlike their changelog"
    output.line(f"{result.scenario} {result.seed}: {found} ({faults}; {result.seconds:.0f} s)")
