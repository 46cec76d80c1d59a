"""The table of the protocol agrees with the types, with the topics that are created, and with the decoders."""

from dataclasses import fields
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

from streams.core.errors import RecordError
from streams.kafka.topics import capture_specs, tables
from streams.mapping import load_mapping
from streams.messages.capture_protocol import CAPTURE_TOPICS
from streams.messages.changes import ChangeKind, Message
from streams.messages.kinds import CHANGES
from streams.messages.loops import LOOPS
from streams.messages.protocol import CHANGELOG_TOPICS, OWN_TOPICS, contract_of, specs
from streams.messages.topics import ChangeTopic, Topics
from streams.settings import Settings
from tests.wire import unpack

SETTINGS, MAPPING = Settings(), load_mapping()
TOPICS = Topics.of(SETTINGS.app_id)
BETWEEN = {contract.name: contract for contract in OWN_TOPICS if contract.kinds}


def test_every_topic_of_ours_has_a_contract() -> None:
    assert {contract.name for contract in OWN_TOPICS} == {field.name for field in fields(Topics)}
    assert {getattr(TOPICS, name) for name in BETWEEN} == {*TOPICS.between_stages}


@pytest.mark.parametrize("name", BETWEEN)
def test_the_table_the_type_and_the_decoder_of_a_topic_name_the_same_kinds(name: str) -> None:
    topic: ChangeTopic[Any] = getattr(TOPICS, name)
    (union,) = get_args(get_type_hints(Topics)[name])
    typed = {change.kind for change in get_args(union)}
    assert typed == topic.kinds == contract_of(name).kinds.keys()


def test_no_two_messages_have_one_tag() -> None:
    tags = [tag for one in Message.__subclasses__() if (tag := one.__struct_config__.tag) is not None]
    assert len(set(tags)) == len(tags)


def test_every_kind_is_carried_by_a_topic() -> None:
    carried: set[ChangeKind] = set().union(*(contract.kinds for contract in BETWEEN.values()))
    assert carried == {*ChangeKind} == CHANGES.keys()


def test_topics_are_created_as_the_table_says() -> None:
    found = {spec.name: (spec.config, spec.purpose) for spec in specs(SETTINGS, MAPPING)}
    capture = {spec.name for spec in capture_specs(SETTINGS, MAPPING)}
    own = {getattr(TOPICS, contract.name): (contract.config, contract.purpose) for contract in OWN_TOPICS}
    logs = {tables(SETTINGS)[contract.producers[0]]: (contract.config, contract.purpose) for contract in CHANGELOG_TOPICS}
    assert {name: said for name, said in found.items() if name not in capture} == own | logs


def test_the_topics_of_capture_are_created_as_the_table_says() -> None:
    found = {(spec.purpose, *sorted(spec.config.items())) for spec in capture_specs(SETTINGS, MAPPING)}
    assert found == {(contract.purpose, *sorted(contract.config.items())) for contract in CAPTURE_TOPICS}


@pytest.mark.parametrize("name", BETWEEN)
def test_a_topic_reads_its_own_kinds_and_refuses_every_other_by_name(name: str) -> None:
    topic: ChangeTopic[Any] = getattr(TOPICS, name)
    for kind, change in CHANGES.items():
        value = msgspec.msgpack.encode([change("7", 7, b"\1", 1, 0, None)])
        if kind not in topic.kinds:
            with pytest.raises(RecordError, match=rf"^foreign_kind: [a-z-]+ carries no {kind.name}$"):
                topic.unpack(value)
        elif _optional(change):
            assert topic.unpack(value) == unpack(value)
        else:
            with pytest.raises(msgspec.ValidationError):
                topic.unpack(value)


def _optional(change: type) -> bool:
    row = get_type_hints(change)["row"]
    return row is type(None) or type(None) in get_args(row)


def test_a_kind_that_only_another_release_knows_is_refused_by_number() -> None:
    value = msgspec.msgpack.encode([[99, "7", 7, b"", 1, 0, None, []]])
    with pytest.raises(RecordError, match=r"^foreign_kind: order-changes carries no kind 99$"):
        TOPICS.orders.unpack(value)


def test_a_row_of_another_kind_is_refused() -> None:
    value = msgspec.msgpack.encode([[ChangeKind.HEADER.value, "7", 7, b"", 1, 0, [1, "ACC", False, []], []]])
    with pytest.raises(msgspec.ValidationError):
        TOPICS.orders.unpack(value)


def test_the_loops_go_over_what_the_table_carries() -> None:
    for loop in LOOPS:
        for step in loop.steps:
            assert step.part in contract_of(step.topic).kinds[step.kind], f"{loop.name}: {step}"
