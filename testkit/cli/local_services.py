"""What the commands for local programs (``owdd kafka``, ``owdd connect``) share: options, progress, output, exit codes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TypeAlias

import typer
from rich.console import Console

from testkit.local_services.daemon import STOP_SECONDS, Condition, StopOutcome
from testkit.local_services.jars import Progress
from testkit.local_services.start_errors import RuntimeUnavailableError

Facts: TypeAlias = dict[str, str | int]
"""What ``--json`` prints of a program, ``pid`` and ``log`` among it."""

NOT_RUNNING = 3
"""Exit status of ``status`` when the program does not run, as service managers have it."""

DATA_DIR = Path("~/.local/share/owdd")

DataDir = Annotated[
    Path,
    typer.Option(envvar="OWDD_DATA_DIR", file_okay=False, help="Each program uses a subdirectory of this directory."),
]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1; default: the last one, or a free one.")]
Heap = Annotated[str, typer.Option(help="Java heap, as for -Xmx.")]
ShortLived = Annotated[bool, typer.Option(help="Start about a second faster and run slower; for programs of a few minutes.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]


@contextmanager
def reporting(as_json: bool, title: str) -> Iterator[Progress]:
    """Show progress on standard error if that is a terminal; report a ``RuntimeUnavailableError`` and exit with status 1."""
    console = Console(stderr=True)
    try:
        with console.status(title) as spinner:
            yield spinner.update
    except RuntimeUnavailableError as error:
        if as_json:
            print_json({"state": "error", "error": type(error).__name__, "message": str(error)})
        else:
            # Not through the console: it would take brackets in a log line for markup and fold long lines.
            typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def report_start(title: str, address: str, facts: Facts, already_running: bool, as_json: bool) -> None:
    """Say where it runs, and whether it did before."""
    if as_json:
        print_json({"state": "running", **facts, "already_running": already_running})
    elif already_running:
        typer.echo(f"{title} runs already on {address} (pid {facts['pid']}); nothing was changed.")
    else:
        typer.echo(f"{title} runs on {address} (pid {facts['pid']}); its log is {facts['log']}.")


def report_stop(title: str, outcome: StopOutcome, if_killed: str, as_json: bool) -> None:
    """Say how ``stop`` went; ``if_killed`` says what a SIGKILL does to the data."""
    if as_json:
        print_json({"state": "stopped", "outcome": outcome})
    elif outcome == "killed":
        typer.echo(f"{title} did not end within {STOP_SECONDS:g} s of SIGTERM and was killed. {if_killed}")
    else:
        typer.echo(f"{title} has stopped." if outcome == "stopped" else f"{title} was not running.")


def report_status(title: str, state: Condition, address: str, facts: Facts, again: str, as_json: bool) -> None:
    """Say whether it runs, and exit with :data:`NOT_RUNNING` if it does not; no ``facts``, no former start."""
    if as_json:
        print_json({"state": state, **facts})
    elif state == "running":
        typer.echo(f"{title} runs on {address} (pid {facts['pid']}).")
    elif facts:
        typer.echo(
            f"{title} is not running: it was started as pid {facts['pid']}, which is gone or is another program now. "
            f"See {facts['log']}; {again}"
        )
    else:
        typer.echo(f"{title} is not running.")
    if state != "running":
        raise typer.Exit(NOT_RUNNING)


def print_json(value: Facts) -> None:
    """One object on one line."""
    typer.echo(json.dumps(value))
