"""``owdd dlq``: list, retry and drop dead letters and parked deliveries."""

import asyncio
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
from rich.progress import Progress as Bar
from rich.table import Table

from streams.cli.common import guarded, load, operator_name
from streams.core.clock import SystemClock
from streams.core.errors import OwddError
from streams.domain.erasure import digester
from streams.ingest.erased_addresses import ErasureFeed
from streams.kafka.producer import BatchProducer
from streams.kafka.topics import Topics
from streams.operations import dlq_actions
from streams.operations.dlq_actions import Action, DeadLetterActions
from streams.operations.dlq_entry import KINDS, DeadLetterEntry, EntryKind, Position
from streams.operations.dlq_filter import Filter, key_hashes
from streams.operations.dlq_store import DeadLetterStore
from streams.settings import Settings

app = typer.Typer(help="Dead letters and parked deliveries: list, retry, drop.", no_args_is_help=True)

WOULD_CHANGE = 2
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400}

KindOption = Annotated[str | None, typer.Option("--kind", help="ingest (records) or delivery (parked). Default: both.")]
StageOption = Annotated[str | None, typer.Option("--stage", help="The stage that dead-lettered it, or the kind of delivery.")]
CodeOption = Annotated[str | None, typer.Option("--code", help="Only entries with this code.")]
KeyOption = Annotated[
    str | None, typer.Option("--key", help="Only entries of this e-mail or row key. It is hashed, never stored or logged.")
]
AgeOption = Annotated[str | None, typer.Option("--age", help="Only entries at least this old: 90s, 30m, 12h, 7d.")]
SinceOption = Annotated[str | None, typer.Option("--since", help="Only entries set aside from this time on: ISO 8601, UTC.")]
UntilOption = Annotated[str | None, typer.Option("--until", help="Only entries set aside until this time: ISO 8601, UTC.")]
AllOption = Annotated[bool, typer.Option("--all", help="Also entries that were retried, dropped, or cleared by themselves.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
ExecuteOption = Annotated[bool, typer.Option("--execute/--dry-run", help="Do it; default: only show what would be done.")]
RateOption = Annotated[float, typer.Option(min=0.1, max=10_000, help="At most this many entries a second.")]
OperatorOption = Annotated[
    str | None, typer.Option("--operator", help="Your name, for the audit topic. Default: the system's user.")
]


@app.command("list")
def list_entries(
    kind: KindOption = None,
    stage: StageOption = None,
    code: CodeOption = None,
    key: KeyOption = None,
    age: AgeOption = None,
    since: SinceOption = None,
    until: UntilOption = None,
    limit: Annotated[int, typer.Option(min=1, help="Show at most this many, oldest first.")] = 50,
    everything: AllOption = False,
    as_json: JsonOption = False,
) -> None:
    """List the open entries, without personal data."""
    with guarded():
        settings, _ = load()
        selection = _selection(settings, kind, stage, code, key, (age, since, until), limit)
        entries = asyncio.run(DeadLetterStore(settings).entries(selection, closed=everything))
    _print(entries, as_json)


@app.command()
def show(
    place: Annotated[str, typer.Argument(help="The entry's place, as 'list' prints it.")],
    show_personal_data: Annotated[
        bool, typer.Option("--show-personal-data", help="Also print the record's key and value.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Show one entry, and with --show-personal-data its content."""
    with guarded():
        settings, _ = load()
        entry, record = asyncio.run(DeadLetterStore(settings).record(Position.parse(place)))
    facts = entry.facts() | {"at": _time(entry.at)}
    if show_personal_data:
        facts |= {name: _content(getattr(record, name)) for name in ("key", "value")}
    if as_json:
        typer.echo(orjson.dumps(facts, option=orjson.OPT_INDENT_2).decode())
        return
    for name, value in facts.items():
        typer.echo(f"{name}: {'' if value is None else value}")


def _command(action: Action, purpose: str) -> None:
    @app.command(action, help=f"{purpose} Exit code 2: there are entries, and --execute was not given.")
    def act(
        kind: KindOption = None,
        stage: StageOption = None,
        code: CodeOption = None,
        key: KeyOption = None,
        age: AgeOption = None,
        since: SinceOption = None,
        until: UntilOption = None,
        limit: Annotated[int | None, typer.Option(min=1, help="At most this many, oldest first.")] = None,
        rate: RateOption = 100.0,
        operator: OperatorOption = None,
        execute: ExecuteOption = False,
        as_json: JsonOption = False,
    ) -> None:
        filters = (kind, stage, code, key, (age, since, until), limit)
        _act(action, filters, rate=rate, operator=operator, execute=execute, as_json=as_json)


_command("retry", "Process entries again, after a repair.")
_command("drop", "Close entries without action; they are no longer listed.")


def _act(action: Action, filters: tuple[Any, ...], *, rate: float, operator: str | None, execute: bool, as_json: bool) -> None:
    with guarded():
        settings, _ = load()
        entries = asyncio.run(DeadLetterStore(settings).entries(_selection(settings, *filters)))
        if execute:
            with _progress(len(entries)) as progress:
                done = asyncio.run(_done(settings, action, entries, operator_name(operator), rate, progress))
        else:
            done = 0
    counts = dict(sorted(Counter(entry.code for entry in entries).items()))
    if as_json:
        summary = {"action": action, "executed": execute, "selected": len(entries), "done": done, "codes": counts}
        typer.echo(orjson.dumps(summary, option=orjson.OPT_INDENT_2).decode())
    else:
        for code, count in counts.items():
            typer.echo(f"{count:,} × {code}")
        typer.echo(_verdict(action, len(entries), done, execute=execute))
    if entries and not execute:
        raise typer.Exit(WOULD_CHANGE)


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
    topics = Topics.of(settings.app_id)
    digest = digester(settings.digest_key)
    erased = ErasureFeed(settings.kafka_bootstrap, topics.erasures, settings.partitions, digest)
    async with BatchProducer(settings) as producer, erased:
        acting = DeadLetterActions(
            DeadLetterStore(settings),
            producer,
            erased,
            topics,
            settings.partitions,
            operator=operator,
            clock=SystemClock(),
        )
        return await acting.act(action, entries, rate=rate, progress=progress)


@contextmanager
def _progress(total: int) -> Iterator[dlq_actions.ProgressCallback]:
    columns = (TextColumn("entries"), BarColumn(), MofNCompleteColumn())
    with Bar(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("entries", total=total)
        yield lambda count: bar.update(task, completed=count)


def _selection(
    settings: Settings,
    kind: str | None,
    stage: str | None,
    code: str | None,
    key: str | None,
    times: tuple[str | None, str | None, str | None],
    limit: int | None,
) -> Filter:
    age, since, until = times
    hash_key = settings.hash_key.get_secret_value().encode()
    ends = [end for end in (_millis(until), _old(age)) if end is not None]
    return Filter(
        kind=_kind(kind),
        stage=stage,
        code=code,
        keys=None if key is None else key_hashes(key, hash_key),
        since=_millis(since),
        until=min(ends, default=None),
        limit=limit,
    )


def _kind(text: str | None) -> EntryKind | None:
    for kind in KINDS:
        if kind == text:
            return kind
    if text is not None:
        raise OwddError(f"--kind {text}: it must be one of {', '.join(KINDS)}")
    return None


def _old(age: str | None) -> int | None:
    if age is None:
        return None
    found = re.fullmatch(r"(\d{1,9})([smhd])", age)
    if found is None:
        raise OwddError(f"--age {age}: write it as 90s, 30m, 12h or 7d")
    return SystemClock().now_ms() - int(found[1]) * _UNITS[found[2]] * 1000


def _millis(text: str | None) -> int | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise OwddError(f"{text}: not a time; write it as 2026-11-23T14:00") from None
    return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


def _time(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1000, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _content(data: bytes | None) -> str | None:
    return None if data is None else data.decode(errors="backslashreplace")


def _print(entries: list[DeadLetterEntry], as_json: bool) -> None:
    if as_json:
        rows = [entry.facts() | {"at": _time(entry.at)} for entry in entries]
        typer.echo(orjson.dumps(rows, option=orjson.OPT_INDENT_2).decode())
        return
    table = Table("place", "set aside", "stage", "code", "reason", "tries", "outcome")
    for entry in entries:
        cells = (entry.position, _time(entry.at), entry.stage, entry.code, entry.reason, entry.attempts, entry.outcome)
        table.add_row(*(escape("" if cell is None else str(cell)) for cell in cells))
    Console().print(table)
