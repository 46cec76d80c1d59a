"""What people look for rows of state by, from the rows as the stages write them."""

from types import SimpleNamespace
from typing import cast

import pytest

from streams.engine.table import StateTable
from streams.operations.lookups import lookup_of, number_term
from streams.operations.state_queries import AddressQuery, AddressReply
from streams.operations.state_replies import StateReplies
from tests.agents import pipeline
from tests.agents.pipeline import ANN, Pipeline


@pytest.fixture(scope="module")
def shop() -> Pipeline:
    found = Pipeline()
    found.pump(pipeline.LOOKUP, pipeline.customer(1, ANN), pipeline.ORDER)
    return found


@pytest.mark.parametrize(
    ("table", "index", "term"),
    [("orders", 0, number_term("SO10")), ("buyers", 1, number_term("ACC1")), ("contacts", 2, ANN)],
)
def test_each_table_is_found_by_its_own(shop: Pipeline, table: str, index: int, term: str) -> None:
    lookup = lookup_of(table, b"key")
    assert lookup is not None
    rows = list(shop.state.values())[index].rows
    assert {lookup.term(key, value) for key, value in rows.items() if key.startswith(lookup.prefix)} == {term}


@pytest.mark.parametrize("table", ["orders", "buyers"])
def test_a_row_that_cannot_be_read_keeps_no_partition_closed(table: str) -> None:
    lookup = lookup_of(table, b"key")
    assert lookup is not None
    assert lookup.term(b"o1", b"\xc1") is None


def test_what_is_no_hash_is_nobodys() -> None:
    outbox = cast(StateTable, SimpleNamespace(owned=lambda: {0}, find=pytest.fail))
    assert StateReplies(1, tables={"outbox": outbox}).reply(AddressQuery("ann@example.com")) == AddressReply(None)


def test_nobody_looks_for_products() -> None:
    assert lookup_of("products", b"key") is None
