"""Every row that a document only needs, in every way that it can go wrong: nothing is withdrawn, reason and age are listed.

Deleted, emptied (null), unreadable (a value that the site's mapping does not have), and refilled (deleted or spoilt, then as it was).
What is looked at: contacts, their totals and their place among the recent buyers, order records, and the catalogue.
"""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from streams.capture import rows
from streams.messages.changes import EVERYWHERE, ChangeKind, EraseAddress
from tests.agents import test_products as goods
from tests.agents.pipeline import (
    ANN,
    BOB,
    DIGEST,
    EVE,
    HOUSE,
    LOOKUP,
    OPEN,
    TOPICS,
    Pipeline,
    Step,
    change,
    customer,
    despatch,
    detail,
    header,
    item,
    line,
    of_order,
    person,
    status,
    total,
)

SPOILT, REFILLED = 8, 9
AT, SENT_AT = 1_700_000_010, 1_700_000_500
Broken = Callable[[int], dict[str, Step]]
"""At a position: how a row goes wrong, by name; ``refilled`` is how it was."""


def head(**changes: Any) -> rows.Header:
    return msgspec.structs.replace(rows.Header("SO10", AT, 1, 1, 1), **changes)


def of_10(kind: ChangeKind, row: object, at: int, pk: int = 10) -> Step:
    return of_order(kind, 10, pk, row, at)


def account(row: rows.Customer | None, at: int) -> Step:
    return [change(TOPICS.buyers, ChangeKind.CUSTOMER, "c1", 1, row, at)]


def ann(at: int, *, opted: bool | None = None, unreadable: bool = False) -> Step:
    emails = () if unreadable else (ANN,)
    return [
        change(TOPICS.buyers, ChangeKind.CONTACT, "c1", 1, rows.Contact(emails, "Ann", None, opted, unreadable=unreadable), at)
    ]


def of_guest(at: int, *, email: str | None = EVE, unreadable: bool = False, currency: int | None = 1) -> Step:
    return of_order(ChangeKind.DETAIL, 20, 20, rows.Detail(email, currency, unreadable=unreadable), at)


ROWS: dict[str, Broken] = {
    "status lookup": lambda at: {
        "deleted": status(1, None, at),
        "emptied": status(1, "", at),
        "unreadable": status(1, "no such word", at),
        "refilled": status(1, OPEN, at),
    },
    "order's status": lambda at: {
        "emptied": of_10(ChangeKind.HEADER, head(status=None), at),
        "unreadable": of_10(ChangeKind.HEADER, head(status=77), at),
        "refilled": of_10(ChangeKind.HEADER, head(), at),
    },
    "order's type": lambda at: {
        "emptied": of_10(ChangeKind.HEADER, head(type=None), at),
        "unreadable": of_10(ChangeKind.HEADER, head(type=99), at),
        "refilled": of_10(ChangeKind.HEADER, head(), at),
    },
    "order's customer": lambda at: {
        "emptied": of_10(ChangeKind.HEADER, head(customer=None), at),
        "refilled": of_10(ChangeKind.HEADER, head(), at),
    },
    "order's date": lambda at: {
        "unreadable": of_10(ChangeKind.HEADER, head(at=0, dated=False), at),
        "refilled": of_10(ChangeKind.HEADER, head(), at),
    },
    "total": lambda at: {
        "deleted": of_10(ChangeKind.TOTAL, None, at),
        "emptied": of_10(ChangeKind.TOTAL, rows.Total(None), at),
        "refilled": of_10(ChangeKind.TOTAL, rows.Total(Decimal(10)), at),
    },
    "detail": lambda at: {
        "deleted": of_10(ChangeKind.DETAIL, None, at),
        "unreadable": of_10(ChangeKind.DETAIL, rows.Detail(None, 99), at),
        "refilled": of_10(ChangeKind.DETAIL, rows.Detail(None, 1), at),
    },
    "guest's detail": lambda at: {
        "deleted": of_order(ChangeKind.DETAIL, 20, 20, None, at),
        "unreadable": of_guest(at, currency=99),
        "refilled": of_guest(at),
    },
    "guest's address": lambda at: {"unreadable": of_guest(at, email=None, unreadable=True), "refilled": of_guest(at)},
    "person's address": lambda at: {"unreadable": ann(at, unreadable=True), "refilled": ann(at)},
    "account": lambda at: {"deleted": account(None, at), "refilled": account(rows.Customer("ACC1", False, ()), at)},
}
"""Rows that contacts and records only need, and what is wrong with them."""

LISTED = {
    "status lookup": {"status_not_loaded", "unknown_status"},
    "order's status": {"status_not_loaded", "unknown_status"},
    "order's type": {"unknown_type"},
    "order's customer": {"order_without_customer"},
    "order's date": {"order_without_date"},
    "total": {"order_without_total"},
    "detail": {"order_without_detail", "unknown_currency"},
    "guest's detail": {"order_without_detail", "unknown_currency"},
    "guest's address": {"unreadable_address"},
    "person's address": {"unreadable_address"},
    "account": {"customer_not_loaded"},
}
CASES = [(name, harm) for name, broken in ROWS.items() for harm in broken(SPOILT) if harm != "refilled"]
SHOP = [
    *(LOOKUP, account(rows.Customer("ACC1", False, ()), 1), customer(2, BOB), ann(1), person(2, 2, BOB)),
    *(item(5, "SHIRT-M", "Shirt"), item(6, "HAT", "Hat")),
    *(of_10(ChangeKind.HEADER, head(), 1), total(10), detail(10, None), line(10, 100, variant=5, quantity="2", net="10")),
    *(header(20, HOUSE), total(20, "4"), of_guest(1), line(20, 200, variant=6, quantity="1", net="4")),
    *(despatch(10, 1, SENT_AT), despatch(20, 2, SENT_AT)),
    *(header(30, sort=4), total(30, "3"), line(30, 300, original=100, quantity="1", net="3"), detail(30, None)),
]


def shown(pipeline: Pipeline) -> tuple[object, ...]:
    """Contacts with totals and consent, who is a recent buyer until when, and records."""
    lists = {email: row.despatched for email, (_, row) in pipeline.desired.items() if row.fields is not None}
    records = {place: json.loads(record) for place, record in pipeline.records().items()}
    return pipeline.content(), lists, records


def frozen(pipeline: Pipeline) -> dict[str, int]:
    """The age, by reason, of all that is frozen."""
    indexes = (pipeline.orders.held, pipeline.buyers.held, pipeline.contacts.held)
    return {code: since for index in indexes for code, since in index.oldest(frozen=True)}


@pytest.mark.parametrize(("name", "harm"), CASES)
class TestOrdersAndContacts:
    def test_nothing_is_withdrawn_and_reason_and_age_are_listed(self, name: str, harm: str) -> None:
        pipeline = Pipeline().pump(*SHOP)
        before, since = shown(pipeline), pipeline.clock.now_ms()
        pipeline.pump(ROWS[name](SPOILT)[harm])
        assert shown(pipeline) == before
        listed = frozen(pipeline)
        assert listed.keys() and listed.keys() <= LISTED[name]
        assert all(age >= since for age in listed.values())
        pipeline.restart()
        assert frozen(pipeline) == listed

    def test_it_heals_when_the_row_is_as_it_was(self, name: str, harm: str) -> None:
        pipeline = Pipeline().pump(*SHOP)
        before = shown(pipeline)
        pipeline.pump(ROWS[name](SPOILT)[harm]).pump(ROWS[name](REFILLED)["refilled"])
        assert shown(pipeline) == before
        assert not frozen(pipeline) and not pipeline.kept

    def test_it_makes_no_difference_when_both_come_at_once(self, name: str, harm: str) -> None:
        pipeline = Pipeline().pump(*SHOP)
        before = shown(pipeline)
        pipeline.pump(ROWS[name](SPOILT)[harm], ROWS[name](REFILLED)["refilled"])
        assert shown(pipeline) == before and not frozen(pipeline)

    def test_an_opt_out_goes_out(self, name: str, harm: str) -> None:
        pipeline = Pipeline().pump(*SHOP).pump(ROWS[name](SPOILT)[harm])
        pipeline.pump(ann(REFILLED + 1, opted=False, unreadable=name == "person's address"))
        assert pipeline.content()[ANN][1] is False

    @pytest.mark.parametrize("address", [ANN, EVE])
    def test_an_erasure_is_made(self, name: str, harm: str, address: str) -> None:
        pipeline = Pipeline().pump(*SHOP).pump(ROWS[name](SPOILT)[harm])
        pipeline.pump([change(TOPICS.contacts, ChangeKind.ERASURE, address, 0, EraseAddress(DIGEST(address)), 0)])
        assert address in pipeline.erased and address not in pipeline.content()
        kept = [*pipeline.kept.values(), *(value for rows_ in pipeline.state.values() for value in rows_.rows.values())]
        assert not any(address.encode() in value for value in kept)


def spoilt(kind: ChangeKind, row: object, at: int = SPOILT) -> goods.Step:
    key = EVERYWHERE if kind in (ChangeKind.PRODUCT, ChangeKind.CATEGORY) else goods.RED
    pk = {ChangeKind.PRODUCT: 90, ChangeKind.CATEGORY: 7, ChangeKind.VARIANT: goods.RED}.get(kind, 1)
    return [goods.change(kind, key, pk, row, at)]


GOODS: dict[str, goods.Step] = {
    "SKU emptied": spoilt(ChangeKind.VARIANT, rows.Variant(90, None, "Red", True)),
    "SKU and name emptied": spoilt(ChangeKind.VARIANT, rows.Variant(90, None, None, True)),
    "product deleted": spoilt(ChangeKind.PRODUCT, None),
    "price deleted": spoilt(ChangeKind.PRICE, None),
    "price emptied": spoilt(ChangeKind.PRICE, rows.Price(1, None, None, False)),
    "price's currency unknown": spoilt(ChangeKind.PRICE, rows.Price(99, Decimal(5), None, False)),
}


def shelf() -> goods.Stage:
    stage = goods.Stage()
    stage.publish(
        goods.product("Kettle"), goods.category("Kitchen"), goods.variant(), goods.price(), goods.stock(), goods.member()
    )
    return stage


@pytest.mark.parametrize("harm", GOODS.values(), ids=GOODS)
def test_the_catalogue_keeps_its_record_lists_why_and_heals(harm: goods.Step) -> None:
    stage = shelf()
    before = stage.content()
    stage.publish(harm)
    assert stage.content().keys() == before.keys()
    assert {name: stage.content()["900"][name] for name in ("sku", "price")} == {
        name: before["900"][name] for name in ("sku", "price")
    }
    assert stage.handler.held.counts(frozen=True).total() == 1
    stage.publish(goods.product("Kettle", REFILLED), goods.variant(at=REFILLED), goods.price(at=REFILLED))
    assert stage.content() == before and not stage.handler.held.counts(frozen=True)


NAMELESS: dict[str, goods.Step] = {
    "product's name emptied": spoilt(ChangeKind.PRODUCT, rows.Product("KET", None)),
    "product no longer named": spoilt(ChangeKind.VARIANT, rows.Variant(None, "SKU900", None, True)),
    "product that is not here": spoilt(ChangeKind.VARIANT, rows.Variant(91, "SKU900", None, True)),
}


@pytest.mark.parametrize("harm", NAMELESS.values(), ids=NAMELESS)
def test_a_variant_that_was_called_by_its_product_keeps_that_name(harm: goods.Step) -> None:
    stage = goods.Stage()
    stage.publish(goods.product("Kettle"), goods.variant(name=None), goods.price(), goods.stock())
    before = stage.content()
    assert before["900"]["name"] == "Kettle"
    stage.publish(harm)
    assert stage.content()["900"]["name"] == "Kettle"
    assert stage.handler.held.counts(frozen=True) == {"variant_without_name": 1}
    stage.publish(goods.product("Kettle", REFILLED), goods.variant(at=REFILLED, name=None))
    assert stage.content() == before and not stage.handler.held.counts(frozen=True)


def test_a_positive_fact_withdraws_what_lost_its_name_too() -> None:
    stage = goods.Stage()
    stage.publish(goods.product("Kettle"), goods.variant(name=None), goods.price())
    stage.publish(NAMELESS["product no longer named"])
    stage.publish(goods.variant(at=REFILLED, of=None, name=None, sold=False))
    assert not stage.content() and not stage.handler.held.counts(frozen=True)
    stage.publish(goods.variant(at=REFILLED + 1, of=None, name=None))
    assert not stage.content() and not stage.handler.held.counts(frozen=True)


def test_a_rebuilt_state_withdraws_nothing_from_the_catalogue_that_it_cannot_work_out() -> None:
    delivered = shelf()
    rebuilt = goods.Stage()
    rebuilt.records = delivered.records
    rebuilt.publish(goods.product("Kettle"), goods.variant(), goods.stock())
    assert rebuilt.content() == delivered.content()
    rebuilt.publish(goods.price("0"))
    assert not rebuilt.content()
