"""``owdd dotdigital``: prepare the account."""

import asyncio
from dataclasses import asdict
from typing import Annotated

import orjson
import typer
from rich.console import Console
from rich.table import Table

from streams.cli.common import guarded, load
from streams.dotdigital.bootstrap import FieldPlan, apply_fields, plan_fields
from streams.dotdigital.client import DotdigitalClient

app = typer.Typer(help="The Dotdigital account.", no_args_is_help=True)


@app.command()
def apply(
    execute: Annotated[
        bool, typer.Option("--execute/--dry-run", help="Create missing data fields; default: only show.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the plan as JSON.")] = False,
) -> None:
    """Compare the account's data fields with the mapping, and create the missing ones.

    Exit code 0: nothing is missing (now); 1: the account cannot be reached or a field has another type; 2: something is
    missing and --execute was not given.
    """
    with guarded():
        plan = asyncio.run(_apply(execute=execute))
    if as_json:
        typer.echo(orjson.dumps([asdict(field) for field in plan], option=orjson.OPT_INDENT_2).decode())
    else:
        table = Table("data field", "type", "action", "found")
        for field in plan:
            table.add_row(field.name, field.type, field.action, field.found or "")
        Console().print(table)
    actions = {field.action for field in plan}
    if "clash" in actions:
        typer.echo("error: a data field exists with another type; map another name, or change it in Dotdigital", err=True)
        raise typer.Exit(1)
    if "create" in actions and not execute:
        raise typer.Exit(2)


async def _apply(*, execute: bool) -> list[FieldPlan]:
    settings, mapping = load()
    async with DotdigitalClient(settings, lambda *_: None) as client:
        plan = await plan_fields(client, mapping.contact_fields)
        if execute and not any(field.action == "clash" for field in plan):
            await apply_fields(client, plan)
        return plan
