"""``owdd topics``: create missing topics, show differences, clear the topics that a rebuild must not read."""

import asyncio
from dataclasses import asdict
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streams.cli.common import guarded, load
from streams.kafka.topics import specs
from streams.operations.rebuild import Clearing, purge
from streams.operations.topic_admin import apply_topics

app = typer.Typer(help="Kafka topics of the product.", no_args_is_help=True)


@app.command()
def apply(
    execute: Annotated[bool, typer.Option("--execute/--dry-run", help="Create what is missing; default: only show.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Compare the topics with the specification, and create the missing ones.

    An existing topic with another number of partitions is never changed: the number is fixed for the life of the state.
    Exit code 0: everything is as it should be (now); 2: something differs or, without --execute, is missing.
    """
    with guarded():
        settings, mapping = load()
        plan = asyncio.run(apply_topics(settings.kafka_bootstrap, list(specs(settings, mapping)), execute=execute))
    if as_json:
        typer.echo(orjson.dumps(plan, option=orjson.OPT_INDENT_2).decode())
    else:
        _show(plan)
    if any(item["action"] in ("create", "differs") for item in plan):
        raise typer.Exit(2)


@app.command()
def clear(
    execute: Annotated[bool, typer.Option("--execute/--dry-run", help="Empty them; default: only show.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the removed and kept changes as JSON.")] = False,
) -> None:
    """Empty the topics between the stages, with all workers stopped: the first step of a rebuild.

    Erasures and unsubscribes in them stay. Nothing else is touched: captured topics, retries, deliveries, parked deliveries,
    dead letters, topic erasures, audit, changelogs. It cannot be undone: only a rebuild can follow. Exit code 2: there is
    something to empty, and --execute was not given.
    """
    with guarded():
        settings, _ = load()
        found = asyncio.run(purge(settings, execute=execute))
    if as_json:
        typer.echo(orjson.dumps([asdict(item) for item in found], option=orjson.OPT_INDENT_2).decode())
    else:
        _show_clearing(found, execute=execute)
    if not execute and any(item.going for item in found):
        raise typer.Exit(2)


def _show_clearing(found: list[Clearing], *, execute: bool) -> None:
    table = Table("topic", "gone" if execute else "would go", "kept")
    for item in found:
        table.add_row(item.topic, f"{item.going:,}", f"{item.kept:,}")
    Console().print(table)


def _show(plan: list[dict[str, Any]]) -> None:
    table = Table("topic", "action", "partitions", "purpose", "settings / differences")
    for item in plan:
        facts = item["differences"] or [f"{key}={value}" for key, value in item["config"].items()]
        table.add_row(item["topic"], item["action"], str(item["partitions"]), item["purpose"], "\n".join(facts))
    Console().print(table)
