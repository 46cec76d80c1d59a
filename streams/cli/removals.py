"""``owdd removals``: mass removals that the brake holds, and a person's decision on them."""

import asyncio
from typing import Annotated, Any

import typer

from streams.cli import output
from streams.cli.common import load, operator_name
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.cli.output import AsJson, Execute
from streams.cli.times import shown_time
from streams.core.clock import SystemClock
from streams.kafka.producer import BatchProducer
from streams.messages.audit_log import AuditLog
from streams.messages.dead_letters import keyed_hash
from streams.messages.removals import Decision, HeldRemovals, RemovalKind
from streams.messages.topics import Topics
from streams.operations.removals import RemovalDecisions, held_removals
from streams.settings import Settings

app = command_group("Mass removals that are held back: show, release, discard.")

Kind = Annotated[RemovalKind | None, typer.Argument(help="What is to be removed. Default: every kind that is held.")]
Operator = Annotated[str | None, typer.Option(help="Your name, for the audit topic. Default: the system's user.")]


@app.command()
def show(
    show_personal_data: Annotated[
        bool, typer.Option("--show-personal-data", help="Print addresses, not their keyed hashes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show which removals are held back, how many there are, and some of them."""
    settings, _ = load()
    facts = [_facts(settings, held, personal=show_personal_data) for held in asyncio.run(held_removals(settings))]
    if as_json:
        output.print_json(facts)
        return
    columns = ("kind", "held since", "counted at", "removals", "others", "examples")
    output.print_table(columns, [tuple(fact.values()) for fact in facts])


@app.command()
def release(kind: Kind = None, operator: Operator = None, execute: Execute = False, as_json: AsJson = False) -> None:
    """Let held removals go. Exit code 2: there are some, and --execute was not given."""
    _decide("release", kind, operator, execute=execute, as_json=as_json)


@app.command()
def discard(kind: Kind = None, operator: Operator = None, execute: Execute = False, as_json: AsJson = False) -> None:
    """Do not make held removals: what they concern stays in Dotdigital until Orderwise wants something else for it.

    Exit code 2: there are some, and --execute was not given.
    """
    _decide("discard", kind, operator, execute=execute, as_json=as_json)


def _decide(decision: Decision, kind: RemovalKind | None, operator: str | None, *, execute: bool, as_json: bool) -> None:
    settings, _ = load()
    found = [held for held in asyncio.run(held_removals(settings)) if kind in (None, held.kind)]
    if execute:
        asyncio.run(_send(settings, found, decision, operator_name(operator)))
    if as_json:
        output.print_json(
            {"decision": decision, "executed": execute, "removals": {held.kind.value: held.count for held in found}}
        )
    elif not found:
        output.line("No removals are held.")
    else:
        for held in found:
            output.line(f"{held.count:,} × {held.kind}")
        output.line(f"{decision}: done." if execute else "Nothing was done. Add --execute to do it.")
    if found and not execute:
        raise typer.Exit(ExitCode.CHANGES)


async def _send(settings: Settings, found: list[HeldRemovals], decision: Decision, operator: str) -> None:
    async with BatchProducer(settings) as producer:
        topics = Topics.of(settings.app_id)
        audit = AuditLog.of(settings, producer)
        decisions = RemovalDecisions(producer, audit, topics, settings.partitions, operator, SystemClock())
        for held in found:
            await decisions.decide(held, decision)


def _facts(settings: Settings, held: HeldRemovals, *, personal: bool) -> dict[str, Any]:
    hash_key = settings.hash_key.get_secret_value().encode()
    examples = [name if personal else keyed_hash(name.encode(), hash_key) for name in held.examples]
    return {
        "kind": held.kind,
        "since": shown_time(held.since),
        "at": shown_time(held.at),
        "removals": held.count,
        "others": held.present,
        "examples": examples,
    }
