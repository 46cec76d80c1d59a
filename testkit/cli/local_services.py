"""What the commands for local programs (``owdd kafka``, ``owdd connect``) share: options, progress, output, exit codes."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from streams.cli import output
from streams.cli.exit_codes import ExitCode
from streams.settings import Settings
from testkit.local_services.daemon import STOP_SECONDS, Condition, StopOutcome

Facts: TypeAlias = dict[str, str | int]
"""What ``--json`` prints of a program, ``pid`` and ``log`` among it."""

DATA_DIR: Path = Settings.model_fields["data_dir"].default

DataDir = Annotated[
    Path,
    typer.Option(envvar="OWDD_DATA_DIR", file_okay=False, help="Each program uses a subdirectory of this directory."),
]
Port = Annotated[int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1; default: the last one, or a free one.")]
Heap = Annotated[str, typer.Option(help="Java heap, as for -Xmx.")]
ShortLived = Annotated[bool, typer.Option(help="Start about a second faster and run slower; for programs of a few minutes.")]


def report_start(title: str, address: str, facts: Facts, already_running: bool, as_json: bool) -> None:
    """Say where it runs, and whether it did before."""
    if as_json:
        output.print_json({"state": "running", **facts, "already_running": already_running})
    elif already_running:
        output.line(f"{title} runs already on {address} (pid {facts['pid']}); nothing was changed.")
    else:
        output.line(f"{title} runs on {address} (pid {facts['pid']}); its log is {facts['log']}.")


def report_stop(title: str, outcome: StopOutcome, if_killed: str, as_json: bool) -> None:
    """Say how ``stop`` went; ``if_killed`` says what a SIGKILL does to the data."""
    if as_json:
        output.print_json({"state": "stopped", "outcome": outcome})
    elif outcome == "killed":
        output.line(f"{title} did not end within {STOP_SECONDS:g} s of SIGTERM and was killed. {if_killed}")
    else:
        output.line(f"{title} has stopped." if outcome == "stopped" else f"{title} was not running.")


def report_status(title: str, state: Condition, address: str, facts: Facts, again: str, as_json: bool) -> None:
    """Say whether it runs, and exit with ``ExitCode.NOT_RUNNING`` if it does not; no ``facts``, no former start."""
    if as_json:
        output.print_json({"state": state, **facts})
    elif state == "running":
        output.line(f"{title} runs on {address} (pid {facts['pid']}).")
    elif facts:
        output.line(
            f"{title} is not running: it was started as pid {facts['pid']}, which is gone or is another program now. "
            f"See {facts['log']}; {again}"
        )
    else:
        output.line(f"{title} is not running.")
    if state != "running":
        raise typer.Exit(ExitCode.NOT_RUNNING)
