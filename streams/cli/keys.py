"""``owdd keys``: which keys erased people are recognised by, and the change to another one."""

import asyncio
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.common import load, operator_name
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.cli.output import AsJson, Execute
from streams.core.clock import SystemClock
from streams.operations.erasure_keys import ErasureKeys, erasure_keys, rekey

app = command_group("Erasure keys: how many erasures each has, and the change to another one.")


@app.command()
def status(as_json: AsJson = False) -> None:
    """Show the keys by their ids, and how many erasures were made with each.

    Exit code 0: all with the key in use; 2: some with a former one.
    """
    settings, _ = load()
    _report(asyncio.run(erasure_keys(settings)), as_json=as_json)


@app.command()
def rotate(
    execute: Execute = False,
    operator: Annotated[str | None, typer.Option(help="Your name, for the audit topic. Default: the system's user.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make the digests of all erasures anew, with the key in use; workers may run.

    Set OWDD_ERASURE_KEY and OWDD_FORMER_ERASURE_KEYS on every worker first. It may be interrupted and repeated. Exit code 0:
    all are made with the key in use; 2: some are not, and --execute was not given.
    """
    settings, _ = load()
    found = asyncio.run(erasure_keys(settings))
    if execute and found.former:
        with output.counting("erasures", len(found.former)) as progress:
            asyncio.run(rekey(settings, found, operator_name(operator), SystemClock(), progress))
        found = asyncio.run(erasure_keys(settings))
    _report(found, as_json=as_json)


def _report(found: ErasureKeys, *, as_json: bool) -> None:
    newest = list(found.counts)[-1]
    rows = [(key_id, "in use" if key_id == newest else "former", count) for key_id, count in found.counts.items()]
    if as_json:
        output.print_json([dict(zip(("key", "state", "erasures"), row, strict=True)) for row in rows])
    else:
        output.print_table(("key", "state", "erasures"), [(key_id, state, f"{count:,}") for key_id, state, count in rows])
    if found.former:
        raise typer.Exit(ExitCode.CHANGES)
