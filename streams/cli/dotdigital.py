"""``owdd dotdigital``: prepare the account."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streams.cli.common import FAILED, guarded, load
from streams.dotdigital import bootstrap
from streams.dotdigital.bootstrap import Step
from streams.dotdigital.client import DotdigitalClient, unobserved
from streams.dotdigital.credentials import Credentials

app = typer.Typer(help="The Dotdigital account.", no_args_is_help=True)

_AsJson = Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")]
_MISSING = 2


@app.command()
def plan(as_json: _AsJson = False) -> None:
    """Compare the account with the mapping: data fields, collections, list and programme. Changes nothing.

    Exit code 0: nothing is missing; 1: the account cannot be reached, or a person must act; 2: something would be created.
    """
    apply(execute=False, as_json=as_json)


@app.command()
def apply(
    execute: Annotated[bool, typer.Option("--execute/--dry-run", help="Create what is missing; default: only show.")] = False,
    as_json: _AsJson = False,
) -> None:
    """Compare the account with the mapping, and create what is missing; nothing at all while something clashes.

    Exit code 0: nothing is missing (now); 1: the account cannot be reached, or a person must act; 2: something is missing and
    --execute was not given.
    """
    with guarded():
        steps = asyncio.run(_apply(execute=execute))
    if as_json:
        typer.echo(orjson.dumps([asdict(step) for step in steps], option=orjson.OPT_INDENT_2).decode())
    else:
        _show(steps)
    for step in steps:
        if step.blocked:
            typer.echo(f"error: {step}; {_ADVICE[step.action]}", err=True)
    if any(step.blocked for step in steps):
        raise typer.Exit(FAILED)
    if not execute and any(step.action == "create" for step in steps):
        raise typer.Exit(_MISSING)


_ADVICE = {
    "clash": "map another name in mapping.yaml, or delete it in Dotdigital if nobody needs it",
    "missing": "create or activate it in Dotdigital, or change mapping.yaml",
}


async def _apply(*, execute: bool) -> tuple[Step, ...]:
    settings, mapping = load()
    if warning := Credentials.of(settings).warning:
        typer.echo(f"warning: {warning}", err=True)
    async with DotdigitalClient(settings, unobserved) as client:
        steps = await bootstrap.plan(client, mapping)
        if execute and not any(step.blocked for step in steps):
            await bootstrap.apply(client, steps)
        return steps


def _show(steps: tuple[Step, ...]) -> None:
    table = Table("what", "name", "type", "action", "found")
    for step in steps:
        table.add_row(step.kind, step.name, step.wanted, step.action, step.found or "")
    Console().print(table)
