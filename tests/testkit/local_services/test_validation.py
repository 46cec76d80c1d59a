"""What the real connector plugins say of the configuration that we render, and what a configuration may refer to."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from streams.connect.render import CLASSES, Config, connector
from streams.mapping import Mapping, load_mapping
from streams.settings import Settings, SourceKind
from testkit.local_services.connect import WorkerInfo
from testkit.local_services.ports import free_port
from tests.testkit.local_services.conftest import NOT_FOR_CONNECTORS, USER

QUICK = {"driver.loginTimeout": "1"}
"""SQL Server's driver tries for half a minute by default, in seconds."""

COMMITTED = Path(__file__).parents[3] / "connectors" / "orderwise-sqlserver.json"


def validate(worker: WorkerInfo, config: Config) -> dict[str, dict[str, Any]]:
    """Kafka Connect's answer: the value of every key, with its errors."""
    url = f"{worker.url}/connector-plugins/{config['connector.class']}/config/validate"
    answer = httpx.put(url, json={"name": "orderwise"} | config, timeout=120, trust_env=False).raise_for_status().json()
    # Some of Debezium's internal properties come without a value when another has an error.
    found = {item["value"]["name"]: item["value"] for item in answer["configs"] if item["value"]}
    assert answer["error_count"] == sum(len(value["errors"]) for value in found.values())
    return found


def wrong(found: dict[str, dict[str, Any]]) -> dict[str, list[str]]:
    return {name: value["errors"] for name, value in found.items() if value["errors"]}


SITE = load_mapping()
LARGE = SITE.model_copy(update={"contact": SITE.contact.model_copy(update={"large": frozenset({"cc_email", "cc_name"})})})
"""With columns that the connector reads again."""


def rendered(kind: SourceKind, worker: WorkerInfo, mapping: Mapping = SITE) -> Config:
    """As for a site whose database nobody answers for."""
    settings = Settings(
        source_host="127.0.0.1",
        source_port=free_port(),
        connect_credentials=str(worker.data_dir / "secrets"),
        dotdigital_user="",
        dotdigital_password="",
    )
    return connector(mapping, kind, settings) | (QUICK if kind == "sqlserver" else {})


@pytest.mark.parametrize("mapping", [SITE, LARGE], ids=["default", "large columns"])
@pytest.mark.parametrize("kind", ["sqlserver", "postgres"])
def test_only_the_missing_database_is_wrong_with_what_we_render(kind: SourceKind, mapping: Mapping, worker: WorkerInfo) -> None:
    assert wrong(validate(worker, rendered(kind, worker, mapping))).keys() == {"database.hostname"}


def test_only_the_missing_database_is_wrong_with_the_committed_file(worker: WorkerInfo) -> None:
    committed: Config = json.loads(COMMITTED.read_text())
    here = {"database.hostname": "127.0.0.1", "database.port": str(free_port())}
    assert committed["connector.class"] == CLASSES["sqlserver"]
    assert wrong(validate(worker, committed | here | QUICK)).keys() == {"database.hostname"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("snapshot.mode", "schema_only"),
        ("decimal.handling.mode", "exact"),
        ("max.queue.size", "1"),
        ("table.exclude.list", "dbo\\.anything"),
        ("topic.prefix", "a b"),
    ],
)
def test_a_wrong_value_is_found_by_the_plugin_itself(key: str, value: str, worker: WorkerInfo) -> None:
    assert key in wrong(validate(worker, rendered("sqlserver", worker) | {key: value}))


def read_as(reference: str, worker: WorkerInfo) -> str:
    """What the worker takes the reference for: it repeats a number that is none."""
    errors = wrong(validate(worker, rendered("sqlserver", worker) | {"tasks.max": reference}))["tasks.max"]
    return errors[0].removeprefix("Invalid value ").partition(" for configuration tasks.max")[0]


@pytest.mark.parametrize(
    "reference", ["${{dir:{secrets}:user}}", "${{file:{secrets}/owdd.properties:user}}", f"${{{{env:{USER}}}}}"]
)
def test_a_secret_is_given_by_reference(reference: str, worker: WorkerInfo) -> None:
    secrets = worker.data_dir / "secrets"
    (secrets / "user").write_text("reader")
    (secrets / "owdd.properties").write_text("user=reader\n")
    assert read_as(reference.format(secrets=secrets), worker) == "reader"


@pytest.mark.parametrize("reference", ["${dir:/etc:passwd}", "${file:/etc/os-release:ID}", f"${{env:{NOT_FOR_CONNECTORS}}}"])
def test_nothing_else_can_be_referred_to(reference: str, worker: WorkerInfo) -> None:
    assert read_as(reference, worker) == reference
