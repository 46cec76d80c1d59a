"""Prometheus' configuration and every expression of panels, rules and alerts, judged by Prometheus beside a worker at work."""

import asyncio
import json
import math
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest
import yaml
from aiokafka import AIOKafkaProducer

from streams.kafka.capture_topics import CaptureNames
from streams.mapping import load_mapping
from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.local_services.prometheus import prometheus
from tests.capture.records import CUSTOMER, encoded, message
from tests.convergence.convergence_harness import simulate, stack
from tests.patience import PATIENCE
from tests.stack.conftest import ROOT, PrometheusPrograms
from tests.stack.dashboard import Shown, events, queries
from tests.stack.test_alerts import RULES, rules

OF_DEBEZIUM = (
    "debezium_behind_source_seconds",
    "debezium_since_last_event_seconds",
    "debezium_queue_remaining_records",
    "debezium_queue_capacity_records",
    "debezium_events_total",
    "debezium_erroneous_events_total",
)
CONFIG = ROOT / "grafana" / "prometheus.yml"
SOMETIMES = {
    "owdd:consumer_drain_seconds",  # while a backlog shrinks; a panel shows the same, and 0 otherwise
    "owdd:unknown_consent_words:increase6h",  # where consent is a column: tests/ingest/test_consent_words.py
    "owdd_drift",  # after a comparison that found something: tests/operations/reconcile/test_runs.py
    "owdd_drift_oldest_seconds",
}
"""Series that a bad day need not have, and the tests that see them where they are not its own."""


LABELS = 'connector="sql_server", server="ow"'
JMX = "\n".join(
    [
        *(f'{name}{{{LABELS}, context="streaming"}} 1' for name in OF_DEBEZIUM),
        f"debezium_connected{{{LABELS}}} 1",
        f'debezium_snapshot_tables{{{LABELS}, which="TotalTableCount"}} 1',
        'kafka_connect_task_status{connector="orderwise-sqlserver", task="0", status="running"} 1',
        "kafka_controller_offline_partitions 0",
        "",
    ]
)
"""As the JMX exporter shows Connect and Kafka; tests/connect/test_jmx.py sees that it does."""


class _Connect(BaseHTTPRequestHandler):
    """Kafka Connect with one connector that runs, and a task of it that has failed."""

    def do_GET(self) -> None:
        if self.path == "/metrics":
            self._send(JMX.encode())
            return
        part = {"state": "RUNNING", "worker_id": "w:8083"}
        answers = {
            "status": {"name": "orderwise-sqlserver", "connector": part, "tasks": [part | {"id": 0, "state": "FAILED"}]},
            "offsets": {"offsets": [{"partition": {"server": "ow"}, "offset": {"commit_lsn": "1"}}]},
        }
        self._send(json.dumps(answers[self.path.rsplit("/", 1)[1]]).encode())

    def _send(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Say nothing."""


@pytest.fixture
def connect() -> Iterator[str]:
    """The address of Kafka Connect."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Connect) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_promtool_accepts_the_configuration(prometheus_programs: PrometheusPrograms) -> None:
    done = subprocess.run(
        [prometheus_programs.promtool, "check", "config", CONFIG], check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


async def test_every_panel_shows_data_while_a_worker_works_and_things_go_wrong(
    prometheus_programs: PrometheusPrograms, tmp_path: Path, broker: Path, connect: str
) -> None:
    probe = tmp_path / "retention.json"
    now = datetime.now(UTC)
    watched = stack(
        tmp_path,
        broker,
        "watched",
        OWDD_CONNECT_URL=connect,
        OWDD_RETENTION_PROBE=str(probe),
        OWDD_DATA_SHARED="true",
        # What makes imports worth it in a shop of forty customers.
        OWDD_IMPORT_LEAST="5",
        OWDD_IMPORT_SECONDS="0.05",
        OWDD_IMPORT_POLL="0.5",
        OWDD_READBACK_SECONDS="2",
    )
    async with watched as running:
        await heart_beats(running, now)
        limits = {"lowCallRate": 150, "mediumCallRate": 150, "highCallRate": 3000}
        httpx.post(f"{running.settings.dotdigital_url}/_sandbox/limits", json=limits).raise_for_status()
        worker = await running.start_worker(*Role)
        # Too late for the guard's first look, which cannot see it, and in time for the second.
        probe.write_text(json.dumps({"oldest": str(now - timedelta(days=7)), "at": str(now)}))
        with watching(prometheus_programs, tmp_path, worker.port, connect) as url:
            async with asyncio.TaskGroup() as group:
                group.create_task(bad_day(running))
                shown = [query for query in queries() if not query.metrics & SOMETIMES]
                await all_show_data(url, [*shown, *recorded()])
            await every_expression_is_sound(url)
        metrics = httpx.get(f"{worker.url}/metrics").text
        assert (tmp_path / "state" / worker.name / "0" / "watched-agents-v1").is_dir()
    done = subprocess.run(
        [prometheus_programs.promtool, "check", "metrics"], input=metrics, check=False, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")


async def bad_day(running: LocalStack) -> None:
    """A shop at work, with everything that the dashboard shows: refusals, repetitions, and records that cannot be read."""
    sandbox = f"{running.settings.dotdigital_url}/_sandbox"
    await send(running, "customer_detail", b"{not json", b'{"cd_id": 1}')
    httpx.post(f"{sandbox}/faults", json={"http_503": 0.06, "http_429": 0.06, "reset_seconds": 1}).raise_for_status()
    await simulate(running, customers=40, orders=80, rate=80)
    # Somebody empties the account, data fields and all: what is sent from now on is refused.
    httpx.post(f"{sandbox}/reset").raise_for_status()
    row = CUSTOMER | {"cd_id": 90_001, "cd_statement_email": "late@example.com"}
    await send(running, "customer_detail", encoded(message("customer_detail", after=row)), b'{"cd_id": 90001}')


async def heart_beats(running: LocalStack, at: datetime) -> None:
    """The heartbeat row has just come back through the database's log."""
    names = CaptureNames.of(load_mapping(running.mapping))
    beat = message("customer_detail", "u", before={"id": 1}, after={"id": 1})
    beat["source"]["ts_ms"] = int(at.timestamp() * 1000)
    async with AIOKafkaProducer(bootstrap_servers=running.settings.kafka_bootstrap) as producer:
        await producer.send_and_wait(names.heartbeat_rows, encoded(beat), b'{"id": 1}')


async def send(running: LocalStack, table: str, value: bytes, key: bytes) -> None:
    """One record on the topic of a captured table."""
    async with AIOKafkaProducer(bootstrap_servers=running.settings.kafka_bootstrap) as producer:
        await producer.send_and_wait(load_mapping(running.mapping).topic(table), value, key)


@contextmanager
def watching(programs: PrometheusPrograms, directory: Path, worker: int, connect: str) -> Iterator[str]:
    """The real one, with the stack's configuration, except that it looks every second and finds its worker without DNS."""
    config = yaml.safe_load(CONFIG.read_text())
    config["global"] |= {"scrape_interval": "1s", "scrape_timeout": "1s"}
    job = next(job for job in config["scrape_configs"] if job["job_name"] == "owdd")
    del job["dns_sd_configs"], job["relabel_configs"]
    labels = {"role": "all", "environment": "test"}
    job["static_configs"] = [{"targets": [f"127.0.0.1:{worker}"], "labels": labels}]
    config["rule_files"] = [str(rules_every_second(directory))]
    jmx = next(job for job in config["scrape_configs"] if job["job_name"] == "connect")
    jmx["static_configs"][0]["targets"] = [connect.removeprefix("http://")]
    config["scrape_configs"] = [job, jmx]
    with prometheus(programs.prometheus, directory, config) as url:
        yield url


def rules_every_second(directory: Path) -> Path:
    """The rules, evaluated so often that the test need not wait for them."""
    found = yaml.safe_load(RULES.read_text())
    for group in found["groups"]:
        group["interval"] = "1s"
    (directory / "rules.yml").write_text(yaml.safe_dump(found))
    return directory / "rules.yml"


def recorded() -> list[Shown]:
    """What the recording rules make."""
    return [Shown(f"rule {rule['record']}", rule["record"]) for rule in rules("record") if rule["record"] not in SOMETIMES]


async def every_expression_is_sound(url: str) -> None:
    """Prometheus has evaluated every rule, alert and annotation; every gauge and histogram in them is there."""
    async with httpx.AsyncClient(base_url=url) as api:
        groups = (await api.get("/api/v1/rules")).json()["data"]["groups"]
        found = [rule for group in groups for rule in group["rules"]]
        assert {rule["name"] for rule in found} == {
            rule.get("alert") or rule["record"] for rule in [*rules("alert"), *rules("record")]
        }
        assert [(rule["name"], rule["lastError"]) for rule in found if rule["health"] != "ok"] == []
        for event in events():
            answer = await api.get("/api/v1/query", params={"query": event.over("30s")})
            assert answer.is_success, f"{event.where}: {answer.text}"
        names = set((await api.get("/api/v1/label/__name__/values")).json()["data"])
        wanted = {name for rule in found for name in Shown(rule["name"], rule["query"]).metrics}
        # A counter of what goes wrong begins with the first such event.
        assert {name for name in wanted - names - SOMETIMES if not name.endswith("_total")} == set()


async def all_show_data(url: str, wanted: list[Shown]) -> None:
    """Wait until each query has shown a number, not necessarily all at once.

    Raises:
        AssertionError: one has not in time, or is wrong.
    """
    missing, loop = set(wanted), asyncio.get_running_loop()
    deadline = loop.time() + PATIENCE
    async with httpx.AsyncClient(base_url=url) as api:
        while missing:
            missing -= {query for query in missing if await shows_data(api, query)}
            assert loop.time() < deadline, f"no data: {sorted(f'{query.where}: {query.expression}' for query in missing)}"
            await asyncio.sleep(0.5)


async def shows_data(api: httpx.AsyncClient, query: Shown) -> bool:
    """Whether Prometheus answers with at least one number now.

    Raises:
        AssertionError: the expression is wrong.
    """
    try:
        answer = await api.get("/api/v1/query", params={"query": query.over("30s")})
    except httpx.TransportError:  # it starts
        return False
    if answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
        return False
    assert answer.is_success, f"{query.where}: {answer.text}"
    return any(math.isfinite(float(sample["value"][1])) for sample in answer.json()["data"]["result"])
