"""``owdd topics``: create missing topics, show differences, clear the topics that a rebuild must not read."""

import asyncio
from dataclasses import asdict
from functools import partial
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.cli.common import load, operator_name
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.cli.output import AsJson, Execute
from streams.core.clock import SystemClock
from streams.kafka.security import KafkaConfig
from streams.messages.protocol import specs
from streams.operations.architecture import architecture_page
from streams.operations.maintenance import record_maintenance
from streams.operations.rebuild import Clearing, purge
from streams.operations.reread import Rereading
from streams.operations.reread import reread as plan_reread
from streams.operations.topic_admin import apply_topics

app = command_group("Kafka topics of the product.")

Operator = Annotated[str | None, typer.Option(help="Your name, for the audit trail. Default: the system's user.")]


@app.command()
def apply(
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Compare the topics with the specification, and create the missing ones.

    An existing topic with another number of partitions is never changed: the number is fixed for the life of the state.
    Exit code 0: everything is as it should be (now); 2: something differs or, without --execute, is missing.
    """
    settings, mapping = load()
    plan = asyncio.run(apply_topics(KafkaConfig.of(settings), list(specs(settings, mapping)), execute=execute))
    if as_json:
        output.print_json(plan)
    else:
        _show(plan)
    if any(item["action"] in ("create", "differs") for item in plan):
        raise typer.Exit(ExitCode.CHANGES)


@app.command()
def clear(
    operator: Operator = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Empty the topics between the stages, with all workers stopped: the first step of a rebuild.

    Erasures and unsubscribes in them stay. Nothing else is touched: captured topics, retries, deliveries, parked deliveries,
    dead letters, topic erasures, audit, changelogs. It cannot be undone: only a rebuild can follow. Exit code 2: there is
    something to empty, and --execute was not given.
    """
    settings, _ = load()
    record = partial(record_maintenance, settings, "clear topics", operator_name(operator), SystemClock())
    found = asyncio.run(purge(settings, execute=execute, record=record))
    if as_json:
        output.print_json([asdict(item) for item in found])
    else:
        _show_clearing(found, execute=execute)
    if not execute and any(item.going for item in found):
        raise typer.Exit(ExitCode.CHANGES)


@app.command()
def reread(
    deliveries: Annotated[
        bool, typer.Option(help="Dispatch reads the results of all calls again: fills holes of the outbox")
    ] = False,
    operator: Operator = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Go on after records were lost, with all workers stopped: behind the loss, and with the captured rows read again.

    Captured topics are read from their beginning; equal content is not sent again. Deletes that are older than a week may be
    gone from them: where such a delete was lost, rebuild. Exit code 2: --execute was not given.
    """
    settings, mapping = load()
    record = partial(record_maintenance, settings, "reread", operator_name(operator), SystemClock())
    found = asyncio.run(plan_reread(settings, mapping, execute=execute, deliveries=deliveries, record=record))
    if as_json:
        output.print_json([asdict(item) for item in found])
    else:
        _show_rereading(found)
    if not execute and found:
        raise typer.Exit(ExitCode.CHANGES)


@app.command()
def architecture() -> None:
    """Print the page of stages, topics and kinds of change, ``docs/architecture.md``."""
    output.raw(architecture_page())


def _show_clearing(found: list[Clearing], *, execute: bool) -> None:
    rows = [(item.topic, f"{item.going:,}", f"{item.kept:,}") for item in found]
    output.print_table(("topic", "gone" if execute else "would go", "kept"), rows)


def _show_rereading(found: list[Rereading]) -> None:
    rows = [(item.group, item.topic, f"{item.lost:,}", f"{item.again:,}") for item in found]
    output.print_table(("group", "topic", "lost", "read again"), rows)


def _show(plan: list[dict[str, Any]]) -> None:
    rows = [
        (
            item["topic"],
            item["action"],
            item["partitions"],
            item["purpose"],
            item["differences"] or [f"{key}={value}" for key, value in item["config"].items()],
        )
        for item in plan
    ]
    output.print_table(("topic", "action", "partitions", "purpose", "settings / differences"), rows)
