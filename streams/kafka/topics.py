"""Topics as the broker should have them, those of capture, and the names of groups and changelogs.

The whole list, with who writes and reads each, is :mod:`streams.messages.protocol`. Topics are created from it by ``owdd topics
apply`` and never by a worker, so that partitions, compaction and retention are explicit. All topics of one application have the
same partition count: partition N of every one belongs to one worker.
"""

from collections.abc import Iterator
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass, field

from streams.kafka.capture_topics import CaptureNames
from streams.mapping import Mapping
from streams.settings import Settings, SourceKind

DAY_MS = 86_400_000

LARGEST_CAPTURED = 16 * 2**20
"""Bytes of the largest record that the connector may write."""

CHANGE_TOPIC = {"cleanup.policy": "delete", "retention.ms": str(7 * DAY_MS)}
"""How a topic is kept that holds no rows, only events."""

CAPTURED_ROWS = {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": str(7 * DAY_MS),
    "delete.retention.ms": str(7 * DAY_MS),
    "max.message.bytes": str(LARGEST_CAPTURED),
}
"""How captured rows are kept: a consumer that lags must still see a reference change and a delete, so compaction waits."""

KEPT_FOR_EVER = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""How the connector's history of schemas is kept: lost or shortened, the connector cannot start."""


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be."""

    name: str
    partitions: int
    replication: int
    purpose: str
    config: dict[str, str] = field(default_factory=dict)


def accepted(settings: Settings, config: ReadOnly[str, str]) -> dict[str, str]:
    """``config`` as the site's brokers accept it: managed services refuse some topic settings, and cap others."""
    kept = dict(config)
    if "max.message.bytes" in kept:
        largest = settings.topic_max_bytes
        own = int(kept["max.message.bytes"])
        # A topic of whole captured records takes what the connector may write, also where a site allows more.
        kept["max.message.bytes"] = str(largest if own == LARGEST_CAPTURED else min(own, largest))
    if settings.topic_min_insync:
        kept["min.insync.replicas"] = str(settings.topic_min_insync)
    replaced = {key: settings.topic_config.get(key, value) for key, value in kept.items()}
    return {key: value for key, value in replaced.items() if value}


def change_topic(settings: Settings) -> dict[str, str]:
    """How a topic is kept that holds no rows, only events."""
    return accepted(settings, CHANGE_TOPIC)


def agents_app(settings: Settings) -> str:
    """The Faust application id of the agents; also their consumer group."""
    return f"{settings.app_id}-agents-{_version(settings)}"


def dispatch_app(settings: Settings) -> str:
    """The Faust application id of dispatch; also its consumer group."""
    return f"{settings.app_id}-dispatch-v{settings.app_version}"


def ingest_group(settings: Settings) -> str:
    """The consumer group of ingest."""
    return f"{settings.app_id}-ingest-{_version(settings)}"


def replay_group(settings: Settings) -> str:
    """The consumer group of ingest's replays."""
    return f"{settings.app_id}-replay-{_version(settings)}"


def _version(settings: Settings) -> str:
    """Of what each generation of the joins has for itself; the outbox outlives them all."""
    return f"v{settings.app_version}" + (f"-g{settings.generation}" if settings.generation else "")


def tables(settings: Settings) -> dict[str, str]:
    """Changelog topic of every table, by table name (``<app id>-<table>-changelog``)."""
    agents, dispatch = agents_app(settings), dispatch_app(settings)
    owner = {"orders": agents, "buyers": agents, "contacts": agents, "products": agents, "outbox": dispatch}
    return {table: f"{app}-{table}-changelog" for table, app in owner.items()}


def captured(mapping: Mapping) -> list[str]:
    """The captured topics that ingest reads."""
    return [mapping.topic(table) for table in mapping.tables]


def capture_specs(settings: Settings, mapping: Mapping, kind: SourceKind = "sqlserver") -> Iterator[TopicSpec]:
    """The topics of capture, those that ingest reads first. The connector's ``topic.creation`` is made from them too."""
    names = CaptureNames.of(mapping, kind)
    for topic in captured(mapping):
        yield TopicSpec(
            topic,
            settings.partitions,
            settings.replication,
            "captured rows, keyed by primary key",
            accepted(settings, CAPTURED_ROWS),
        )
    passing = {
        names.heartbeat_rows: "the database's heartbeat, through its change log",
        names.heartbeats: "the connector's heartbeat",
        names.schema_changes: "changed tables",
        names.notifications: "the connector's notifications",
        names.signals: "signals to the connector",
    }
    for topic, purpose in passing.items():
        yield TopicSpec(topic, 1, settings.replication, purpose, change_topic(settings))
    yield TopicSpec(names.history, 1, settings.replication, "the connector's schema history", accepted(settings, KEPT_FOR_EVER))
