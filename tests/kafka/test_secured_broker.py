"""Real brokers with TLS: SCRAM, PLAIN and client certificates let us in, and a refusal is one sentence."""

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from io import StringIO
from pathlib import Path
from uuid import uuid4

import pytest
from rich.console import Console

from streams.cli.exit_codes import ExitCode
from streams.kafka import client
from streams.kafka.access import KafkaRefusedError
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig, Sasl, Tls
from streams.kafka.topics import TopicSpec
from streams.operations.topic_admin import apply_topics
from streams.settings import SaslMechanism, Settings
from streams.worker import Role
from testkit.demo.run import DemoConfig, demo
from testkit.local_services import kafka
from testkit.local_services.broker_security import USER, BrokerSecurity
from testkit.local_services.kafka import BrokerInfo
from testkit.local_services.start_errors import SecurityFixed
from tests.convergence.convergence_harness import simulate, stack, verdict
from tests.operations.setup_starts import check
from tests.operations.wrong_setups import TABLE


@pytest.fixture(scope="module")
def scram(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerInfo]:
    with kafka.embedded_broker(tmp_path_factory.mktemp("scram"), short_lived=True, security="sasl_ssl") as broker:
        yield broker


@pytest.fixture(scope="module")
def mutual(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrokerInfo]:
    with kafka.embedded_broker(tmp_path_factory.mktemp("mtls"), short_lived=True, security="mtls") as broker:
        yield broker


@pytest.fixture(scope="module")
def other_ca(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return BrokerSecurity.make(tmp_path_factory.mktemp("other"), "mtls").ca


def settings_of(broker: BrokerInfo, **changes: object) -> Settings:
    values = {name.removeprefix("OWDD_").lower(): value for name, value in broker.environment.items()}
    return Settings.model_validate(values | changes)


async def round_trip(settings: Settings) -> None:
    """Admin client, producer and consumer, each made by the factory."""
    config, topic = KafkaConfig.of(settings), f"secured-{uuid4().hex[:8]}"
    (item,) = await apply_topics(config, [TopicSpec(topic, 1, 1, "a test")], execute=True)
    assert item["action"] == "created"
    async with BatchProducer(settings) as producer:
        await producer.send(topic, 0, [(b"key", b"value")])
    assert [record.value async for record in read_topic(config, topic, [0])] == [b"value"]


@pytest.mark.parametrize("mechanism", ["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"])
async def test_user_and_password_let_every_client_in(scram: BrokerInfo, mechanism: SaslMechanism) -> None:
    await round_trip(settings_of(scram, kafka_sasl_mechanism=mechanism))


async def test_a_client_certificate_lets_every_client_in(mutual: BrokerInfo) -> None:
    await round_trip(settings_of(mutual))


async def test_certificates_and_keys_may_be_text(mutual: BrokerInfo) -> None:
    files = mutual.security
    texts = {
        name: file.read_text() for name, file in {"ca": files.ca, "certificate": files.certificate, "key": files.key}.items()
    }
    await round_trip(settings_of(mutual, **{f"kafka_{name}": text for name, text in texts.items()}))


async def refusal(config: KafkaConfig) -> str:
    with pytest.raises(KafkaRefusedError) as caught:
        await client.producer(config).start()
    return str(caught.value)


async def test_a_wrong_password_is_named(scram: BrokerInfo) -> None:
    config = replace(scram.kafka_config, sasl=Sasl("SCRAM-SHA-512", USER, "a-wrong-one"))
    assert await refusal(config) == (
        f"Kafka at {scram.bootstrap}: the broker refuses our credentials; check OWDD_KAFKA_USER and OWDD_KAFKA_PASSWORD, "
        "and OWDD_KAFKA_SASL_MECHANISM"
    )


async def test_a_wrong_ca_is_named(scram: BrokerInfo, other_ca: Path) -> None:
    found = await refusal(replace(scram.kafka_config, tls=Tls(str(other_ca))))
    assert found.startswith(f"Kafka at {scram.bootstrap}: its certificate is not signed by a CA that we trust (")
    assert found.endswith("); check OWDD_KAFKA_CA")


async def test_a_certificate_for_another_host_is_named(scram: BrokerInfo) -> None:
    config = replace(scram.kafka_config, bootstrap=f"localhost:{scram.port}")
    assert "its certificate is not for this host" in await refusal(config)


async def test_a_missing_client_certificate_is_named(mutual: BrokerInfo) -> None:
    found = await refusal(replace(mutual.kafka_config, tls=Tls(str(mutual.security.ca))))
    assert "OWDD_KAFKA_CERTIFICATE and OWDD_KAFKA_KEY if the broker asks for a client certificate" in found


async def test_the_wrong_protocol_is_named(scram: BrokerInfo, broker: Path) -> None:
    assert "check OWDD_KAFKA_PROTOCOL" in await refusal(KafkaConfig(scram.bootstrap))
    plain = kafka.status(broker).broker
    assert plain is not None
    assert "check OWDD_KAFKA_PROTOCOL" in await refusal(replace(scram.kafka_config, bootstrap=plain.bootstrap))


async def test_a_host_without_the_hostname_check(scram: BrokerInfo) -> None:
    unchecked = Tls(str(scram.security.ca), hostname_check=False)
    async with client.consumer(replace(scram.kafka_config, bootstrap=f"localhost:{scram.port}", tls=unchecked)) as consumer:
        assert isinstance(await consumer.topics(), set)


@pytest.mark.parametrize("needs", ["scram", "mtls"])
def test_a_worker_refuses_as_the_table_of_wrong_set_ups_has_it(
    needs: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    (setup,) = [setup for setup in TABLE if setup.needs == needs]
    broker: BrokerInfo = request.getfixturevalue({"scram": "scram", "mtls": "mutual"}[needs])
    check(setup, tmp_path, broker.environment)


@pytest.mark.parametrize("command", [["topics", "apply"], ["run", "--only", "agents"]])
def test_a_command_fails_with_one_sentence_and_no_secret(scram: BrokerInfo, command: list[str], tmp_path: Path) -> None:
    wrong = {"OWDD_KAFKA_PASSWORD": "a-wrong-one", "OWDD_DATA_DIR": str(tmp_path), "OWDD_METRICS_PORT": "0"}
    environment = {**os.environ, **scram.environment, **wrong}
    done = subprocess.run(
        [sys.executable, "-m", "streams", *command], env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == ExitCode.UNREACHABLE
    errors = [line for line in (done.stdout + done.stderr).splitlines() if "error" in line.lower()]
    assert errors == [line for line in done.stderr.splitlines() if line.startswith("error: Kafka at ")]
    assert len(errors) == 1
    assert "refuses our credentials" in errors[0]
    for hidden in ("Traceback", "a-wrong-one"):
        assert hidden not in done.stdout + done.stderr


async def test_the_whole_pipeline_works_over_tls(tmp_path: Path) -> None:
    config = DemoConfig(
        customers=30, orders=80, security="sasl_ssl", report=tmp_path / "report.json", directory=tmp_path / "demo"
    )
    report = await demo(config, Console(file=StringIO()))
    assert (report.converged, report.differences) == (True, 0)
    assert report.contacts > 0


async def test_the_whole_pipeline_works_with_client_certificates(mutual: BrokerInfo, tmp_path: Path) -> None:
    async with stack(tmp_path, mutual.data_dir, "mtls", partitions=1) as running:
        await running.start_worker(*Role)
        await simulate(running, customers=40, orders=120, seed=7, rate=0)
        await running.settled()
        assert verdict(running)[0] == []


def test_security_is_fixed_with_the_storage(scram: BrokerInfo, tmp_path: Path) -> None:
    (tmp_path / "storage").mkdir()
    with pytest.raises(SecurityFixed):
        kafka.start(tmp_path, security="mtls")
    again = kafka.start(scram.data_dir)
    assert again.already_running
    assert again.security.security == "sasl_ssl"
