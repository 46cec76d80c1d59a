"""The command line: ``owdd``.

Every command is imported when it is called, so that ``owdd --help`` costs little. Other installed packages add commands
through the entry point group ``owdd.commands``: each names a table of :class:`streams.cli.groups.LazyCommand` by name. The
testkit adds ``sandbox``, ``simulate``, ``verify``, ``demo``, ``demo-cdc``, ``soak``, ``kafka`` and ``connect`` so.

It may import everything, and nothing imports it but the testkit's commands. Start with ``run.py``; ``errors.py`` turns
failures into messages and exit codes, ``output.py`` prints.
"""

from importlib.metadata import entry_points, version
from pathlib import Path
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.cli.env_file import env_file_loaded
from streams.cli.groups import CommandGroup, LazyCommand, commands

EXTENSIONS = "owdd.commands"
"""The entry point group in which other packages offer commands."""

OWN = commands(
    run=("streams.cli.run:run", "Run ingest, agents and dispatch until SIGTERM."),
    config=("streams.cli.config:app", "Settings and mapping."),
    topics=("streams.cli.topics:app", "Kafka topics of the product."),
    connectors=("streams.cli.connectors:app", "The capture connector in Kafka Connect."),
    dotdigital=("streams.cli.dotdigital:app", "The Dotdigital account."),
    status=("streams.cli.status:status", "Show on one screen whether everything runs, and what waits for a person."),
    lag=("streams.cli.lag:lag", "Show what each part has not processed yet, and how old it is."),
    contact=("streams.cli.contact:app", "One contact: what it should be and is, why, and what happened."),
    console=("streams.cli.console:console", "Serve the console: is the data right, and why is a contact as it is?"),
    state=("streams.cli.state:app", "State of the workers."),
    doctor=(
        "streams.cli.doctor:doctor",
        "Look at everything that a deployment needs: ok, warn or fail, with the fix.",
    ),
    audit=(
        "streams.cli.audit:audit",
        "Look for what is wrong in the ERP's data, in the captured topics alone.",
    ),
    plan=(
        "streams.cli.plan:plan",
        "Show which contacts, order records, catalogue records and list places another mapping would change, and how.",
    ),
    consent=("streams.cli.consent:app", "Consent: whom a newly mapped opt-in would change."),
    dlq=("streams.cli.dlq:app", "Dead letters and parked deliveries: list, retry, drop."),
    pause=(
        "streams.cli.pause:pause",
        "Stop all writes to Dotdigital at once, on every worker, until 'owdd resume'; opt-outs and erasures go on.",
    ),
    resume=("streams.cli.pause:resume", "Let writes to Dotdigital go on; what waited is sent."),
    removals=("streams.cli.removals:app", "Mass removals that are held back: show, release, discard."),
    reconcile=(
        "streams.cli.reconcile:reconcile",
        "Read Dotdigital back and compare it with what was delivered; put right what differs.",
    ),
    replay=("streams.cli.replay:app", "Captured rows once more: select, send through ingest again, pause, resume."),
    trail=("streams.cli.trail:app", "The audit trail: show, verify, seal."),
    keys=("streams.cli.keys:app", "Erasure keys: how many erasures each has, and the change to another one."),
    backup=("streams.cli.backup:app", "Backups of what cannot be computed again: write, verify, restore."),
    person=("streams.cli.person:app", "The data that we hold of one person."),
    erase=(
        "streams.cli.erase:erase",
        "Erase a person everywhere, for ever: in Dotdigital, in our state, and in later changes. It cannot be undone.",
    ),
)


class _Main(CommandGroup):
    """All commands, ours first."""

    def __init__(self, **attributes: Any) -> None:
        super().__init__(**attributes)
        self.commands.update(OWN)
        for extension in entry_points(group=EXTENSIONS):
            self.commands.update(extension.load())


app = typer.Typer(cls=_Main, no_args_is_help=True, pretty_exceptions_show_locals=False)


def _version(asked: bool) -> None:
    if asked:
        output.line(f"owdd {version('owdd')}")
        raise typer.Exit


@app.callback()
def _global_options(
    context: typer.Context,
    env_file: Annotated[
        Path | None,
        typer.Option(
            envvar="OWDD_ENV_FILE",
            dir_okay=False,
            exists=True,
            help="A file of OWDD_… variables, NAME=value a line; the environment wins. Default: .env, if there is one.",
        ),
    ] = None,
    version: Annotated[bool, typer.Option("--version", is_eager=True, callback=_version, help="Print the version.")] = False,  # noqa: ARG001 - its callback does it
) -> None:
    """Orderwise to Dotdigital, change by change."""
    context.with_resource(env_file_loaded(env_file))


def main() -> None:
    """Run the command line."""
    app()


__all__ = ["OWN", "LazyCommand", "app", "main"]
