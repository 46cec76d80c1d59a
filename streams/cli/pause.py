"""``owdd pause`` and ``owdd resume``: the emergency stop of all writes to Dotdigital."""

import asyncio
from typing import Annotated

import msgspec
import typer

from streams.cli import output
from streams.cli.common import load, operator_name
from streams.cli.output import AsJson
from streams.core.clock import SystemClock
from streams.kafka.producer import BatchProducer
from streams.messages.audit_log import AuditLog
from streams.messages.topics import Topics
from streams.messages.write_control import WriteControl
from streams.operations.write_pause import WritePause, current_control
from streams.settings import Settings

Operator = Annotated[str | None, typer.Option(help="Your name, for the audit topic. Default: the system's user.")]


def pause(
    everything: Annotated[bool, typer.Option("--everything", help="Opt-outs and erasures wait too.")] = False,
    show: Annotated[bool, typer.Option("--show", help="Only show whether writes are paused.")] = False,
    operator: Operator = None,
    as_json: AsJson = False,
) -> None:
    """Stop all writes to Dotdigital at once, on every worker, until 'owdd resume'; opt-outs and erasures go on.

    There is no dry run: an emergency stop that needs a second look stops nothing.
    """
    settings, _ = load()
    if show:
        _print(asyncio.run(current_control(settings)), as_json=as_json)
        return
    name = operator_name(operator)
    _print(asyncio.run(_set(settings, name, paused=True, everything=everything)), as_json=as_json)


def resume(operator: Operator = None, as_json: AsJson = False) -> None:
    """Let writes to Dotdigital go on; what waited is sent."""
    settings, _ = load()
    _print(asyncio.run(_set(settings, operator_name(operator), paused=False, everything=False)), as_json=as_json)


async def _set(settings: Settings, operator: str, *, paused: bool, everything: bool) -> WriteControl:
    async with BatchProducer(settings) as producer:
        topics = Topics.of(settings.app_id)
        pause = WritePause(producer, AuditLog.of(settings, producer), topics, operator, SystemClock())
        return await pause.set(paused=paused, everything=everything)


def _print(control: WriteControl, *, as_json: bool) -> None:
    if as_json:
        output.print_json(msgspec.to_builtins(control))
    elif control.paused:
        output.line(f"Writes are paused by {control.by}; opt-outs and erasures {'wait' if control.everything else 'go on'}.")
    else:
        output.line("Writes go on.")
