"""Capture: Kafka Connect, the connector against the mapping, and whether rows come back from the database."""

from collections.abc import AsyncIterator, Iterator

from streams.connect.connect_errors import ConnectorMissing
from streams.connect.control import plan_for
from streams.connect.heartbeats import OVERDUE_SECONDS, read_heartbeats
from streams.connect.plan import Plan
from streams.connect.render import connector
from streams.connect.rest import ConnectClient
from streams.core.clock import SystemClock
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.security import KafkaConfig
from streams.operations.doctor.findings import Finding, Patient, ok

_SHOWN = 4
_TIMEOUT = 15.0


async def connect(patient: Patient) -> AsyncIterator[Finding]:
    """Kafka Connect and the connector."""
    settings = patient.settings
    if not settings.connect_url:
        fix = "Set it to Kafka Connect's REST API: nobody sees otherwise that capture has stopped"
        yield Finding("connect", "warn", "OWDD_CONNECT_URL is empty: there is no capture guard", fix)
        return
    names = CaptureNames.of(patient.mapping, settings.source_kind)
    async with ConnectClient.of(settings, timeout=_TIMEOUT) as client:
        await client.health()
        yield ok("connect", f"{settings.connect_url} answers")
        plan = await plan_for(client, names.connector, connector(patient.mapping, settings.source_kind, settings), force=False)
        for finding in _of_plan(plan):
            yield finding
        try:
            status = await client.status(names.connector)
        except ConnectorMissing:
            return
        for part in status.parts():
            if part.state != "RUNNING":
                why = "; ".join(part.reasons()[:1])
                text = f"{part.name} is {part.state}{f': {why}' if why else ''}"
                command = "owdd connectors resume --execute" if status.halted else "owdd connectors restart --execute"
                yield Finding("connector", "fail", text, "Settle the cause, then start it again", command)
        if status.running:
            yield ok("connector", f"{names.connector} and its tasks run")


def _of_plan(plan: Plan) -> Iterator[Finding]:
    for problem in plan.problems:
        yield Finding("connector", "fail", f"its configuration is wrong: {problem}", "Correct the mapping or the settings")
    for text in plan.unreachable:
        fix = "Check OWDD_SOURCE_HOST, OWDD_SOURCE_PORT and the login from Kafka Connect's machine"
        yield Finding("database", "fail", f"Kafka Connect cannot reach it: {text}", fix)
    for text in plan.refused:
        fix = "Correct the mapping back; --force orphans offsets and schema history"
        yield Finding("connector", "fail", f"its identity would change: {text}", fix, "owdd connectors plan")
    if plan.action == "create":
        yield Finding("connector", "fail", f"there is no {plan.name}", "Create it", "owdd connectors apply --execute")
    elif plan.action == "update":
        keys = [difference.key for difference in plan.differences]
        named = ", ".join(keys[:_SHOWN]) + (" …" if len(keys) > _SHOWN else "")
        yield Finding(
            "connector", "warn", f"it differs from the mapping: {named}", "Apply it", "owdd connectors apply --execute"
        )


async def heartbeat(patient: Patient) -> AsyncIterator[Finding]:
    """Whether a row comes back from the database through its change log: only that proves capture."""
    settings = patient.settings
    beats = await read_heartbeats(KafkaConfig.of(settings), CaptureNames.of(patient.mapping, settings.source_kind))
    if beats.row is None:
        fix = "Start the connector; if it runs, is the heartbeat table captured, and SQL Server Agent's capture job running?"
        yield Finding("heartbeat", "warn", "no heartbeat row has come back yet", fix, "owdd connectors status")
        return
    age = max(0, SystemClock().now_ms() - beats.row) / 1000
    if age > OVERDUE_SECONDS:
        fix = "Is the connector running? If it is, start SQL Server Agent's capture job"
        text = f"the newest heartbeat row is {age:,.0f} s old"
        yield Finding("heartbeat", "fail", text, fix, "owdd connectors status")
    else:
        yield ok("heartbeat", f"the newest row is {age:.0f} s old")
