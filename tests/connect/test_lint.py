"""A key that nobody reads is told, with the key that was meant; what is handed on to others passes."""

from typing import get_args

import pytest

from streams.connect.lint import Finding, lint, published_keys
from streams.connect.render import CLASSES, Config, connector
from streams.settings import SourceKind
from testkit.connector_keys import ask, published
from tests.connect.conftest import Site
from tests.connect.connect_harness import MAPPING, settings

KINDS: tuple[SourceKind, ...] = get_args(SourceKind)
BY_KIND = pytest.mark.parametrize("kind", KINDS)
HANDED_ON = ("driver.", "producer.override.", "topic.creation.default.", "topic.creation.rows.")


def rendered(kind: SourceKind = "sqlserver") -> Config:
    """The configuration of the default mapping."""
    return connector(MAPPING, kind, settings(source_truststore="/etc/pki/ca.p12"))


@BY_KIND
def test_nothing_is_wrong_with_what_we_render(kind: SourceKind) -> None:
    assert lint(rendered(kind)) == []


@BY_KIND
def test_a_letter_that_is_missing_from_any_key_is_found(kind: SourceKind) -> None:
    config = rendered(kind)
    for key, value in config.items():
        if key != "connector.class" and not key.startswith(HANDED_ON):
            wrong = key[:-2] + key[-1]
            findings = lint({name: text for name, text in config.items() if name != key} | {wrong: value})
            assert key in {finding.key: finding.meant for finding in findings}[wrong]


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("snapshot.mod", "snapshot.mode"),
        ("value.converter.schema.enable", "value.converter.schemas.enable"),
        ("heartbeat.interval", "heartbeat.interval.ms"),
        ("signal.kafka.group.id", "signal.kafka.groupId"),
        ("database.dbname", "database.names"),
    ],
)
def test_the_key_that_was_meant_comes_first(key: str, meant: str) -> None:
    (finding,) = lint(rendered() | {key: "x"})
    assert (finding.key, finding.meant[0]) == (key, meant)


@pytest.mark.parametrize("key", ["table.whitelist", "database.server.name", "database.history.kafka.topic"])
def test_names_of_old_releases_are_found(key: str) -> None:
    (finding,) = lint(rendered() | {key: "x"})
    assert finding.key == key


@pytest.mark.parametrize(
    "key",
    [
        "driver.loginTimeout",
        "producer.override.linger.ms",
        "schema.history.internal.producer.security.protocol",
        "signal.consumer.sasl.mechanism",
        "transforms.route.regex",
        "column.mask.with.0.chars",
        "topic.creation.default.min.insync.replicas",
        "topic.creation.rows.min.insync.replicas",
        "snapshot.locking.mode",
        "unavailable.value.placeholder",
        "topic.heartbeat.prefix",
    ],
)
def test_what_is_handed_on_or_read_without_being_published_passes(key: str) -> None:
    assert lint(rendered() | {key: "x"}) == []


def test_a_topic_group_that_is_not_in_the_list_of_groups_is_found() -> None:
    (finding,) = lint(rendered() | {"topic.creation.row.partitions": "8"})
    assert finding.key == "topic.creation.row.partitions"


def test_another_converters_keys_are_its_own() -> None:
    avro = {"value.converter": "io.confluent.connect.avro.AvroConverter", "value.converter.schema.registry.url": "http://x"}
    assert "value.converter.schema.registry.url" not in {finding.key for finding in lint(rendered() | avro)}
    (finding,) = lint(rendered() | {"value.converter.schema.registry.url": "http://x"})
    assert finding.key == "value.converter.schema.registry.url"


def test_nothing_is_said_of_other_connectors() -> None:
    assert lint({"connector.class": "org.apache.kafka.connect.file.FileStreamSourceConnector", "fil": "x"}) == []


def test_a_finding_is_one_line_for_people() -> None:
    assert str(Finding("snapshot.mod", ("snapshot.mode",))) == "snapshot.mod: no such key; did you mean snapshot.mode?"
    assert str(Finding("x")) == "x: no such key"


@BY_KIND
def test_the_lists_have_the_connectors_own_keys_and_those_of_connect(kind: SourceKind) -> None:
    own = {"sqlserver": "data.query.mode", "postgres": "plugin.name"}[kind]
    assert {own, "snapshot.mode", "errors.tolerance"} <= set(published_keys()[CLASSES[kind]].keys)


def test_the_committed_lists_are_those_of_the_real_plugins(site: Site) -> None:
    asked = ask(site.environment["OWDD_CONNECT_URL"])
    assert {CLASSES[kind]: found for kind, found in asked.items()} == published_keys(), "stale: run 'make connector-keys'"


def test_the_list_is_what_connect_answers() -> None:
    plugins = [
        {"class": CLASSES["postgres"], "type": "source", "version": "3.6.1.Final"},
        {"class": CLASSES["sqlserver"], "type": "source", "version": "3.6.2.Final"},
    ]
    validation = {"configs": [{"definition": {"name": name}, "value": {}} for name in ("tasks.max", "snapshot.mode")]}
    found = published("sqlserver", plugins, validation)
    assert (found.version, found.keys) == ("3.6.2.Final", ("snapshot.mode", "tasks.max"))
