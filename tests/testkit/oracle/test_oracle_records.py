"""Delivery rules §2 to §4: whom an order belongs to, what credits give back, and the order's record."""

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, Literal

import pytest

from streams.mapping import Mapping
from streams.mapping.delivery import OrderRecords
from streams.mapping.model import History
from testkit.oracle.credits import credited
from testkit.oracle.expected_records import order_records
from testkit.oracle.order_facts import classified
from testkit.oracle.recipients import orders_of_nobody, recipients

from .made_rows import (
    CANCELLED,
    COMPLETED,
    HOUSE,
    OPEN,
    Row,
    Rows,
    contact,
    credit,
    customer,
    delivering,
    despatch,
    detail,
    fields,
    header,
    line,
    order,
    product,
    returned,
    site,
    tables,
    total,
    variant,
)

ANN, BOB, CAT = "ann@example.com", "bob@example.com", "cat@example.com"
PEOPLE = [customer(10), contact(1, 10, f"{ANN}; {BOB}"), contact(2, 10, CAT)]


def record(*rows: Rows, mapping: Mapping | None = None) -> dict[str, Any]:
    """The record of order 5."""
    (found,) = order_records(tables(PEOPLE, *rows), mapping or site())["SO-5"]
    return found.content


def owner(*rows: Rows) -> str | None:
    found = order_records(tables(*rows), site())
    return found["SO-5"][0].owner if found else None


def plain(*lines: Row, net: str = "100.0000", currency: int = 1, **changes: Any) -> list[Row]:
    return [header(5, 10, **changes), detail(5, 5, ohd_c_id=currency), total(5, 5, net), *lines]


def note(key: int, net: str, *lines: Row, currency: int = 1, **changes: Any) -> list[Row]:
    """A credit note with these lines."""
    head = header(key, 10, **({"oh_sot_id": 4, "oh_order_number": f"CN-{key}"} | changes))
    return [head, detail(key, key, ohd_c_id=currency), total(key, key, net), *lines]


def back(key: int, note: int, original: int, net: str | None) -> Row:
    return line(key, note, original, oli_line_net=net)


def given_back(*rows: Rows) -> dict[int, Decimal]:
    made = tables(PEOPLE, *rows)
    return credited(made, site(), classified(made, site())[0])


def test_every_property_of_one_order() -> None:
    rows = plain(
        line(52, 5, oli_vad_id=4, oli_qty_required="2.5000", oli_line_net="10.0000"),
        line(51, 5, oli_vad_id=3, oli_qty_required="3.0000", oli_line_net="10.0000"),
        line(53, 5, oli_line_net="80.0000"),
        oh_datetime="2026-07-01T12:00:00Z",
        oh_order_number=" SO-5 ",
    )
    rows += [despatch(1, 5, "2026-07-02T10:00:00Z"), despatch(2, 5, "2026-07-03T10:00:00.9Z"), returned(1, 5, " RMA-1 ")]
    rows += [variant(3, " AB ", "Small pump", vad_pd_id=9), product(9)]
    assert record(rows) == {
        "id": "SO-5",
        "order_status": "returning",
        "purchase_date": "2026-07-01T11:00:00Z",
        "currency": "GBP",
        "tax_included": False,
        "order_subtotal": Decimal("100.00"),
        "other_total": Decimal("80.00"),
        "refund_total": Decimal("0.00"),
        "order_total": Decimal("100.00"),
        "despatch_date": "2026-07-03T09:00:00Z",
        "consignment_number": "P5",
        "return_number": "RMA-1",
        "products": [
            {
                "product_id": "3",
                "parent_id": "9",
                "sku": "AB",
                "name": "Small pump",
                "price": Decimal("3.33"),
                "quantity": Decimal("3.0000"),
                "qty": 3,
                "line_total": Decimal("10.00"),
                "returned_qty": Decimal(0),
                "refunded": False,
            },
            {
                "product_id": "4",
                "price": Decimal("4.00"),
                "quantity": Decimal("2.5000"),
                "qty": 3,
                "line_total": Decimal("10.00"),
                "returned_qty": Decimal(0),
                "refunded": False,
            },
        ],
    }


def test_numbers_that_a_key_cannot_hold_have_a_hash() -> None:
    rows = [order(key, 10, oh_order_number=number) for key, number in enumerate(("WEB-1001", " WEB/1001 ", "WEB 1001"), 5)]
    found = order_records(tables(PEOPLE, *rows), site())
    assert {key: one.content["id"] for key, (one,) in found.items()} == {
        "WEB-1001": "WEB-1001",
        "WEB_1001_439526a7": "WEB/1001",
        "WEB_1001_dca1cf71": "WEB 1001",
    }


def test_what_is_none_is_left_out() -> None:
    assert record(plain()).keys() == {
        "id", "order_status", "purchase_date", "currency", "tax_included",
        "order_subtotal", "other_total", "refund_total", "order_total",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("quantity", "net", "price", "shown"),
    [
        ("2.0000", "0.0300", "0.02", 2),  # 0.015 is rounded up
        ("0.2500", "1.0000", "4.00", 1),
        ("0.5000", "1.0000", "2.00", 1),
        ("0.0000", "1.0000", None, 0),
        (None, "1.0000", None, None),
        ("2.0000", None, None, 2),
    ],
)
def test_a_line_has_a_price_when_it_has_a_quantity(
    quantity: str | None, net: str | None, price: str | None, shown: int
) -> None:
    (bought,) = record(plain(line(51, 5, oli_vad_id=3, oli_qty_required=quantity, oli_line_net=net)))["products"]
    wanted = {"product_id": "3", "price": None if price is None else Decimal(price), "qty": shown} | {
        "quantity": None if quantity is None else Decimal(quantity),
        "line_total": None if net is None else Decimal(net),
        "returned_qty": Decimal(0),
        "refunded": False,
    }
    assert bought == {name: value for name, value in wanted.items() if value is not None}


def test_a_line_shows_what_credit_notes_give_back_of_it() -> None:
    lines = [line(51, 5, oli_vad_id=3), line(52, 5, oli_vad_id=4)]
    notes = [
        note(7, "4.0000", line(71, 7, 51, oli_qty_required="1.0000", oli_line_net="4.0000")),
        note(8, "0.0000", line(81, 8, 51, oli_qty_required="0.5000", oli_line_net=None)),
        note(9, "9.0000", line(91, 9, 52, oli_qty_required="1.0000", oli_line_net="9.0000"), oh_os_id=CANCELLED),
    ]
    products = record(plain(*lines), notes)["products"]
    assert [(one["returned_qty"], one["refunded"]) for one in products] == [(Decimal("1.5"), True), (Decimal(0), False)]


def test_an_order_that_is_cancelled_and_credited_counts_once() -> None:
    """The part of the credit note that gives back the cancelled order takes nothing off the spend."""
    orders = [order(5, 10, "100.0000", oh_os_id=CANCELLED), line(51, 5), order(6, 10, "40.0000"), line(61, 6)]
    one = note(7, "100.0000", back(71, 7, 51, "100.0000"))
    shown = fields(ANN, PEOPLE, orders, one)
    assert [shown[name] for name in ("OW_TOTAL_SPEND", "OW_REFUND_COUNT", "OW_REFUNDED")] == [Decimal(40), 0, False]
    both = note(7, "115.0000", back(71, 7, 51, "100.0000"), back(72, 7, 61, "10.0000"))
    shown = fields(ANN, PEOPLE, orders, both)
    assert [shown[name] for name in ("OW_TOTAL_SPEND", "OW_REFUND_TOTAL")] == [Decimal(30), Decimal(10)]


def test_a_line_shows_the_variants_own_name_and_its_product_even_if_that_is_gone() -> None:
    rows = plain(line(51, 5, oli_vad_id=3)), variant(3, None, None, vad_pd_id=9)
    (bought,) = record(*rows, product(9))["products"]
    assert (bought.get("sku"), bought.get("name"), bought["parent_id"]) == (None, None, "9")
    (unmapped,) = record(*rows, mapping=site(products=None))["products"]
    assert unmapped.keys() == {"product_id", "price", "quantity", "qty", "line_total", "returned_qty", "refunded"}


def test_only_live_orders_with_number_and_recipient_have_a_record() -> None:
    def numbers(*rows: Rows, mapping: Mapping | None = None) -> set[str]:
        return set(order_records(tables(PEOPLE, *rows), mapping or site()))

    assert numbers(order(5, 10), credit(6, 10), order(7, 10, oh_os_id=CANCELLED)) == {"SO-5", "SO-7"}
    assert numbers(order(5, 10, oh_sot_id=2), order(6, 10, oh_os_id=99), order(7, 10, oh_order_number=" ")) == set()
    assert numbers(order(5, 77)) == set()
    assert numbers(order(5, 10), mapping=delivering(orders=None)) == set()


@pytest.mark.parametrize(("before", "count"), [("ignore", 1), ("count", 2)])
def test_orders_from_before_the_history_have_no_record(before: Literal["ignore", "count"], count: int) -> None:
    usual = site()
    history = History(since=datetime(2026, 6, 1, tzinfo=UTC), before=before)
    mapping = usual.model_copy(update={"order": usual.order.model_copy(update={"history": history})})
    rows = [order(5, 10, oh_datetime="2026-05-31T12:00:00Z"), order(6, 10, oh_datetime="2026-06-01T12:00:00Z")]
    assert order_records(tables(PEOPLE, rows), mapping).keys() == {"SO-6"}
    back = credit(7, 10, oh_datetime="2026-06-02T12:00:00Z"), line(71, 7, oli_line_net="10.0000", oli_original_oli_id=5)
    found = fields(ANN, PEOPLE, rows, *back, mapping=mapping)
    assert found["OW_ORDER_COUNT"] == count
    assert found["OW_REFUNDED"] is (before == "count")
    assert found["OW_TOTAL_SPEND"] == {1: 100, 2: 190}[count]


def test_of_two_orders_with_one_number_either_may_show() -> None:
    both = order_records(tables(PEOPLE, order(5, 10), order(6, 10, oh_order_number="SO-5")), site())
    assert len(both["SO-5"]) == 2


ELSE = "else@example.com"


def test_a_customers_order_belongs_to_its_own_address_if_anybody_has_that() -> None:
    assert owner(PEOPLE, order(5, 10)) == ANN
    assert owner(PEOPLE, order(5, 10, email="n/a")) is None
    assert owner(PEOPLE, order(5, 10, email=f"Nobody <{CAT}>, {ANN}")) == CAT
    assert owner(PEOPLE, order(5, 10, email=ELSE)) is None
    assert owner(PEOPLE, order(5, 10, email=ELSE), customer(11, cd_statement_email=ELSE)) == ELSE
    assert owner(PEOPLE, order(5, 10, email=ELSE), order(6, HOUSE, email=ELSE)) == ELSE
    assert owner(order(5, 77, email=ELSE), customer(11, cd_statement_email=ELSE)) == ELSE
    # The own address is the first of the first column; the next one is not looked at.
    assert owner(PEOPLE, order(5, 10, email=f"{ELSE}; {CAT}")) is None


def test_an_order_with_an_address_of_nobody_belongs_to_the_person_who_ordered() -> None:
    usual = site()
    header_ = usual.order.header.model_copy(update={"contact": "oh_cc_id"})
    mapping = usual.model_copy(update={"order": usual.order.model_copy(update={"header": header_})})

    def placed(by: int, email: str | None = ELSE) -> str | None:
        made = tables(PEOPLE, customer(11), contact(3, 11, BOB), contact(4, 10, None), order(5, 10, email=email, oh_cc_id=by))
        found = order_records(made, mapping)
        assert orders_of_nobody(made, mapping) == (not found)
        return found["SO-5"][0].owner if found else None

    assert (placed(2), placed(3), placed(4), placed(0), placed(2, ANN), placed(2, None)) == (CAT, None, None, None, ANN, ANN)


def test_a_credit_belongs_to_whom_the_order_belongs_that_it_gives_back() -> None:
    orders = [
        order(5, 10, email=CAT),
        line(51, 5),
        order(6, HOUSE, email=BOB),
        line(61, 6),
        order(8, 10, email=ELSE),
        line(81, 8),
    ]

    def whose(*originals: int) -> str | None:
        lines = [back(70 + place, 7, original, "1.0000") for place, original in enumerate(originals)]
        made = tables(PEOPLE, orders, note(7, "5.0000", *lines))
        return recipients(made, site(), classified(made, site())[0]).get(7)

    assert [whose(51), whose(61), whose(61, 51), whose(81), whose()] == [CAT, BOB, CAT, None, ANN]


def test_the_first_address_is_that_of_the_lowest_contact() -> None:
    people = [customer(10), contact(2, 10, CAT), contact(1, 10, BOB)]
    assert owner(people, order(5, 10)) == BOB


def test_an_account_without_contacts_has_its_own_addresses() -> None:
    assert owner(customer(10, cd_invoice_email=BOB), order(5, 10)) == BOB
    assert owner(customer(10), order(5, 10)) is None
    assert owner(contact(1, 10, ANN), order(5, 10)) is None


def test_a_house_order_belongs_to_its_own_address() -> None:
    assert owner(customer(HOUSE), contact(1, HOUSE, ANN), order(5, HOUSE, email=BOB)) == BOB


def test_a_credit_gives_back_its_lines_and_what_is_beyond_them_goes_to_the_lowest_order() -> None:
    orders = [order(5, 10), line(51, 5), order(6, 10), line(61, 6)]
    credits_ = note(7, "35.0000", back(71, 7, 61, "20.0000"), back(72, 7, 51, "10.0000"), back(73, 7, 61, None))
    assert given_back(orders, credits_) == {5: Decimal("15.0000"), 6: Decimal("20.0000")}
    assert given_back(orders, note(7, "5.0000", back(71, 7, 61, None))) == {6: Decimal("5.0000")}


def test_a_credit_of_less_than_its_lines_gives_back_what_it_is_worth() -> None:
    assert given_back(order(5, 10), line(51, 5), note(7, "8.0000", back(71, 7, 51, "10.0000"))) == {5: Decimal("8.0000")}


def test_credits_without_lines_and_those_that_do_not_count_give_nothing_back() -> None:
    orders = [order(5, 10), line(51, 5)]
    assert given_back(orders, credit(7, 10)) == {}
    assert given_back(orders, note(7, "9.0000", back(71, 7, 51, "9.0000"), oh_os_id=CANCELLED)) == {}
    assert given_back(orders, note(7, "9.0000", back(71, 7, 51, "9.0000"), oh_os_id=99)) == {}


def test_a_credit_is_converted_at_its_own_rate_and_back_at_the_orders() -> None:
    rows = plain(line(51, 5), net="200.0000", currency=2), note(7, "10.0000", back(71, 7, 51, "10.0000"))
    # 10 GBP / 0.8537 = 11.7137... EUR
    shown = record(*rows)
    assert (shown["currency"], shown["order_subtotal"]) == ("EUR", Decimal("200.00"))
    assert (shown["refund_total"], shown["order_total"]) == (Decimal("11.71"), Decimal("188.29"))


def test_several_credits_add_up_before_they_are_rounded() -> None:
    notes = [note(key, "0.0040", back(key * 10, key, 51, "0.0040")) for key in (7, 8)]
    assert record(plain(line(51, 5)), notes)["refund_total"] == Decimal("0.01")


def test_no_order_is_worth_less_than_nothing() -> None:
    shown = record(plain(line(51, 5)), note(7, "150.0000", back(71, 7, 51, "150.0000")))
    assert (shown["refund_total"], shown["order_total"]) == (Decimal("150.00"), Decimal("0.00"))


@pytest.mark.parametrize(
    ("given", "changes", "returns", "status"),
    [
        (None, {}, False, "completed"),
        (None, {"oh_os_id": OPEN}, False, "open"),
        (None, {"oh_os_id": OPEN}, True, "returning"),
        ("1.0000", {}, True, "part_refunded"),
        ("99.9900", {}, False, "part_refunded"),
        ("99.9999", {}, False, "refunded"),
        ("0.0040", {}, False, "completed"),
        ("100.0000", {}, True, "refunded"),
        ("100.0000", {"oh_os_id": CANCELLED}, True, "cancelled"),
        ("0.0000", {"oh_os_id": COMPLETED}, False, "completed"),
    ],
)
def test_the_first_status_that_applies_shows(given: str | None, changes: dict[str, Any], returns: bool, status: str) -> None:
    rows: list[Rows] = [plain(line(51, 5), **changes)]
    rows += [note(7, given, back(71, 7, 51, given))] if given else []
    rows += [returned(1, 5, None)] if returns else []
    assert record(*rows)["order_status"] == status


def test_an_order_of_nothing_is_not_refunded_by_nothing() -> None:
    assert record(plain(net="0.0000"))["order_status"] == "completed"


def test_a_site_has_words_of_its_own_for_statuses() -> None:
    mapping = delivering(orders=OrderRecords(statuses={"completed": "fulfilled", "open": "new"}))
    assert record(plain(), mapping=mapping)["order_status"] == "fulfilled"
    assert record(plain(), returned(1, 5, "R"), mapping=mapping)["order_status"] == "returning"


def test_the_latest_return_gives_its_number() -> None:
    early = returned(9, 5, "EARLY", "2026-01-01T00:00:00Z")
    late = returned(2, 5, "LATE", "2026-01-02T00:00:00Z")
    assert record(plain(), early, late, returned(10, 5, "UNDATED"))["return_number"] == "LATE"
    assert record(plain(), late, returned(3, 5, "HIGHER", "2026-01-02T00:00:00Z"))["return_number"] == "HIGHER"
    assert "return_number" not in record(plain(), early, returned(3, 5, " ", "2026-01-02T00:00:00Z"))
    assert "return_number" not in record(plain(), returned(1, 0, "NOBODYS"), returned(2, 6, "ELSEWHERE"))
    assert record(plain(), early, mapping=site(returns=None))["order_status"] == "completed"


def test_the_contact_shows_the_skus_of_its_last_order_each_once_by_line() -> None:
    sold = [variant(key, f" S{key} ") for key in (1, 2, 3)] + [variant(4, None)]
    lines = [line(50 + place, 5, oli_vad_id=key) for place, key in enumerate((3, 1, 3, 4, 99, 2))]
    older = [order(4, 10), line(41, 4, oli_vad_id=2)]
    assert fields(ANN, PEOPLE, sold, older, plain(*lines))["OW_LAST_SKUS"] == "S3, S1, S2"
    assert fields(ANN, PEOPLE, sold, plain())["OW_LAST_SKUS"] is None


def test_as_many_whole_skus_as_fit_are_shown() -> None:
    sold = [variant(key, f"{key:02d}" + "x" * 97) for key in range(1, 13)]
    lines = [line(50 + key, 5, oli_vad_id=key) for key in range(1, 13)]
    shown = fields(ANN, PEOPLE, sold, plain(*lines))["OW_LAST_SKUS"]
    # Nine of 99 characters with eight separators between them are 907; a tenth makes 1,008.
    assert len(shown) == 907
    assert fields(ANN, PEOPLE, sold[:9], variant(10, "y" * 91), plain(*lines))["OW_LAST_SKUS"].endswith(", " + "y" * 91)
