"""``owdd dlq``: list, retry and drop dead letters and parked deliveries."""

import asyncio
from collections import Counter
from typing import Annotated

import typer

from streams.cli import output
from streams.cli.common import load, operator_name
from streams.cli.dlq_filters import Filters
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.cli.options import with_options
from streams.cli.output import AsJson, Execute
from streams.cli.times import shown_time
from streams.core.clock import SystemClock
from streams.core.errors import ConfigurationError
from streams.core.text import printable
from streams.domain.digester import Digester
from streams.dotdigital.codes import CODES
from streams.ingest.erased_addresses import ErasureFeed
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.messages.topics import Topics
from streams.operations import dlq_actions
from streams.operations.dlq_actions import Action, DeadLetterActions
from streams.operations.dlq_entry import DeadLetterEntry, Position
from streams.operations.dlq_filter import Filter
from streams.operations.dlq_store import DeadLetterStore
from streams.settings import Settings

app = command_group("Dead letters and parked deliveries: list, retry, drop.")

_COLUMNS = ("place", "set aside", "stage", "source", "code", "reason", "tries", "outcome")


@app.command("list")
@with_options(Filters, "filters")
def list_entries(
    filters: Filters,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many, oldest first.")] = 50,
    everything: Annotated[
        bool, typer.Option("--all", help="Also entries that were retried, dropped, or cleared by themselves.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the open entries, without personal data."""
    settings, _ = load()
    entries = asyncio.run(_entries(DeadLetterStore(settings), filters.selection(settings, limit), closed=everything))
    if as_json:
        output.print_json([entry.facts() | {"at": shown_time(entry.at)} for entry in entries])
        return
    rows = [
        (
            entry.position,
            shown_time(entry.at),
            entry.stage,
            entry.origin,
            entry.code,
            entry.reason,
            entry.attempts,
            entry.outcome,
        )
        for entry in entries
    ]
    output.print_table(_COLUMNS, rows)


@app.command()
def show(
    place: Annotated[str, typer.Argument(help="The entry's place, as 'list' prints it.")],
    show_personal_data: Annotated[
        bool, typer.Option("--show-personal-data", help="Also print the record's key and value.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Show one entry, and with --show-personal-data its content."""
    settings, _ = load()
    entry, record = asyncio.run(DeadLetterStore(settings).record(Position.parse(place)))
    facts = entry.facts() | {"at": shown_time(entry.at)}
    if show_personal_data:
        facts |= {name: _content(getattr(record, name)) for name in ("key", "value")}
    if as_json:
        output.print_json(facts)
        return
    for name, value in facts.items():
        # Each on one line, whatever the record holds.
        output.line(printable(f"{name}: {'' if value is None else value}"))


def _command(action: Action, purpose: str) -> None:
    @with_options(Filters, "filters")
    def act(
        filters: Filters,
        everything: Annotated[bool, typer.Option("--all", help="Without any filter: every open entry.")] = False,
        limit: Annotated[int | None, typer.Option(min=1, help="At most this many, oldest first.")] = None,
        rate: Annotated[float, typer.Option(min=0.1, max=10_000, help="At most this many entries a second.")] = 100.0,
        operator: Annotated[
            str | None, typer.Option("--operator", help="Your name, for the audit topic. Default: the system's user.")
        ] = None,
        execute: Execute = False,
        as_json: AsJson = False,
    ) -> None:
        if action == "drop" and not (filters.given or everything):
            raise ConfigurationError(
                "it needs a filter", where="owdd dlq drop", remedy="Add --code, --stage or another filter, or --all"
            )
        settings, _ = load()
        selection = filters.selection(settings, limit)
        _act(settings, action, selection, rate=rate, operator=operator, execute=execute, as_json=as_json)

    app.command(action, help=f"{purpose} Exit code 2: there are entries, and --execute was not given.")(act)


_command("retry", "Process entries again, after a repair.")
_command("drop", "Close entries without action; they are no longer listed.")


def _act(
    settings: Settings, action: Action, selection: Filter, *, rate: float, operator: str | None, execute: bool, as_json: bool
) -> None:
    entries = asyncio.run(_entries(DeadLetterStore(settings), selection))
    done = 0
    if execute:
        with output.counting("entries", len(entries)) as progress:
            done = asyncio.run(_done(settings, action, entries, operator_name(operator), rate, progress))
    counts = dict(sorted(Counter(entry.code for entry in entries).items()))
    if as_json:
        summary = {"action": action, "executed": execute, "selected": len(entries), "done": done, "codes": counts}
        output.print_json(summary)
    else:
        for code, count in counts.items():
            output.line(printable(f"{count:,} × {code}"))
        output.line(_verdict(action, len(entries), done, execute=execute))
    if entries and not execute:
        raise typer.Exit(ExitCode.CHANGES)


async def _entries(store: DeadLetterStore, selection: Filter, *, closed: bool = False) -> list[DeadLetterEntry]:
    """The chosen entries.

    Raises:
        ConfigurationError: there are none, and the code that was given is not one that Dotdigital or any entry has.
    """
    found = await store.entries(selection, closed=closed)
    if not found and selection.code is not None and selection.code not in CODES:
        present = sorted({entry.code for entry in await store.entries(Filter(), closed=True)})
        if selection.code not in present:
            known = f"there are {', '.join(present)}" if present else "there are no entries"
            raise ConfigurationError(f"no entry has this code; {known}", where=f"--code {selection.code}")
    return found


def _verdict(action: Action, selected: int, done: int, *, execute: bool) -> str:
    if not selected:
        return "Nothing is selected."
    if not execute:
        return f"{selected:,} entries; nothing was done. Add --execute to do it."
    why = "gone, or without a usable origin or content"
    left = f" {selected - done:,} were skipped: {why}." if done < selected else ""
    return f"{action}: {done:,} of {selected:,}.{left}"


async def _done(
    settings: Settings,
    action: Action,
    entries: list[DeadLetterEntry],
    operator: str,
    rate: float,
    progress: dlq_actions.ProgressCallback,
) -> int:
    topics = Topics.of(settings.app_id, settings.generation)
    digest = Digester(*settings.erasure_keys)
    erased = ErasureFeed(KafkaConfig.of(settings), topics.erasures, settings.partitions, digest)
    async with BatchProducer(settings) as producer, erased:
        acting = DeadLetterActions(
            settings, DeadLetterStore(settings), producer, erased, operator=operator, clock=SystemClock()
        )
        return await acting.act(action, entries, rate=rate, progress=progress)


def _content(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="backslashreplace")
