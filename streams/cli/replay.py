"""``owdd replay``: captured rows through ingest once more."""

import asyncio
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import uuid4

import typer
from msgspec.structs import replace

from streams.cli import output, replay_rebuild
from streams.cli.common import load, operator_name
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.cli.options import with_options
from streams.cli.output import AsJson, Execute
from streams.cli.replay_filters import ReplayFilters
from streams.cli.times import shown_time
from streams.core.clock import SystemClock
from streams.core.errors import ConfigurationError, RefusedError
from streams.kafka.producer import BatchProducer
from streams.mapping import Mapping
from streams.messages.dead_letters import keyed_hash
from streams.messages.replays import ReplayRun, ReplaySelection, Steering
from streams.operations.replay_process import ReplayProcess, replay_tools
from streams.operations.replay_runs import KnownRun, ReplayRuns, known_run, known_runs
from streams.operations.replay_scan import Scan, Scanner
from streams.settings import Settings

app = command_group("Captured rows once more: select, send through ingest again, pause, resume.")

Run = Annotated[str, typer.Argument(help="The replay's id, as 'status' prints it.")]
Operator = Annotated[str | None, typer.Option("--operator", help="Your name, for the audit trail. Default: the system's user.")]
Timeout = Annotated[float, typer.Option(min=1, help="Longest wait for ingest at the end, in seconds.")]

_ENDED_MS = 60_000
"""Longest wait for a process that was asked to end: twice as long as one without a sign of life counts as alive."""
_LOOK_SECONDS = 0.5

app.command()(replay_rebuild.rebuild)
app.command()(replay_rebuild.back)
app.command()(replay_rebuild.clean)


@dataclass(frozen=True, slots=True)
class _Site:
    settings: Settings
    mapping: Mapping


@app.command()
@with_options(ReplayFilters, "filters")
def records(
    filters: ReplayFilters,
    everything: Annotated[bool, typer.Option("--all", help="Without any filter: every captured row.")] = False,
    show: Annotated[int, typer.Option(min=0, max=1_000, help="Show so many of the records, the first.")] = 10,
    show_personal_data: Annotated[
        bool, typer.Option("--show-personal-data", help="Print keys of rows, not their keyed hashes.")
    ] = False,
    rate: Annotated[float, typer.Option(min=0.1, max=100_000, help="At most this many rows a second.")] = 500.0,
    timeout: Timeout = 300.0,
    operator: Operator = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Read rows again from the captured topics, in the bulk lane; what Dotdigital has already is not sent again.

    Of each selected row the newest version is read. Exit code 2: there are rows, and --execute was not given; 7: the replay was
    paused, or ingest has not read everything yet.
    """
    if not (filters.given or everything):
        raise ConfigurationError("it needs a filter", where="owdd replay records", remedy="Add --table or another, or --all")
    site = _Site(*load())
    selection = filters.selection(site.settings)
    scan = asyncio.run(_scan(site, selection, show))
    if not execute:
        _print_scan(site.settings, scan, personal=show_personal_data, as_json=as_json)
        if scan.rows:
            raise typer.Exit(ExitCode.CHANGES)
        return
    now = SystemClock().now_ms()
    run = ReplayRun(id=uuid4().hex[:8], by=operator_name(operator), began=now, selection=selection, rate=rate, rows=scan.rows)
    _end(*asyncio.run(_work(site, run, scan, timeout)), as_json=as_json)


@app.command()
def status(run: Annotated[str | None, typer.Argument(help="Only this replay.")] = None, as_json: AsJson = False) -> None:
    """Show the replays of the last three months, the oldest first, and the generations of the joins."""
    settings, _ = load()
    now = SystemClock().now_ms()
    if run is None:
        facts = [_facts(known, now) for known in asyncio.run(known_runs(settings)).values()]
        facts += asyncio.run(replay_rebuild.generation_facts(settings, now))
    else:
        facts = [_facts(asyncio.run(known_run(settings, run)), now)]
    if as_json:
        output.print_json(facts)
        return
    columns = ("id", "state", "by", "began", "rows", "sent", "rate", "seconds_left")
    output.print_table(columns, [tuple(fact[name] for name in columns) for fact in facts])


@app.command()
def pause(run: Run, operator: Operator = None, as_json: AsJson = False) -> None:
    """Have a replay end, and wait until its process has: seconds. It can be resumed. Exit code 7: its process goes on yet."""
    _steer(run, "pause", operator, as_json=as_json)


@app.command()
def cancel(run: Run, operator: Operator = None, as_json: AsJson = False) -> None:
    """End a replay for good. Ingest still reads the rows that it was asked for before: they do no harm."""
    _steer(run, "cancel", operator, as_json=as_json)


@app.command()
def resume(
    run: Run,
    rate: Annotated[
        float | None, typer.Option(min=0.1, max=100_000, help="Rows a second from now on. Default: as before.")
    ] = None,
    timeout: Timeout = 300.0,
    operator: Operator = None,
    as_json: AsJson = False,
) -> None:
    """Go on with a replay that was paused, or whose process has died."""
    site = _Site(*load())
    known = asyncio.run(known_run(site.settings, run))
    if known.is_alive(SystemClock().now_ms()):
        raise RefusedError(f"a process works on replay {run}", remedy="Pause it there, or wait half a minute if it has died")
    scan = asyncio.run(_scan(site, known.run.selection, 0))
    going_on = known.run if rate is None else replace(known.run, rate=rate)
    _end(*asyncio.run(_work(site, going_on, scan, timeout, operator_name(operator))), as_json=as_json)


async def _scan(site: _Site, selection: ReplaySelection, examples: int) -> Scan:
    with output.reading("captured records") as shown:
        return await Scanner(site.settings, site.mapping, selection, examples).run(shown)


async def _work(
    site: _Site, run: ReplayRun, scan: Scan, timeout: float, resumed_by: str | None = None
) -> tuple[ReplayRun, bool]:
    """Work on a new run, or on one that somebody resumes."""
    settings = site.settings
    async with BatchProducer(settings) as producer:
        runs = ReplayRuns(settings, producer, SystemClock())
        if resumed_by is None:
            await runs.record(run, "start", run.by)
            await runs.forget_old([*(await known_runs(settings)).values()])
        else:
            await runs.steer(run, "run", resumed_by)
        run = replace(run, state="running", rows=scan.rows)
        await runs.save(run)
        async with replay_tools(settings, producer, runs, run) as tools:
            with output.counting(f"replay {run.id}", scan.rows) as counted:
                process = ReplayProcess(tools, run, scan, counted)
                answered = await process.work(timeout)
        return process.run, answered


def _end(run: ReplayRun, answered: bool, *, as_json: bool) -> None:
    finished = answered and run.state == "done"
    if as_json:
        output.print_json({"id": run.id, "state": run.state, "rows": run.rows, "sent": run.sent})
    elif finished:
        output.line(f"replay {run.id}: {run.sent:,} rows were read again.")
    elif answered:
        output.line(f"replay {run.id} is {run.state} after {run.sent:,} rows. 'owdd replay resume {run.id}' goes on with it.")
    else:
        output.line(f"replay {run.id}: ingest has not read all {run.sent:,} rows yet. Do the workers run?")
    if not finished and run.state != "cancelled":
        raise typer.Exit(ExitCode.UNFINISHED)


def _steer(run: str, wanted: Steering, operator: str | None, *, as_json: bool) -> None:
    settings, _ = load()
    known = asyncio.run(_steered(settings, run, wanted, operator_name(operator)))
    now = SystemClock().now_ms()
    going_on, state = known.is_alive(now), _shown_state(known, now)
    if as_json:
        output.print_json({"id": run, "wanted": wanted, "state": state, "rows": known.run.rows, "sent": known.run.sent})
    elif going_on:
        output.line(f"replay {run}: {wanted} was asked for; its process has not ended yet. See 'owdd replay status {run}'.")
    else:
        output.line(f"replay {run} is {state} after {known.run.sent:,} rows.")
    if going_on:
        raise typer.Exit(ExitCode.UNFINISHED)


async def _steered(settings: Settings, run: str, wanted: Steering, by: str) -> KnownRun:
    """Ask for it, and wait until no process works on the run: whoever pauses a run may resume it at once."""
    known, clock = await known_run(settings, run), SystemClock()
    async with BatchProducer(settings) as producer:
        await ReplayRuns(settings, producer, clock).steer(known.run, wanted, by)
    until = clock.now_ms() + _ENDED_MS
    while clock.now_ms() < until:
        known = await known_run(settings, run)
        if not known.is_alive(clock.now_ms()):
            break
        await asyncio.sleep(_LOOK_SECONDS)
    return known


def _shown_state(known: KnownRun, now: int) -> str:
    """The run's state; "interrupted" where the process that should work on it has died."""
    return "interrupted" if known.run.state == "running" and not known.is_alive(now) else known.run.state


def _facts(known: KnownRun, now: int) -> dict[str, Any]:
    run, state = known.run, _shown_state(known, now)
    return {
        "id": run.id,
        "state": state,
        "wanted": known.wanted,
        "by": run.by,
        "began": shown_time(run.began),
        "rows": run.rows,
        "sent": run.sent,
        "rate": run.rate,
        "seconds_left": round(max(0, run.rows - run.sent) / run.rate) if state == "running" else None,
    }


def _print_scan(settings: Settings, scan: Scan, *, personal: bool, as_json: bool) -> None:
    hash_key = settings.hash_key.get_secret_value().encode()
    examples = [
        {
            "place": f"{record.topic}/{record.partition}@{record.offset}",
            "at": shown_time(record.timestamp),
            "row": record.key.decode(errors="backslashreplace") if personal else keyed_hash(record.key, hash_key),
        }
        for record in scan.examples
    ]
    if as_json:
        output.print_json({"rows": scan.rows, "records": dict(sorted(scan.records.items())), "first": examples})
        return
    for topic, count in sorted(scan.records.items()):
        output.line(f"{count:,} × {topic}")
    output.print_table(("record", "appended", "row"), [tuple(example.values()) for example in examples])
    output.line(f"{scan.rows:,} rows; nothing was done. Add --execute to read them again." if scan.rows else "No row.")
