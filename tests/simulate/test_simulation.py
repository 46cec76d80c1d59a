"""The simulated shop: the same for the same seed, lawful towards Kafka, rich in trouble, and honest about its rows."""

import random
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from functools import cache
from itertools import count, pairwise
from typing import Any, get_args

import orjson
import pytest

from streams.errors import ConfigurationError
from streams.mapping import Mapping, load_mapping
from streams.mapping.delivery import Catalogue, RecordStatus, RefundEvent
from streams.mapping.model import Currency, Erasure
from streams.mapping.tables import Return
from streams.oracle import Tables, expectation, expected_contacts, expected_held
from streams.oracle.rows import addresses
from streams.simulate import Event, Simulation, SimulationConfig
from streams.simulate.calendar import USUAL_END

PREFIX = "ow.Orderwise.dbo."
HELD = {
    "order_without_header", "unknown_type", "status_not_loaded", "unknown_status", "order_without_total",
    "unknown_currency", "credit_without_order", "order_without_customer", "order_without_email",
}  # fmt: skip
NOT_ALWAYS = {"consent_changed"}
RETURNS = Return(table="customer_return_header", key="crh_id", order="crh_oh_id", number="crh_return_number", at="crh_datetime")


@cache
def default_mapping() -> Mapping:
    return load_mapping()


def site(**changes: Any) -> Mapping:
    """The default mapping with a house account and a table of returns."""
    return default_mapping().model_copy(update={"house_accounts": frozenset({1}), "returns": RETURNS, **changes})


def config(seed: int = 1, **changes: Any) -> SimulationConfig:
    values: dict[str, Any] = {"mapping": site(), "seed": seed, "customers": 60, "orders": 300}
    return SimulationConfig(**(values | changes))


def rows_only(events: Iterable[Event]) -> list[Event]:
    return [event for event in events if event.topic.startswith(PREFIX)]


def replay(events: Iterable[Event], *, guarded: bool = True) -> dict[str, dict[str, Any]]:
    """The tables of a consumer that takes every record in order, skipping lower positions if ``guarded``."""
    tables: dict[str, dict[str, Any]] = defaultdict(dict)
    positions: dict[tuple[str, bytes], str] = {}
    for event in rows_only(events):
        if event.value is None:
            continue
        envelope = orjson.loads(event.value)
        lane, position = (event.topic, event.key), envelope["source"]["commit_lsn"]
        if guarded and position < positions.get(lane, ""):
            continue
        positions[lane] = position
        table, key = tables[event.topic.removeprefix(PREFIX)], str(next(iter(orjson.loads(event.key).values())))
        if envelope["op"] == "d":
            table.pop(key, None)
        else:
            table[key] = envelope["after"]
    return {name: table for name, table in tables.items() if table}


def held_tables(simulation: Simulation) -> dict[str, dict[str, Any]]:
    return {name: table for name, table in simulation.truth().tables.items() if table}


def by_key(events: Iterable[Event]) -> dict[tuple[str, bytes], list[bytes | None]]:
    lanes: dict[tuple[str, bytes], list[bytes | None]] = defaultdict(list)
    for event in events:
        lanes[event.topic, event.key].append(event.value)
    return lanes


@pytest.fixture(scope="module")
def default_run() -> tuple[Simulation, list[Event]]:
    simulation = Simulation(SimulationConfig(mapping=site(), consent=True), count(1_790_000_000_000_000_000).__next__)
    return simulation, list(simulation.events())


def test_one_seed_gives_one_shop_byte_for_byte() -> None:
    faults = {"duplicates": 0.1, "replays": 3, "shuffle": True, "meta": True, "consent": True}
    first, second = (list(Simulation(config(7, **faults), lambda: 10**18).events()) for _ in range(2))
    assert first == second


def test_another_seed_gives_another_shop() -> None:
    first, second = (list(Simulation(config(seed), lambda: 10**18).events()) for seed in (1, 2))
    assert first != second


def test_faults_do_not_change_what_happens_in_the_shop() -> None:
    plain, faulty = Simulation(config()), Simulation(config(duplicates=0.3, replays=4, shuffle=True))
    for simulation in (plain, faulty):
        assert sum(1 for _ in simulation.events())
    assert plain.truth() == faulty.truth()


def test_only_the_time_of_sending_differs_between_copies_of_a_change() -> None:
    clock = count(10**18, 1_000_000)
    events = rows_only(Simulation(config(duplicates=0.2), clock.__next__).events())
    copies: dict[bytes, set[bytes]] = defaultdict(set)
    for event in events:
        if event.value is not None:
            head, _, tail = event.value.rpartition(b',"ts_ms":')
            copies[head].add(tail)
    assert any(len(tails) > 1 for tails in copies.values())
    assert all(set(orjson.loads(head + b"}")) >= {"before", "after", "source", "op"} for head in copies)


def test_the_snapshot_comes_first_marked_as_debezium_marks_it(default_run: tuple[Simulation, list[Event]]) -> None:
    envelopes = [orjson.loads(event.value) for event in rows_only(default_run[1]) if event.value]
    snapshot = [envelope for envelope in envelopes if envelope["op"] == "r"]
    assert envelopes[: len(snapshot)] == snapshot
    marks: dict[str, list[str]] = defaultdict(list)
    for envelope in snapshot:
        marks[envelope["source"]["table"]].append(envelope["source"]["snapshot"])
        assert envelope["before"] is None
        assert envelope["source"]["change_lsn"] is None
    assert len({envelope["source"]["commit_lsn"] for envelope in snapshot}) == 1
    assert next(iter(marks)) == "order_line_item"
    assert list(marks)[-1] == "order_status"
    assert marks["order_line_item"][0] == "first"
    assert marks["order_status"][-1] == "last"
    assert Counter(mark for table in marks.values() for mark in table) == {
        "first": 1,
        "first_in_data_collection": 14,
        "last_in_data_collection": 14,
        "last": 1,
        "true": len(snapshot) - 30,
    }


def test_the_log_only_goes_forward(default_run: tuple[Simulation, list[Event]]) -> None:
    lsns = [orjson.loads(event.value)["source"]["commit_lsn"] for event in rows_only(default_run[1]) if event.value]
    assert all(earlier <= later for earlier, later in pairwise(lsns))


def test_the_rows_of_one_save_share_a_commit_across_tables(default_run: tuple[Simulation, list[Event]]) -> None:
    tables: dict[str, set[str]] = defaultdict(set)
    for event in rows_only(default_run[1]):
        if event.value:
            source = orjson.loads(event.value)["source"]
            tables[source["commit_lsn"]].add(source["table"])
    together = {"order_header", "order_header_detail", "order_header_total", "order_line_item"}
    assert sum(found >= together for found in tables.values()) > 100


def test_change_lsn_sometimes_falls_inside_a_commit(default_run: tuple[Simulation, list[Event]]) -> None:
    sources = [orjson.loads(event.value)["source"] for event in rows_only(default_run[1]) if event.value]
    live = [source for source in sources if source["change_lsn"]]
    falls = [
        1
        for earlier, later in pairwise(live)
        if earlier["commit_lsn"] == later["commit_lsn"] and later["change_lsn"] < earlier["change_lsn"]
    ]
    assert len(falls) > 5


def test_every_delete_is_followed_by_its_tombstone(default_run: tuple[Simulation, list[Event]]) -> None:
    events = rows_only(default_run[1])
    deletes = 0
    for event, following in pairwise(events):
        if event.value and orjson.loads(event.value)["op"] == "d":
            deletes += 1
            assert (following.topic, following.key, following.value) == (event.topic, event.key, None)
    assert deletes == sum(event.value is None for event in events) > 30


def test_a_key_change_is_a_delete_and_an_insert_of_one_log_record(default_run: tuple[Simulation, list[Event]]) -> None:
    events = rows_only(default_run[1])
    places = Counter[tuple[str, str]]()
    for event in events:
        if event.value:
            source = orjson.loads(event.value)["source"]
            if source["change_lsn"] and "customer_contact" in event.topic:
                places[source["commit_lsn"], source["change_lsn"]] += 1
    assert sum(number == 2 for number in places.values()) == default_run[0].phenomena["contact_key_changed"]


def test_updates_of_orders_and_people_are_as_large_as_real_ones(default_run: tuple[Simulation, list[Event]]) -> None:
    updates = [event for event in default_run[1] if event.value and b'"op":"u"' in event.value]
    sizes = [len(event.value or b"") for event in updates if ".variant_" not in event.topic and ".product_" not in event.topic]
    assert 1_200 < sum(sizes) / len(sizes) < 1_700


def test_an_old_image_lacks_the_text_that_sql_server_does_not_keep(default_run: tuple[Simulation, list[Event]]) -> None:
    updates = [
        orjson.loads(event.value)
        for event in default_run[1]
        if event.topic.endswith("detail") and event.value and b'"op":"u"' in event.value
    ]
    of_orders = [envelope for envelope in updates if envelope["source"]["table"] == "order_header_detail"]
    assert {envelope["before"]["ohd_special_instructions"] for envelope in of_orders} == {"__debezium_unavailable_value"}


def test_a_default_run_contains_every_phenomenon(default_run: tuple[Simulation, list[Event]]) -> None:
    simulation, _ = default_run
    happened = {name for name, number in simulation.phenomena.items() if number}
    declared = {action.name for action in simulation.actions}
    assert declared <= happened
    assert happened >= {
        "customer_reinserted", "email_mailto", "email_not_an_address", "email_of_account_and_guest",
        "email_of_several_customers", "email_only_on_account", "email_padded", "email_phone_number",
        "email_trailing_text", "email_two_addresses", "email_upper_case", "email_wrapped", "guest_order",
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


def test_the_default_shop_is_a_hard_case_for_every_rule(default_run: tuple[Simulation, list[Event]]) -> None:
    tables: Tables = default_run[0].truth().tables
    consent = site(consent=site().consent.model_copy(update={"mode": "column", "column": "cc_marketing_opt_in"}))
    contacts = expected_contacts(tables, consent)
    assert len(contacts) > 500
    assert {contact.consent for contact in contacts.values()} == {"in", "out", None}
    for field in (name for name in consent.contact_fields.model_dump().values()):
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


def test_credit_notes_give_back_of_one_order_of_two_and_of_none(default_run: tuple[Simulation, list[Event]]) -> None:
    tables = default_run[0].truth().tables
    lines = tables["order_line_item"].values()
    owners = {row["oli_id"]: row["oli_oh_id"] for row in lines}
    notes = {row["oh_id"] for row in tables["order_header"].values() if str(row["oh_order_number"]).startswith("CN")}
    given_back: dict[Any, set[Any]] = defaultdict(set)
    for row in lines:
        if row["oli_oh_id"] in notes:
            given_back[row["oli_oh_id"]].add(owners.get(row["oli_original_oli_id"]))
    assert {len(owners - {None}) for owners in given_back.values()} >= {0, 1, 2}


@pytest.mark.parametrize("ending", [USUAL_END, datetime(2031, 7, 1, 12, 30, tzinfo=UTC)])
def test_the_shop_trades_until_the_end_and_not_beyond(ending: datetime) -> None:
    simulation = Simulation(config(ending=ending))
    events = rows_only(simulation.events())
    latest = max(orjson.loads(event.value)["source"]["ts_ms"] for event in events if event.value)
    assert ending.timestamp() - 86_400 < latest / 1000 <= ending.timestamp()
    times = [str(row["dh_datetime"]) for row in simulation.truth().tables["delivery_header"].values() if row["dh_datetime"]]
    assert (ending - timedelta(days=2)).isoformat() < max(times) <= (ending + timedelta(hours=1)).isoformat()


def test_the_end_is_all_that_moves_a_shop_in_time() -> None:
    first, second = (list(Simulation(config(ending=USUAL_END), lambda: 0).events()) for _ in range(2))
    assert first == second
    assert first != list(Simulation(config(ending=USUAL_END + timedelta(days=1)), lambda: 0).events())


def test_a_site_without_products_and_returns_has_none_of_their_tables() -> None:
    mapping = site(products=None, returns=None)
    simulation = Simulation(config(mapping=mapping))
    assert replay(simulation.events()) == held_tables(simulation)
    assert set(simulation.truth().tables) == set(mapping.tables)
    assert {"stock_allocated", "goods_received", "return_opened"}.isdisjoint(simulation.phenomena)


def test_whoever_ever_asked_to_be_forgotten_is_in_the_truth() -> None:
    mapping = site(erasure=Erasure(column="cc_forget", erased=frozenset({"y"})))
    simulation = Simulation(config(mapping=mapping, orders=600))
    assert replay(simulation.events()) == held_tables(simulation)
    assert simulation.phenomena["erasure_asked"]
    asked = [row for row in simulation.truth().tables["customer_contact"].values() if row["cc_forget"] == "y"]
    assert asked
    assert {address for row in asked for address in addresses(row["cc_email"])} <= set(simulation.truth().erased)


def test_the_sizes_are_what_was_asked_for(default_run: tuple[Simulation, list[Event]]) -> None:
    simulation, events = default_run
    created = {
        orjson.loads(event.key)["oh_id"]: orjson.loads(event.value)["after"]
        for event in events
        if event.topic.endswith("order_header") and event.value and b'"after":{' in event.value
    }
    orders = [row for row in created.values() if not row["oh_order_number"].startswith("CN")]
    assert 1_450 <= len(orders) <= 1_550
    assert 280 <= simulation.rows["customer_detail"] <= 310


def test_the_truth_is_what_the_events_add_up_to(default_run: tuple[Simulation, list[Event]]) -> None:
    simulation, events = default_run
    assert replay(events) == held_tables(simulation)


@pytest.mark.parametrize("seed", range(6))
def test_the_truth_survives_every_fault(seed: int) -> None:
    rng = random.Random(seed)
    faults = {"duplicates": rng.choice((0.05, 0.5)), "replays": rng.choice((1, 9)), "shuffle": rng.random() < 0.7}
    simulation = Simulation(config(seed, **faults))
    assert replay(simulation.events()) == held_tables(simulation), f"seed {seed}: {faults}"


def test_a_consumer_without_the_position_guard_goes_wrong() -> None:
    simulation = Simulation(config(duplicates=0.05))
    assert replay(simulation.events(), guarded=False) != held_tables(simulation)


def test_shuffling_keeps_the_order_of_each_key_of_each_topic() -> None:
    plain, mixed = (rows_only(Simulation(config(shuffle=shuffle), lambda: 0).events()) for shuffle in (False, True))
    assert plain != mixed
    assert by_key(plain) == by_key(mixed)


def test_a_restart_sends_the_end_of_the_log_again_in_order() -> None:
    simulation = Simulation(config(replays=2), lambda: 0)
    plain, again = rows_only(Simulation(config(), lambda: 0).events()), rows_only(simulation.events())
    assert len(again) == len(plain) + simulation.phenomena["replayed_records"]
    assert simulation.phenomena["restarts"] == 2
    assert list(dict.fromkeys(again)) == list(dict.fromkeys(plain))


def test_two_versions_of_one_commit_are_only_repeated_together() -> None:
    events = rows_only(Simulation(config(duplicates=0.5), lambda: 0).events())
    last: dict[tuple[str, bytes, str], bytes] = {}
    newest: dict[tuple[str, bytes, str], bytes] = {}
    for event in events:
        if event.value:
            lane = (event.topic, event.key, orjson.loads(event.value)["source"]["commit_lsn"])
            last[lane] = event.value
    for event in rows_only(Simulation(config(), lambda: 0).events()):
        if event.value:
            newest[event.topic, event.key, orjson.loads(event.value)["source"]["commit_lsn"]] = event.value
    assert last == newest


def test_heartbeats_beat_and_other_topics_only_speak_when_asked(default_run: tuple[Simulation, list[Event]]) -> None:
    assert {event.topic for event in default_run[1] if not event.topic.startswith(PREFIX)} == {"__debezium-heartbeat.ow"}
    beat = next(event for event in default_run[1] if event.topic.startswith("__"))
    assert orjson.loads(beat.key) == {"serverName": "ow"}
    assert orjson.loads(beat.value or b"") == {"ts_ms": beat.ts_ms}


def test_transaction_records_enclose_their_rows() -> None:
    events = list(Simulation(config(meta=True), lambda: 10**18).events())
    assert sum(event.topic == "ow" for event in events) == len(site().tables)
    open_now = None
    rows = 0
    for event in events:
        body = orjson.loads(event.value) if event.value else {}
        if event.topic == "ow.transaction" and body["status"] == "BEGIN":
            open_now, rows = body["id"], 0
        elif event.topic == "ow.transaction":
            assert (body["id"], body["event_count"]) == (open_now, rows)
        elif event.topic.startswith(PREFIX) and body and body["op"] != "r":
            rows += 1
            assert body["transaction"]["id"] == open_now == body["source"]["commit_lsn"]
            assert body["transaction"]["total_order"] == rows


def test_a_stopped_shop_still_tells_the_truth() -> None:
    def until_stopped(simulation: Simulation) -> Iterator[Event]:
        for number, event in enumerate(simulation.events()):
            if number == 1_500:
                simulation.stop()
            yield event

    simulation = Simulation(config(duplicates=0.1, shuffle=True))
    events = list(until_stopped(simulation))
    assert len(events) < len(list(Simulation(config(duplicates=0.1, shuffle=True)).events()))
    assert replay(events) == held_tables(simulation)


def test_a_snapshot_alone_is_a_simulation_too() -> None:
    simulation = Simulation(config(live=0))
    events = rows_only(simulation.events())
    assert {orjson.loads(event.value or b"")["op"] for event in events} == {"r"}
    assert replay(events) == held_tables(simulation)


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
