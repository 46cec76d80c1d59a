"""``owdd lag``: how far each part is behind, for a person without Grafana and for scripts."""

import asyncio
from dataclasses import asdict
from threading import Event
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.common import load
from streams.cli.exit_codes import ExitCode
from streams.cli.output import AsJson
from streams.core.text import age
from streams.operations.lag_report import TopicLag, lag_report

_COLUMNS = ("group", "workers", "topic", "records", "oldest", "partitions")
_WATCH_SECONDS = 2.0


def lag(
    older: Annotated[
        float | None, typer.Option("--older", min=0, help="Exit code 2 if a record has waited for longer, in seconds.")
    ] = None,
    every: Annotated[bool, typer.Option("--all", help="Show topics, too, in which nothing waits.")] = False,
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show what each part has not processed yet, and how old it is.

    The broker is asked, so it is right while workers are down. Exit code 0: every part runs, and nothing has waited for longer
    than --older; 2: something has; 5: a part has no worker.

    Examples: owdd lag · owdd lag --watch · owdd lag --older 300 --json
    """
    settings, mapping = load()
    while True:
        found = asyncio.run(lag_report(settings, mapping))
        if as_json:
            output.print_json([asdict(item) for item in found], compact=watch)
        else:
            _show(found, every=every, clear=watch)
        if not watch:
            break
        Event().wait(_WATCH_SECONDS)
    if any(item.members == 0 for item in found):
        raise typer.Exit(ExitCode.NOT_RUNNING)
    if older is not None and any(item.seconds > older for item in found):
        raise typer.Exit(ExitCode.CHANGES)


def _show(found: list[TopicLag], *, every: bool, clear: bool) -> None:
    if clear:
        output.clear()
    shown = [item for item in found if every or item.records or not item.members]
    if shown:
        rows = [
            (item.group, item.members or "none", item.topic, f"{item.records:,}", age(item.seconds), item.partitions)
            for item in shown
        ]
        output.print_table(_COLUMNS, rows)
    else:
        output.line("Nothing waits, and every part has a worker.")
