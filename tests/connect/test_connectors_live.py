"""``owdd connectors`` against a real Kafka Connect, Debezium and PostgreSQL: each command, and what it says when things break."""

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from aiokafka import AIOKafkaConsumer

from streams.cli.exit_codes import ExitCode
from streams.connect.guard import CaptureGuard
from streams.connect.render import CLASSES, PASSWORD_FILE
from streams.connect.rest import ConnectClient
from streams.core.clock import SystemClock
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import capture_specs
from streams.observability.metrics import Metrics
from streams.operations.topic_admin import apply_topics
from testkit.local_services import postgres
from tests.connect.conftest import MAPPING, CommandResult, Site
from tests.patience import PATIENCE

NAMES = CaptureNames.of(MAPPING, "postgres")
ORDER_STATUS = MAPPING.topic(MAPPING.order.status.table)
NOBODY = "1"


@pytest.fixture(scope="module")
def topics(site: Site) -> None:
    wanted = list(capture_specs(site.settings, MAPPING, "postgres"))
    asyncio.run(apply_topics(KafkaConfig.of(site.settings), wanted, execute=True))


@pytest.fixture
def applied(site: Site, topics: None) -> Iterator[None]:
    """The connector runs, as rendered."""
    if site.owdd("plan").code is not ExitCode.OK or states(site.owdd("status")) != ["RUNNING", "RUNNING"]:
        site.owdd("resume", "--execute")
        assert site.owdd("apply", "--execute").code is ExitCode.OK
    yield
    postgres.start(site.server.data_dir, site.server.port)


def until(site: Site, condition: Callable[[CommandResult], bool], *command: str) -> CommandResult:
    """What the command says once it says what is wanted."""
    # PostgreSQL may hold the replication slot for the former task for a while, and Debezium asks again every 10 s.
    deadline = time.monotonic() + PATIENCE
    while not condition(said := site.owdd(*command)):
        assert time.monotonic() < deadline, f"waited in vain; at last: {said.output}"
    return said


def states(said: CommandResult) -> list[str]:
    return [part["state"] for part in said.data["parts"]]


def read(site: Site, topic: str, wanted: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The first record of ``topic`` that is wanted."""

    async def look() -> dict[str, Any]:
        consumer = AIOKafkaConsumer(topic, bootstrap_servers=site.settings.kafka_bootstrap, auto_offset_reset="earliest")
        async with asyncio.timeout(PATIENCE), consumer:
            async for record in consumer:
                found: dict[str, Any] = json.loads(record.value or b"null") or {}
                if found and wanted(found):
                    return found
        raise AssertionError("a consumer does not end")

    return asyncio.run(look())


def test_a_plan_shows_everything_and_changes_nothing(site: Site) -> None:
    said = site.owdd("plan", "--name", "another")
    assert said.code is ExitCode.CHANGES
    assert said.data["plan"]["action"] == "create"
    assert {"key": "topic.prefix", "running": None, "desired": NAMES.prefix} in said.data["plan"]["differences"]
    password = next(item for item in said.data["plan"]["differences"] if item["key"] == "database.password")
    assert password["desired"].startswith("${dir:")
    assert httpx.get(f"{site.settings.connect_url}/connectors/another", trust_env=False).status_code == 404


def test_a_database_that_nobody_answers_for_is_unreachable_and_nothing_is_applied(site: Site) -> None:
    said = site.owdd("apply", "--execute", "--wait", "1", "--name", "nowhere", OWDD_SOURCE_PORT=NOBODY)
    assert said.code is ExitCode.UNREACHABLE
    assert not said.data["plan"]["problems"]
    assert "database.hostname" in said.data["plan"]["unreachable"][0]
    assert httpx.get(f"{site.settings.connect_url}/connectors/nowhere", trust_env=False).status_code == 404


def test_a_sql_server_that_nobody_answers_for_is_unreachable_too(site: Site) -> None:
    file = site.file("sqlserver", database__port=NOBODY, driver__loginTimeout="1", driver__connectRetryCount="0")
    said = site.owdd("plan", "--file", file, "--name", "nowhere")
    assert said.code is ExitCode.UNREACHABLE
    assert not said.data["plan"]["problems"]
    assert "The TCP/IP connection to the host 127.0.0.1, port 1 has failed" in said.data["plan"]["unreachable"][0]


def test_a_refused_login_is_a_wrong_configuration(site: Site) -> None:
    said = site.owdd("plan", OWDD_SOURCE_USER="somebody_else")
    assert said.code is ExitCode.INVALID
    assert "password authentication failed" in said.data["plan"]["problems"][0]


def test_a_password_in_clear_is_in_no_answer_not_even_in_the_plugin_s(site: Site) -> None:
    file = site.file(database__password="hunter2!", poll__interval__ms="hunter2!")
    said = site.owdd("plan", "--file", file)
    assert said.code is ExitCode.INVALID
    assert any(problem.startswith("poll.interval.ms: ") for problem in said.data["plan"]["problems"])
    shown = said.output.replace('"desired": "hunter2!"', "", 1)  # the poll interval is no secret, whatever it is
    assert "hunter2!" not in shown


def test_a_typing_error_is_found_though_kafka_connect_finds_none(site: Site) -> None:
    said = site.owdd("plan", "--file", site.file(poll__interval__msec="500"))
    assert said.code is ExitCode.INVALID
    assert said.data["plan"]["problems"][0].startswith("poll.interval.msec: no such key; did you mean poll.interval.ms")


def test_a_plugin_that_is_not_installed_is_named_with_those_that_are(site: Site) -> None:
    said = site.owdd("plan", "--file", site.file(connector__class="io.debezium.connector.oracle.OracleConnector"))
    assert said.code is ExitCode.INVALID
    assert "oracle" in said.data["message"]
    assert CLASSES["sqlserver"] in said.data["message"]


@pytest.mark.parametrize("command", ["status", "restart", "pause", "resume", "offsets"])
def test_a_connector_that_is_not_there_is_an_error_that_says_what_to_do(site: Site, command: str) -> None:
    said = site.owdd(command, "--name", "none")
    assert said.code is ExitCode.ERROR
    assert "owdd connectors plan" in said.data["message"]


def test_what_was_applied_runs_and_is_not_applied_again(site: Site, applied: None) -> None:
    again = site.owdd("plan")
    assert again.code is ExitCode.OK
    assert again.data["plan"]["action"] == "none"
    assert site.owdd("restart").data == {"connector": NAMES.connector, "nothing": "nothing has failed", "exit": "OK"}


def test_a_change_is_applied_to_the_running_connector(site: Site, applied: None) -> None:
    file = site.file(poll__interval__ms="400")
    assert site.owdd("plan", "--file", file).data["plan"]["differences"] == [
        {"key": "poll.interval.ms", "running": "500", "desired": "400"}
    ]
    said = site.owdd("apply", "--execute", "--file", file)
    assert (said.code, states(said)) == (ExitCode.OK, ["RUNNING", "RUNNING"])
    assert site.owdd("plan", "--file", file).code is ExitCode.OK


def test_the_identity_of_a_running_connector_is_kept(site: Site, applied: None) -> None:
    file = site.file(topic__prefix="another")
    said = site.owdd("apply", "--execute", "--file", file)
    assert said.code is ExitCode.REFUSED
    assert said.data["plan"]["refused"][0].startswith(f"topic.prefix: {NAMES.prefix} -> another")
    assert site.owdd("plan").code is ExitCode.OK


def test_it_is_paused_stopped_and_resumed_only_with_execute(site: Site, applied: None) -> None:
    assert site.owdd("pause").code is ExitCode.CHANGES
    assert states(site.owdd("status")) == ["RUNNING", "RUNNING"]
    assert site.owdd("offsets", "--delete", "--execute").code is ExitCode.REFUSED
    said = site.owdd("pause", "--execute")
    assert (said.code, states(said)) == (ExitCode.OK, ["PAUSED", "PAUSED"])
    assert site.owdd("pause", "--execute").data["nothing"] == "is PAUSED already"
    said = site.owdd("pause", "--stop", "--execute")
    assert (said.code, states(said)) == (ExitCode.OK, ["STOPPED"])
    assert site.owdd("status").code is ExitCode.NOT_RUNNING
    assert site.owdd("offsets", "--delete").code is ExitCode.CHANGES
    assert site.owdd("offsets", "--delete", "--execute").data["nothing"].startswith("has no offsets any more")
    assert site.owdd("offsets").data["offsets"] == []
    assert site.owdd("resume").code is ExitCode.CHANGES
    said = site.owdd("resume", "--execute")
    assert (said.code, states(said)) == (ExitCode.OK, ["RUNNING", "RUNNING"])
    assert "nothing" in site.owdd("resume", "--execute").data


def test_capture_is_alive_when_the_heartbeat_row_has_come_back(site: Site, applied: None) -> None:
    said = until(site, lambda said: said.code is ExitCode.OK, "status")
    assert set(said.data["heartbeat_age_seconds"]) == {"row", "connector"}
    assert all(0 <= age < 60 for age in said.data["heartbeat_age_seconds"].values())
    assert NAMES.heartbeat_rows in said.data["topics"]


def test_record_offsets_shown_and_saved_and_no_file_is_overwritten(site: Site, applied: None, tmp_path: Path) -> None:
    saved = tmp_path / "offsets.json"
    until(site, lambda said: bool(said.data["offsets"]), "offsets")
    said = site.owdd("offsets", "--save", str(saved))
    assert said.data["offsets"][0]["partition"]["server"] == NAMES.prefix
    assert json.loads(saved.read_text()) == {"offsets": said.data["offsets"]}
    assert site.owdd("offsets", "--save", str(saved)).code is ExitCode.INVALID


def test_a_snapshot_is_taken_only_with_execute(site: Site, applied: None) -> None:
    table = MAPPING.order.status.table
    with psycopg.connect(site.server.url(MAPPING.source.database), password=site.password) as shop:
        shop.execute(
            f"INSERT INTO dbo.\"{table}\" (os_id, os_description) VALUES (77, 'On Hold') ON CONFLICT DO NOTHING".encode()
        )
    assert site.owdd("snapshot", table).code is ExitCode.CHANGES
    said = site.owdd("snapshot", table, "--execute")
    assert said.code is ExitCode.OK
    found = read(site, ORDER_STATUS, lambda value: value["source"]["snapshot"] == "incremental")
    assert (found["op"], found["after"]["os_id"]) == ("r", 77)
    done = read(
        site,
        NAMES.notifications,
        lambda value: value["type"] == "COMPLETED" and value["id"] == json.loads(said.data["sent"])["id"],
    )
    assert done["aggregate_type"] == "Incremental Snapshot"


def test_a_task_that_failed_is_reported_with_its_reason_and_restarted_by_command(site: Site, applied: None) -> None:
    assert site.owdd("apply", "--execute", "--file", site.file(errors__max__retries="0")).code is ExitCode.OK
    postgres.stop(site.server.data_dir)
    said = until(site, lambda said: states(said)[1] == "FAILED", "status")
    assert said.code is ExitCode.NOT_RUNNING
    assert said.data["parts"][0]["state"] == "RUNNING"
    assert "Exception" in said.data["parts"][1]["why"][0]
    dry = site.owdd("restart")
    assert (dry.code, dry.data["would"]) == (ExitCode.CHANGES, "restart task 0")
    postgres.start(site.server.data_dir, site.server.port)
    restarted = site.owdd("restart", "--execute")
    assert (restarted.code, states(restarted)) == (ExitCode.OK, ["RUNNING", "RUNNING"])


async def test_the_guard_sees_the_living_and_restarts_the_dead(site: Site, applied: None) -> None:
    class Ahead(SystemClock):
        """The machine's clock, some time later."""

        seconds = 0

        def now_ms(self) -> int:
            return super().now_ms() + self.seconds * 1000

    clock, metrics = Ahead(), Metrics()
    guard = CaptureGuard(site.settings, MAPPING, metrics, clock, lambda: True)

    def value(name: str, **labels: str) -> float | None:
        guard.update_gauges()
        return metrics.registry.get_sample_value(name, {"connector": NAMES.connector, **labels})

    async def seen(client: ConnectClient, name: str, wanted: Callable[[float | None], bool], **labels: str) -> None:
        async with asyncio.timeout(PATIENCE):
            while not wanted(value(name, **labels)):
                await guard.check(client)

    async with ConnectClient(site.settings.connect_url) as client:
        await client.put_config(NAMES.connector, json.loads(Path(site.file(errors__max__retries="0")).read_text()))
        await seen(client, "owdd_connector_running", lambda found: found == 1, part="task 0")
        await seen(client, "owdd_capture_heartbeat_age_seconds", lambda found: found is not None and found < 20, sign="row")
        assert value("owdd_connect_up") == 1
        await asyncio.to_thread(postgres.stop, site.server.data_dir)
        await seen(client, "owdd_connector_running", lambda found: found == 0, part="task 0")
        assert value("owdd_connector_running", part="connector") == 1
        await asyncio.to_thread(postgres.start, site.server.data_dir, site.server.port)
        clock.seconds = 31
        await seen(client, "owdd_connector_restarts_total", lambda found: found == 1)
        await seen(client, "owdd_connector_running", lambda found: found == 1, part="task 0")
        assert [value("owdd_capture_guard_failures_total", what=what) for what in ("connector", "offsets", "heartbeats")] == [
            None
        ] * 3


async def test_the_rest_of_the_api_is_as_we_read_it(site: Site, applied: None) -> None:
    async with ConnectClient(site.settings.connect_url) as client:
        await client.health()
        found = {plugin.cls: plugin for plugin in await client.plugins()}
        assert {found[cls].type for cls in CLASSES.values()} == {"source"}
        running = await client.config(NAMES.connector)
        assert running["database.password"].endswith(f":{PASSWORD_FILE}}}")
        validation = await client.validate(running)
        assert (validation.error_count, validation.errors) == (0, {})
