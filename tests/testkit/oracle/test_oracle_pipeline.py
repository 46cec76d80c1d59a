"""A simulated shop through capture, routing and all stages in memory, compared with what the oracle makes of its rows."""

import json
from collections import Counter
from collections.abc import Collection
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any

import pytest

from streams.capture.envelope import RowEvent, decode
from streams.domain.erasure import scrubbed
from streams.ingest.router import Router
from streams.mapping import Mapping
from streams.mapping.delivery import Catalogue, RefundEvent
from streams.messages.changes import ChangeKind, DesiredContact
from testkit.oracle import Account, Actual, Event, Record, compare, expectation, expected_contacts
from testkit.oracle.account import Collection as Records
from testkit.simulate import Simulation, SimulationConfig
from testkit.simulate.calendar import USUAL_END
from tests.agents.pipeline import TOPICS, Pipeline
from tests.agents.test_products import Stage

from .made_rows import default_mapping, site

LIST = 7


def shop_site(seed: int) -> Mapping:
    """A site that maps all that a site can; every other one records consent."""
    follow_up = RefundEvent(kind="event", since=USUAL_END - timedelta(days=10))
    catalogue = Catalogue(url="https://shop.example/{code}/{sku}")
    mapping = site(delivery=default_mapping().delivery.model_copy(update={"follow_up": follow_up, "catalogue": catalogue}))
    header = mapping.order.header.model_copy(update={"contact": "oh_cc_id"})
    mapping = mapping.model_copy(update={"order": mapping.order.model_copy(update={"header": header})})
    consent = mapping.consent.model_copy(update={"mode": "column", "column": "cc_marketing_opt_in"})
    return mapping.model_copy(update={"consent": consent}) if seed % 2 else mapping


class Chain:
    """Router, products stage and the other stages, one behind the other; ``erased`` were erased before the shop opened."""

    def __init__(self, mapping: Mapping, erased: Collection[str] = ()) -> None:
        self._router = Router(mapping, TOPICS)
        self._erased = frozenset(erased)
        self.products = Stage(mapping)
        self.stages = Pipeline(mapping)

    def take(self, event: RowEvent) -> None:
        """Route one row; what the products stage makes of it goes on to the orders."""
        for topic, change in self._router.route(event, 0):
            if topic != TOPICS.products:
                remains = scrubbed(change, self._erased.__contains__)
                self.stages.feed([] if remains is None else [(topic, remains)])
                continue
            items = [published for published in self.products.publish([change]) if published.kind is ChangeKind.VARIANT_INFO]
            self.stages.feed([(TOPICS.orders, published) for published in items])

    def account(self, at: datetime) -> Account:
        """What a perfect outbox would have brought to Dotdigital."""
        known = {email: row for email, (_, row) in self.stages.desired.items() if row.fields is not None}
        ids = {email: number for number, email in enumerate(known, 1)}
        records = [Record(key, ids[email], _json(content)) for (email, key), content in self.stages.records().items()]
        assert max(Counter(record.key for record in records).values()) == 1, "two contacts have one record"
        catalogue = [Record(key, None, content) for key, content in self.products.content().items()]
        published = [(email, row) for emails in self.stages.follow_ups.values() for email, row in emails.items()]
        return Account(
            contacts=tuple(self._contact(email, row, ids[email], at) for email, row in known.items()),
            lists={LIST: "OW recent buyers"},
            collections=(
                Records("Orders", "contact", "orders", tuple(records)),
                Records("catalog_orderwise", "account", "catalog", tuple(catalogue)),
            ),
            events=tuple(Event(ids.get(email, 0), "refund", row.number) for email, row in published),
        )

    def _contact(self, email: str, row: DesiredContact, number: int, at: datetime) -> Actual:
        fields = {name: value for name, value in _json(row.fields or b"").items() if value is not None}
        left = None if row.despatched is None else datetime.fromtimestamp(row.despatched, UTC) + timedelta(days=30) - at
        member = left is not None and left > timedelta()
        return Actual(email, "subscribed" if row.opted else "unsubscribed", fields, id=number, lists=(LIST,) if member else ())


def _json(content: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(content, parse_float=Decimal)
    return found


def shop(mapping: Mapping, seed: int) -> Simulation:
    config = SimulationConfig(
        mapping=mapping, seed=seed, customers=40, orders=200, duplicates=0.1, replays=2, shuffle=True, consent=True
    )
    return Simulation(config)


def run(simulation: Simulation, chain: Chain, seed: int) -> Account:
    for record in simulation.events():
        event = decode(record.key, record.value)
        if isinstance(event, RowEvent):
            chain.take(event)
    chain.stages.pump_badly(Random(seed), crashes=50)
    return chain.account(USUAL_END)


@pytest.mark.parametrize("seed", range(4))
def test_the_stages_and_the_oracle_agree_on_a_simulated_shop(seed: int) -> None:
    mapping = shop_site(seed)
    simulation = shop(mapping, seed)
    account = run(simulation, Chain(mapping), seed)

    truth = simulation.truth()
    expected = expectation(truth.tables, mapping, at=USUAL_END, history=truth.history)
    assert min(len(expected.contacts), len(expected.orders), len(expected.catalogue), len(expected.follow_ups)) > 2
    assert set(expected.recent_buyers.values()) >= {"in", "out"}
    found = compare(expected, account, mapping, opted_in_ever=truth.opted_in_ever, preexisting=())
    assert found == [], f"seed {seed}"


@pytest.mark.parametrize("seed", range(2))
def test_the_stages_and_the_oracle_agree_on_what_is_left_without_the_erased(seed: int) -> None:
    mapping = shop_site(seed)
    simulation = shop(mapping, seed)
    assert sum(1 for _ in simulation.events())
    people = sorted(expected_contacts(simulation.truth().tables, mapping))
    erased = Random(seed).sample(people, len(people) // 4)

    simulation = shop(mapping, seed)
    account = run(simulation, Chain(mapping, erased), seed)

    truth = simulation.truth()
    expected = expectation(truth.tables, mapping, at=USUAL_END, erased=erased, history=truth.history)
    found = compare(expected, account, mapping, opted_in_ever=truth.opted_in_ever, preexisting=())
    assert found == [], f"seed {seed}"
