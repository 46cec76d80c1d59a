"""Whose order: with an address of its own, with the person who placed it, and of a credit note."""

import pytest

from streams.capture import rows
from streams.messages.changes import ChangeKind
from tests.agents.pipeline import (
    ANN,
    BOB,
    EVE,
    HOUSE,
    LOOKUP,
    Pipeline,
    customer,
    detail,
    header,
    line,
    of_order,
    person,
    total,
)
from tests.agents.test_records import ACCOUNT, ORDER, SHOP, credit

COLLEAGUES = customer(1) + person(1, 1, ANN) + person(2, 1, EVE)


def test_an_order_with_an_address_that_nobody_has_shows_to_nobody_and_is_counted(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, COLLEAGUES, ORDER, detail(10, BOB), credit(20, "10", (100, "10")))
    assert not pipeline.records() and not any(pipeline.follow_ups.values())
    assert pipeline.orders.held.counts() == {"recipient_unknown": 1}
    assert pipeline.contact(ANN)["OW_REFUND_COUNT"] == 1, "spend stays with the account"


def test_it_shows_to_whoever_gets_the_address_elsewhere_and_no_longer_when_it_is_lost(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, COLLEAGUES, ORDER, detail(10, BOB), credit(20, "10", (100, "10"))).pump(customer(2, BOB))
    assert pipeline.records().keys() == {(BOB, "SO10")} and pipeline.follow_ups[20].keys() == {BOB}
    assert not pipeline.orders.held.counts()
    pipeline.pump(of_order(ChangeKind.HEADER, 99, 99, None), customer(2, at=2))
    assert not pipeline.records()
    assert pipeline.orders.held.counts() == {"recipient_unknown": 1}


def test_a_guests_address_is_somebodys_too(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, COLLEAGUES, ORDER, detail(10, BOB), header(11, HOUSE), total(11), detail(11, BOB))
    assert pipeline.records().keys() == {(BOB, "SO10"), (BOB, "SO11")}
    assert (pipeline.count(ANN), pipeline.count(BOB)) == (1, 1)


def test_an_order_with_an_address_that_nobody_has_shows_to_the_person_who_ordered(pipeline: Pipeline) -> None:
    placed = of_order(ChangeKind.HEADER, 10, 10, rows.Header("SO10", 1_700_000_010, 1, 1, 1, contact=2), 2)
    pipeline.pump(LOOKUP, COLLEAGUES, ORDER, detail(10, BOB), placed)
    assert pipeline.records().keys() == {(EVE, "SO10")}
    pipeline.pump(person(2, 1, "new@example.com", at=2))
    assert pipeline.records().keys() == {("new@example.com", "SO10")}, "and follows that person"
    pipeline.pump(customer(2, BOB))
    assert pipeline.records().keys() == {(BOB, "SO10")}
    pipeline.pump(person(3, 1, BOB)).pump(customer(2, at=2)).pump(person(3, 1, at=2))
    assert pipeline.records().keys() == {("new@example.com", "SO10")}


def test_an_address_that_is_excluded_or_cannot_be_read_gives_the_order_to_nobody_else(pipeline: Pipeline) -> None:
    relayed = of_order(ChangeKind.DETAIL, 10, 10, rows.Detail(None, 1, excluded=True))
    unreadable = of_order(ChangeKind.DETAIL, 11, 11, rows.Detail(None, 1, unreadable=True))
    pipeline.pump(LOOKUP, COLLEAGUES, ORDER, relayed, credit(20, "3", (100, "3")), header(11), total(11), unreadable)
    assert not pipeline.records() and not any(pipeline.follow_ups.values())
    assert pipeline.orders.held.counts() == {"recipient_unknown": 1}, "the exclusion is meant"
    assert pipeline.count(ANN) == 2, "spend stays with the account"
    pipeline.pump(detail(11, None, at=2))
    assert pipeline.records().keys() == {(ANN, "SO11")}
    pipeline.pump(of_order(ChangeKind.DETAIL, 11, 11, rows.Detail(None, 1, unreadable=True), 3))
    assert pipeline.records().keys() == {(ANN, "SO11")}, "it was emptied, and nobody can read what came since"


def test_the_person_who_placed_an_order_with_an_excluded_address_has_it(pipeline: Pipeline) -> None:
    placed = of_order(ChangeKind.HEADER, 10, 10, rows.Header("SO10", 1_700_000_010, 1, 1, 1, contact=2), 2)
    relayed = of_order(ChangeKind.DETAIL, 10, 10, rows.Detail(None, 1, excluded=True))
    pipeline.pump(LOOKUP, COLLEAGUES, ORDER, relayed, placed)
    assert pipeline.records().keys() == {(EVE, "SO10")}


@pytest.mark.parametrize("late", range(2))
def test_the_person_who_ordered_is_found_whether_the_account_or_the_person_came_first(pipeline: Pipeline, late: int) -> None:
    placed = of_order(ChangeKind.HEADER, 10, 10, rows.Header("SO10", 1_700_000_010, 1, 1, 1, contact=2), 2)
    rows_in_turn = [customer(1), person(1, 1, ANN) + person(2, 1, EVE)]
    pipeline.pump(LOOKUP, ORDER, detail(10, BOB), placed).pump(rows_in_turn[1 - late]).pump(rows_in_turn[late])
    assert pipeline.records().keys() == {(EVE, "SO10")}
    assert not pipeline.orders.held.counts()


def test_the_person_of_another_account_did_not_place_the_order(pipeline: Pipeline) -> None:
    placed = of_order(ChangeKind.HEADER, 10, 10, rows.Header("SO10", 1_700_000_010, 1, 1, 1, contact=3), 2)
    pipeline.pump(LOOKUP, COLLEAGUES, customer(2), person(3, 2, EVE), ORDER, detail(10, BOB), placed)
    assert not pipeline.records()


def test_a_credit_note_follows_the_order_that_it_gives_back(pipeline: Pipeline) -> None:
    pipeline.pump(SHOP, header(11, HOUSE), total(11), detail(11, EVE), line(11, 110))
    pipeline.pump(credit(20, "3", (110, "3")), credit(21, "3", (100, "3"), customer=HOUSE), detail(21, BOB))
    pipeline.pump(credit(22, "3", (110, "1"), (100, "2")))
    assert [pipeline.follow_ups[note].keys() for note in (20, 21, 22)] == [{EVE}, {ANN}, {ANN}]
    pipeline.pump(detail(11, BOB, at=2), customer(1, EVE, at=2))
    assert [pipeline.follow_ups[note].keys() for note in (20, 21, 22)] == [{BOB}, {EVE}, {EVE}]


def test_a_credit_note_waits_for_an_order_of_which_nothing_is_known(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, ACCOUNT, line(10, 100), credit(20, "3", (100, "3")))
    assert not any(pipeline.follow_ups.values())
    pipeline.pump(header(10), total(10))
    assert pipeline.follow_ups[20].keys() == {ANN}
