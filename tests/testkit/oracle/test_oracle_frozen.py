"""Contact rules §2a, Frozen orders: rows count in their last workable version, and either answer is right where both may be."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from testkit.oracle import Expectation, compare, expectation
from testkit.oracle.frozen import History
from testkit.oracle.recipients import orders_of_nobody, orders_of_the_staying

from .made_account import account_of
from .made_rows import HOUSE, Row, contact, customer, detail, header, line, order, price, product, site, tables, total, variant

NOW = datetime(2026, 1, 20, tzinfo=UTC)
ANN, EVE = "ann@example.com", "eve@example.com"
SITE = site()
OPEN = 10
"""A status that is deleted by now."""


def wanted(*rows: Row | list[Row], history: History) -> Expectation:
    return expectation(tables(customer(10), contact(1, 10, ANN), *rows), SITE, at=NOW, history=history)


def moved_to_a_status_that_is_gone() -> Expectation:
    return wanted(
        order(5, 10, oh_os_id=OPEN),
        history={
            "order_header": {"5": [header(5, 10)]},
            "order_status": {str(OPEN): [{"os_id": OPEN, "os_description": "Awaiting despatch"}]},
        },
    )


def test_either_answer_is_right_where_the_order_of_two_tables_decides() -> None:
    expected = moved_to_a_status_that_is_gone()
    answers = [expected, *expected.others]
    assert [answer.orders["SO-5"][0].content["order_status"] for answer in answers] == ["open", "completed", "completed"]
    for answer in answers:
        assert compare(expected, account_of(answer, SITE), SITE) == []


def test_a_third_answer_is_a_difference() -> None:
    expected = moved_to_a_status_that_is_gone()
    (record,) = expected.orders["SO-5"]
    wrong = replace(expected, orders={"SO-5": [replace(record, content=record.content | {"order_status": "cancelled"})]})
    assert [(one.kind, one.field, one.key) for one in compare(expected, account_of(wrong, SITE), SITE)] == [
        ("record", "order_status", "SO-5")
    ]


def test_without_a_choice_there_is_one_answer() -> None:
    assert wanted(order(5, 10), history={"order_header": {"5": [header(5, 10)]}}).others == ()


def test_an_order_that_had_a_status_only_without_its_text_may_be_held_whatever_it_had_since() -> None:
    expected = wanted(
        order(5, 10, oh_os_id=99),
        history={
            "order_header": {"5": [header(5, 10, oh_os_id=OPEN)]},
            "order_status": {str(OPEN): [{"os_id": OPEN, "os_description": "Awaiting despatch"}]},
        },
    )
    assert [list(answer.orders) for answer in (expected, *expected.others)] == [["SO-5"], []]
    for answer in (expected, *expected.others):
        assert compare(expected, account_of(answer, SITE), SITE) == []


@pytest.mark.parametrize(("email", "count"), [("tel. 07700 900443", 1), (None, 0)])
def test_a_house_order_of_nobody_knows_whom_stays_with_its_account_and_one_that_is_nobodys_does_not(
    email: str | None, count: int
) -> None:
    rows = [header(5, HOUSE), detail(5, 5, ohd_delivery_email=email), total(5, 5, "10.0000")]
    expected = wanted(rows, history={"order_header": {"5": [header(5, 10)]}})
    assert expected.contacts[ANN].fields["OW_ORDER_COUNT"] == count


RENAMED = {"variant_detail": {"7": [variant(7, "SHIRT-S", vad_description="Small shirt"), variant(7, "SHIRT-M")]}}


def renamed() -> Expectation:
    return wanted(order(5, 10), line(51, 5, oli_vad_id=7), variant(7, "SHIRT-L"), history=RENAMED)


@pytest.mark.parametrize("sku", ["SHIRT-S", "SHIRT-M", "SHIRT-L"])
def test_an_order_shows_what_a_variant_was_ever_called_and_another_name_than_the_newest_is_counted(sku: str) -> None:
    expected = renamed()
    (record,) = expected.orders["SO-5"]
    (product,) = record.content["products"]
    content = record.content | {"products": [product | {"sku": sku}]}
    fields = expected.contacts[ANN].fields | {"OW_LAST_SKUS": sku}
    shown = replace(
        expected,
        orders={"SO-5": [replace(record, content=content)]},
        contacts={ANN: replace(expected.contacts[ANN], fields=fields)},
    )
    assert compare(expected, account_of(shown, SITE), SITE) == []
    others = compare(expected.one_answer(), account_of(shown, SITE), SITE)
    assert [one.field for one in others] == ([] if sku == "SHIRT-L" else ["OW_LAST_SKUS", "products[0].sku"])


def test_what_it_was_never_called_is_a_difference() -> None:
    expected = renamed()
    (record,) = expected.orders["SO-5"]
    (product,) = record.content["products"]
    wrong = record.content | {"products": [product | {"sku": "TROUSERS"}]}
    found = compare(expected, account_of(replace(expected, orders={"SO-5": [replace(record, content=wrong)]}), SITE), SITE)
    assert [(one.field, one.expected) for one in found] == [("products[0].sku", "SHIRT-L")]


@pytest.mark.parametrize(("now", "product_name"), [(product(2, name=" "), None), (None, "Pump")])
def test_a_variant_without_a_name_keeps_the_last_one_of_its_product(now: Row | None, product_name: str | None) -> None:
    rows = [variant(3, name=None, vad_pd_id=2), price(4, 3), *([] if now is None else [now])]
    found = wanted(*rows, history={"product_detail": {"2": [product(2), product(2, name=None)]}}).catalogue["3"]
    assert (found["name"], found.get("product_name")) == ("Pump", product_name)


@pytest.mark.parametrize("now", [product(2), None])
def test_a_variant_that_gives_up_the_product_it_was_called_by_keeps_its_record(now: Row | None) -> None:
    former = variant(3, name=None, vad_pd_id=2)
    rows = [variant(3, name=None, vad_pd_id=99), price(4, 3), *([] if now is None else [now])]
    found = wanted(*rows, history={"variant_detail": {"3": [former]}, "product_detail": {"2": [product(2)]}}).catalogue["3"]
    assert (found["name"], found["parent_id"], found["product_name"]) == ("Pump", "2", "Pump")


def test_a_line_that_no_order_has_any_more_was_its_last_order_s() -> None:
    refund = [header(6, 10, oh_sot_id=4), total(6, 6, "30"), line(61, 6, 51, oli_line_net="30")]
    (record,) = wanted(
        header(5, 10), total(5, 5, "100"), line(51, 0), refund, history={"order_line_item": {"51": [line(51, 5)]}}
    ).orders["SO-5"]
    assert record.content["refund_total"] == 30


def test_a_person_who_names_no_account_may_have_what_was_delivered_or_nothing() -> None:
    there = expectation(tables(customer(10), contact(1, 10, ANN)), SITE, at=NOW)
    for account, differs in ((0, False), (99, True)):
        expected = expectation(tables(customer(10), contact(1, account, ANN)), SITE, at=NOW)
        assert bool(compare(expected, account_of(there, SITE), SITE, preexisting=())) is differs
        assert not compare(expected, account_of(expected, SITE), SITE, preexisting=())


@pytest.mark.parametrize("former", [10, None])
def test_the_order_of_a_person_who_names_no_account_any_more_may_be_nobodys_or_not(former: int | None) -> None:
    made = tables(customer(10), contact(1, 10, ANN), order(5, 10, email=EVE), contact(2, None, EVE))
    history = {"customer_contact": {"2": [contact(2, former, EVE)]}}
    assert orders_of_nobody(made, SITE, history) == 1
    assert orders_of_the_staying(made, SITE, history) == (former is not None)


@pytest.mark.parametrize("more", [[], order(5, HOUSE, email=EVE)])
def test_a_house_person_who_cannot_be_read_any_more_may_have_been_delivered_or_not(more: Row | list[Row]) -> None:
    former = contact(2, HOUSE, EVE)
    expected = wanted(contact(2, HOUSE, "tel. 07700 900443"), more, history={"customer_contact": {"2": [former]}})
    assert EVE in expected.contacts
    # A house order says whose the contact is all the same.
    assert (EVE in expected.shared) == (not more)


@pytest.mark.parametrize("former", ["SO-5", None])
def test_an_order_whose_number_was_emptied_goes_on_under_the_last(former: str | None) -> None:
    before = header(5, 10, oh_order_number=former, oh_os_id=1)
    expected = wanted(order(5, 10, oh_order_number=None), history={"order_header": {"5": [before]}})
    assert list(expected.orders) == ([] if former is None else ["SO-5"])
    assert expected.contacts[ANN].fields["OW_LAST_STATUS"] == "completed"


def test_a_date_that_means_nothing_leaves_the_header_before() -> None:
    expected = wanted(order(5, 10, oh_datetime="1899-12-30T00:00:00Z"), history={"order_header": {"5": [header(5, 10)]}})
    assert expected.orders["SO-5"][0].content["purchase_date"] == "2026-01-06T12:00:00Z"
