"""Every setting of the product: environment variables ``OWDD_*``, or files of these names in the secrets directory.

``owdd config show`` prints them with secrets masked, ``owdd config schema`` prints their JSON schema, and
``docs/configuration.md`` is generated from this module.
"""

import os
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict, SettingsError

from streams.core.errors import ConfigurationError

_DIRECTORY = r"^/[A-Za-z0-9._/-]+$"
_ADDRESS = r"^(https?://([A-Za-z0-9._-]+|\[[0-9a-f:]+\])(:[0-9]{1,5})?(/[A-Za-z0-9._~/-]*)?)?$"
_FUNCTION = r"^([A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_]*)?$"
_PORTS = r"^(([A-Za-z0-9._-]+|\[[0-9a-f:]+\]):[0-9]{1,5}(,|$))*$"
_KAFKA_USER = r'^[^"\\\r\n]*$'  # it is quoted in the connector's configuration
_LOGIN = r"^[A-Za-z_][A-Za-z0-9_$#@]{0,127}$"

KafkaProtocol: TypeAlias = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
"""Kafka's ``security.protocol``."""

SaslMechanism: TypeAlias = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]
"""Kafka's ``sasl.mechanism``."""

SourceKind: TypeAlias = Literal["sqlserver", "postgres"]
"""The kind of source database; ``postgres`` is the stand-in on which capture is tested."""

Calls = Annotated[int, Field(ge=0, le=1_000_000)]
Seconds = Annotated[float, Field(ge=0, le=86_400)]


class Settings(BaseSettings):
    """Settings of one worker process."""

    model_config = SettingsConfigDict(
        env_prefix="OWDD_",
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    kafka_bootstrap: str = Field("127.0.0.1:9092", description="Kafka bootstrap servers, host:port, comma separated")
    kafka_protocol: KafkaProtocol = Field("PLAINTEXT", description="Kafka: how clients connect (docs/kafka-security.md)")
    kafka_sasl_mechanism: SaslMechanism = Field("SCRAM-SHA-512", description="Kafka: login, where the protocol is SASL_*")
    kafka_user: str = Field("", pattern=_KAFKA_USER, description="Kafka: user, for PLAIN and SCRAM")
    kafka_password: SecretStr = Field(SecretStr(""), description="Kafka: the user's password")
    kafka_oauth_hook: str = Field(
        "", pattern=_FUNCTION, description="Kafka: function that returns a token, for OAUTHBEARER, as module:function"
    )
    kafka_oauth_url: str = Field(
        "", pattern=_ADDRESS, description="Kafka: address from which the connector fetches its tokens, for OAUTHBEARER"
    )
    kafka_ca: str = Field("", description="Kafka: CA of the brokers, a PEM file or its text; empty: the system's CAs")
    kafka_certificate: str = Field("", description="Kafka: client certificate for mutual TLS, a PEM file or its text")
    kafka_key: SecretStr = Field(SecretStr(""), description="Kafka: key of the client certificate, a PEM file or its text")
    kafka_key_password: SecretStr = Field(SecretStr(""), description="Kafka: password of the key; empty: it is not encrypted")
    kafka_hostname_check: bool = Field(True, description="Kafka: a broker's certificate must name the host; leave it on")
    dotdigital_url: str = Field(
        "http://127.0.0.1:8100", description="Dotdigital endpoint of the account's region; auto: taken from the account"
    )
    dotdigital_user: str = Field("", description="API user")
    dotdigital_password: SecretStr = Field(SecretStr(""), description="API user's password")
    mapping: Path | None = Field(None, description="The site's mapping.yaml; empty: the shipped default")
    data_dir: Path = Field(Path("data"), description="Directory of this worker's state; one per worker, on a persistent disk")
    data_shared: bool = Field(
        False, description="Replicas of this worker share OWDD_DATA_DIR: each takes its first free subdirectory"
    )
    metrics_port: int = Field(9108, ge=0, le=65535, description="Port of /metrics and /health; 0 picks a free one")
    metrics_host: str = Field("127.0.0.1", description="Address on which /metrics and /health listen")
    workers: str = Field(
        "",
        pattern=_PORTS,
        description="Metrics ports of the workers, host:port, comma separated, for 'owdd status', 'owdd contact', consoles "
        "and comparisons. A name with several addresses stands for all of them; empty: workers are not asked",
    )
    state_token: SecretStr = Field(
        SecretStr(""),
        description="Token with which 'owdd contact', the console and comparisons read the workers' state; empty: none can",
    )

    console_host: str = Field("127.0.0.1", description="Console: address on which it listens")
    console_port: int = Field(9180, ge=0, le=65535, description="Console: its port; 0 picks a free one")
    console_token: SecretStr = Field(SecretStr(""), description="Console: token with which people sign in; empty: none can")
    console_user_header: str = Field(
        "",
        pattern=r"^[A-Za-z0-9-]*$",
        description="Console: header in which a proxy names who has signed in there (OIDC), as X-Forwarded-Email; empty: none",
    )
    console_proxies: str = Field(
        "", pattern=r"^[0-9A-Fa-f.:/,]*$", description="Console: addresses or networks of the proxies whose header counts"
    )

    app_id: str = Field("owdd", pattern=r"^[A-Za-z0-9._-]{1,80}$", description="Prefix of topics, groups and tables")
    app_version: int = Field(1, ge=1, description="Raise it to rebuild all state from the captured topics")
    generation: int = Field(0, ge=0, description="Joins: their generation, as 'owdd replay rebuild' numbers it")
    partitions: int = Field(8, ge=1, le=1024, description="Partitions of every topic and table; fixed at the first start")
    replication: int = Field(1, ge=1, le=7, description="Replicas of every topic; 3 in production")
    topic_max_bytes: int = Field(
        16 * 2**20,
        ge=2 * 2**20,
        le=2**30,
        description="Bytes of the largest record in topics of captured records",
    )
    topic_min_insync: int = Field(0, ge=0, le=7, description="min.insync.replicas of every topic; 0: the broker's default")
    topic_config: dict[str, str] = Field(
        {},
        description='Topic settings to replace wherever the product makes them, as JSON; "": left to the broker',
    )
    compression: Literal["none", "lz4", "zstd"] = Field("lz4", description="Compression of produced records")
    session_timeout: float = Field(
        15.0, ge=6, le=1800, description="Seconds of silence after which Kafka removes a worker; brokers allow 6 to 1,800"
    )
    ingest_batch: int = Field(4000, ge=1, description="Most records that ingest reads from Kafka at a time")
    breaker_window: int = Field(500, ge=10, description="Dead-letter circuit breaker: number of recent records that it counts")
    breaker_share: float = Field(0.9, gt=0, le=1, description="Dead-letter circuit breaker: share of failures that opens it")

    source_host: str = Field("127.0.0.1", min_length=1, description="Capture: host of the source database")
    source_port: int = Field(1433, ge=1, le=65535, description="Capture: port of the source database")
    source_user: str = Field(
        "owdd_capture", pattern=_LOGIN, description="Capture: login of the connector, not an administrator"
    )
    source_tls: Literal["verify", "trust", "off"] = Field(
        "verify", description="Capture: verify the database's certificate, trust any (for demonstrations), or do not encrypt"
    )
    source_truststore: str = Field(
        "", description="Capture: PKCS12 file with the database's CA, on Kafka Connect's machine; empty: Java's own CAs"
    )
    connect_credentials: str = Field(
        "/run/secrets", pattern=_DIRECTORY, description="Capture: directory of password files on Kafka Connect's machine"
    )

    connect_url: str = Field("", pattern=_ADDRESS, description="Address of Kafka Connect's REST API; empty: no capture guard")
    connect_user: str = Field("", description="User of Kafka Connect's REST API; empty: it asks for none")
    connect_password: SecretStr = Field(SecretStr(""), description="Password of that user")
    connect_ca: str = Field("", description="CA of Kafka Connect's REST API, a PEM file or its text; empty: the system's CAs")
    source_kind: SourceKind = Field("sqlserver", description="Capture: kind of the source database; postgres is for tests")
    connector_restarts: int = Field(8, ge=0, description="Capture guard: restarts before it gives up; 0: no restarts")
    retention_probe: str = Field(
        "", description="Capture guard: file or http address that shows how far back changes are kept (docs/operations.md)"
    )

    urgent_quiet: Seconds = Field(0.2, description="Urgent lane: send after this quiet time")
    urgent_longest: Seconds = Field(1.0, description="Urgent lane: longest wait while changes keep coming")
    live_quiet: Seconds = Field(2.0, description="Live lane: send after this quiet time")
    live_longest: Seconds = Field(15.0, description="Live lane: longest wait while changes keep coming")
    bulk_quiet: Seconds = Field(60.0, description="Bulk lane: send after this quiet time")
    bulk_longest: Seconds = Field(300.0, description="Bulk lane: longest wait while changes keep coming")

    dispatch_connections: int = Field(8, ge=1, le=8, description="Concurrent calls to Dotdigital")
    dispatch_timeout: Seconds = Field(30.0, description="Timeout of one call to Dotdigital")
    readback_seconds: Seconds = Field(
        300.0, description="Seconds between two read-backs of Dotdigital's contacts; 0: no scheduled read-back"
    )

    reconcile_hours: float = Field(
        168.0,
        ge=0,
        le=8_760,
        description="Hours between two comparisons of everything in Dotdigital with what was delivered; 0: none by itself",
    )

    budget_low: Calls = Field(0, description="Budget: bulk calls a minute until Dotdigital reports a limit; 0: no limit")
    budget_medium: Calls = Field(0, description="Budget: listing calls a minute until Dotdigital reports a limit; 0: no limit")
    budget_high: Calls = Field(0, description="Budget: single calls a minute until Dotdigital reports a limit; 0: no limit")
    budget_flat: Calls = Field(
        0,
        description="Budget: calls in any 60 minutes, with the old limit; 0: none until Dotdigital refuses a call for it",
    )
    budget_urgent: float = Field(0.1, ge=0, le=0.5, description="Budget: share of every minute kept for the urgent lane")
    budget_live: float = Field(0.1, ge=0, le=0.5, description="Budget: further share of every minute that bulk leaves to live")
    brake_wait: Seconds = Field(60.0, description="Brake: seconds for which a removal waits to be counted")
    brake_least: int = Field(20, ge=0, description="Brake: removals of a kind that may go in any case")
    brake_share: float = Field(0.02, ge=0, le=1, description="Brake: share of a kind that may go within 15 minutes")
    brake_most: int = Field(200, ge=0, description="Brake: removals of a kind that may go within 15 minutes, at most")
    brake_day_share: float = Field(0.03, ge=0, le=1, description="Brake: share of a kind that may go within 24 hours")
    consent_wait: Seconds = Field(
        86_400.0,
        description="Consent: how long the first load takes at most, if the connector does not notify of its end; until then "
        "no contact is created of which Orderwise has said neither in nor out",
    )
    consent_correct_creation: bool = Field(
        False,
        description="Consent: subscribe a contact that was created unsubscribed when Orderwise says in later, and nothing "
        "shows that the person refused",
    )
    import_least: int = Field(20, ge=1, le=10_000, description="Imports: least items; fewer are sent by single calls")
    import_most: int = Field(10_000, ge=1, le=100_000, description="Imports: most items in one")
    import_poll: float = Field(5.0, gt=0, le=600, description="Imports: seconds between two polls")
    import_patience: Seconds = Field(3600.0, description="Imports: seconds after which a running import is given up")
    import_seconds: float = Field(30.0, gt=0, le=3600, description="Imports: seconds that an import is expected to take")

    hash_key: SecretStr = Field(SecretStr("owdd"), description="Key of the hash that replaces an e-mail in logs")
    erasure_key: SecretStr = Field(
        SecretStr(""),
        description="Key of the digest by which an erased e-mail is recognised; empty: OWDD_HASH_KEY. To change it, see "
        "docs/operations.md#keys",
    )
    former_erasure_keys: SecretStr = Field(
        SecretStr(""), description="Erasure keys before this one, one a line, the oldest first; they are needed for ever"
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field("info", description="Lowest level of the log records shown")
    log_json: bool = Field(False, description="Write the log as JSON lines")

    @property
    def erasure_keys(self) -> tuple[bytes, ...]:
        """The keys of the digests of erased e-mails, the one in use last."""
        current = self.erasure_key.get_secret_value() or self.hash_key.get_secret_value()
        return tuple(key.encode() for key in (*self.former_erasure_keys.get_secret_value().splitlines(), current))


_OTHERS = {
    "OWDD_SECRETS_DIR",
    "OWDD_ENV_FILE",
    "OWDD_POM_DIR",
    "OWDD_CACHE_DIR",
    "OWDD_MAVEN_REPOSITORY",
    "OWDD_ORDERWISE_PASSWORD",
}
"""Variables that are no settings: ours of the command line, and the testkit's."""
_CONNECTORS = "OWDD_SOURCE_"
"""Begins variables that connectors may refer to, whatever their names."""


def unknown_variables(environment: Iterable[str]) -> dict[str, str | None]:
    """Variables of ``environment`` that look like settings and are none, each with the nearest setting, if one is near."""
    known = {f"OWDD_{name.upper()}" for name in Settings.model_fields}
    strange = sorted(
        name
        for name in environment
        if name.startswith("OWDD_") and not name.startswith(_CONNECTORS) and name not in known | _OTHERS
    )
    return {name: next(iter(get_close_matches(name, known, 1)), None) for name in strange}


def load_settings() -> Settings:
    """Settings from environment and secret files.

    Raises:
        ConfigurationError: a value is wrong; the message names each variable, never a secret's value.
    """
    secrets = Path(os.environ.get("OWDD_SECRETS_DIR", "/run/secrets"))
    _check_secrets(secrets)
    try:
        return Settings(_secrets_dir=secrets if secrets.is_dir() else None)
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        found = [(f"OWDD_{str(item['loc'][0]).upper()}", _problem(item["loc"][1:], item["msg"])) for item in problems]
        if len(found) == 1:
            raise ConfigurationError(found[0][1], where=found[0][0]) from error
        raise ConfigurationError("\n".join(f"{name}: {problem}" for name, problem in found)) from error
    except SettingsError as error:
        raise _unreadable(error, secrets) from None
    except OSError as error:
        raise ConfigurationError(f"a secret cannot be read: {error.strerror}", where=str(secrets), remedy=_RIGHTS) from None


def _problem(inside: tuple[int | str, ...], message: str) -> str:
    return f"{'.'.join(map(str, inside))}: {message}" if inside else message


def _check_secrets(secrets: Path) -> None:
    """What pydantic would pass over: a directory in a secret's place, as a mount leaves it whose file is missing."""
    if secrets.exists() and not secrets.is_dir():
        raise ConfigurationError(
            "is not a directory", where=f"OWDD_SECRETS_DIR {secrets}", remedy="Name the directory of the secrets"
        )
    for name in Settings.model_fields:
        secret = secrets / f"owdd_{name}"
        if secret.is_dir():
            raise ConfigurationError("is a directory", where=str(secret), remedy="Put a file there that holds the secret alone")


_RIGHTS = "Give this user the right to read it, or write it anew"


def _unreadable(error: SettingsError, secrets: Path) -> ConfigurationError:
    # pydantic names the field in its text only.
    name = next((name for name in Settings.model_fields if f'"{name}"' in str(error)), "")
    if "SecretsSettingsSource" in str(error):
        return ConfigurationError("is not UTF-8 text", where=str(secrets / f"owdd_{name}"), remedy=_RIGHTS)
    return ConfigurationError("is not JSON", where=f"OWDD_{name.upper()}", remedy="Write it as one JSON object")
