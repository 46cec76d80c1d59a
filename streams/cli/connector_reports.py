"""Reports of ``owdd connectors``: for people and for programs, with the exit code."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec

from streams.cli.exit_codes import ExitCode
from streams.connect.guard import Observations
from streams.connect.heartbeats import OVERDUE_SECONDS
from streams.connect.plan import Difference, Plan
from streams.connect.responses import Offset, Part, Status
from streams.connect.signals import Signal


@dataclass(frozen=True, slots=True)
class Report:
    """``data`` for ``--json``, ``lines`` for people."""

    data: dict[str, Any]
    lines: tuple[str, ...]
    code: ExitCode

    def __add__(self, later: "Report") -> "Report":
        """Join two reports; the later one gives the exit code."""
        return Report(self.data | later.data, (*self.lines, *later.lines), later.code)


def of_plan(plan: Plan) -> Report:
    """The changes that ``apply`` would make, and the reasons against them."""
    lines = [f"{plan.name}: {'nothing to change' if plan.action == 'none' else plan.action}"]
    lines += [f"  {_difference(item)}" for item in plan.differences]
    lines += [f"  invalid: {text}" for text in plan.problems]
    lines += [f"  database not reached: {text}" for text in plan.unreachable]
    lines += [f"  refused without --force: {text}" for text in plan.refused]
    return Report({"plan": asdict(plan)}, tuple(lines), _code_of_plan(plan))


def _code_of_plan(plan: Plan) -> ExitCode:
    if plan.problems:
        return ExitCode.INVALID
    if plan.refused:
        return ExitCode.REFUSED
    if plan.unreachable:
        return ExitCode.UNREACHABLE
    return ExitCode.OK if plan.action == "none" else ExitCode.CHANGES


def _difference(item: Difference) -> str:
    if item.running is None:
        return f"+ {item.key} = {item.desired}"
    if item.desired is None:
        return f"- {item.key} (was {item.running})"
    return f"~ {item.key}: {item.running} -> {item.desired}"


def of_status(status: Status) -> Report:
    """State of connector and tasks, with the first lines of a failure's trace."""
    lines = [line for part in status.parts() for line in _part(status.name, part)]
    if not status.tasks and not status.halted:
        lines.append(f"{status.name}: no task; the connector could not create any")
    if status.failed:
        lines.append(
            "Failed parts do not restart by themselves: 'owdd connectors restart --execute' or the capture guard restarts them."
        )
    parts = [
        {"part": part.name, "state": part.state, "worker": part.worker_id, "why": part.reasons()} for part in status.parts()
    ]
    code = ExitCode.OK if status.running else ExitCode.NOT_RUNNING
    return Report({"connector": status.name, "parts": parts}, tuple(lines), code)


def _part(name: str, part: Part) -> list[str]:
    return [f"{name}: {part.name} {part.state} on {part.worker_id}", *(f"  | {line}" for line in part.reasons())]


def of_observations(status: Report, seen: Observations, topics: Sequence[str], now_ms: int) -> Report:
    """A status with the checks of the capture guard. The connector can be RUNNING while capture does not work."""
    ages = {
        sign: None if at is None else seen.age(at, now_ms)
        for sign, at in (("row", seen.heartbeats.row), ("connector", seen.heartbeats.connector))
    }
    headroom = seen.headroom(now_ms)
    offsets = [msgspec.to_builtins(offset) for offset in seen.offsets or ()]
    lines = [
        f"heartbeat through the database: {_age(ages['row'])}",
        f"heartbeat of the connector: {_age(ages['connector'])}",
        *(f"committed {offset['partition']}: {offset['offset']}" for offset in offsets),
        f"topics written: {len(topics)}",
    ]
    if headroom is not None:
        lines.append(f"changes not yet read are kept for {headroom / 3600:.1f} h more")
    overdue = ages["row"] is None or ages["row"] > OVERDUE_SECONDS
    if overdue and _snapshotting(seen.offsets or ()):
        lines.append("The first snapshot is running; heartbeat rows come back after it.")
    elif overdue and status.code is ExitCode.OK:
        lines.append("The connector runs, but no heartbeat row came back: is SQL Server Agent's capture job running?")
        status = replace(status, code=ExitCode.NOT_RUNNING)
    data = {"heartbeat_age_seconds": ages, "offsets": offsets, "topics": sorted(topics), "headroom_seconds": headroom}
    return Report(status.data | data, (*status.lines, *lines), status.code)


def _snapshotting(offsets: Sequence[Offset]) -> bool:
    """Whether a committed offset shows a snapshot; streaming, and with it the heartbeat, begins after the snapshot."""
    found = [offset.offset or {} for offset in offsets]
    return any(offset.get("snapshot") and not offset.get("snapshot_completed") for offset in found)


def _age(seconds: float | None) -> str:
    if seconds is None:
        return "none in Kafka"
    return f"{seconds:.0f} s ago" + (" (overdue)" if seconds > OVERDUE_SECONDS else "")


def of_intent(name: str, what: str) -> Report:
    """The action that a command would do with ``--execute``."""
    return Report({"connector": name, "would": what}, (f"would {what}; nothing was done without --execute",), ExitCode.CHANGES)


def of_nothing(name: str, why: str) -> Report:
    """There is nothing to do."""
    return Report({"connector": name, "nothing": why}, (f"{name}: {why}",), ExitCode.OK)


def of_offsets(name: str, offsets: Sequence[Offset]) -> Report:
    """The committed offsets, in the form that ``PATCH /connectors/…/offsets`` accepts."""
    found = {"offsets": [msgspec.to_builtins(offset) for offset in offsets]}
    lines = [f"{item['partition']}: {item['offset']}" for item in found["offsets"]]
    return Report({"connector": name, **found}, tuple(lines or [f"{name}: nothing committed"]), ExitCode.OK)


def of_signal(name: str, signal: Signal, notifications: str) -> Report:
    """A signal that was sent."""
    text = f"{name}: signal sent to {signal.topic}; topic {notifications} shows the progress"
    return Report({"connector": name, "sent": signal.value.decode(), "topic": signal.topic}, (text,), ExitCode.OK)
