"""Delivery rules §6, §7 and §9: the list of recent buyers, refunds to be told, and those who were erased."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from streams.mapping import Mapping
from streams.mapping.delivery import RecentBuyers, RefundEnrolment, RefundEvent
from testkit.oracle import Expectation, expectation
from testkit.oracle.row_reading import iso

from .made_rows import (
    CANCELLED,
    HOUSE,
    Row,
    Rows,
    contact,
    credit,
    customer,
    delivering,
    despatch,
    detail,
    header,
    line,
    order,
    site,
    tables,
    total,
)

ANN, BOB, CAT = "ann@example.com", "bob@example.com", "cat@example.com"
NOW = datetime(2026, 1, 31, 12, tzinfo=UTC)
PEOPLE = [customer(10), contact(1, 10, ANN), contact(2, 10, BOB)]
FOLLOWING_UP = delivering(follow_up=RefundEvent(kind="event", since=datetime(2026, 1, 10, tzinfo=UTC)))


def expected(*rows: Rows, mapping: Mapping | None = None, erased: tuple[str, ...] = ()) -> Expectation:
    return expectation(tables(*rows), mapping or site(), at=NOW, erased=erased)


def numbers(found: Expectation) -> dict[str, set[str]]:
    """The numbers of the credit notes that have a follow-up, by address."""
    return {email: set(notes) for email, notes in found.follow_ups.items()}


@pytest.mark.parametrize(
    ("left", "membership"),
    [
        (timedelta(days=29), "in"),
        (timedelta(minutes=11), "in"),
        (timedelta(minutes=10), "either"),
        (timedelta(), "either"),
        (timedelta(minutes=-10), "either"),
        (timedelta(minutes=-11), "out"),
    ],
)
def test_a_contact_is_a_recent_buyer_until_its_days_are_over(left: timedelta, membership: str) -> None:
    at = iso(NOW - timedelta(days=30) + left)
    assert expected(PEOPLE, order(5, 10), despatch(1, 5, at)).recent_buyers == {ANN: membership, BOB: membership}


def test_who_got_nothing_is_no_recent_buyer() -> None:
    assert expected(PEOPLE, order(5, 10)).recent_buyers[ANN] == "out"
    cancelled = order(5, 10, oh_os_id=CANCELLED), despatch(1, 5, iso(NOW))
    assert expected(PEOPLE, *cancelled).recent_buyers[ANN] == "out"


def test_the_days_are_the_sites_and_the_list_may_be_unwanted() -> None:
    rows = PEOPLE, order(5, 10), despatch(1, 5, iso(NOW - timedelta(days=8)))
    assert expected(*rows, mapping=delivering(recent_buyers=RecentBuyers(days=7))).recent_buyers[ANN] == "out"
    assert expected(*rows, mapping=delivering(recent_buyers=RecentBuyers(days=9))).recent_buyers[ANN] == "in"
    assert expected(*rows, mapping=delivering(recent_buyers=None)).recent_buyers == {}


@pytest.mark.parametrize(
    ("changes", "published"),
    [
        ({"oh_datetime": "2026-01-10T00:00:00Z"}, True),
        ({"oh_datetime": "2026-01-09T23:59:59Z"}, False),
        ({"oh_os_id": CANCELLED}, False),
        ({"oh_os_id": 99}, False),
        ({"oh_order_number": " "}, False),
    ],
)
def test_a_credit_that_counts_is_reported_from_its_day_on(changes: dict[str, Any], published: bool) -> None:
    note = credit(7, 10, **({"oh_datetime": "2026-01-20T00:00:00Z", "oh_order_number": " CN-7 "} | changes))
    assert numbers(expected(PEOPLE, note, mapping=FOLLOWING_UP)) == ({ANN: {"CN-7"}} if published else {})


def test_a_credit_is_reported_to_its_recipient() -> None:
    notes = [credit(7, 10, email=BOB, oh_datetime=iso(NOW)), credit(8, HOUSE, email=CAT, oh_datetime=iso(NOW))]
    assert numbers(expected(PEOPLE, notes, mapping=FOLLOWING_UP)) == {BOB: {"CN-7"}, CAT: {"CN-8"}}
    assert numbers(expected(customer(10), notes[0], mapping=FOLLOWING_UP)) == {}


def test_orders_are_not_reported_and_nothing_is_unless_asked_for() -> None:
    assert numbers(expected(PEOPLE, order(5, 10, oh_datetime=iso(NOW)), mapping=FOLLOWING_UP)) == {}
    assert numbers(expected(PEOPLE, credit(7, 10, oh_datetime=iso(NOW)))) == {}
    assert numbers(expected(PEOPLE, credit(7, 10, "0.0040", oh_datetime=iso(NOW)), mapping=FOLLOWING_UP)) == {}
    enrolling = delivering(follow_up=RefundEnrolment(kind="enrolment", program=3, since=datetime(2026, 1, 1, tzinfo=UTC)))
    assert numbers(expected(PEOPLE, credit(7, 10, oh_datetime=iso(NOW)), mapping=enrolling)) == {ANN: {"CN-7"}}


def test_nothing_is_expected_of_an_erased_address() -> None:
    rows = [PEOPLE, order(5, 10, "30.0000"), despatch(1, 5, iso(NOW)), credit(7, 10, "10.0000", oh_datetime=iso(NOW))]
    found = expected(*rows, mapping=FOLLOWING_UP, erased=(f" {ANN.upper()}",))
    assert found.contacts.keys() == found.recent_buyers.keys() == {BOB}
    # The account's other addresses keep the account's totals, its orders and its refunds.
    assert found.contacts[BOB].fields["OW_ORDER_COUNT"] == 1
    assert found.orders["SO-5"][0].owner == BOB
    assert numbers(found) == {BOB: {"CN-7"}}
    assert expected(*rows, mapping=FOLLOWING_UP, erased=(ANN, BOB)).orders == {}


def test_an_erased_address_of_a_field_leaves_its_neighbours() -> None:
    assert set(expected(customer(10), contact(1, 10, f"{ANN}; {BOB}"), erased=(ANN,)).contacts) == {BOB}
    assert set(expected(customer(10, cd_statement_email=f"{ANN} {BOB}"), erased=(ANN,)).contacts) == {BOB}


def test_no_other_column_takes_the_place_of_an_erased_address() -> None:
    assert expected(customer(10, cd_statement_email=ANN, cd_invoice_email=BOB), erased=(ANN,)).contacts == {}
    rows: list[Row] = [header(5, HOUSE), total(5, 5, "1"), detail(5, 5, ohd_delivery_email=ANN, ohd_invoice_email=BOB)]
    assert set(expected(rows).contacts) == {ANN}
    assert expected(rows, erased=(ANN,)).contacts == {}
    assert set(expected(rows, erased=(BOB,)).contacts) == {ANN}
    several = [header(5, HOUSE), total(5, 5, "1"), detail(5, 5, ohd_delivery_email=f"{ANN}; {BOB}")]
    assert expected(several, erased=(ANN,)).contacts == {}


def test_an_account_whose_persons_are_all_erased_has_its_own_address() -> None:
    assert set(expected(customer(10, cd_invoice_email=CAT), contact(1, 10, ANN), erased=(ANN,)).contacts) == {CAT}


def test_orders_of_others_stay_as_they_are() -> None:
    rows = [PEOPLE, order(5, 10), line(51, 5)]
    assert expected(*rows, erased=(CAT,)).orders == expected(*rows).orders
