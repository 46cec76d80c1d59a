"""The rendered connector carries the site's Kafka security to Debezium's own clients, and no secret."""

import json

import pytest
from pydantic import SecretStr

from streams.connect.lint import lint
from streams.connect.render import Config, connector
from streams.core.errors import ConfigurationError
from streams.messages.protocol import specs
from tests.connect.connect_harness import MAPPING, settings

LOGIN = {"kafka_user": "bridge", "kafka_password": SecretStr("not-for-json")}
CLIENTS = ["schema.history.internal.producer.", "schema.history.internal.consumer.", "signal.consumer."]


def part(config: Config, prefix: str) -> Config:
    return {key.removeprefix(prefix): value for key, value in config.items() if key.startswith(prefix)}


@pytest.mark.parametrize("prefix", CLIENTS)
def test_a_login_refers_to_the_password(prefix: str) -> None:
    config = connector(MAPPING, "sqlserver", settings(kafka_protocol="SASL_SSL", kafka_ca="/etc/ca.pem", **LOGIN))
    assert part(config, prefix) == {
        "security.protocol": "SASL_SSL",
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": "${dir:/run/secrets:owdd_kafka_ca}",
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required "
            'username="bridge" password="${dir:/run/secrets:owdd_kafka_password}";'
        ),
    }
    assert "not-for-json" not in json.dumps(config)
    assert lint(config) == []


@pytest.mark.parametrize("prefix", CLIENTS)
def test_a_client_certificate_refers_to_its_key(prefix: str) -> None:
    own = {"kafka_certificate": "/etc/client.pem", "kafka_key": SecretStr("-----BEGIN not-for-json")}
    config = connector(MAPPING, "sqlserver", settings(kafka_protocol="SSL", kafka_hostname_check=False, **own))
    assert part(config, prefix) == {
        "security.protocol": "SSL",
        "ssl.endpoint.identification.algorithm": "",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": "${dir:/run/secrets:owdd_kafka_certificate}",
        "ssl.keystore.key": "${dir:/run/secrets:owdd_kafka_key}",
    }
    assert "not-for-json" not in json.dumps(config)


def test_tokens_are_fetched_by_the_connector_itself() -> None:
    asked = {"kafka_protocol": "SASL_SSL", "kafka_sasl_mechanism": "OAUTHBEARER", "kafka_oauth_hook": "site:token"}
    with pytest.raises(ConfigurationError, match="OWDD_KAFKA_OAUTH_URL"):
        connector(MAPPING, "sqlserver", settings(**asked))
    config = connector(MAPPING, "sqlserver", settings(**asked, kafka_oauth_url="https://idp.example/token"))
    found = part(config, "signal.consumer.")
    assert found["sasl.oauthbearer.token.endpoint.url"] == "https://idp.example/token"
    assert found["sasl.jaas.config"] == "${dir:/run/secrets:owdd_kafka_jaas}"


def test_plain_text_renders_nothing() -> None:
    config = connector(MAPPING, "sqlserver", settings())
    assert not any(part(config, prefix) for prefix in CLIENTS)


def test_topics_are_made_as_the_site_s_brokers_accept_them() -> None:
    changed = settings(
        topic_max_bytes=8 * 2**20, topic_min_insync=2, topic_config={"max.compaction.lag.ms": "", "retention.ms": "86400000"}
    )
    for spec in specs(changed, MAPPING):
        assert spec.config["min.insync.replicas"] == "2"
        assert "max.compaction.lag.ms" not in spec.config
        assert spec.config.get("retention.ms", "86400000") == "86400000"
        assert int(spec.config.get("max.message.bytes", "0")) <= 8 * 2**20
    config = connector(MAPPING, "sqlserver", changed)
    assert config["topic.creation.rows.max.message.bytes"] == config["producer.override.max.request.size"] == str(8 * 2**20)
    assert config["topic.creation.default.retention.ms"] == "86400000"
