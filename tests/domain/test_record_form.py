"""A record that was read back is written as it was sent, whatever Dotdigital did to its spelling."""

import json
from decimal import Decimal
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.capture import rows
from streams.domain import catalogue, order_record
from streams.domain.orders import Live, OrderRow
from streams.domain.record_form import ITEM, ORDER, Form, written
from streams.domain.versioned import Versioned, version_bytes
from streams.mapping.delivery import OrderRecords
from streams.mapping.model import Currency
from streams.messages.changes import CreditedAmount, CreditedLine, OrderFact, VariantInfo
from tests.domain.test_catalogue import KETTLE, MAPPING, held, member, price, stock, variant

AT = version_bytes(1)
amounts = st.decimals(min_value=-(10**9), max_value=10**9, places=4)
quantities = st.one_of(st.none(), st.decimals(min_value=0, max_value=10**6, places=3))
lines = st.builds(
    lambda variant, quantity, net: rows.Line(None, variant, quantity, net), st.integers(1, 3), quantities, amounts
)
ITEMS = {1: VariantInfo(9, "A-1", "Saw"), 2: VariantInfo(None, None, "Nail")}


def read_back(content: bytes, random: Random) -> dict[str, Any]:
    """The record as another system may show it: other order of members, numbers through floats, nulls for what is none."""

    def changed(value: Any) -> Any:
        if isinstance(value, list):
            return [changed(one) for one in value]
        if not isinstance(value, dict):
            return value
        members = [(name, changed(one)) for name, one in value.items()]
        random.shuffle(members)
        return dict(members)

    found: dict[str, Any] = changed(json.loads(content))
    return found | {"carrier": None}


def is_same(content: bytes, form: Form, random: Random) -> bool:
    found = read_back(content, random)
    if form is ITEM:
        del found["carrier"]
    return written(found, form) == content


@given(st.lists(lines, max_size=4), amounts, amounts, st.booleans(), st.randoms())
def test_an_order_has_the_form_that_it_was_sent_in(
    bought: list[rows.Line], net: Decimal, credited: Decimal, despatched: bool, random: Random
) -> None:
    row = OrderRow(lines={key: Versioned(AT, line) for key, line in enumerate(bought, 1)})
    row.credits[5] = Versioned(AT, CreditedAmount(credited, 0, (CreditedLine(1, Decimal("1.5"), credited),)))
    if despatched:
        row.despatches[1] = Versioned(AT, rows.Despatch(1_700_000_500, "C1"))
    fact = OrderFact("SO1", 1_700_000_000, "open", False, net, 1_700_000_500 if despatched else None)
    live = Live(fact, "c1", net, Currency(code="EUR", rate=Decimal(1)))
    assert is_same(order_record.content(row, live, ITEMS, OrderRecords()), ORDER, random)


@given(amounts.filter(lambda amount: amount > 1), quantities, st.randoms())
def test_an_item_has_the_form_that_it_was_sent_in(amount: Decimal, free: Decimal | None, random: Random) -> None:
    row = held(variant(), price(str(amount)), stock(None if free is None else str(free)), member(7))
    content = catalogue.record(900, row, KETTLE, {7: rows.Category("Kitchen")}, MAPPING)
    assert content is not None and is_same(content, ITEM, random)


SENT = b'{"id":"SO1","purchase_date":"2026-11-30T10:00:00Z","order_total":12.00}'


@pytest.mark.parametrize(
    ("shown", "same"),
    [
        ({"id": "SO1", "purchase_date": "2026-11-30T10:00:00.000Z", "order_total": 12}, True),
        ({"id": "SO1", "purchase_date": "2026-11-30T11:00:00+01:00", "order_total": 12.0}, True),
        ({"id": "SO1", "purchase_date": "2026-11-30T10:00:01Z", "order_total": 12}, False),
        ({"id": "SO1", "purchase_date": "2026-11-30T10:00:00Z", "order_total": 12.01}, False),
        ({"id": "SO1", "purchase_date": "2026-11-30T10:00:00Z"}, False),
        ({"id": "SO1", "purchase_date": "2026-11-30T10:00:00Z", "order_total": 12, "note": "x"}, False),
        ({"id": "SO1", "purchase_date": "yesterday", "order_total": 12}, False),
        ({"id": 1, "purchase_date": "2026-11-30T10:00:00Z", "order_total": 12}, False),
        ({"id": "SO1", "purchase_date": "2026-11-30T10:00:00Z", "order_total": "12.00"}, False),
        ({"id": "SO1", "purchase_date": "2026-11-30T10:00:00Z", "order_total": True}, False),
        ({"id": "SO1", "purchase_date": "2026-11-30T10:00:00Z", "order_total": float("inf")}, False),
    ],
)
def test_what_is_the_same_and_what_is_not(shown: dict[str, Any], same: bool) -> None:
    assert (written(shown, ORDER) == SENT) is same


def test_what_is_no_number_of_ours_has_no_form() -> None:
    assert written({"qty": 1.5, "products": []}, ORDER) is None
    assert written({"products": {"sku": "A"}}, ORDER) is None
    assert written({"products": ["A"]}, ORDER) is None
    assert written({"stock": 1.5}, ITEM) is None
    assert written({"tax_included": "yes"}, ORDER) is None
