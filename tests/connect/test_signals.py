"""Signals: what is written is what the running connector listens to."""

import re

import orjson
import pytest

from streams.capture.notifications import SOME_ROWS
from streams.connect.render import connector
from streams.connect.signals import snapshot_signal
from streams.core.errors import ConfigurationError
from streams.mapping import load_mapping
from streams.settings import Settings

MAPPING = load_mapping()
SETTINGS = Settings()


def test_the_signal_is_addressed_as_the_rendered_connector_listens() -> None:
    running = connector(MAPPING, "sqlserver", SETTINGS)
    signal = snapshot_signal(running, MAPPING, ["order_header"], "id-1")
    assert (signal.topic, signal.key) == (running["signal.kafka.topic"], running["topic.prefix"])
    assert orjson.loads(signal.value) == {
        "id": "id-1",
        "type": "execute-snapshot",
        "data": {"data-collections": [r"Orderwise\.dbo\.order_header"], "type": "INCREMENTAL"},
    }


def test_a_condition_is_for_the_rows_of_one_table() -> None:
    running = connector(MAPPING, "sqlserver", SETTINGS)
    value = orjson.loads(snapshot_signal(running, MAPPING, ["order_header"], "x", "oh_id > 5").value)
    data = value["data"]
    assert value["id"] == f"{SOME_ROWS}x", "its end must not be taken for that of the whole table"
    assert data["additional-conditions"] == [{"data-collection": data["data-collections"][0], "filter": "oh_id > 5"}]
    with pytest.raises(ConfigurationError, match="one table"):
        snapshot_signal(running, MAPPING, ["order_header", "order_status"], "x", "oh_id > 5")


def test_postgres_collections_have_no_database() -> None:
    running = connector(MAPPING, "postgres", SETTINGS)
    value = orjson.loads(snapshot_signal(running, MAPPING, ["order_header"], "id-1").value)
    assert value["data"]["data-collections"] == [r"dbo\.order_header"]


def test_tables_are_found_in_any_case_and_spelt_as_mapped() -> None:
    running = connector(MAPPING, "sqlserver", SETTINGS)
    value = orjson.loads(snapshot_signal(running, MAPPING, ["ORDER_HEADER", "Customer_Detail"], "x").value)
    assert value["data"]["data-collections"] == [r"Orderwise\.dbo\.order_header", r"Orderwise\.dbo\.customer_detail"]


def test_a_name_with_signs_of_a_pattern_stays_a_name() -> None:
    source = MAPPING.source.model_copy(update={"database": "Order$wise"})
    mapping = MAPPING.model_copy(update={"source": source})
    running = connector(mapping, "sqlserver", SETTINGS)
    value = orjson.loads(snapshot_signal(running, mapping, ["order_header"], "x").value)
    assert re.fullmatch(value["data"]["data-collections"][0], "Order$wise.dbo.order_header")


def test_without_a_topic_of_its_own_debezium_s_default_is_used() -> None:
    running = connector(MAPPING, "sqlserver", SETTINGS)
    del running["signal.kafka.topic"]
    assert snapshot_signal(running, MAPPING, ["order_header"], "x").topic == f"{running['topic.prefix']}-signal"


@pytest.mark.parametrize(
    ("lost", "hint"), [("signal.enabled.channels", "no signals from Kafka"), ("signal.data.collection", "no signal table")]
)
def test_a_connector_that_does_not_listen_is_not_asked(lost: str, hint: str) -> None:
    running = connector(MAPPING, "sqlserver", SETTINGS)
    del running[lost]
    with pytest.raises(ConfigurationError, match=hint):
        snapshot_signal(running, MAPPING, ["order_header"], "x")


def test_a_table_that_is_not_mapped_is_refused_with_those_that_are() -> None:
    with pytest.raises(ConfigurationError, match=r"not in the mapping: users; mapped tables are .*order_header"):
        snapshot_signal(connector(MAPPING, "sqlserver", SETTINGS), MAPPING, ["users"], "x")
