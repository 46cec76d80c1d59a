"""``owdd trail``: who did what, and whether anybody has changed the record of it."""

import asyncio
from typing import Annotated, Any

import msgspec
import typer

from streams.cli import output
from streams.cli.common import load, operator_name
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.cli.output import AsJson, Execute
from streams.cli.times import age_ms, millis, shown_time
from streams.core.clock import SystemClock
from streams.core.errors import RefusedError
from streams.kafka.producer import BatchProducer
from streams.operations.trail import (
    Checkpoints,
    Trail,
    TrailProblem,
    TrailRecord,
    cut_before,
    read_trail,
    verify_trail,
)
from streams.settings import Settings

app = command_group("The audit trail: show, verify, seal.")


@app.command()
def show(
    what: Annotated[str | None, typer.Option(help="Only entries of this kind, as the column 'what' has it.")] = None,
    by: Annotated[str | None, typer.Option(help="Only entries of this operator.")] = None,
    since: Annotated[str | None, typer.Option(help="Only entries from this time on: ISO 8601, UTC.")] = None,
    until: Annotated[str | None, typer.Option(help="Only entries until this time: ISO 8601, UTC.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many, the newest.")] = 50,
    as_json: AsJson = False,
) -> None:
    """Show who did what, the oldest entry first. Nobody is named but operators; people are keyed digests."""
    settings, _ = load()
    begin, end = millis(since), millis(until)
    found = [
        facts
        for facts in map(_facts, asyncio.run(_read(settings)).records)
        if what in (None, facts["what"])
        and by in (None, facts["by"])
        and (begin is None or facts["at_ms"] >= begin)
        and (end is None or facts["at_ms"] <= end)
    ][-limit:]
    if as_json:
        output.print_json(found)
        return
    columns = ("at", "what", "by", "details", "writer", "number")
    rows = [
        [fact[name] for name in ("at", "what", "by")] + [_text(fact["entry"]), fact["writer"], fact["number"]] for fact in found
    ]
    output.print_table(columns, rows)


@app.command()
def verify(as_json: AsJson = False) -> None:
    """Check every entry and every writer's chain. Exit code 0: nobody has changed anything; 2: there are problems."""
    settings, _ = load()
    trail, found = asyncio.run(_verified(settings))
    if as_json:
        output.print_json(_report(trail, found))
    else:
        _show_report(trail, found)
    if found:
        raise typer.Exit(ExitCode.CHANGES)


@app.command()
def checkpoint(
    older_than: Annotated[
        str | None, typer.Option("--older-than", help="Also delete entries that are older: 1825d is five years. Default: none.")
    ] = None,
    accept_problems: Annotated[bool, typer.Option("--accept-problems", help="Seal a trail that has problems.")] = False,
    operator: Annotated[str | None, typer.Option(help="Your name, for the audit trail. Default: the system's user.")] = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Seal the trail as it is, and let its oldest part go. Exit code 2: --execute was not given.

    The topic has no retention: entries go with a signed checkpoint only. It is refused while the trail has problems.
    """
    settings, _ = load()
    now = SystemClock().now_ms()
    trail, found = asyncio.run(_verified(settings))
    begins = trail.begins if older_than is None else cut_before(trail, now - age_ms(older_than, "--older-than"))
    going = sum(record.offset < begins[record.partition] for record in trail.records)
    if execute:
        if found and not accept_problems:
            remedy = "Look at 'owdd trail verify'; --accept-problems seals it as it is"
            raise RefusedError(f"the audit trail has {len(found)} problems", remedy=remedy)
        asyncio.run(_seal(settings, trail, begins, now, found, operator_name(operator)))
    if as_json:
        output.print_json(_report(trail, found) | {"executed": execute, "sealed": len(trail.records) - going, "deleted": going})
    else:
        _show_report(trail, found)
        done = "were sealed" if execute else "would be sealed. Add --execute to do it"
        output.line(f"{len(trail.records) - going:,} entries {done}; {going:,} are older and go.")
    if not execute:
        raise typer.Exit(ExitCode.CHANGES)


async def _read(settings: Settings) -> Trail:
    with output.progress("reading the audit trail"):
        return await read_trail(settings)


async def _verified(settings: Settings) -> tuple[Trail, list[TrailProblem]]:
    with output.progress("reading the audit trail"):
        return await verify_trail(settings)


async def _seal(settings: Settings, trail: Trail, begins: Any, now: int, found: list[TrailProblem], operator: str) -> None:
    async with BatchProducer(settings) as producer:
        await Checkpoints(settings, producer, operator).seal(trail, begins, now, found)


def _report(trail: Trail, found: list[TrailProblem]) -> dict[str, Any]:
    writers = {record.link.writer for record in trail.records if record.link is not None}
    return {
        "entries": len(trail.records),
        "writers": len(writers),
        "problems": [msgspec.to_builtins(problem) for problem in found],
    }


def _show_report(trail: Trail, found: list[TrailProblem]) -> None:
    report = _report(trail, found)
    output.line(f"{report['entries']:,} entries of {report['writers']:,} writers; {len(found):,} problems")
    if found:
        rows = [(problem.code, problem.place, problem.writer, problem.sequence or None) for problem in found]
        output.print_table(("problem", "place", "writer", "number"), rows)


def _facts(record: TrailRecord) -> dict[str, Any]:
    entry = {} if record.entry is None else msgspec.to_builtins(record.entry, str_keys=True)
    what = entry.pop("what", "unreadable")
    at_ms = entry.pop("at", record.at)
    return {
        "at": shown_time(at_ms),
        "at_ms": at_ms,
        "what": what,
        "by": entry.pop("by", entry.get("stage")),
        "entry": entry,
        "place": record.place,
        "writer": None if record.link is None else record.link.writer,
        "number": None if record.link is None else record.link.sequence,
    }


def _text(entry: dict[str, Any]) -> str:
    return ", ".join(f"{name} {_short(value)}" for name, value in entry.items() if value not in (None, "", [], {}))


def _short(value: Any) -> Any:
    return f"{len(value)} places" if isinstance(value, list) else value
