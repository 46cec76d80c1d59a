"""What must be right before a worker starts. Each check passes, or raises one error with where and what to do.

Checked here is what would otherwise do harm in silence (another partition count, shipped keys) or fill the log for hours
(missing topics). The data directory is checked where it is claimed (``streams.engine.data_dir``).
"""

import resource
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

from streams.core.errors import ConfigurationError
from streams.dotdigital.region import AUTO, check_destination
from streams.engine.store import MOST_FILES
from streams.ingest.captured_topics import check_spelling
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec, capture_specs, captured
from streams.mapping import Mapping
from streams.messages.contracts import STAGES
from streams.messages.generation_log import known_generations
from streams.messages.protocol import specs
from streams.messages.topics import Topics
from streams.settings import Settings

_FILES_A_PARTITION = len(STAGES) * MOST_FILES
_OTHER_FILES = 200
_SHOWN = 3


def check_settings(settings: Settings) -> None:
    """Keys, credentials and ports.

    Raises:
        ConfigurationError: real contacts would be hashed with the shipped key, credentials would go to somebody who must not
            have them, or the port of metrics is taken.
    """
    check_destination(settings.dotdigital_url, settings.dotdigital_user)
    shipped = Settings.model_fields["hash_key"].default.get_secret_value()
    if _real(settings) and settings.hash_key.get_secret_value() in ("", shipped):
        remedy = "Set a secret of your own before the first start, for anybody can reverse hashes made with this one"
        raise ConfigurationError("is as shipped, and Dotdigital is not the sandbox", where="OWDD_HASH_KEY", remedy=remedy)
    _check_port(settings.metrics_host, settings.metrics_port)


def check_credentials(settings: Settings) -> None:
    """Who calls a real account has a user and a password.

    Raises:
        ConfigurationError: one of them is missing.
    """
    given = {
        "OWDD_DOTDIGITAL_USER": settings.dotdigital_user,
        "OWDD_DOTDIGITAL_PASSWORD": settings.dotdigital_password.get_secret_value(),
    }
    for name, value in given.items():
        if _real(settings) and not value:
            remedy = "Set it to the API user's, as a variable or as a file in OWDD_SECRETS_DIR"
            raise ConfigurationError("is empty, and dispatch calls Dotdigital", where=name, remedy=remedy)


def _real(settings: Settings) -> bool:
    # Dotdigital itself speaks TLS only: without it the other side is a sandbox.
    return settings.dotdigital_url == AUTO or urlsplit(settings.dotdigital_url).scheme == "https"


def _check_port(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            remedy = "Set another port (0 picks a free one), or another OWDD_METRICS_HOST"
            reason = f"cannot listen on {host}:{port}: {error.strerror or error}"
            raise ConfigurationError(reason, where="OWDD_METRICS_PORT", remedy=remedy) from None


def check_open_files(partitions: int) -> None:
    """Raise the soft limit of open files to what the state of all partitions may need.

    Raises:
        ConfigurationError: the hard limit is below that.
    """
    needed = _OTHER_FILES + _FILES_A_PARTITION * partitions
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= needed:
        return
    if hard != resource.RLIM_INFINITY and hard < needed:
        remedy = f"Raise the limit (ulimit -n {needed}; LimitNOFILE of systemd; ulimits.nofile of Compose)"
        reason = f"{partitions} partitions may need {needed} open files, and the limit is {hard}"
        raise ConfigurationError(reason, where="OWDD_PARTITIONS", remedy=remedy)
    resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


async def check_topics(settings: Settings, mapping: Mapping, *, captured_too: bool) -> None:
    """Every topic is there, and those of ours have as many partitions as the settings say.

    ``captured_too``: the captured ones must exist as well. Their partition count is free: rows are shared out again by key.

    Raises:
        ConfigurationError: topics are missing, have other partitions, or are spelt otherwise than in the mapping; or the outbox
            does not know this generation of the joins.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    capture = {spec.name for spec in capture_specs(settings, mapping, settings.source_kind)}
    ours = [spec for spec in specs(settings, mapping) if spec.name not in capture]
    admin = client.admin_client(KafkaConfig.of(settings))
    await admin.start()
    try:
        existing = set(await admin.list_topics())
        if captured_too:
            check_spelling(captured(mapping), existing)
        if Topics.of(settings.app_id).generations in existing:
            await _check_generation(settings)
        needed = [*(spec.name for spec in ours), *(captured(mapping) if captured_too else ())]
        if missing := [name for name in needed if name not in existing]:
            remedy = "Run 'owdd topics apply --execute'"
            raise ConfigurationError(f"topics are missing: {_some(missing)}", where="Kafka", remedy=remedy)
        described = await admin.describe_topics([spec.name for spec in ours])
    finally:
        await admin.close()
    counts = {item["topic"]: len(item["partitions"]) for item in described}
    if other := list(_differing(ours, counts)):
        remedy = "Set it to the count that the topics have; only a new OWDD_APP_ID can begin with another"
        raise ConfigurationError(f"is {settings.partitions}, but {_some(other)}", where="OWDD_PARTITIONS", remedy=remedy)


async def _check_generation(settings: Settings) -> None:
    """One that nobody began, or that was cleaned up: the outbox drops all that its joins want, and nothing shows it."""
    known = await known_generations(settings)
    if settings.generation not in known.working:
        remedy = f"Set it to {known.activation.generation}, which is in effect; 'owdd replay rebuild' begins another"
        raise ConfigurationError(f"there is no generation {settings.generation}", where="OWDD_GENERATION", remedy=remedy)


def _differing(wanted: list[TopicSpec], counts: dict[str, int]) -> Iterator[str]:
    for spec in wanted:
        if counts[spec.name] != spec.partitions:
            yield f"{spec.name} has {counts[spec.name]}"


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
