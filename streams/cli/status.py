"""``owdd status``: one screen for a person without Grafana, and an exit code for scripts."""

import asyncio
from dataclasses import asdict
from datetime import UTC, datetime
from threading import Event
from typing import Annotated, Any

import msgspec
import typer

from streams.cli import output
from streams.cli.common import load
from streams.cli.exit_codes import ExitCode
from streams.cli.output import AsJson
from streams.core.text import age
from streams.operations.status import SetAside, Status, read_status

_WATCH_SECONDS = 2.0
_UNKNOWN = "not known: no worker answered (OWDD_WORKERS)"


def status(
    watch: Annotated[bool, typer.Option("--watch", help="Show it again every two seconds, until Ctrl-C.")] = False,
    as_json: AsJson = False,
) -> None:
    """Show on one screen whether everything runs, and what waits for a person.

    The broker is asked, and the workers that OWDD_WORKERS names. Exit code 0: all is well; 2: something needs a person; 5: a
    role has no worker.

    Examples: owdd status · owdd status --watch · owdd status --json
    """
    settings, mapping = load()
    while True:
        with output.progress("asking the broker and the workers"):
            found = asyncio.run(read_status(settings, mapping))
        if as_json:
            output.print_json(facts(found), compact=watch)
        else:
            _show(found, clear=watch)
        if not watch:
            break
        Event().wait(_WATCH_SECONDS)
    if found.stopped:
        raise typer.Exit(ExitCode.NOT_RUNNING)
    if found.remarks:
        raise typer.Exit(ExitCode.CHANGES)


def facts(found: Status) -> dict[str, Any]:
    """Everything, for programs: what the screen shows, and the lag by topic."""
    writes = msgspec.to_builtins(found.writes)
    return asdict(found) | {"writes": writes, "well": not found.remarks, "remarks": found.remarks}


def _show(found: Status, *, clear: bool) -> None:
    if clear:
        output.clear()
    output.print_table(
        ("role", "workers", "records waiting", "oldest"),
        [(part.role, part.workers or "none", f"{part.records:,}", _oldest(part.oldest)) for part in found.parts],
    )
    output.print_table(("", ""), _rows(found), heading=False)
    for remark in found.remarks:
        output.line(f"! {remark}")
    if not found.remarks:
        output.line("All is well.")


def _rows(found: Status) -> list[tuple[str, str]]:
    return [
        ("at", _time(found.at)),
        ("oldest undelivered change", _oldest(found.oldest_undelivered)),
        ("last delivery", _since(found.last_delivery, found.at)),
        ("deliveries pending", _pairs(found.workers.pending) or ("none" if found.workers.answered else _UNKNOWN)),
        *_set_aside(found.set_aside),
        ("budget left this minute", _budget(found)),
        ("capture", _capture(found)),
        ("writes to Dotdigital", f"paused by {found.writes.by}" if found.writes.paused else "go on"),
    ]


def _set_aside(found: SetAside) -> list[tuple[str, str]]:
    return [(name.replace("_", " "), _pairs(getattr(found, name)) or "none") for name in found.__dataclass_fields__]


def _pairs(counts: dict[str, int]) -> str:
    return " · ".join(f"{count:,} {name}" for name, count in sorted(counts.items(), key=lambda item: -item[1]) if count)


def _budget(found: Status) -> str:
    if not found.workers.budget:
        return "no limit known yet" if found.workers.answered else _UNKNOWN
    return " · ".join(f"{tier} {left:,} of {limit:,}" for tier, (limit, left) in sorted(found.workers.budget.items()))


def _capture(found: Status) -> str:
    row, connector = found.capture.row, found.capture.connector
    if row is None and connector is None:
        return "no heartbeat in Kafka"
    return f"database {_ago(row)} · connector {_ago(connector)}"


def _ago(seconds: float | None) -> str:
    return "never" if seconds is None else f"{age(seconds)} ago"


def _oldest(seconds: float) -> str:
    return age(seconds) if seconds else "nothing waits"


def _since(at: int | None, now: int) -> str:
    return "none found" if at is None else f"{age(max(0, now - at) / 1000)} ago ({_time(at)})"


def _time(millis: int) -> str:
    return datetime.fromtimestamp(millis / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")
