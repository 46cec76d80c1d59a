"""Keys of a connector's configuration that have no effect.

Kafka Connect accepts any key, so a typing error leaves a default in force. The known keys are those that the plugin itself
publishes (``keys/*.json``, written by ``make connector-keys``), those that its source code reads without publishing them, and
the name spaces that are passed to the JDBC driver, to Kafka's clients, and the like.
"""

from dataclasses import dataclass
from difflib import get_close_matches
from functools import cache
from pathlib import Path

import msgspec

from streams.connect.render import Config

KEYS = Path(__file__).with_name("keys")
"""One file for each connector class: what it publishes."""

_UNPUBLISHED = frozenset(
    {
        "database.sqlserver.agent.status.query",
        "event.converting.failure.handling.mode",
        "query.fetch.size",
        "schema.history.internal.kafka.bootstrap.servers",
        "schema.history.internal.kafka.buffer.batch.size",
        "schema.history.internal.kafka.create.timeout.ms",
        "schema.history.internal.kafka.query.timeout.ms",
        "schema.history.internal.kafka.recovery.attempts",
        "schema.history.internal.kafka.recovery.poll.interval.ms",
        "schema.history.internal.kafka.topic",
        "schema.include.list",
        "signal.file",
        "signal.kafka.bootstrap.servers",
        "signal.kafka.groupId",
        "signal.kafka.poll.timeout.ms",
        "signal.kafka.topic",
        "skip.messages.without.change",
        "snapshot.locking.mode",
        "snapshot.query.mode",
        "topic.cache.size",
        "topic.delimiter",
        "topic.heartbeat.name",
        "topic.heartbeat.prefix",
        "topic.transaction",
        "unavailable.value.placeholder",
    }
)
"""Read by Debezium 3.6, but missing from what it publishes: its pages name them, or the constants in its jars."""

_PASSED_THROUGH = (
    "admin.override.",
    "column.mask.hash.",
    "column.mask.with.",
    "column.truncate.to.",
    "consumer.override.",
    "driver.",
    "header.converter.",
    "predicates.",
    "producer.override.",
    "schema.history.internal.consumer.",
    "schema.history.internal.producer.",
    "signal.consumer.",
    "snapshot.select.statement.overrides.",
    "transforms.",
)

_JSON_CONVERTER = "org.apache.kafka.connect.json.JsonConverter"
_JSON_CONVERTER_KEYS = ("decimal.format", "replace.null.with.default", "schemas.cache.size", "schemas.enable")


class PublishedKeys(msgspec.Struct, frozen=True, kw_only=True):
    """The keys that one release of a connector publishes, in one release of Kafka Connect."""

    connector: str
    version: str
    keys: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """A key that has no effect, with similar known keys, the most similar first."""

    key: str
    meant: tuple[str, ...] = ()

    def __str__(self) -> str:
        """One line for the operator."""
        hint = f"; did you mean {' or '.join(self.meant)}?" if self.meant else ""
        return f"{self.key}: no such key{hint}"


def lint(config: Config) -> list[Finding]:
    """The keys of ``config`` that have no effect; empty for connectors other than ours."""
    published = published_keys().get(config.get("connector.class", ""))
    if published is None:
        return []
    known = {*published.keys, *_UNPUBLISHED, *_converter_keys(config)}
    groups = tuple(f"topic.creation.{group.strip()}." for group in _groups(config))
    processors = tuple(f"{name.strip()}." for name in config.get("post.processors", "").split(",") if name.strip())
    unknown = [key for key in config if key not in known and not key.startswith((*_PASSED_THROUGH, *groups, *processors))]
    return [Finding(key, tuple(get_close_matches(key, known))) for key in unknown]


@cache
def published_keys() -> dict[str, PublishedKeys]:
    """The published keys, by connector class."""
    found = [msgspec.json.decode(file.read_bytes(), type=PublishedKeys) for file in KEYS.glob("*.json")]
    return {published.connector: published for published in found}


def _groups(config: Config) -> list[str]:
    return ["default", *filter(None, config.get("topic.creation.groups", "").split(","))]


def _converter_keys(config: Config) -> list[str]:
    """The keys of JSON converters; all keys of other converters count as known."""
    keys = []
    for converter in ("key.converter", "value.converter"):
        if config.get(converter, _JSON_CONVERTER) == _JSON_CONVERTER:
            keys += [f"{converter}.{key}" for key in _JSON_CONVERTER_KEYS]
        else:
            keys += [key for key in config if key.startswith(f"{converter}.")]
    return keys
