"""A simulated shop's products through capture, routing and the stage, compared with what the oracle makes of its rows."""

from random import Random

import pytest

from streams.capture.envelope import RowEvent, decode
from streams.ingest.router import Router
from streams.mapping import load_mapping
from streams.mapping.delivery import Catalogue
from streams.messages.changes import Change
from testkit.oracle.frozen import thawed
from testkit.oracle.items import catalogue_records, items, priced_on_application
from testkit.simulate import Simulation, SimulationConfig
from tests.agents.test_products import TOPICS, Stage, worked

DELIVERY = load_mapping().delivery.model_copy(
    update={"catalogue": Catalogue(url="https://shop.example/{code}/{sku}", image="https://shop.example/{id}.jpg")}
)
MAPPING = load_mapping().model_copy(update={"delivery": DELIVERY, "house_accounts": frozenset({1})})


@pytest.mark.parametrize("seed", range(4))
def test_the_stage_and_the_oracle_agree_on_a_simulated_shop(seed: int) -> None:
    config = SimulationConfig(mapping=MAPPING, seed=seed, customers=40, orders=250, duplicates=0.1, replays=2, shuffle=True)
    simulation, router = Simulation(config), Router(MAPPING, TOPICS)
    steps: list[list[Change]] = []
    for happening in simulation.events():
        event = decode(happening.key, happening.value)
        if isinstance(event, RowEvent):
            published = [change for topic, change in router.route(event, 0) if topic == TOPICS.products]
            steps += [published] if published else []
    stage = worked(Stage(MAPPING), steps, Random(seed), crashes=50)
    truth = simulation.truth()
    tables = thawed(truth.tables, truth.history, MAPPING)
    records = catalogue_records(tables, MAPPING)
    assert len(records) > 15
    assert stage.content() == records
    assert stage.handler.held.counts()["price_on_application"] == priced_on_application(tables, MAPPING)
    sold = {key: item and (item.product, item.sku, item.name) for key, item in stage.sold().items()}
    assert sold == {item.id: (item.product, item.sku, item.name) for item in items(tables, MAPPING).values()}
