"""``owdd kafka``: the embedded broker for those who run without containers."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from streams.runtime import kafka
from streams.runtime.errors import RuntimeUnavailableError
from streams.runtime.jars import Progress
from streams.runtime.kafka import BrokerInfo

NOT_RUNNING = 3
"""Exit status of ``status`` when no broker runs, as service managers have it."""

app = typer.Typer(help="Run a local Kafka broker on this machine's Java.", no_args_is_help=True)

_DataDir = Annotated[
    Path,
    typer.Option(envvar="OWDD_DATA_DIR", file_okay=False, help="The broker lives in the subdirectory kafka of this directory."),
]
_AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output.")]
_DATA_DIR = Path("~/.local/share/owdd")


@app.command()
def start(
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port on 127.0.0.1; without it the last one or a free one.")
    ] = None,
    data_dir: _DataDir = _DATA_DIR,
    heap: Annotated[str, typer.Option(help="Java heap, as for -Xmx.")] = "512m",
    short_lived: Annotated[
        bool, typer.Option(help="Start about a second faster and run slower; for brokers of a few minutes.")
    ] = False,
    as_json: _AsJson = False,
) -> None:
    """Start the broker, and return when it answers. Does nothing if it runs."""
    with _reporting(as_json, "Starting Kafka") as progress:
        broker = kafka.start(data_dir / "kafka", port, heap=heap, short_lived=short_lived, progress=progress)
    if as_json:
        _print_json({"state": "running", **_facts(broker), "already_running": broker.already_running})
    elif broker.already_running:
        typer.echo(f"Kafka runs already on {broker.bootstrap} (pid {broker.pid}); nothing was changed.")
    else:
        typer.echo(f"Kafka runs on {broker.bootstrap} (pid {broker.pid}); its log is {broker.log}.")


@app.command()
def stop(data_dir: _DataDir = _DATA_DIR, as_json: _AsJson = False) -> None:
    """Stop the broker, and return when it is gone. Its data is kept."""
    with _reporting(as_json, "Stopping Kafka") as progress:
        outcome = kafka.stop(data_dir / "kafka", progress=progress)
    if as_json:
        _print_json({"state": "stopped", "outcome": outcome})
    else:
        typer.echo(
            {
                "stopped": "Kafka has stopped.",
                "killed": f"Kafka did not end within {kafka.STOP_SECONDS:g} s of SIGTERM and was killed. "
                "It recovers its data at the next start.",
                "not running": "Kafka was not running.",
            }[outcome]
        )


@app.command()
def status(data_dir: _DataDir = _DATA_DIR, as_json: _AsJson = False) -> None:
    """Say whether the broker runs. Exit status 0 if it does, 3 if it does not."""
    found = kafka.status(data_dir / "kafka")
    if as_json:
        _print_json({"state": found.state, **(_facts(found.broker) if found.broker else {})})
    elif found.state == "running" and found.broker:
        typer.echo(f"Kafka runs on {found.broker.bootstrap} (pid {found.broker.pid}).")
    elif found.broker:
        typer.echo(
            f"Kafka is not running: it was started as pid {found.broker.pid}, which is gone or is another program now. "
            f"See {found.broker.log}; 'owdd kafka start' starts it again on its data."
        )
    else:
        typer.echo("Kafka is not running.")
    if found.state != "running":
        raise typer.Exit(NOT_RUNNING)


@contextmanager
def _reporting(as_json: bool, title: str) -> Iterator[Progress]:
    """Show progress on standard error if that is a terminal; report a ``RuntimeUnavailableError`` and exit with status 1."""
    console = Console(stderr=True)
    try:
        with console.status(title) as spinner:
            yield spinner.update
    except RuntimeUnavailableError as error:
        if as_json:
            _print_json({"state": "error", "error": type(error).__name__, "message": str(error)})
        else:
            # Not through the console: it would take brackets in a log line for markup and fold long lines.
            typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def _facts(broker: BrokerInfo) -> dict[str, str | int]:
    return {
        "bootstrap": broker.bootstrap,
        "port": broker.port,
        "pid": broker.pid,
        "cluster_id": broker.cluster_id,
        "data_dir": str(broker.data_dir),
        "log": str(broker.log),
    }


def _print_json(value: dict[str, str | int]) -> None:
    typer.echo(json.dumps(value))
