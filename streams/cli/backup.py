"""``owdd backup``: write, verify and restore what cannot be computed again (docs/backups.md)."""

import asyncio
from pathlib import Path
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.common import load
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.cli.output import AsJson, Execute
from streams.cli.times import shown_time
from streams.core.clock import SystemClock
from streams.operations.backup import restore_backup, write_backup
from streams.operations.backup_files import Manifest, problems, read_manifest

app = command_group("Backups of what cannot be computed again: write, verify, restore.")

_Directory = Annotated[Path, typer.Argument(help="The backup's directory.", file_okay=False)]


@app.command()
def write(directory: _Directory, as_json: AsJson = False) -> None:
    """Write a backup into a new directory, which only you may read; workers may run."""
    settings, _ = load()
    with output.progress("reading") as progress:
        manifest = asyncio.run(write_backup(settings, directory, SystemClock(), progress))
    _show(manifest, {}, as_json=as_json)


@app.command()
def verify(directory: _Directory, as_json: AsJson = False) -> None:
    """Check that a backup is complete and as it was written; needs no broker. Exit code 2: it is not."""
    manifest = read_manifest(directory)
    found = problems(directory, manifest)
    _show(manifest, dict(found), as_json=as_json)
    if found:
        raise typer.Exit(ExitCode.CHANGES)


@app.command()
def restore(directory: _Directory, execute: Execute = False, as_json: AsJson = False) -> None:
    """Write a backup into new, empty topics, with all workers stopped. Exit code 2: --execute was not given."""
    settings, _ = load()
    manifest = read_manifest(directory)
    if execute:
        with output.progress("writing") as progress:
            asyncio.run(restore_backup(settings, directory, manifest, progress))
    _show(manifest, {}, as_json=as_json)
    if not execute:
        raise typer.Exit(ExitCode.CHANGES)


def _show(manifest: Manifest, found: dict[str, str], *, as_json: bool) -> None:
    rows = [(topic, item.records, found.get(topic, "")) for topic, item in manifest.topics.items()]
    if as_json:
        topics = [dict(zip(("topic", "records", "problem"), row, strict=True)) for row in rows]
        output.print_json({"at": shown_time(manifest.at), "release": manifest.release, "topics": topics})
        return
    title = f"{manifest.app_id}, {shown_time(manifest.at)}, owdd {manifest.release}"
    output.print_table(("topic", "records", "problem"), [(name, f"{count:,}", bad) for name, count, bad in rows], title=title)
