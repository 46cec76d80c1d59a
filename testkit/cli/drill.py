"""``owdd drill``: break what the alerts must find, and write down which alerts came."""

import asyncio
import logging
import shutil
import tempfile
from pathlib import Path
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.exit_codes import ExitCode
from streams.core.errors import ConfigurationError, OwddError
from testkit.drill.cases import CASES
from testkit.drill.play import play
from testkit.drill.results import BLOCK, Result, render, result_of
from testkit.drill.scene import open_scene
from testkit.local_services.debian import programs
from testkit.local_services.prometheus import PROMETHEUS
from testkit.results_file import ResultsFile
from testkit.soak.journal import commit_of

_RESULTS = Path("docs/drill/results.jsonl")


def drill(
    case: Annotated[list[str] | None, typer.Option(help=f"What to break: {', '.join(CASES)}; default: all.")] = None,
    results: Annotated[Path, typer.Option(dir_okay=False, help="Results are appended here.")] = Path(
        "docs/drill/results.jsonl"
    ),
    document: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="Write the table of the newest results into this marked block."),
    ] = None,
    table_only: Annotated[bool, typer.Option("--table-only", help="Break nothing, write the table.")] = False,
    keep: Annotated[
        Path | None, typer.Option(file_okay=False, help="Move logs and data here, of alerts too; it must not exist.")
    ] = None,
) -> None:
    """Run a shop before a real Prometheus, break one thing at a time, and append what came of it.

    A case whose newest result is as promised at this commit is not played again, so the command can be interrupted and goes on
    where it was. Exit code 0: all was as promised; 2: something was not; 1: it could not play.
    """
    unknown = [name for name in case or () if name not in CASES]
    if unknown:
        raise ConfigurationError(f"no case is called {', '.join(unknown)}", remedy=f"There are {', '.join(CASES)}")
    file, wrong = ResultsFile(results, Result), 0
    try:
        if not table_only:
            wrong = asyncio.run(_play_all(list(case or CASES), file, keep))
        if document is not None:
            BLOCK.write(document, render(file.all()))
    except (RuntimeError, ValueError, TimeoutError, OSError) as error:
        raise OwddError(str(error)) from error
    if wrong:
        raise typer.Exit(ExitCode.CHANGES)


async def _play_all(names: list[str], file: ResultsFile[Result], keep: Path | None) -> int:
    """Play what this commit has not played as promised; returns how many drills were not."""
    commit = commit_of(Path.cwd())
    newest = {result.case: result for result in file.all()}
    todo = [name for name in names if name not in newest or newest[name].commit != commit or not newest[name].outcome.clean]
    if not todo:
        return 0
    (program,), wrong = programs(PROMETHEUS, "prometheus"), 0
    # A topic just created has no leader for a moment, and aiokafka warns of every try.
    logging.getLogger("aiokafka").setLevel(logging.ERROR)
    directory = Path(tempfile.mkdtemp(prefix="owdd-drill-"))
    try:
        (directory / "stack").mkdir()
        async with open_scene(directory / "stack", output.line) as scene:
            for name in todo:
                result = result_of(name, commit, await play(CASES[name], scene, program, directory / name))
                file.append(result)
                _show(result)
                wrong += not result.outcome.clean
    finally:
        if keep is None:
            shutil.rmtree(directory, ignore_errors=True)
        else:
            shutil.move(directory, keep)
    return wrong


def _show(result: Result) -> None:
    found, case = result.outcome, CASES[result.case]
    fired = f"{case.alert} after {found.fired:.0f} s" if found.fired is not None else f"no {case.alert}"
    over = f"over after {found.resolved:.0f} s" if found.resolved is not None else "not over"
    others = f"; also {', '.join(found.others)}" if found.others else ""
    before = f"; before the harm {', '.join(found.before)}" if found.before else ""
    output.line(f"{result.case}: {fired}, {over}{others}{before} ({found.seconds:.0f} s)")
