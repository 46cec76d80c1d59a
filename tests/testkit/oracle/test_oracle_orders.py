"""Contact rules §2: which orders are live, which are held, and for which reason first."""

from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from testkit.oracle import expected_contacts, expected_held

from .made_rows import (
    CANCELLED,
    COMPLETED,
    HOUSE,
    Row,
    contact,
    credit,
    customer,
    despatch,
    detail,
    fields,
    header,
    line,
    order,
    site,
    tables,
    total,
)

ANN = [customer(10), contact(1, 10, "ann@example.com")]


def held(*rows: Row | list[Row], statuses: dict[int, str] | None = None) -> dict[str, int]:
    return dict(expected_held(tables(*rows, statuses=statuses), site()))


def test_a_complete_order_is_not_held() -> None:
    assert held(order(5, 10)) == {}


@pytest.mark.parametrize("part", [detail(1, 5), total(1, 5, "1"), line(1, 5), despatch(1, 5, None)])
def test_parts_without_their_header_are_one_held_order(part: Row) -> None:
    assert held(part) == {"order_without_header": 1}
    assert held(part, line(2, 5), line(3, 5)) == {"order_without_header": 1}


def test_an_order_of_too_many_rows_is_held_before_anything_else() -> None:
    complete = order(5, 10)
    lines = [line(1_000 + number, 5) for number in range(5_000 - len(complete) + 1)]
    assert held(complete, lines) == {}
    assert held(complete, lines, line(1, 5)) == {"order_too_large": 1}


def test_parts_of_no_order_are_no_order() -> None:
    assert held(line(1, 0), despatch(1, 0, None)) == {}


@pytest.mark.parametrize("type_id", [7, 99, 0, None])
def test_an_unknown_type_is_held(type_id: int | None) -> None:
    assert held(order(5, 10, oh_sot_id=type_id)) == {"unknown_type": 1}


def test_quotes_are_ignored_whatever_else_is_wrong() -> None:
    assert held(order(5, None, None, oh_sot_id=2, oh_os_id=99)) == {}
    assert fields("ann@example.com", *ANN, order(5, 10, oh_sot_id=3))["OW_ORDER_COUNT"] == 0


@pytest.mark.parametrize("status", [99, 0, None])
def test_a_status_without_a_row_is_held(status: int | None) -> None:
    assert held(order(5, 10, oh_os_id=status)) == {"status_not_loaded": 1}


@pytest.mark.parametrize("text", ["Awaiting customs", "", None])
def test_a_status_text_that_nobody_mapped_is_held(text: Any) -> None:
    assert held(order(5, 10, oh_os_id=9), statuses={9: text}) == {"unknown_status": 1}


def test_a_status_text_is_trimmed_and_case_folded() -> None:
    assert held(order(5, 10, oh_os_id=9), statuses={9: "\t awaiting DESPATCH "}) == {}


def test_an_order_without_money_is_held() -> None:
    assert held(header(5, 10), detail(5, 5)) == {"order_without_total": 1}
    assert held(order(5, 10, None)) == {"order_without_total": 1}


def test_the_lowest_total_counts_even_if_it_is_empty() -> None:
    assert held(order(5, 10, None), total(6, 5, "3")) == {"order_without_total": 1}
    lower = fields("ann@example.com", *ANN, order(5, 10, "7.0000"), total(4, 5, "3.0000"))
    assert lower["OW_TOTAL_SPEND"] == Decimal("3.00")


def test_an_unknown_currency_is_held() -> None:
    assert held(header(5, 10), detail(5, 5, ohd_c_id=3), total(5, 5, "1")) == {"unknown_currency": 1}


@pytest.mark.parametrize("rows", [[], [detail(5, 5, ohd_c_id=None)], [detail(5, 5, ohd_c_id=0)]])
def test_an_order_that_names_no_currency_has_the_default_one(rows: list[Row]) -> None:
    shown = fields("ann@example.com", *ANN, header(5, 10), total(5, 5, "2.5"), rows)
    assert shown["OW_TOTAL_SPEND"] == Decimal("2.50")


def test_net_is_converted_exactly_before_it_is_summed() -> None:
    rows = [[header(key, 10), detail(key, key, ohd_c_id=2), total(key, key, "0.0059")] for key in (5, 6)]
    # 2 x 0.0059 x 0.8537 = 0.01007...; rounded one by one it would be 0.02
    assert fields("ann@example.com", *ANN, *rows)["OW_TOTAL_SPEND"] == Decimal("0.01")


def test_the_lowest_detail_counts() -> None:
    rows = [header(5, HOUSE), total(5, 5, "1"), detail(8, 5, ohd_delivery_email="b@example.com")]
    assert fields("b@example.com", rows)["OW_ORDER_COUNT"] == 1
    assert held(rows, detail(7, 5)) == {"order_without_email": 1}


def test_a_credit_waits_for_the_lines_that_it_names() -> None:
    note = [header(6, 10, oh_sot_id=4), total(6, 6, "1"), line(61, 6, 51), line(62, 6, 0)]
    assert held(note) == {"credit_without_order": 1}
    assert held(note, order(5, 10), line(51, 5)) == {}
    assert held(note, line(51, 5)) == {"order_without_header": 1}  # the line is enough, its order need not be there
    assert held(credit(6, 10)) == {}


def test_an_order_may_name_lines_that_are_gone() -> None:
    assert held(header(6, 10), total(6, 6, "1"), line(61, 6, 51)) == {}


@pytest.mark.parametrize("nobody", [0, None])
def test_an_order_without_customer_is_held(nobody: int | None) -> None:
    assert held(order(5, nobody)) == {"order_without_customer": 1}


def test_an_order_of_an_unknown_customer_is_live_but_nobodys() -> None:
    assert held(order(5, 77)) == {}


def test_a_house_order_needs_an_address() -> None:
    assert held(order(5, HOUSE, email=" ")) == {"order_without_email": 1}
    assert held(order(5, HOUSE, email="n/a")) == {"unreadable_address": 1}
    assert held(header(5, HOUSE), total(5, 5, "1")) == {"order_without_email": 1}
    assert held(order(5, 10, email="n/a")) == {}


def test_a_house_orders_address_is_the_first_of_the_first_column_that_is_not_empty() -> None:
    rows = [header(5, HOUSE), total(5, 5, "1")]
    invoice = {"ohd_invoice_email": "z@example.com; y@example.com"}
    assert set(_emails([*rows, detail(5, 5, ohd_delivery_email=" ", **invoice)])) == {"z@example.com"}
    assert set(_emails([*rows, detail(5, 5, ohd_delivery_email="x <b@example.com>", **invoice)])) == {"b@example.com"}


def _emails(rows: list[Row]) -> list[str]:
    return list(expected_contacts(tables(rows), site()))


def test_only_the_first_reason_is_counted() -> None:
    # Each order has all reasons but those that come before in the contract's table.
    bad: list[list[Row]] = [
        [header(1, None, oh_sot_id=99, oh_os_id=99), detail(1, 1, ohd_c_id=9)],
        [header(2, None, oh_sot_id=4, oh_os_id=99), detail(2, 2, ohd_c_id=9), line(2, 2, 999)],
        [header(3, None, oh_sot_id=4, oh_os_id=9), detail(3, 3, ohd_c_id=9), line(3, 3, 999)],
        [header(4, None, oh_sot_id=4), detail(4, 4, ohd_c_id=9), line(4, 4, 999)],
        [header(5, None, oh_sot_id=4), detail(5, 5, ohd_c_id=9), line(5, 5, 999), total(5, 5, "1")],
        [header(6, None, oh_sot_id=4), detail(6, 6), line(6, 6, 999), total(6, 6, "1")],
        [header(7, None, oh_sot_id=4), detail(7, 7), total(7, 7, "1")],
        [header(8, HOUSE, oh_sot_id=4), detail(8, 8), total(8, 8, "1")],
    ]
    statuses = {COMPLETED: "Completed", 9: "?"}
    assert expected_held(tables(*bad, statuses=statuses), site()) == Counter(
        unknown_type=1,
        status_not_loaded=1,
        unknown_status=1,
        order_without_total=1,
        unknown_currency=1,
        credit_without_order=1,
        order_without_customer=1,
        order_without_email=1,
    )


def test_a_held_order_contributes_nothing() -> None:
    shown = fields("ann@example.com", *ANN, order(5, 10, oh_os_id=99))
    assert (shown["OW_ORDER_COUNT"], shown["OW_LAST_ORDER"]) == (0, None)


def test_a_cancelled_order_does_not_count() -> None:
    rows = [order(5, 10, oh_os_id=CANCELLED), despatch(1, 5, "2026-01-09T08:00:00Z"), credit(6, 10, oh_os_id=CANCELLED)]
    shown = fields("ann@example.com", *ANN, *rows)
    assert (shown["OW_ORDER_COUNT"], shown["OW_REFUND_COUNT"], shown["OW_LAST_DESPATCH"]) == (0, 0, None)
    assert shown["OW_REFUNDED"] is False


def test_the_latest_despatch_of_all_orders_shows() -> None:
    rows = [
        [order(5, 10), despatch(1, 5, "2026-01-09T08:00:00Z"), despatch(2, 5, None)],
        [order(6, 10), despatch(3, 6, "2026-01-08T08:00:00Z"), despatch(4, 6, "2026-01-07T08:00:00Z")],
    ]
    flat = [row for group in rows for row in group]
    assert fields("ann@example.com", *ANN, *flat)["OW_LAST_DESPATCH"] == "2026-01-09T08:00:00Z"
