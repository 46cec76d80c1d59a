"""A shop is rich in trouble: whatever a rule must survive happens in it."""

from collections import defaultdict
from datetime import timedelta
from typing import Any, get_args

import pytest

from streams.mapping.delivery import Catalogue, RecordStatus, RefundEvent
from testkit.oracle import Tables, expectation, expected_contacts, expected_held
from testkit.simulate import Simulation, SimulationConfig
from testkit.simulate.calendar import USUAL_END
from tests.testkit.simulate.simulated_shops import Run, site

HELD = {
    "order_without_header", "unknown_type", "status_not_loaded", "unknown_status", "order_without_total",
    "unknown_currency", "credit_without_order", "order_without_customer", "order_without_email",
    "unreadable_address",
}  # fmt: skip
NOT_ALWAYS = {"consent_changed"}


def test_a_default_run_contains_every_phenomenon(default_run: Run) -> None:
    simulation, _ = default_run
    happened = {name for name, number in simulation.phenomena.items() if number}
    declared = {action.name for action in simulation.actions}
    assert declared <= happened
    assert happened >= {
        "customer_reinserted", "email_display_name", "email_invisible_characters", "email_label", "email_mailto", "email_not_an_address", "email_of_account_and_guest",
        "email_of_several_customers", "email_only_on_account", "email_padded", "email_phone_number",
        "email_trailing_text", "email_two_addresses", "email_unreadable", "email_upper_case", "email_wrapped", "guest_order",
        "goods_row_reinserted", "line_of_unknown_variant", "line_without_variant", "money_with_four_places",
        "order_never_complete", "price_null", "price_per_many", "sku_with_blanks", "sku_with_signs", "stock_allocated",
        "stock_negative", "stock_null", "stock_sent", "time_at_clock_change", "variant_late", "variant_of_unknown_product",
        "variant_sold_false", "variant_sold_none", "variant_without_product", "variant_without_sku",
    }  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_any_seed_contains_every_phenomenon(seed: int) -> None:
    simulation = Simulation(SimulationConfig(mapping=site(), seed=seed))
    assert sum(1 for _ in simulation.events()) > 10_000
    assert {action.name for action in simulation.actions} - NOT_ALWAYS <= set(simulation.phenomena)
    assert set(expected_held(simulation.truth().tables, site())) == HELD


def test_the_default_shop_is_a_hard_case_for_every_rule(default_run: Run) -> None:
    tables: Tables = default_run.simulation.truth().tables
    consent = site(consent=site().consent.model_copy(update={"mode": "column", "column": "cc_marketing_opt_in"}))
    contacts = expected_contacts(tables, consent)
    assert len(contacts) > 500
    assert {contact.consent for contact in contacts.values()} == {"in", "out", None}
    # No column of the default mapping names the carrier.
    assert consent.order.despatch.carrier is None
    for field in set(consent.contact_fields.model_dump().values()) - {consent.contact_fields.last_carrier}:
        values = [contact.fields[field] for contact in contacts.values()]
        assert len(set(values)) > 1, field
    guests = [order for order in tables["order_header"].values() if order["oh_cd_id"] == 1]
    assert 0.2 < len(guests) / len(tables["order_header"]) < 0.4


def test_the_default_shop_is_a_hard_case_for_every_rule_of_delivery() -> None:
    follow_up = RefundEvent(kind="event", since=USUAL_END - timedelta(days=10))
    delivery = site().delivery.model_copy(update={"follow_up": follow_up, "catalogue": Catalogue(url="https://x/{code}/{sku}")})
    mapping = site(delivery=delivery)
    simulation = Simulation(SimulationConfig(mapping=mapping))
    assert sum(1 for _ in simulation.events())
    expected = expectation(simulation.truth().tables, mapping, at=USUAL_END)

    records = [record.content for several in expected.orders.values() for record in several]
    assert {record["order_status"] for record in records} == set(get_args(RecordStatus))
    for name in ("products", "despatch_date", "return_number"):
        assert 0 < sum(name in record for record in records) < len(records), name
    bought = [product for record in records for product in record.get("products", [])]
    for name in ("parent_id", "sku", "name", "price", "qty"):
        assert 0 < sum(name in product for product in bought) < len(bought), name
    for name in ("parent_id", "product_code", "product_name", "categories", "url"):
        assert 0 < sum(name in record for record in expected.catalogue.values()) < len(expected.catalogue), name
    assert {record["stock"] == 0 for record in expected.catalogue.values()} == {True, False}
    assert set(expected.recent_buyers.values()) >= {"in", "out"}
    assert expected.follow_ups


def test_credit_notes_give_back_of_one_order_of_two_and_of_none(default_run: Run) -> None:
    tables = default_run.simulation.truth().tables
    lines = tables["order_line_item"].values()
    owners = {row["oli_id"]: row["oli_oh_id"] for row in lines}
    notes = {row["oh_id"] for row in tables["order_header"].values() if str(row["oh_order_number"]).startswith("CN")}
    given_back: dict[Any, set[Any]] = defaultdict(set)
    for row in lines:
        if row["oli_oh_id"] in notes:
            given_back[row["oli_oh_id"]].add(owners.get(row["oli_original_oli_id"]))
    assert {len(owners - {None}) for owners in given_back.values()} >= {0, 1, 2}
