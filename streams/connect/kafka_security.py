"""The site's Kafka security in the connector's configuration: for the Kafka clients that Debezium makes by itself.

These are the producer and the consumer of the schema history, and the consumer of signals. Rows, notifications and the
connector's own topics go through the worker's clients, which the worker's own configuration secures
(docs/kafka-security.md). Secrets are references to files, as everywhere in the connector's configuration; so are
certificates, because the Connect worker has other paths than we.
"""

from collections.abc import Callable
from typing import Final

from streams.core.errors import ConfigurationError
from streams.kafka.security import KafkaConfig
from streams.settings import Settings

PREFIXES: Final = {
    "sqlserver": ("schema.history.internal.producer.", "schema.history.internal.consumer.", "signal.consumer."),
    "postgres": ("signal.consumer.",),
}
"""Where Debezium passes properties on to its clients; PostgreSQL's connector has no schema history."""

_LOGIN: Final = {
    "PLAIN": "org.apache.kafka.common.security.plain.PlainLoginModule",
    "SCRAM-SHA-256": "org.apache.kafka.common.security.scram.ScramLoginModule",
    "SCRAM-SHA-512": "org.apache.kafka.common.security.scram.ScramLoginModule",
}
_TOKENS: Final = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginCallbackHandler"


def client_security(settings: Settings, secret: Callable[[str], str]) -> dict[str, str]:
    """Properties of a Java Kafka client; none for plain text. ``secret`` gives the reference to a file of that name.

    Raises:
        ConfigurationError: a setting that the protocol needs is missing.
    """
    kafka = KafkaConfig.of(settings)
    if kafka.protocol == "PLAINTEXT":
        return {}
    found: dict[str, str] = {"security.protocol": kafka.protocol}
    if kafka.tls is not None:
        if not kafka.tls.hostname_check:
            found["ssl.endpoint.identification.algorithm"] = ""
        if kafka.tls.ca:
            found |= {"ssl.truststore.type": "PEM", "ssl.truststore.certificates": secret("owdd_kafka_ca")}
        if kafka.tls.certificate:
            found |= {
                "ssl.keystore.type": "PEM",
                "ssl.keystore.certificate.chain": secret("owdd_kafka_certificate"),
                "ssl.keystore.key": secret("owdd_kafka_key"),
            }
        if kafka.tls.key_password:
            found["ssl.key.password"] = secret("owdd_kafka_key_password")
    if kafka.sasl is not None:
        found["sasl.mechanism"] = kafka.sasl.mechanism
        if kafka.sasl.mechanism == "OAUTHBEARER":
            found |= _tokens(settings, secret)
        else:
            login = f'username="{kafka.sasl.user}" password="{secret("owdd_kafka_password")}"'
            found["sasl.jaas.config"] = f"{_LOGIN[kafka.sasl.mechanism]} required {login};"
    return found


def _tokens(settings: Settings, secret: Callable[[str], str]) -> dict[str, str]:
    """Java cannot call our hook: it fetches tokens by itself, with a client id and secret from a file."""
    if not settings.kafka_oauth_url:
        raise ConfigurationError(
            "OWDD_KAFKA_SASL_MECHANISM=OAUTHBEARER: the connector fetches its tokens by itself; set OWDD_KAFKA_OAUTH_URL"
        )
    return {
        "sasl.login.callback.handler.class": _TOKENS,
        "sasl.oauthbearer.token.endpoint.url": settings.kafka_oauth_url,
        "sasl.jaas.config": secret("owdd_kafka_jaas"),
    }
