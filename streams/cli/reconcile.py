"""``owdd reconcile``: what Dotdigital holds against what was delivered."""

import asyncio
import time
from dataclasses import dataclass
from typing import Annotated, Any
from uuid import uuid4

import msgspec
import typer

from streams.cli import output
from streams.cli.common import load, operator_name
from streams.cli.exit_codes import ExitCode
from streams.cli.options import with_options
from streams.cli.output import AsJson, Execute
from streams.cli.reconcile_rows import reconcile_rows
from streams.cli.times import shown_time
from streams.core.clock import SystemClock
from streams.core.errors import ConfigurationError
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.messages.dead_letters import keyed_hash
from streams.messages.reconciliations import ReconcileRun
from streams.operations.reconcile.run_log import KafkaRunLog, known_runs
from streams.operations.state_client import StateClient
from streams.operations.state_queries import AddressQuery, AddressReply
from streams.settings import Settings

_LOOK_SECONDS = 1.0
_TAKEN_UP_SECONDS = 60.0
"""A worker looks every five seconds, unless it works on another run."""


@dataclass(frozen=True, slots=True)
class ReconcileScope:
    """What is compared: one of these, or nothing, which only shows runs."""

    full: Annotated[bool, typer.Option("--full", help="All contacts, records and list places.")] = False
    sample: Annotated[int | None, typer.Option(min=1, max=10_000, help="So many contacts, with their orders.")] = None
    email: Annotated[str | None, typer.Option(help="One contact, with its orders.")] = None
    rows: Annotated[
        bool, typer.Option("--rows", help="Not Dotdigital: captured rows that the newest snapshot of their table did not show.")
    ] = False

    @property
    def given(self) -> int:
        """How many of them are given."""
        return sum((self.full, self.sample is not None, self.email is not None, self.rows))

    def run(self, settings: Settings, by: str, *, execute: bool) -> ReconcileRun:
        """The run to ask for.

        Raises:
            ConfigurationError: not exactly one of them is given.
        """
        if self.given > 1:
            raise ConfigurationError("it compares one thing at a time", where="owdd reconcile", remedy="Give only one of them")
        if not self.given:
            remedy = "Add --full, --sample N, --email ADDRESS or --rows; or --show for what earlier runs found"
            raise ConfigurationError("it needs to know what to compare", where="owdd reconcile", remedy=remedy)
        asked = ReconcileRun(id=uuid4().hex[:8], by=by, asked=SystemClock().now_ms(), execute=execute)
        if self.sample is not None:
            return msgspec.structs.replace(asked, scope="sample", sample=self.sample)
        if self.email is not None:
            hash_key = settings.hash_key.get_secret_value().encode()
            contact = keyed_hash(self.email.strip().lower().encode(), hash_key)
            return msgspec.structs.replace(asked, scope="contact", contact=contact)
        return asked


@with_options(ReconcileScope, "scope")
def reconcile(
    scope: ReconcileScope,
    show: Annotated[bool, typer.Option("--show", help="Only show the runs, and what the last complete one found.")] = False,
    cancel: Annotated[str | None, typer.Option(metavar="ID", help="Have a run end.")] = None,
    timeout: Annotated[float, typer.Option(min=1, help="Longest wait for the end, in seconds; the run goes on.")] = 3600.0,
    show_personal_data: Annotated[
        bool, typer.Option("--show-personal-data", help="Print addresses, not their keyed hashes; workers are asked for them.")
    ] = False,
    operator: Annotated[str | None, typer.Option(help="Your name, for the audit trail. Default: the system's user.")] = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Read Dotdigital back and compare it with what was delivered; put right what differs.

    A dispatch worker does it, inside the account's budget and behind everything else. With --rows the command itself compares
    the captured topics with the newest snapshots: which rows were deleted while nobody captured it. Exit code 2: something
    differs, and --execute was not given; 5: no worker has taken it up; 7: it is not done yet, and goes on.
    """
    settings, mapping = load()
    if show:
        asyncio.run(_show(settings, personal=show_personal_data, as_json=as_json))
        return
    by = operator_name(operator)
    if scope.rows and scope.given == 1:
        reconcile_rows(settings, mapping, execute=execute, operator=by, personal=show_personal_data, as_json=as_json)
        return
    if cancel is not None:
        asyncio.run(_cancel(settings, cancel, by))
        output.line(f"comparison {cancel}: its end was asked for.")
        return
    run = asyncio.run(_compare(settings, scope.run(settings, by, execute=execute), timeout))
    asyncio.run(_print(settings, run, personal=show_personal_data, as_json=as_json))
    if run.state == "asked":
        output.note("No worker has taken it up: does 'owdd run' run dispatch? It was cancelled.")
        raise typer.Exit(ExitCode.NOT_RUNNING)
    if not run.over:
        raise typer.Exit(ExitCode.UNFINISHED)
    if run.state != "done":
        raise typer.Exit(ExitCode.ERROR)
    if run.drift and not execute:
        raise typer.Exit(ExitCode.CHANGES)


async def _compare(settings: Settings, asked: ReconcileRun, timeout: float) -> ReconcileRun:
    began = time.monotonic()
    async with BatchProducer(settings) as producer, reader(KafkaConfig.of(settings)) as consumer:
        runs = KafkaRunLog(settings, consumer, producer, SystemClock())
        await runs.save(asked)
        with output.progress(f"comparison {asked.id} waits for a worker") as shown:
            while True:
                known = await runs.known()
                run, waited = known.runs.get(asked.id, asked), time.monotonic() - began
                others = [other for other in known.in_order if not other.over and other.id != asked.id]
                if run.over or waited > timeout:
                    return run
                if run.state == "asked" and not others and waited > _TAKEN_UP_SECONDS:
                    await runs.cancel(asked.id, asked.by)
                    return run
                if run.state == "running" and run.reason:
                    shown(f"{run.phase}: tried again, after {run.reason}")
                elif run.state == "running":
                    read = f"read {run.contacts:,} contacts, {run.orders:,} orders, {run.items:,} items"
                    shown(f"{run.phase}: {read}; looked at {run.checked:,} of {run.suspects:,} suspects")
                await asyncio.sleep(_LOOK_SECONDS)


async def _cancel(settings: Settings, run: str, by: str) -> None:
    async with BatchProducer(settings) as producer, reader(KafkaConfig.of(settings)) as consumer:
        await KafkaRunLog(settings, consumer, producer, SystemClock()).cancel(run, by)


async def _show(settings: Settings, *, personal: bool, as_json: bool) -> None:
    known = await known_runs(settings)
    last = known.last_complete
    if as_json:
        output.print_json({"runs": [_facts(run) for run in known.in_order], "last": None if last is None else _facts(last)})
        return
    columns = ("id", "scope", "by", "state", "asked", "ended", "differences", "healed", "reason")
    output.print_table(columns, [tuple(_facts(run)[name] for name in columns) for run in known.in_order])
    if last is not None:
        await _print(settings, last, personal=personal, as_json=False)


async def _print(settings: Settings, run: ReconcileRun, *, personal: bool, as_json: bool) -> None:
    names = await _addresses(settings, run) if personal else {}
    facts = _facts(run)
    for example in facts["examples"]:
        example["owner"] = names.get(example["owner"], example["owner"])
    if as_json:
        output.print_json(facts)
        return
    read = f"{run.contacts:,} contacts, {run.orders:,} orders and {run.items:,} items were read"
    output.line(f"Comparison {run.id} is {run.state}{f': {run.reason}' if run.reason else ''}; {read}.")
    output.print_table(("difference", "number"), sorted(run.drift.items()))
    columns = ("drift", "owner", "record", "detail")
    output.print_table(columns, [tuple(example[name] for name in columns) for example in facts["examples"]], title="Examples")
    if run.others:
        others = ", ".join(f"{count:,} {kind}" for kind, count in run.others.items())
        output.line(f"Not ours, and left alone: {others}.")
    if run.unsettled or run.unchecked:
        output.line(f"Not judged: {run.unsettled:,} that changed all the time, {run.unchecked:,} that are too many.")
    if run.healed:
        output.line(f"Dispatch delivers {run.healed:,} again.")
    elif run.drift and run.over:
        output.line("Nothing was done. Add --execute to put it right.")


def _facts(run: ReconcileRun) -> dict[str, Any]:
    found: dict[str, Any] = msgspec.to_builtins(run)
    names = [field.name for field in msgspec.structs.fields(ReconcileRun)]
    facts = {name: found.get(name, msgspec.to_builtins(getattr(run, name))) for name in names}
    times = {name: shown_time(facts[name]) if facts[name] else None for name in ("asked", "began", "ended")}
    return facts | times | {"differences": sum(run.drift.values())}


async def _addresses(settings: Settings, run: ReconcileRun) -> dict[str, str]:
    hash_key = settings.hash_key.get_secret_value().encode()
    owners = sorted({example.owner for example in run.examples if example.owner})
    found: dict[str, str] = {}
    async with StateClient(settings, keyed_hash(b"owdd reconcile", hash_key)) as workers:
        for owner in owners:
            for reply in (await workers.ask([AddressQuery(owner)], owner)).every(0, AddressReply):
                if reply.email is not None:
                    found[owner] = reply.email
    return found
