"""An order's record from its rows, and what the order needs to know for it: credits, recipients, the lines' owners."""

import json
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture import rows
from streams.domain import line_index, order_record, recipients
from streams.domain.credits import shares
from streams.domain.line_index import LineBlock
from streams.domain.orders import Live, OrderRow
from streams.domain.times import utc_text
from streams.domain.versioned import Versioned, version_bytes
from streams.mapping import load_mapping
from streams.mapping.delivery import OrderRecords
from streams.mapping.model import Currency
from streams.messages.changes import (
    Change,
    CreditedAmount,
    CreditedLine,
    LineOwnership,
    OrderFact,
    RecipientsReply,
    VariantInfo,
)
from streams.messages.kinds import LineOwnershipChange, RecipientsReplyChange

MAPPING = load_mapping()
T = 1_700_000_000
AT = version_bytes(1)
USUAL = OrderRecords()
KEPT = {"returned_qty": "0.0", "refunded": False}
OWN, PERSON = "own@example.com", "person@example.com"


def live(net: str = "10", *, rate: str = "1", credit: bool = False, status: Any = "open", buyer: str = "c1") -> Live:
    currency = Currency(code="EUR", rate=Decimal(rate))
    return Live(OrderFact("SO1", T, status, credit, Decimal(net) * currency.rate, None), buyer, Decimal(net), currency)


def bought(*several: tuple[int | None, str | None, str | None]) -> OrderRow:
    """An order with a line for each (variant, quantity, net)."""

    def number(text: str | None) -> Decimal | None:
        return None if text is None else Decimal(text)

    found = [rows.Line(None, variant, number(quantity), number(net)) for variant, quantity, net in several]
    return OrderRow(lines={key: Versioned(AT, line) for key, line in enumerate(found, 1)})


def shown(
    row: OrderRow, order: Live | None = None, items: dict[int, VariantInfo] | None = None, wanted: OrderRecords = USUAL
) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(order_record.content(row, order or live(), items or {}, wanted), parse_float=str)
    return found


def given_back(amount: str) -> OrderRow:
    return OrderRow(credits={5: Versioned(AT, CreditedAmount(Decimal(amount), T)), 6: Versioned(AT, None)})


@pytest.mark.parametrize("number", ["SO10", "WEB-1001", "a"])
def test_a_plain_number_is_the_key(number: str) -> None:
    assert order_record.key(number) == number


def test_numbers_that_a_key_cannot_hold_stay_apart() -> None:
    keys = [order_record.key(number) for number in ("WEB-1001", "WEB/1001", "WEB 1001", "WEB_1001", "WEB\u20131001")]
    assert keys[:3] == ["WEB-1001", "WEB_1001_439526a7", "WEB_1001_dca1cf71"]
    assert len(set(keys)) == 5 and all(order_record.former_key(key) == key for key in keys)


@given(st.lists(st.text(st.sampled_from("aA1-_/ .\u2013\uff11\u00e9#"), min_size=1, max_size=6), min_size=2, unique=True))
def test_no_two_numbers_have_one_key(numbers: list[str]) -> None:
    keys = [order_record.key(number) for number in numbers]
    assert len(set(keys)) == len(keys)
    assert all(set(key) <= {*"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"} for key in keys)


def test_what_is_none_is_left_out() -> None:
    assert shown(OrderRow()) == {
        "id": "SO1",
        "order_status": "open",
        "purchase_date": "2023-11-14T22:13:20Z",
        "currency": "EUR",
        "tax_included": False,
        "order_subtotal": "10.00",
        "other_total": "10.00",
        "refund_total": "0.00",
        "order_total": "10.00",
    }


@pytest.mark.parametrize(
    ("quantity", "net", "product"),
    [
        ("3", "10", {"price": "3.33", "quantity": "3.0", "qty": 3, "line_total": "10.00"}),
        ("8", "0.04", {"price": "0.01", "quantity": "8.0", "qty": 8, "line_total": "0.04"}),
        ("2.5000", "5", {"price": "2.00", "quantity": "2.5", "qty": 3, "line_total": "5.00"}),
        ("0.25", "1", {"price": "4.00", "quantity": "0.25", "qty": 1, "line_total": "1.00"}),
        ("-1", "-2", {"price": "2.00", "quantity": "-1.0", "qty": -1, "line_total": "-2.00"}),
        ("-0.4", "0", {"price": "0.00", "quantity": "-0.4", "qty": -1, "line_total": "0.00"}),
        ("0.000", "5", {"quantity": "0.0", "qty": 0, "line_total": "5.00"}),
        (None, "5", {"line_total": "5.00"}),
        ("2", None, {"quantity": "2.0", "qty": 2}),
        ("100000000000000000000", None, {"quantity": "100000000000000000000.0", "qty": 10**20}),
    ],
)
def test_a_lines_price_and_quantity(quantity: str | None, net: str | None, product: dict[str, Any]) -> None:
    assert shown(bought((7, quantity, net)))["products"] == [{"product_id": "7", **product, **KEPT}]


def test_products_and_what_is_no_product_make_the_subtotal() -> None:
    found = shown(bought((7, "3", "3.333"), (None, "1", "5"), (8, "1", None)), live("8.333"))
    assert [found[name] for name in ("order_subtotal", "other_total")] == ["8.33", "5.00"]
    assert [product.get("line_total") for product in found["products"]] == ["3.33", None]


def test_a_line_says_what_came_back_of_it() -> None:
    row = bought((7, "2", "10"), (8, "1", "5"))
    notes = [
        (CreditedLine(1, Decimal(1), Decimal(4)),),
        (CreditedLine(1, Decimal("0.5"), Decimal(0)), CreditedLine(9, Decimal(1), Decimal(1))),
    ]
    row.credits = {key: Versioned(AT, CreditedAmount(Decimal(4), T, lines)) for key, lines in enumerate(notes)}
    row.credits[5] = Versioned(AT, None)
    products = shown(row)["products"]
    assert [(product["returned_qty"], product["refunded"]) for product in products] == [("1.5", True), ("0.0", False)]


def test_a_lines_own_description_is_its_name() -> None:
    row = OrderRow(
        lines={1: Versioned(AT, rows.Line(None, 7, None, None, "Saw, red")), 2: Versioned(AT, rows.Line(None, 7, None, None))}
    )
    assert [product["name"] for product in shown(row, items={7: VariantInfo(None, "S", "Saw")})["products"]] == [
        "Saw, red",
        "Saw",
    ]


@pytest.mark.parametrize(("later", "first_load"), [(0, False), (1, True)])
def test_a_record_of_the_first_load_shows_that(later: int, first_load: bool) -> None:
    assert "first_load" not in shown(OrderRow())
    wanted = OrderRecords(loaded_before=datetime.fromtimestamp(T + later, UTC))
    assert shown(OrderRow(), wanted=wanted)["first_load"] is first_load


def test_lines_stand_by_their_key_and_only_with_a_variant() -> None:
    row = bought((9, None, None), (None, "1", "1"), (8, None, None), (9, None, None))
    assert [product["product_id"] for product in shown(row)["products"]] == ["9", "8", "9"]


@pytest.mark.parametrize(
    ("net", "rate", "amount", "status", "refunded", "left"),
    [
        ("10", "1", "0", "open", "0.00", "10.00"),
        ("10", "1", "0.001", "open", "0.00", "10.00"),
        ("10", "1", "10", "refunded", "10.00", "0.00"),
        ("33.3333", "1", "33.33", "refunded", "33.33", "0.00"),
        ("33.3333", "1", "33.32", "part_refunded", "33.32", "0.01"),
        ("33.3333", "0.8537", "28.4566", "refunded", "33.33", "0.00"),
        ("0.004", "1", "0.004", "open", "0.00", "0.00"),
        ("10", "1", "12", "refunded", "12.00", "0.00"),
        ("10", "0.85", "8.5", "refunded", "10.00", "0.00"),
        ("1.18", "0.85", "1", "refunded", "1.18", "0.00"),
        ("10", "1", "-2", "open", "-2.00", "12.00"),
    ],
)
def test_what_is_given_back(net: str, rate: str, amount: str, status: str, refunded: str, left: str) -> None:
    found = shown(given_back(amount), live(net, rate=rate))
    assert (found["order_status"], found["refund_total"], found["order_total"]) == (status, refunded, left)


SKUS = {
    1: VariantInfo(None, "A" * 600, None),
    2: VariantInfo(None, "B" * 398, None),
    3: VariantInfo(None, "C", None),
    4: VariantInfo(None, None, "D"),
}


@pytest.mark.parametrize(
    ("variants", "sizes"),
    [((), None), ((4, 5), None), ((3, 4, 3), (1,)), ((1, 2), (600, 398)), ((2, 1, 3), (398, 600)), ((3, 1, 2), (1, 600))],
)
def test_as_many_whole_skus_as_fit(variants: tuple[int, ...], sizes: tuple[int, ...] | None) -> None:
    text = order_record.skus(bought(*((variant, None, None) for variant in variants)), SKUS)
    assert text is None if sizes is None else (text is not None and tuple(map(len, text.split(", "))) == sizes)


def test_a_time_beyond_the_calendar_is_its_last_second() -> None:
    assert (utc_text(0), utc_text(10**15)) == ("1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z")


amounts = st.none() | st.decimals(-99, 99, places=4)
owned = st.dictionaries(st.integers(1, 6), st.integers(1, 3))


@settings(deadline=None)
@given(st.lists(st.tuples(st.none() | st.integers(1, 6), amounts), max_size=6), owned, st.sampled_from(["1", "0.853", "1.17"]))
def test_shares_are_worth_the_credit_note(
    given_lines: list[tuple[int | None, Decimal | None]], owners: dict[int, int], rate: str
) -> None:
    found = [rows.Line(original, None, None, net) for original, net in given_lines]
    row = OrderRow(lines={key: Versioned(AT, line) for key, line in enumerate(found)}, owners=owners)
    note = live("50", rate=rate, credit=True)
    worth = shares(row, note)
    assert worth.keys() == {owners[line.original] for line in found if line.original in owners}
    assert not worth or sum(worth.values()) == note.fact.net
    for order in worth.keys() - {min(worth, default=0)}:
        own = [line.net or Decimal(0) for line in found if line.original in owners and owners[line.original] == order]
        assert worth[order] == sum(own) * Decimal(rate)


@pytest.mark.parametrize("note", [live(), live(credit=True, status="cancelled")])
def test_what_is_no_credit_note_or_does_not_count_gives_nothing_back(note: Live) -> None:
    assert not shares(OrderRow(lines={1: Versioned(AT, rows.Line(1, None, None, Decimal(1)))}, owners={1: 1}), note)


def account_order(own: str | None = None, customer: int = 1) -> OrderRow:
    header = rows.Header("SO1", T, customer, 1, 1)
    return asking(OrderRow(header=Versioned(AT, header), details={1: Versioned(AT, rows.Detail(own, None))}))


def asking(row: OrderRow, order: Live | None = None) -> OrderRow:
    row.recipient.question = recipients.question(row, order or live())
    return row


def reply(
    address: str | None, own: str | None = None, buyer: str = "c1", position: int = 5, *, stranger: bool = False
) -> Change:
    row = RecipientsReply(recipients.group_of(own), address, stranger=stranger)
    return RecipientsReplyChange("1", buyer, version_bytes(position), 1, 0, row)


def test_an_order_asks_until_it_is_answered_and_when_its_own_address_is_another_one() -> None:
    row = account_order("a@example.com")
    assert recipients.unsure(row, recipients.question(row, live())) and recipients.waiting(row, live())
    assert recipients.apply(row, reply("a@example.com", "a@example.com"))
    assert not recipients.waiting(row, live()) and recipients.recipient(row, live()) == "a@example.com"
    row.details = account_order("c@example.com").details
    assert recipients.unsure(row, recipients.question(row, live())) and recipients.waiting(row, live())


@pytest.mark.parametrize(
    ("changes", "follows"),
    [
        (reply("a@example.com", position=4), False),
        (reply("a@example.com", position=5), True),
        (reply("b@example.com", position=4), False),
        (reply("a@example.com", position=6), False),
        (reply("b@example.com", position=6), True),
        (reply("a@example.com", position=6, stranger=True), True),
        (reply(None, position=6), True),
        (reply("b@example.com", buyer="c2", position=6), False),
        (reply("b@example.com", "b@example.com", position=6), False),
    ],
)
def test_what_follows_from_a_buyers_reply(changes: Change, follows: bool) -> None:
    row = account_order()
    recipients.apply(row, reply("a@example.com"))
    assert recipients.apply(row, changes) is follows


def test_a_former_buyers_reply_is_not_the_new_ones() -> None:
    row = account_order()
    recipients.apply(row, reply("a@example.com"))
    assert recipients.recipient(row, live(buyer="c2")) is None and recipients.unsure(
        row, recipients.question(row, live(buyer="c2"))
    )


@pytest.mark.parametrize(("projected", "person", "owner"), [(True, None, OWN), (False, PERSON, PERSON), (False, None, None)])
def test_an_address_that_the_account_does_not_have_is_asked_for(projected: bool, person: str | None, owner: str | None) -> None:
    row = account_order(OWN)
    recipients.apply(row, reply(person, OWN, stranger=True))
    assert recipients.waiting(row, live()) and recipients.doubtful_address(row) == OWN
    recipients.apply(row, reply(OWN if projected else None, OWN, buyer=OWN))
    assert not recipients.waiting(row, live())
    assert recipients.recipient(row, live()) == owner
    assert recipients.is_strangers(row, live()) is (owner is None)


def test_nobody_takes_the_place_of_an_erased_persons_address() -> None:
    row = account_order()
    row.details = {1: Versioned(AT, rows.Detail(None, None, erased=True))}
    recipients.apply(asking(row), reply(None, "", stranger=True))
    assert not recipients.waiting(row, live()) and recipients.recipient(row, live()) is None


def test_a_line_that_two_orders_have_is_the_lower_ones() -> None:
    block = LineBlock()
    published = [(9, True), (4, True), (4, False), (9, False)]
    found = []
    for position, (order, has) in enumerate(published, 1):
        line_index.apply(block, LineOwnershipChange("l0", 3, version_bytes(position), 1, 0, LineOwnership(order, has)))
        found.append(line_index.owner(block, 3))
    assert found == [9, 4, 9, None]
