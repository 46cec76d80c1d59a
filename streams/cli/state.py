"""``owdd state``: whether the state on disk is what its changelogs say."""

import asyncio
from dataclasses import asdict

import typer

from streams.cli import output
from streams.cli.common import load
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.cli.output import AsJson
from streams.core.clock import SystemClock
from streams.operations.state_check import Compared, check_state
from streams.settings import Settings

app = command_group("State of the workers.")


@app.callback()
def _group() -> None:
    """State of the workers."""


@app.command()
def check(
    as_json: AsJson = False,
) -> None:
    """Compare each table in the data directory with its changelog, row by row; nothing is changed, and workers may run.

    Run it where the data directory is. Only counts are shown. Exit code 0: state is its changelog; 2: it is not
    (docs/operations.md says what to do).
    """
    settings, _ = load()
    found = asyncio.run(_all(settings))
    if as_json:
        output.print_json([asdict(item) | {"equal": item.equal} for item in found])
    else:
        _show(found)
    if not all(item.equal for item in found):
        raise typer.Exit(ExitCode.CHANGES)


async def _all(settings: Settings) -> list[Compared]:
    return [item async for item in check_state(settings, SystemClock())]


def _show(found: list[Compared]) -> None:
    names = ("rows", "behind", "missing", "extra", "different", "ahead")
    rows = [
        (item.directory, item.table, str(item.partition), *(f"{getattr(item, name):,}" for name in names)) for item in found
    ]
    output.print_table(("directory", "table", "partition", *names), rows)
