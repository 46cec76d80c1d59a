"""What Prometheus sees of Connect, Debezium and Kafka: the exporter's rules beside real programs, and on SQL Server's names."""

import asyncio
import re
from pathlib import Path

import httpx
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from testkit.local_services import kafka
from testkit.local_services.ports import free_port
from tests.connect.conftest import Site
from tests.patience import PATIENCE

CONNECTOR = "orderwise-postgres"
RULES = Path(__file__).parents[2] / "connectors" / "jmx"
# The order of the keys, and who has which attribute: io.debezium.connector.sqlserver.metrics.AbstractSqlServerTaskMetrics,
# SqlServerStreamingTaskMetrics and SqlServerSnapshotTaskMetrics.
TASK = "debezium.sql_server<type=connector-metrics, server=ow, task=0, context={}>"
DATABASE = "debezium.sql_server<type=connector-metrics, server=ow, task=0, context={}, database=Orderwise>"
SQL_SERVER = {
    f"{DATABASE.format('streaming')}<>MilliSecondsBehindSource: 12": ("debezium_behind_source_seconds", "streaming"),
    f"{DATABASE.format('streaming')}<>MilliSecondsSinceLastEvent: 12": ("debezium_since_last_event_seconds", "streaming"),
    f"{DATABASE.format('streaming')}<>TotalNumberOfEventsSeen: 1": ("debezium_events_total", "streaming"),
    f"{DATABASE.format('snapshot')}<>NumberOfErroneousEvents: 0": ("debezium_erroneous_events_total", "snapshot"),
    f"{DATABASE.format('snapshot')}<>SnapshotRunning: 1": ("debezium_snapshot_state", "ow"),
    f"{DATABASE.format('snapshot')}<>RemainingTableCount: 3": ("debezium_snapshot_tables", "ow"),
    f"{TASK.format('streaming')}<>QueueRemainingCapacity: 8192": ("debezium_queue_remaining_records", "streaming"),
    f"{TASK.format('streaming')}<>QueueTotalCapacity: 8192": ("debezium_queue_capacity_records", "streaming"),
    f"{TASK.format('streaming')}<>Connected: 1": ("debezium_connected", "ow"),
}

Samples = dict[str, list[tuple[dict[str, str], float]]]


@pytest.mark.parametrize("bean", SQL_SERVER)
def test_the_rules_fit_the_names_of_the_sql_server_connector(bean: str) -> None:
    metric, second = SQL_SERVER[bean]
    rules = yaml.safe_load((RULES / "connect.yml").read_text())["rules"]
    # As the exporter does: the first rule counts whose pattern is somewhere in the name.
    fitting = [(rule, found) for rule in rules if (found := re.search(rule["pattern"], bean))]
    (rule, found), *others = fitting
    assert not others
    assert rule["name"] == metric
    assert found.groups()[:2] == ("sql_server", second)


async def scraped(url: str, *wanted: str) -> Samples:
    """What the exporter shows, once it shows all of ``wanted``."""
    async with asyncio.timeout(PATIENCE), httpx.AsyncClient() as http:
        while True:
            samples: Samples = {}
            for family in text_string_to_metric_families((await http.get(url)).text):
                for sample in family.samples:
                    samples.setdefault(sample.name, []).append((sample.labels, sample.value))
            if set(wanted) <= samples.keys():
                return samples
            await asyncio.sleep(0.5)


async def test_connect_and_debezium_show_lag_queue_and_snapshot(site: Site) -> None:
    await asyncio.to_thread(site.owdd, "apply", "--execute")
    samples = await scraped(
        site.jvm_metrics,
        "debezium_behind_source_seconds",
        "debezium_since_last_event_seconds",
        "debezium_queue_remaining_records",
        "debezium_queue_capacity_records",
        "debezium_connected",
        "debezium_events_total",
        "debezium_snapshot_state",
        "debezium_snapshot_tables",
        "kafka_connect_task_status",
        "kafka_connect_source_records_written_total",
        "jvm_heap_used_bytes",
    )
    assert {labels["connector"] for labels, _ in samples["debezium_behind_source_seconds"]} == {"postgres"}
    assert {labels["context"] for labels, _ in samples["debezium_queue_capacity_records"]} >= {"streaming"}
    capacity = max(value for _, value in samples["debezium_queue_capacity_records"])
    assert 0 < max(value for _, value in samples["debezium_queue_remaining_records"]) <= capacity
    status = {labels["status"] for labels, _ in samples["kafka_connect_task_status"] if labels["connector"] == CONNECTOR}
    assert status == {"running"}


async def test_a_broker_shows_its_partitions_and_requests(tmp_path: Path) -> None:
    port = free_port()
    try:
        await asyncio.to_thread(lambda: kafka.start(tmp_path, metrics=port, short_lived=True))
        samples = await scraped(
            f"http://127.0.0.1:{port}/metrics",
            "kafka_server_partitions",
            "kafka_controller_offline_partitions",
            "kafka_controller_active",
            "kafka_server_bytes_total",
            "kafka_server_records_total",
            "kafka_server_failed_requests_total",
            "jvm_heap_used_bytes",
        )
        assert {labels["state"] for labels, _ in samples["kafka_server_partitions"]} >= {"UnderReplicatedPartitions"}
    finally:
        await asyncio.to_thread(kafka.stop, tmp_path)
