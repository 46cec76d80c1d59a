"""``owdd connectors``: the capture connector, from its configuration to its offsets.

Commands that change something only show it, unless given ``--execute``.
Exit codes: :class:`streams.cli.exit_codes.ExitCode`.
"""

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import msgspec
import orjson
import typer

from streams.cli import connector_reports as reports
from streams.cli import output
from streams.cli.common import load
from streams.cli.connector_files import render, sql
from streams.cli.connector_reports import Report
from streams.cli.exit_codes import ExitCode
from streams.cli.groups import command_group
from streams.cli.output import AsJson, Execute
from streams.connect import control
from streams.connect.control import WaitLimits
from streams.connect.guard import Observations
from streams.connect.heartbeats import read_heartbeats
from streams.connect.render import Config, connector
from streams.connect.responses import Status
from streams.connect.rest import ConnectClient
from streams.connect.retention import read_retained
from streams.connect.signals import send, snapshot_signal
from streams.core.clock import SystemClock
from streams.core.errors import ConfigurationError, RefusedError
from streams.core.files import write_private
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.security import KafkaConfig
from streams.mapping import Mapping
from streams.settings import Settings, SourceKind

app = command_group("The capture connector in Kafka Connect.")
app.command()(render)
app.command()(sql)

_Kind = Annotated[SourceKind | None, typer.Option("--kind", help="Kind of the source database; default: OWDD_SOURCE_KIND.")]
_Name = Annotated[str | None, typer.Option("--name", help="Name of another connector than the mapping's.")]
_File = Annotated[
    Path | None, typer.Option("--file", exists=True, dir_okay=False, help="A configuration instead of the rendered one.")
]
_Force = Annotated[bool, typer.Option("--force", help="Allow changes that orphan offsets or schema history.")]
_Wait = Annotated[float, typer.Option("--wait", min=0, help="Longest wait for the result, in seconds.")]
_WAIT = 60.0


@dataclass(frozen=True, slots=True)
class _Target:
    """The connector of a command, with the settings and mapping behind it."""

    settings: Settings
    mapping: Mapping
    names: CaptureNames
    name: str
    desired: Config


@app.command()
def plan(
    kind: _Kind = None,
    name: _Name = None,
    file: _File = None,
    force: _Force = False,
    wait: _Wait = _WAIT,
    as_json: AsJson = False,
) -> None:
    """Compare the configurations, and let the plugin in the worker validate the new one. Changes nothing."""
    apply(kind, name, file, force, False, wait, as_json)


@app.command()
def apply(
    kind: _Kind = None,
    name: _Name = None,
    file: _File = None,
    force: _Force = False,
    execute: Execute = False,
    wait: _Wait = _WAIT,
    as_json: AsJson = False,
) -> None:
    """Apply the configuration, and wait until everything runs or something has failed.

    A configuration that the plugin refuses is not applied. If the database does not answer, the command waits for it.
    """
    patience = WaitLimits(wait)

    async def work(client: ConnectClient, target: _Target) -> Report:
        await control.healthy(client, patience)
        if not execute:
            return reports.of_plan(await control.plan_for(client, target.name, target.desired, force=force))
        plan = await control.plan_when_reachable(client, target.name, target.desired, force=force, patience=patience)
        report = reports.of_plan(plan)
        if not plan.possible:
            return report
        if plan.action != "none":
            await client.put_config(target.name, target.desired)
        return report + reports.of_status(await control.wait_for(client, target.name, control.ended, patience))

    _run(work, kind, name, as_json, file)


@app.command()
def status(kind: _Kind = None, name: _Name = None, as_json: AsJson = False) -> None:
    """Show whether capture works: connector, tasks, heartbeats, offsets, retention. Exit code 5: it does not."""

    async def work(client: ConnectClient, target: _Target) -> Report:
        report = reports.of_status(await client.status(target.name))
        settings, now = target.settings, SystemClock().now_ms()
        seen = Observations(now, await read_heartbeats(KafkaConfig.of(settings), target.names))
        seen.record_offsets(await client.offsets(target.name), now)
        if settings.retention_probe:
            seen.retained = await read_retained(settings.retention_probe)
        return reports.of_observations(report, seen, await client.topics(target.name), now)

    _run(work, kind, name, as_json)


@app.command()
def restart(
    kind: _Kind = None, name: _Name = None, execute: Execute = False, wait: _Wait = _WAIT, as_json: AsJson = False
) -> None:
    """Restart failed parts, connector or task, and nothing else."""

    async def work(client: ConnectClient, target: _Target) -> Report:
        failed = (await client.status(target.name)).failed
        if not failed:
            return reports.of_nothing(target.name, "nothing has failed")
        if not execute:
            return reports.of_intent(target.name, f"restart {', '.join(part.name for part in failed)}")
        await client.restart_failed(target.name)
        return reports.of_status(await control.wait_for(client, target.name, control.ended, WaitLimits(wait)))

    _run(work, kind, name, as_json)


@app.command()
def pause(
    kind: _Kind = None,
    name: _Name = None,
    stop: Annotated[bool, typer.Option("--stop", help="Also free the tasks, which a change of offsets needs.")] = False,
    execute: Execute = False,
    wait: _Wait = _WAIT,
    as_json: AsJson = False,
) -> None:
    """Halt capture. CDC's retention continues: if it passes before you resume, changes are lost."""
    verb = "stop" if stop else "pause"

    async def work(client: ConnectClient, target: _Target) -> Report:
        wanted = "STOPPED" if stop else "PAUSED"
        if (await client.status(target.name)).connector.state == wanted:
            return reports.of_nothing(target.name, f"is {wanted} already")
        if not execute:
            return reports.of_intent(target.name, verb)
        await (client.stop if stop else client.pause)(target.name)
        end = control.all_are(wanted)
        found = await control.wait_for(client, target.name, end, WaitLimits(wait))
        report = reports.of_status(found)
        return Report(report.data, report.lines, ExitCode.OK if end(found) else ExitCode.NOT_RUNNING)

    _run(work, kind, name, as_json)


@app.command()
def resume(
    kind: _Kind = None, name: _Name = None, execute: Execute = False, wait: _Wait = _WAIT, as_json: AsJson = False
) -> None:
    """Let a paused or stopped connector continue from its position."""

    async def work(client: ConnectClient, target: _Target) -> Report:
        if not (await client.status(target.name)).halted:
            return reports.of_nothing(target.name, "is neither paused nor stopped")
        if not execute:
            return reports.of_intent(target.name, "resume")
        await client.resume(target.name)
        return reports.of_status(await control.wait_for(client, target.name, _resumed, WaitLimits(wait)))

    _run(work, kind, name, as_json)


@app.command()
def offsets(
    kind: _Kind = None,
    name: _Name = None,
    save: Annotated[Path | None, typer.Option("--save", help="Also write them to a new file, before anything drastic.")] = None,
    delete: Annotated[
        bool, typer.Option("--delete", help="Forget them: a stopped connector takes a new snapshot then.")
    ] = False,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Show the connector's committed position, or let a stopped connector forget it."""

    async def work(client: ConnectClient, target: _Target) -> Report:
        report = reports.of_offsets(target.name, await client.offsets(target.name))
        if save is not None:
            _save(save, orjson.dumps({"offsets": report.data["offsets"]}, option=orjson.OPT_INDENT_2))
        if not delete:
            return report
        if (state := (await client.status(target.name)).connector.state) != "STOPPED":
            remedy = "Run 'owdd connectors pause --stop --execute'"
            raise RefusedError(
                f"is {state}, and only a stopped connector forgets its offsets", where=target.name, remedy=remedy
            )
        if not execute:
            return reports.of_intent(target.name, "delete its offsets; when it is resumed it takes a new snapshot")
        await client.delete_offsets(target.name)
        return reports.of_nothing(target.name, "has no offsets any more; resume it for a new snapshot")

    _run(work, kind, name, as_json)


@app.command()
def snapshot(
    tables: Annotated[list[str], typer.Argument(help="Mapped tables.")],
    where: Annotated[
        str | None, typer.Option("--where", help="Only rows of one table for which this SQL condition holds.")
    ] = None,
    kind: _Kind = None,
    name: _Name = None,
    execute: Execute = False,
    as_json: AsJson = False,
) -> None:
    """Read tables again while streaming continues, chunk by chunk and without locks."""

    async def work(client: ConnectClient, target: _Target) -> Report:
        signal = snapshot_signal(await client.config(target.name), target.mapping, tables, f"owdd-{uuid.uuid4()}", where)
        if not execute:
            return reports.of_intent(target.name, f"send to {signal.topic}: {signal.value.decode()}")
        await send(KafkaConfig.of(target.settings), signal)
        return reports.of_signal(target.name, signal, target.names.notifications)

    _run(work, kind, name, as_json)


def _resumed(status: Status) -> bool:
    return status.running or bool(status.failed)


def _run(
    work: Callable[[ConnectClient, _Target], Awaitable[Report]],
    kind: SourceKind | None,
    name: str | None,
    as_json: bool,
    file: Path | None = None,
) -> None:
    """Run one command, print its report, and exit with its code."""

    async def run() -> Report:
        target = _target(kind, name, file)
        async with ConnectClient.of(target.settings) as client:
            return await work(client, target)

    report = asyncio.run(run())
    if as_json:
        output.print_json(report.data | {"exit": report.code.name})
    else:
        for text in report.lines:
            output.line(text)
    raise typer.Exit(report.code)


def _target(kind: SourceKind | None, name: str | None, file: Path | None) -> _Target:
    settings, mapping = load()
    if not settings.connect_url:
        raise ConfigurationError(
            "OWDD_CONNECT_URL is not set: set it to the address of Kafka Connect's REST API, http://host:8083"
        )
    kind = kind or settings.source_kind
    names = CaptureNames.of(mapping, kind)
    desired = _read(file) if file else connector(mapping, kind, settings)
    return _Target(settings, mapping, names, name or desired.get("name") or names.connector, desired)


def _read(file: Path) -> Config:
    """A configuration file: flat, or with ``name`` and ``config`` as Kafka Connect's own tools write it."""
    try:
        found = orjson.loads(file.read_bytes())
        if isinstance(found, dict) and isinstance(found.get("config"), dict):
            found = {"name": found.get("name", ""), **found["config"]}
        return msgspec.convert(found, Config, strict=False)
    except (OSError, orjson.JSONDecodeError, msgspec.ValidationError) as error:
        raise ConfigurationError(f"{file}: not a connector's configuration: {error}") from error


def _save(file: Path, content: bytes) -> None:
    try:
        write_private(file, content + b"\n", new=True)
    except OSError as error:
        raise ConfigurationError(f"{file} cannot be written: {error}") from error
