"""Metrics are defined once, named as Prometheus wants it, and explained on a page."""

from pathlib import Path

import pytest
from prometheus_client import generate_latest

from streams.observability.definitions import LABELS
from streams.observability.metrics import GROUPS, Metrics, definitions
from streams.observability.metrics_page import metrics_page

ALL = [definition for group in GROUPS for _, definition in definitions(group)]
PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == metrics_page(), "run make docs"


def test_a_process_has_every_metric_that_is_defined_and_no_other() -> None:
    metrics = Metrics()
    exist = {family.name for family in metrics.registry.collect() if family.name.startswith("owdd_")}
    assert exist == {definition.name.removesuffix("_total") for definition in ALL} | {"owdd_build"}


def test_two_processes_do_not_share_their_numbers() -> None:
    one, other = Metrics(), Metrics()
    one.in_flight.inc()
    assert b"owdd_in_flight 1.0" in generate_latest(one.registry)
    assert b"owdd_in_flight 0.0" in generate_latest(other.registry)


@pytest.mark.parametrize("metric", ALL, ids=lambda metric: metric.name)
def test_a_name_shows_unit_and_type_and_the_rest_is_explained(metric: object) -> None:
    definition = next(item for item in ALL if item is metric)
    assert definition.name.startswith("owdd_")
    assert definition.name.endswith("_total") == (definition.type == "counter")
    if definition.unit in ("seconds", "bytes"):
        assert f"_{definition.unit}" in definition.name
    assert definition.meaning.endswith(".")
    assert not definition.action or definition.action.endswith(".")


def test_every_label_is_explained_and_used() -> None:
    assert {label for definition in ALL for label in definition.labels} == set(LABELS)


def test_names_are_distinct() -> None:
    assert len({definition.name for definition in ALL}) == len(ALL)
