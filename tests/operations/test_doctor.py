"""The doctor names the right cause of each broken set-up, with what to do about it."""

import asyncio
import os
import resource
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import httpx
import orjson
import pytest
import respx
from aiokafka import AIOKafkaProducer
from aiokafka.admin import NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from pydantic import SecretStr

from streams.connect.render import connector
from streams.core.clock import SystemClock
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.client import admin_client
from streams.kafka.security import KafkaConfig
from streams.mapping import Mapping, load_mapping
from streams.mapping.model import Currency
from streams.messages.topics import Topics
from streams.operations.doctor.account import account, clock
from streams.operations.doctor.broker import broker as of_broker
from streams.operations.doctor.broker import comparison, durability, readers, state
from streams.operations.doctor.capture import connect, heartbeat
from streams.operations.doctor.examine import examine
from streams.operations.doctor.findings import Examination, Finding, Patient
from streams.operations.doctor.machine import machine
from streams.operations.site_setup import check_setup
from streams.settings import Settings
from testkit.demo.stack import LocalStack
from tests.convergence.convergence_harness import stack
from tests.dlq.commands import owdd

MAPPING = load_mapping()
CONNECT = "http://connect.test"
NAMES = CaptureNames.of(MAPPING, "sqlserver")


async def wrong(part: Examination, settings: Settings, mapping: Mapping = MAPPING) -> list[tuple[str, str, str]]:
    """What is not ok: check, state and the whole text."""
    found = [finding async for finding in part(Patient(settings, mapping))]
    return [(item.check, item.state, f"{item.text} {item.fix} {item.command}") for item in found if item.state != "ok"]


def one(found: list[tuple[str, str, str]], check: str, state: str, *fragments: str) -> None:
    """Exactly this is wrong."""
    assert [item[:2] for item in found] == [(check, state)], found
    for fragment in fragments:
        assert fragment in found[0][2], found


@pytest.fixture
def sound(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path / "state", erasure_key=SecretStr("a key"), connect_url=CONNECT)


class TestMachine:
    async def test_nothing_is_wrong(self, sound: Settings) -> None:
        assert await wrong(machine, sound) == []

    async def test_the_shipped_key_for_real_contacts(self, sound: Settings) -> None:
        settings = sound.model_copy(update={"dotdigital_url": "https://r1-api.dotdigital.com"})
        one(await wrong(machine, settings), "keys", "fail", "OWDD_HASH_KEY", "Set a secret of your own")

    async def test_erasures_without_a_key_of_their_own(self, sound: Settings) -> None:
        settings = sound.model_copy(update={"erasure_key": SecretStr("")})
        one(await wrong(machine, settings), "keys", "warn", "OWDD_ERASURE_KEY is empty")

    async def test_a_misspelt_variable(self, sound: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("OWDD_PARTITION", "3")
        one(await wrong(machine, sound), "variables", "warn", "OWDD_PARTITION is not", "OWDD_PARTITIONS?")

    async def test_a_data_directory_that_is_a_file(self, sound: Settings, tmp_path: Path) -> None:
        (tmp_path / "state").write_text("")
        one(await wrong(machine, sound), "data directory", "fail", "is a file")

    async def test_a_data_directory_of_somebody_else(self, sound: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(os, "access", lambda *_: False)
        one(await wrong(machine, sound), "data directory", "fail", "cannot be written")

    @pytest.mark.parametrize(("free", "state"), [(2**20, "fail"), (2**30, "warn")])
    async def test_a_disk_that_is_nearly_full(
        self, sound: Settings, monkeypatch: pytest.MonkeyPatch, free: int, state: str
    ) -> None:
        monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=free))
        one(await wrong(machine, sound), "disk", state, "GiB are free")

    async def test_too_few_open_files(self, sound: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
        one(await wrong(machine, sound), "open files", "fail", "the limit is 256", "ulimit -n")


class TestConnect:
    @pytest.fixture
    def api(self, sound: Settings) -> Iterator[respx.MockRouter]:
        """Kafka Connect with a sound connector."""
        desired = connector(MAPPING, "sqlserver", sound)
        name = NAMES.connector
        with respx.mock(base_url=CONNECT, assert_all_called=False) as router:
            router.get("/health").respond(200, json={"status": "healthy"})
            router.get("/").respond(200, json={"version": "4.1.0", "commit": "x", "kafka_cluster_id": "y"})
            router.get("/connector-plugins").respond(
                200, json=[{"class": desired["connector.class"], "type": "source", "version": "3.6.0.Final"}]
            )
            router.put(path__regex=r"/connector-plugins/.*/config/validate").respond(
                200, json={"name": "x", "error_count": 0, "groups": [], "configs": []}
            )
            router.get(f"/connectors/{name}/config").respond(200, json={**desired, "name": name})
            router.get(f"/connectors/{name}/status").respond(200, json=self.status("RUNNING", "RUNNING"))
            yield router

    @staticmethod
    def status(state: str, task: str, trace: str = "") -> dict[str, Any]:
        tasks = [{"id": 0, "state": task, "worker_id": "w", "trace": trace}]
        return {"name": NAMES.connector, "connector": {"state": state, "worker_id": "w"}, "tasks": tasks, "type": "source"}

    async def test_nothing_is_wrong(self, sound: Settings, api: respx.MockRouter) -> None:
        assert await wrong(connect, sound) == []

    async def test_nobody_watches_capture(self, sound: Settings) -> None:
        settings = sound.model_copy(update={"connect_url": ""})
        one(await wrong(connect, settings), "connect", "warn", "no capture guard")

    async def test_connect_does_not_answer(self, sound: Settings) -> None:
        settings = sound.model_copy(update={"connect_url": "http://127.0.0.1:1", "kafka_bootstrap": "127.0.0.1:1"})
        found = [item async for item in examine(Patient(settings, MAPPING)) if item.check == "connect"]
        assert [(item.state, "Check OWDD_CONNECT_URL" in item.text) for item in found] == [("fail", True)]

    async def test_there_is_no_connector(self, sound: Settings, api: respx.MockRouter) -> None:
        missing = httpx.Response(404, json={"error_code": 404, "message": "Connector not found"})
        api.get(f"/connectors/{NAMES.connector}/config").mock(return_value=missing)
        api.get(f"/connectors/{NAMES.connector}/status").mock(return_value=missing)
        one(await wrong(connect, sound), "connector", "fail", "there is no", "owdd connectors apply --execute")

    async def test_the_connector_is_another_mappings(self, sound: Settings, api: respx.MockRouter) -> None:
        running = {**connector(MAPPING, "sqlserver", sound), "table.include.list": "dbo.order_header"}
        api.get(f"/connectors/{NAMES.connector}/config").respond(200, json=running)
        one(await wrong(connect, sound), "connector", "warn", "table.include.list", "owdd connectors apply")

    async def test_a_task_has_failed(self, sound: Settings, api: respx.MockRouter) -> None:
        trace = "org.apache.kafka.connect.errors.ConnectException: boom\n\tat x"
        api.get(f"/connectors/{NAMES.connector}/status").respond(200, json=self.status("RUNNING", "FAILED", trace))
        one(await wrong(connect, sound), "connector", "fail", "FAILED", "boom", "owdd connectors restart --execute")

    async def test_somebody_has_paused_it(self, sound: Settings, api: respx.MockRouter) -> None:
        api.get(f"/connectors/{NAMES.connector}/status").respond(200, json=self.status("PAUSED", "PAUSED"))
        found = await wrong(connect, sound)
        assert {item[:2] for item in found} == {("connector", "fail")}
        assert "owdd connectors resume --execute" in found[0][2]

    async def test_the_plugin_refuses_the_configuration(self, sound: Settings, api: respx.MockRouter) -> None:
        value = {"name": "database.names", "value": "x", "errors": ["A value is required"], "visible": True}
        api.put(path__regex=r"/connector-plugins/.*/config/validate").respond(
            200, json={"name": "x", "error_count": 1, "groups": [], "configs": [{"definition": {}, "value": value}]}
        )
        one(await wrong(connect, sound), "connector", "fail", "database.names: A value is required")

    async def test_the_database_does_not_answer(self, sound: Settings, api: respx.MockRouter) -> None:
        value = {"name": "database.hostname", "value": "x", "errors": ["Unable to connect: timed out"], "visible": True}
        api.put(path__regex=r"/connector-plugins/.*/config/validate").respond(
            200, json={"name": "x", "error_count": 1, "groups": [], "configs": [{"definition": {}, "value": value}]}
        )
        one(await wrong(connect, sound), "database", "fail", "Unable to connect", "OWDD_SOURCE_HOST")


class TestClock:
    @pytest.mark.parametrize(("date", "state"), [("Thu, 01 Jan 2026 00:00:00 GMT", "fail"), (None, "warn")])
    async def test_a_clock_that_is_far_off_or_cannot_be_compared(self, sound: Settings, date: str | None, state: str) -> None:
        with respx.mock() as router:
            router.head(sound.dotdigital_url).respond(200, headers={} if date is None else {"date": date})
            one(await wrong(clock, sound), "clock", state)

    async def test_no_way_out(self, sound: Settings) -> None:
        settings = sound.model_copy(update={"dotdigital_url": "http://127.0.0.1:1"})
        one(await wrong(clock, settings), "network", "fail", "Dotdigital cannot be reached")


async def configure(running: LocalStack, topic: str, **config: str) -> None:
    admin = admin_client(KafkaConfig.of(running.settings))
    await admin.start()
    try:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, config)])
    finally:
        await admin.close()


class TestDurability:
    SAFE: ClassVar = {"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}

    def test_nothing_is_wrong(self) -> None:
        assert list(durability({"a": 3, "b": 2}, {"a": self.SAFE, "b": self.SAFE})) == []

    def test_one_replica_is_what_counts_then(self) -> None:
        (found,) = durability({"a": 3, "b": 1}, {"a": self.SAFE, "b": {"min.insync.replicas": "1"}})
        assert (found.check, found.state, "one replica: b;" in found.text) == ("durability", "warn", True)

    def test_a_copy_that_nobody_waits_for(self) -> None:
        (found,) = durability({"a": 3}, {"a": self.SAFE | {"min.insync.replicas": "1"}})
        assert (found.state, "one copy on disk: a;" in found.text) == ("warn", True)
        assert found.command == "kafka-configs --alter --topic a --add-config min.insync.replicas=2"

    def test_a_leader_that_lags(self) -> None:
        (found,) = durability({"a": 3}, {"a": self.SAFE | {"unclean.leader.election.enable": "true"}})
        assert (found.state, "may become the leader: a;" in found.text) == ("fail", True)


class TestComparison:
    def test_several_workers_that_cannot_ask_each_other(self, sound: Settings) -> None:
        (found,) = comparison(sound.model_copy(update={"workers": "dispatch:9108"}), 2)
        assert (found.check, found.state) == ("comparison", "warn")
        assert "2 workers run dispatch: without OWDD_STATE_TOKEN none" in found.text
        (found,) = comparison(sound, 3)
        assert "without OWDD_WORKERS and OWDD_STATE_TOKEN none" in found.text

    def test_one_worker_or_several_that_can(self, sound: Settings) -> None:
        assert list(comparison(sound, 1)) == []
        can = sound.model_copy(update={"workers": "dispatch:9108", "state_token": SecretStr("a token")})
        assert list(comparison(can, 2)) == []


async def test_broken_topics_accounts_and_captures_are_named(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "doctor", partitions=2) as running:
        settings, mapping = running.settings, load_mapping(running.mapping)
        topics = Topics.of(settings.app_id)

        async def found(part: Examination, mapped: Mapping = mapping, **changes: Any) -> list[tuple[str, str, str]]:
            everything = await wrong(part, settings.model_copy(update=changes), mapped)
            # The broker of the tests is alone.
            return [item for item in everything if item[0] != "durability"]

        assert [item for part in (of_broker, account, state) for item in await found(part)] == []
        one(await wrong(of_broker, settings, mapping), "durability", "warn", "one replica: ", "docs/after-a-power-loss.md")
        one(await found(clock), "clock", "warn", "no time to compare with")
        nobody = await found(readers)
        assert {item[:2] for item in nobody} == {("workers", "warn")}
        one(await found(heartbeat), "heartbeat", "warn", "no heartbeat row has come back")

        one(await found(of_broker, app_id="elsewhere"), "topics", "fail", "topics are missing", "owdd topics apply --execute")
        assert {(check, state) for check, state, text in await found(of_broker, partitions=3) if "OWDD_PARTITIONS" in text} == {
            ("topics", "fail")
        }
        one(await found(account, dotdigital_user=""), "credentials", "fail", "is empty")
        one(await found(account, dotdigital_password=SecretStr("wrong")), "account", "fail", "owdd dotdigital plan")
        fields = mapping.contact_fields.model_copy(update={"account": "OW_OTHER"})
        other = mapping.model_copy(update={"contact_fields": fields})
        one(await found(account, other), "account", "fail", "OW_OTHER", "owdd dotdigital apply --execute")
        fields = mapping.contact_fields.model_copy(update={"order_count": "FIRSTNAME"})
        clash = mapping.model_copy(update={"contact_fields": fields})
        one(await found(account, clash), "account", "fail", "FIRSTNAME", "Map another name")

        await check_setup(settings, mapping, SystemClock())
        currencies = {**mapping.order.currencies, 99: Currency(code="SEK", rate=Decimal("0.07"))}
        order = mapping.order.model_copy(update={"currencies": currencies})
        one(await found(state, mapping.model_copy(update={"order": order})), "mapping", "fail", "order.currencies", "Rebuild")

        await beat(running, mapping)
        one(await found(heartbeat), "heartbeat", "fail", "s old", "capture job")
        captured = mapping.topic("order_header")
        await configure(running, captured, **{"cleanup.policy": "delete"})
        await configure(running, topics.orders, **{"retention.ms": "1000"})
        states = {(check, state) for check, state, text in await found(of_broker) if captured in text or topics.orders in text}
        assert states == {("topics", "fail"), ("topics", "warn")}, "what was reset besides loses nothing"
        await misspell(running, captured)
        assert ("captured topics", "fail") in {item[:2] for item in await found(of_broker)}

        report = await owdd(running, "doctor", "--json")
        assert report.exit_code == 2
        assert {item["state"] for item in orjson.loads(report.stdout)} == {"ok", "warn", "fail"}
        assert "→" in (await owdd(running, "doctor")).output


async def beat(running: LocalStack, mapping: Mapping) -> None:
    """A heartbeat row of long ago comes back."""
    names = CaptureNames.of(mapping, running.settings.source_kind)
    source = {
        "connector": "sqlserver",
        "table": "heartbeat",
        "commit_lsn": "00000001:00000001:0001",
        "ts_ms": 1_700_000_000_000,
    }
    row = {"id": 1, "at": "2023-11-14T22:13:20Z"}
    value = {"before": None, "after": row, "source": source | {"snapshot": "false"}, "op": "u", "ts_ms": 1_700_000_000_000}
    async with AIOKafkaProducer(bootstrap_servers=running.settings.kafka_bootstrap) as producer:
        await producer.send_and_wait(names.heartbeat_rows, orjson.dumps(value), b'{"id":1}')


async def misspell(running: LocalStack, topic: str) -> None:
    admin = admin_client(KafkaConfig.of(running.settings))
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic.replace("order_header", "Order_Header"), 1, 1)])
        while topic.replace("order_header", "Order_Header") not in await admin.list_topics():
            await asyncio.sleep(0.1)
    finally:
        await admin.close()


async def test_without_a_broker_each_other_part_is_still_looked_at(sound: Settings) -> None:
    settings = sound.model_copy(update={"kafka_bootstrap": "127.0.0.1:1", "dotdigital_url": "http://127.0.0.1:1"})
    found: list[Finding] = [item async for item in examine(Patient(settings, MAPPING))]
    failing = {item.check for item in found if item.state == "fail"}
    assert {"broker", "network"} <= failing
    assert not failing & {"workers", "heartbeat"}, "they would say the same once more"
