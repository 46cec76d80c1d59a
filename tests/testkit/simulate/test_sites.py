"""A shop is the one that was asked for: its mapping, its sizes, its end."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import orjson
import pytest

from streams.core.errors import ConfigurationError
from streams.mapping import load_mapping
from streams.mapping.model import Currency
from testkit.simulate import Simulation, SimulationConfig
from testkit.simulate.calendar import USUAL_END
from tests.testkit.simulate.simulated_shops import Run, config, held_tables, replay, rows_only, site


def test_a_site_without_products_and_returns_has_none_of_their_tables() -> None:
    mapping = site(products=None, returns=None)
    simulation = Simulation(config(mapping=mapping))
    assert replay(simulation.events()) == held_tables(simulation)
    assert set(simulation.truth().tables) == set(mapping.tables)
    assert {"stock_allocated", "goods_received", "return_opened"}.isdisjoint(simulation.phenomena)


def test_a_site_sees_its_own_names_for_tables_and_columns() -> None:
    usual = site()
    mapping = usual.model_copy(
        update={
            "contact": usual.contact.model_copy(update={"table": "person", "key": "p_id", "email": "p_mail"}),
            "customer": usual.customer.model_copy(update={"emails": ("cd_mail",)}),
            "consent": usual.consent.model_copy(update={"mode": "column", "column": "p_optin"}),
        }
    )
    simulation = Simulation(config(mapping=mapping, consent=True))
    assert replay(simulation.events()) == held_tables(simulation)
    person = next(iter(simulation.truth().tables["person"].values()))
    assert {"p_id", "p_mail", "p_optin", "cc_name"} <= person.keys()
    assert not {"cc_id", "cc_email", "cc_marketing_opt_in"} & person.keys()
    customer = next(iter(simulation.truth().tables["customer_detail"].values()))
    assert {"cd_mail", "cd_invoice_email"} <= customer.keys()
    assert simulation.truth().opted_in_ever


def test_orders_come_in_all_currencies_of_the_mapping() -> None:
    currencies = {number: Currency(code="EUR", rate=Decimal(f"0.{number}")) for number in (1, 2, 3)}
    order = site().order.model_copy(update={"currencies": currencies})
    simulation = Simulation(config(mapping=site(order=order)))
    assert sum(1 for _ in simulation.events())
    used = {row["ohd_c_id"] for row in simulation.truth().tables["order_header_detail"].values()}
    assert used >= {1, 2, 3, 0, None, 100}


def test_the_sizes_are_what_was_asked_for(default_run: Run) -> None:
    simulation, events = default_run
    created = {
        orjson.loads(event.key)["oh_id"]: orjson.loads(event.value)["after"]
        for event in events
        if event.topic.endswith("order_header") and event.value and b'"after":{' in event.value
    }
    orders = [row for row in created.values() if not row["oh_order_number"].startswith("CN")]
    assert 1_450 <= len(orders) <= 1_550
    assert 280 <= simulation.rows["customer_detail"] <= 310


@pytest.mark.parametrize("ending", [USUAL_END, datetime(2031, 7, 1, 12, 30, tzinfo=UTC)])
def test_the_shop_trades_until_the_end_and_not_beyond(ending: datetime) -> None:
    simulation = Simulation(config(ending=ending))
    events = rows_only(simulation.events())
    latest = max(orjson.loads(event.value)["source"]["ts_ms"] for event in events if event.value)
    assert ending.timestamp() - 86_400 < latest / 1000 <= ending.timestamp()
    times = [str(row["dh_datetime"]) for row in simulation.truth().tables["delivery_header"].values() if row["dh_datetime"]]
    # A delivery is written up to an hour ahead, and within a second of the database clock's thirds of a hundredth.
    assert (ending - timedelta(days=2)).isoformat() < max(times) <= (ending + timedelta(hours=1, seconds=1)).isoformat()


def test_guest_orders_need_a_house_account_in_the_mapping() -> None:
    with pytest.raises(ConfigurationError, match="house_accounts"):
        SimulationConfig(mapping=load_mapping())
    assert SimulationConfig(mapping=load_mapping(), house_share=0)


@pytest.mark.parametrize(
    "wrong", [{"house_share": 1.5}, {"duplicates": -0.1}, {"customers": 0}, {"live": -1}, {"ending": datetime(2026, 1, 1)}]
)
def test_impossible_numbers_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        config(**wrong)
