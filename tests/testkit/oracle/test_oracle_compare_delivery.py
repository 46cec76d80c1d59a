"""What counts as a difference in records, catalogue, list, follow-ups and erasure."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from streams.mapping.delivery import RefundEnrolment, RefundEvent
from testkit.oracle import Account, Actual, Difference, Event, Record, compare, expectation

from .made_account import LIST, account_of, with_contact, with_records
from .made_rows import (
    category,
    contact,
    credit,
    customer,
    delivering,
    despatch,
    line,
    membership,
    order,
    price,
    tables,
    variant,
)

ANN, BOB, CAT = "ann@example.com", "bob@example.com", "cat@example.com"
NOW = datetime(2026, 1, 20, tzinfo=UTC)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
SITE = delivering(follow_up=RefundEvent(kind="event", since=SINCE))
ENROLLING = delivering(follow_up=RefundEnrolment(kind="enrolment", program=3, since=SINCE))
TABLES = tables(
    [customer(10), contact(1, 10, ANN), customer(11), contact(2, 11, BOB)],
    [order(5, 10), line(51, 5, oli_vad_id=3), despatch(1, 5, "2026-01-15T10:00:00Z"), order(6, 11)],
    [credit(7, 10, oh_datetime="2026-01-10T00:00:00Z")],
    [variant(3, "AB"), price(1, 3), category(4, "Garden"), membership(1, 3, 4)],
)
WANTED = expectation(TABLES, SITE, at=NOW)
RIGHT = account_of(WANTED, SITE)
ORDERS, CATALOGUE = "Orders", "catalog_orderwise"


def differences(account: Account, **options: Any) -> list[tuple[str, str, str, str]]:
    found = compare(WANTED, account, SITE, **({"preexisting": ()} | options))
    return [(one.kind, one.whom, one.field, one.key) for one in found]


def records(name: str) -> dict[str, Record]:
    collection = RIGHT.collection(name)
    assert collection is not None
    return {record.key: record for record in collection.records}


def changed(name: str, key: str, **changes: Any) -> Account:
    """The right account with properties of one record changed; None takes one away."""
    found = records(name)
    content = {member: value for member, value in {**found[key].content, **changes}.items() if value is not None}
    found[key] = replace(found[key], content=content)
    return with_records(RIGHT, name, *found.values())


def test_what_is_expected_is_no_difference() -> None:
    assert (len(WANTED.orders), len(WANTED.catalogue), set(WANTED.recent_buyers.values())) == (2, 1, {"in", "out"})
    assert differences(RIGHT) == []


@pytest.mark.parametrize(
    ("member", "value"),
    [
        ("order_status", "refunded"),
        ("order_total", Decimal("100.01")),
        ("order_total", "100.00"),
        ("refund_total", None),
        ("despatch_date", "2026-01-15T10:00:01Z"),
        ("return_number", "RMA-1"),
        ("coupons", []),
    ],
)
def test_a_wrong_property_of_an_order_is_named(member: str, value: Any) -> None:
    found = compare(WANTED, changed(ORDERS, "SO-5", **{member: value}), SITE)
    expected = WANTED.orders["SO-5"][0].content.get(member)
    assert found == [Difference("record", ANN, member, expected, value, "SO-5")]


def test_equal_amounts_and_instants_are_equal_however_they_are_written() -> None:
    assert differences(changed(ORDERS, "SO-5", order_total=Decimal("100.0"), despatch_date="2026-01-15T11:00:00+01:00")) == []


def test_a_property_inside_a_list_is_named_with_its_place() -> None:
    products = [{**records(ORDERS)["SO-5"].content["products"][0], "qty": 9}]
    assert differences(changed(ORDERS, "SO-5", products=products)) == [("record", ANN, "products[0].qty", "SO-5")]


def test_missing_left_over_and_misplaced_orders_are_differences() -> None:
    five, six = records(ORDERS).values()
    assert differences(with_records(RIGHT, ORDERS, five)) == [("record", BOB, "record", "SO-6")]
    assert differences(replace(RIGHT, collections=RIGHT.collections[1:])) == [
        ("record", ANN, "record", "SO-5"),
        ("record", BOB, "record", "SO-6"),
    ]
    old = replace(six, key="SO-9")
    assert differences(with_records(RIGHT, ORDERS, five, six, old)) == [("record", BOB, "record", "SO-9")]
    moved = replace(six, owner=five.owner)
    assert differences(with_records(RIGHT, ORDERS, five, moved)) == [("record", BOB, "owner", "SO-6")]


def test_records_of_a_binned_contact_are_out_of_reach() -> None:
    binned = Actual(CAT, "unsubscribed", {}, binned=True, id=900)
    account = replace(RIGHT, contacts=(*RIGHT.contacts, binned))
    left = Record("SO-9", 900, {"id": "SO-9"})
    assert differences(with_records(account, ORDERS, *records(ORDERS).values(), left)) == []
    hidden = replace(records(ORDERS)["SO-6"], owner=900)
    assert differences(with_records(account, ORDERS, records(ORDERS)["SO-5"], hidden)) == [("record", BOB, "record", "SO-6")]


def test_of_two_orders_with_one_number_either_is_right() -> None:
    rows = tables([customer(10), contact(1, 10, ANN)], [order(5, 10), order(6, 10, "7.0000", oh_order_number="SO-5")])
    expected = expectation(rows, SITE, at=NOW)
    right = account_of(expected, SITE)
    other = expected.orders["SO-5"][1]
    assert compare(expected, right, SITE) == []
    assert compare(expected, with_records(right, ORDERS, Record("SO-5", 100, other.content)), SITE) == []
    assert compare(expected, with_records(right, ORDERS, Record("SO-5", 100, {**other.content, "id": "SO-6"})), SITE)


def test_the_catalogue_is_compared_property_by_property() -> None:
    assert differences(changed(CATALOGUE, "3", stock=4)) == [("catalogue", "", "stock", "3")]
    assert differences(changed(CATALOGUE, "3", categories=[])) == [
        ("catalogue", "", name, "3") for name in ("categories", "categories[0].id", "categories[0].name")
    ]
    three = records(CATALOGUE)["3"]
    assert differences(with_records(RIGHT, CATALOGUE)) == [("catalogue", "", "record", "3")]
    assert differences(with_records(RIGHT, CATALOGUE, three, replace(three, key="4"))) == [("catalogue", "", "record", "4")]


def test_a_collection_of_another_scope_or_type_is_a_difference() -> None:
    spoilt = tuple(replace(found, type="custom") for found in RIGHT.collections)
    assert differences(replace(RIGHT, collections=spoilt)) == [
        ("record", "", "collection", ORDERS),
        ("catalogue", "", "collection", CATALOGUE),
    ]


def test_who_is_on_the_list_must_have_bought_lately_and_the_other_way_round() -> None:
    assert differences(with_contact(RIGHT, ANN, lists=())) == [("list", ANN, "member", "OW recent buyers")]
    on_it = with_contact(RIGHT, BOB, lists=(LIST, 8))
    assert differences(on_it) == [("list", BOB, "member", "OW recent buyers")]
    # Somebody else may have put on it whom the account had before us.
    assert differences(on_it, preexisting={BOB.upper()}) == []
    assert differences(replace(RIGHT, lists={})) == [("list", ANN, "member", "OW recent buyers")]


def test_close_to_the_end_of_the_time_both_are_right() -> None:
    close = expectation(TABLES, SITE, at=datetime(2026, 2, 14, 10, 5, tzinfo=UTC))
    for lists in ((), (LIST,)):
        assert compare(close, with_contact(RIGHT, ANN, lists=lists), SITE, preexisting=()) == []


def test_a_refund_is_reported_once() -> None:
    (event,) = RIGHT.events
    assert differences(replace(RIGHT, events=())) == [("follow-up", ANN, "event", "CN-7")]
    assert differences(replace(RIGHT, events=(event, event))) == [], "repeated, because its answer was lost"
    assert differences(replace(RIGHT, events=(event, replace(event, contact=101)))) == [("follow-up", ANN, "event", "CN-7")]
    assert differences(replace(RIGHT, events=(replace(event, type="purchase"),))) == [("follow-up", ANN, "event", "CN-7")]
    # Rows may have moved or lost a note after it was told.
    assert differences(replace(RIGHT, events=(replace(event, contact=101), Event(100, "refund", "CN-1")))) == []


def test_an_old_refund_and_one_from_before_the_contact_have_no_event() -> None:
    silent = replace(RIGHT, events=())
    later = datetime(2026, 2, 9, 0, 11, tzinfo=UTC)
    assert compare(replace(WANTED, at=later), silent, SITE, preexisting=()) == []
    assert compare(WANTED, with_contact(silent, ANN, created=NOW), SITE, preexisting=()) == []
    early = with_contact(RIGHT, ANN, created=NOW)
    assert differences(early) == [("follow-up", ANN, "event", "CN-7")]
    assert differences(early, preexisting={ANN}) == [], "the contact was there before us, nobody knows since when"


def test_an_enrolment_needs_somebody_who_can_be_mailed() -> None:
    expected = expectation(TABLES, ENROLLING, at=NOW)
    silent = account_of(expected, ENROLLING)
    assert compare(expected, silent, ENROLLING, preexisting={ANN}) == []
    mailed = with_contact(silent, ANN, status="subscribed")
    (found,) = compare(expected, mailed, ENROLLING, preexisting={ANN})
    assert (found.kind, found.whom, found.field, found.key) == ("follow-up", ANN, "enrolment", "CN-7")
    assert compare(expected, replace(mailed, programs={3: (100,)}), ENROLLING, preexisting={ANN}) == []


def test_of_an_erased_address_nothing_may_be_left() -> None:
    expected = expectation(TABLES, SITE, at=NOW, erased={ANN})
    found = compare(expected, RIGHT, SITE, preexisting=())
    assert [(one.kind, one.whom, one.field, one.key) for one in found] == [
        ("erasure", ANN, "contact", ""),
        ("erasure", ANN, "record", "SO-5"),
        ("erasure", ANN, "member", "ow RECENT buyers"),
    ]
    assert compare(expected, with_contact(RIGHT, ANN, binned=True), SITE, preexisting=()) == []


def test_where_another_system_creates_contacts_only_those_that_exist_are_compared() -> None:
    external = SITE.model_copy(update={"consent": SITE.consent.model_copy(update={"mode": "external"})})
    expected = expectation(TABLES, external, at=NOW)
    whole = account_of(expected, external, status="subscribed")
    (ann,) = (contact for contact in whole.contacts if contact.email == ANN)
    alone = replace(whole, contacts=(ann,))
    assert compare(expected, with_records(alone, ORDERS, records(ORDERS)["SO-5"]), external) == []
    assert [one.key for one in compare(expected, with_records(alone, ORDERS), external)] == ["SO-5"]
    assert compare(expected, replace(whole, contacts=(), events=()), external) == []
    stranger = Actual(CAT, "subscribed", {"OW_ORDER_COUNT": 3}, id=900)
    (found,) = compare(expected, replace(whole, contacts=(*whole.contacts, stranger)), external)
    assert (found.whom, found.field) == (CAT, "OW_ORDER_COUNT")
