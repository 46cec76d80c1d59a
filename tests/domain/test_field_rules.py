"""The rule that a person is shown for a field is the rule that made its value."""

from decimal import Decimal
from typing import Any

import orjson
from hypothesis import given
from hypothesis import strategies as st

from streams.domain.contact_projection import merged
from streams.domain.field_rules import RULES, origins
from streams.domain.totals import combined
from streams.mapping import load_mapping
from streams.mapping.model import ContactFields
from streams.messages.changes import Totals
from streams.messages.contributions import BuyerContribution

MAPPING = load_mapping()

times = st.integers(1_600_000_000, 1_700_000_000)
amounts = st.decimals("0", "1000", places=2)


@st.composite
def contributions(draw: st.DrawFn) -> BuyerContribution:
    orders, refunds = draw(st.integers(0, 3)), draw(st.integers(0, 2))
    first, last = sorted((draw(times), draw(times)))
    name = draw(st.sampled_from([None, "Ann", "Bob"]))
    totals = Totals(
        live=orders + refunds,
        orders=orders,
        spend=draw(amounts) if orders else Decimal(0),
        refunds=refunds,
        refunded=draw(amounts) if refunds else Decimal(0),
        first=(first, draw(st.integers(1, 99))) if orders else None,
        last=(last, draw(st.integers(1, 99))) if orders else None,
        despatched=draw(st.none() | times) if orders else None,
        last_refund=draw(times) if refunds else None,
    )
    number = draw(st.sampled_from(["SO1", "SO2"])) if orders else None
    account = draw(st.sampled_from([None, "ACC1", "ACC2"]))
    return BuyerContribution(name, None, account, draw(st.booleans()), None, totals, number, "open" if orders else None)


def fields_of(parts: dict[str, BuyerContribution]) -> dict[str, Any]:
    found: dict[str, Any] = orjson.loads(
        orjson.dumps(merged(parts, combined([part.totals for part in parts.values()]), MAPPING))
    )
    return found


@given(st.dictionaries(st.sampled_from(["c1", "c2", "c3", "eann@example.com"]), contributions(), min_size=1))
def test_a_fields_value_comes_from_the_buyers_that_are_named_for_it(parts: dict[str, BuyerContribution]) -> None:
    fields = fields_of(parts)
    empty = fields_of({"c9": BuyerContribution(None, None, None, False, None, Totals(), None, None)})
    for name, origin in origins(parts, MAPPING).items():
        chosen = {buyer: parts[buyer] for buyer in origin.buyers}
        alone = fields_of(chosen) if chosen else empty
        assert fields.get(name) == alone.get(name), name


def test_every_field_has_a_rule() -> None:
    assert RULES.keys() == ContactFields.model_fields.keys()
