"""``owdd state``: whether the state on disk is what its changelogs say, and which documents cannot be worked out."""

import asyncio
from collections import Counter
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.common import load, operator_name
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.cli.output import AsJson, Execute
from streams.core.clock import SystemClock
from streams.core.errors import ConfigurationError
from streams.operations.held_documents import held_documents
from streams.operations.maintenance import record_maintenance
from streams.operations.site_setup import accept_mapping, changed_mapping
from streams.operations.state_check import Compared, check_state
from streams.settings import Settings

app = command_group("State of the workers.")


@app.callback()
def _group() -> None:
    """State of the workers."""


@app.command()
def check(
    as_json: AsJson = False,
) -> None:
    """Compare each table in the data directory with its changelog, row by row; nothing is changed, and workers may run.

    Run it where the data directory is. Only counts are shown. Exit code 0: state is its changelog; 2: it is not
    (docs/operations.md says what to do).
    """
    settings, _ = load()
    found = asyncio.run(_all(settings))
    if as_json:
        output.print_json([asdict(item) | {"equal": item.equal} for item in found])
    else:
        _show(found)
    if not all(item.equal for item in found):
        raise typer.Exit(ExitCode.CHANGES)


@app.command()
def held(
    frozen: Annotated[bool, typer.Option("--frozen", help="Only documents that were published and stay as they were.")] = False,
    reason: Annotated[str | None, typer.Option("--reason", help="Only documents that are held for this reason.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the documents that cannot be worked out, the oldest first: held ones wait, frozen ones keep their last state.

    Read from the changelogs; workers may run. People are shown as keyed hashes. docs/operations.md explains the reasons.
    """
    settings, _ = load()
    every = [document for document in asyncio.run(held_documents(settings)) if document.frozen or not frozen]
    found = [document for document in every if reason in (None, document.code)]
    counts = Counter(document.code for document in every)
    if reason is not None and not found:
        there = ", ".join(f"{code} ({count:,})" for code, count in sorted(counts.items())) or "none"
        raise ConfigurationError(
            "no document is held for this reason", where=f"--reason {reason}", remedy=f"There are: {there}"
        )
    if as_json:
        output.print_json([asdict(document) for document in found])
        return
    rows = [
        (document.table, document.key, document.code, "frozen" if document.frozen else "held", _time(document.since))
        for document in found
    ]
    output.print_table(("table", "document", "reason", "state", "since"), rows)
    output.note(", ".join(f"{counts[code]:,} {code}" for code in sorted({document.code for document in found})) or "none")


@app.command()
def accept(
    operator: Annotated[str | None, typer.Option(help="Your name, for the audit trail. Default: the system's user.")] = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Let workers go on with state that was built with another mapping, without a rebuild.

    Rows stay as the old mapping read them until Orderwise changes them. Exit code 2: the mapping changed, and --execute was
    not given.
    """
    settings, mapping = load()
    changed = asyncio.run(changed_mapping(settings, mapping))
    if changed and execute:
        asyncio.run(record_maintenance(settings, "accept mapping", operator_name(operator), SystemClock()))
        asyncio.run(accept_mapping(settings, mapping, SystemClock()))
    if as_json:
        output.print_json({"changed": changed, "executed": execute})
    else:
        output.line(f"changed: {', '.join(changed)}" if changed else "State was built with this mapping.")
    if changed and not execute:
        raise typer.Exit(ExitCode.CHANGES)


def _time(since_ms: int) -> str:
    return datetime.fromtimestamp(since_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


async def _all(settings: Settings) -> list[Compared]:
    return [item async for item in check_state(settings, SystemClock())]


def _show(found: list[Compared]) -> None:
    names = ("rows", "behind", "missing", "extra", "different", "ahead")
    rows = [
        (item.directory, item.table, str(item.partition), *(f"{getattr(item, name):,}" for name in names)) for item in found
    ]
    output.print_table(("directory", "table", "partition", *names), rows)
