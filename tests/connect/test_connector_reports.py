"""What ``owdd connectors`` says, and with which exit code; the codes are those of the operations page."""

import re
from pathlib import Path

import orjson
import pytest
import sqlglot

from streams.cli import connector_reports as reports
from streams.cli.exit_codes import ExitCode
from streams.connect.guard import Observations
from streams.connect.heartbeats import Heartbeats
from streams.connect.plan import Difference, Plan
from streams.connect.responses import Offset, Part, Status

OPERATIONS = (Path(__file__).parents[2] / "docs" / "operations.md").read_text()
RUNNING = Status("c", Part("RUNNING", "w:1"), (Part("RUNNING", "w:1", id=0),))
TRACE = """org.apache.kafka.connect.errors.ConnectException: This connector will be stopped.
\tat io.debezium.pipeline.ErrorHandler.setProducerThrowable(ErrorHandler.java:67)
Caused by: io.debezium.DebeziumException: no longer available on the server
\t... 5 more
"""
FAILED = Status("c", Part("RUNNING", "w:1"), (Part("FAILED", "w:1", TRACE, 0),))
NOW = 1_772_700_000_000


def test_the_retention_query_of_the_operations_page_is_transact_sql() -> None:
    [query] = re.findall(r"```sql\n(.*?)```", OPERATIONS, re.DOTALL)
    [parsed] = sqlglot.parse(query, dialect="tsql")
    assert isinstance(parsed, sqlglot.exp.Select)
    assert parsed.named_selects == ["oldest", "at"]


@pytest.mark.parametrize(
    ("plan", "code"),
    [
        (Plan("c", "none"), ExitCode.OK),
        (Plan("c", "create"), ExitCode.CHANGES),
        (Plan("c", "update", unreachable=("database.hostname: no",)), ExitCode.UNREACHABLE),
        (Plan("c", "update", unreachable=("database.hostname: no",), refused=("topic.prefix",)), ExitCode.REFUSED),
        (Plan("c", "update", problems=("a: no",), unreachable=("b: no",), refused=("c",)), ExitCode.INVALID),
    ],
)
def test_a_plan_s_code_is_the_worst_that_it_has_to_say(plan: Plan, code: ExitCode) -> None:
    assert reports.of_plan(plan).code is code


def test_a_plan_reads_as_a_difference() -> None:
    plan = Plan(
        "c", "update", (Difference("a", None, "1"), Difference("b", "1", None), Difference("c", "1", "2")), ("d: no such key",)
    )
    assert reports.of_plan(plan).lines == (
        "c: update",
        "  + a = 1",
        "  - b (was 1)",
        "  ~ c: 1 -> 2",
        "  invalid: d: no such key",
    )


def test_a_failed_task_is_reported_with_its_reasons_and_without_stack_frames() -> None:
    report = reports.of_status(FAILED)
    assert report.code is ExitCode.NOT_RUNNING
    assert report.lines[:4] == (
        "c: connector RUNNING on w:1",
        "c: task 0 FAILED on w:1",
        "  | org.apache.kafka.connect.errors.ConnectException: This connector will be stopped.",
        "  | Caused by: io.debezium.DebeziumException: no longer available on the server",
    )


def test_a_connector_without_tasks_does_not_run() -> None:
    assert reports.of_status(Status("c", Part("RUNNING"))).code is ExitCode.NOT_RUNNING


@pytest.mark.parametrize(
    ("row", "code"), [(NOW - 20_000, ExitCode.OK), (NOW - 61_000, ExitCode.NOT_RUNNING), (None, ExitCode.NOT_RUNNING)]
)
def test_a_connector_that_runs_without_heartbeat_rows_is_not_alive(row: int | None, code: ExitCode) -> None:
    seen = Observations(NOW, Heartbeats(row=row, connector=NOW))
    assert reports.of_observations(reports.of_status(RUNNING), seen, ["ow.t"], NOW).code is code


@pytest.mark.parametrize(("completed", "code"), [(False, ExitCode.OK), (True, ExitCode.NOT_RUNNING)])
def test_during_the_first_snapshot_nobody_waits_for_heartbeat_rows(completed: bool, code: ExitCode) -> None:
    seen = Observations(NOW, Heartbeats(connector=NOW))
    seen.record_offsets((Offset({"server": "ow"}, {"snapshot": "INITIAL", "snapshot_completed": completed}),), NOW)
    assert reports.of_observations(reports.of_status(RUNNING), seen, [], NOW).code is code


def test_a_report_is_json_whatever_is_in_it() -> None:
    seen = Observations(NOW, Heartbeats(NOW, NOW))
    seen.record_offsets((Offset({"server": "ow"}, {"commit_lsn": "1"}), Offset({"server": "b"})), NOW)
    report = reports.of_plan(Plan("c", "none")) + reports.of_observations(reports.of_status(FAILED), seen, ["b", "a"], NOW)
    data = orjson.loads(orjson.dumps(report.data))
    assert data["heartbeat_age_seconds"] == {"row": 0, "connector": 0}
    assert data["offsets"][1] == {"partition": {"server": "b"}, "offset": None}
    assert (data["topics"], data["parts"][1]["part"], data["plan"]["action"]) == (["a", "b"], "task 0", "none")
