"""What people look for rows of state by, from the rows as the stages write them."""

import pytest

from streams.operations.lookups import lookup_of, number_term
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


def test_nobody_looks_for_products() -> None:
    assert lookup_of("products", b"key") is None
