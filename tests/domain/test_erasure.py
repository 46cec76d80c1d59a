"""What remains of changes and rows once somebody is taken from them."""

from collections.abc import Collection
from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from streams.capture import rows
from streams.domain import erasure
from streams.domain.buyers import ERASED, BuyerRow
from streams.domain.departures import Move
from streams.domain.erasure import NOBODY, forget_in_buyer, forget_in_order, scrubbed
from streams.domain.orders import OrderRow
from streams.domain.recipient_state import BuyersReply, OwnAddress, Question, RecipientState
from streams.domain.versioned import Versioned
from streams.messages.changes import Change, ChangeKind, CreditedOrder, OrderFact, RecipientsQuery, RecipientsReply, Totals
from streams.messages.contributions import AddressLeft, BuyerContribution
from streams.messages.kinds import CHANGES

ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"
GONE = {ANN: b"d" * 16}
PART = BuyerContribution("Ann", None, None, False, None, Totals(), None, None)
ASKED = Question("c1", "")
FACT = OrderFact("1", 1, "open", False, Totals().spend, None)


def change(kind: ChangeKind, key: str, row: object) -> Change:
    return CHANGES[kind](key, 1, b"\1", 1, 0, row)


def remains(published: Change) -> Change | None:
    return scrubbed(published, GONE.__contains__)


@pytest.mark.parametrize(
    ("kind", "key", "row", "expected"),
    [
        (ChangeKind.CONTACT, "c1", rows.Contact((ANN, BOB), "A", "B", True), rows.Contact((BOB,), "A", "B", True)),
        (ChangeKind.CONTACT, "c1", rows.Contact((ANN,), "A", "B", True), rows.Contact((), None, None, True)),
        (ChangeKind.CONTACT, "c1", rows.Contact((ANN,), "A", "B", None, True), rows.Contact((), None, None, None, True)),
        (ChangeKind.CUSTOMER, "c1", rows.Customer("X", True, (BOB, ANN)), rows.Customer("X", True, (BOB,))),
        (ChangeKind.DETAIL, "7", rows.Detail(ANN, 2), rows.Detail(None, 2, True)),
        (ChangeKind.RECIPIENTS_REPLY, "7", RecipientsReply("g", ANN), RecipientsReply("g", None)),
        (ChangeKind.CREDITED_ORDER, "7", CreditedOrder(ANN), CreditedOrder(None)),
        (ChangeKind.RECIPIENTS_QUERY, "c1", RecipientsQuery(ANN, 5), RecipientsQuery(ERASED, 5)),
        (ChangeKind.BUYER_CONTRIBUTION, BOB, AddressLeft(ANN), AddressLeft(None)),
        (ChangeKind.BUYER_CONTRIBUTION, BOB, AddressLeft(EVE, b"", (ANN,)), AddressLeft(EVE)),
        (ChangeKind.BUYER_CONTRIBUTION, BOB, replace(PART, moved_to=(ANN, EVE)), replace(PART, moved_to=(EVE,))),
        (ChangeKind.BUYER_CONTRIBUTION, BOB, replace(PART, account=ANN), PART),
        (ChangeKind.CONTACT, "c1", AddressLeft(ANN), AddressLeft(None)),
        (
            ChangeKind.CONTACT,
            "c1",
            rows.Contact((BOB,), "Ann", f"({ANN.upper()})", None),
            rows.Contact((BOB,), "Ann", ERASED, None),
        ),
        (ChangeKind.CONTACT, "c1", rows.Contact((ANN, BOB), ANN, "B", None), rows.Contact((BOB,), ERASED, "B", None)),
        (ChangeKind.CUSTOMER, "c1", rows.Customer(f"<{ANN}>", True, (BOB,)), rows.Customer(None, True, (BOB,))),
    ],
)
def test_the_address_goes_and_the_rest_stays(kind: ChangeKind, key: str, row: object, expected: object) -> None:
    published = remains(change(kind, key, row))
    assert published is not None
    assert published == change(kind, key, expected)


@pytest.mark.parametrize(
    ("kind", "key", "row"),
    [
        (ChangeKind.BUYER_CONTRIBUTION, ANN, PART),
        (ChangeKind.BUYER_CONTRIBUTION, ANN, AddressLeft(BOB)),
        (ChangeKind.CONTACT, f"e{ANN}", rows.Contact((ANN,), "A", None, None)),
        (ChangeKind.CONTACT, f"e{ANN}", None),
        (ChangeKind.ORDER_FACT, f"e{ANN}", FACT),
    ],
)
def test_what_is_about_nobody_else_is_dropped(kind: ChangeKind, key: str, row: object) -> None:
    assert remains(change(kind, key, row)) is None


@pytest.mark.parametrize(
    ("kind", "key", "row"),
    [
        (ChangeKind.CONTACT, "c1", rows.Contact((BOB,), "A", None, None)),
        (ChangeKind.CONTACT, "c1", rows.Contact((), "A", None, None)),
        (ChangeKind.CONTACT, "c1", rows.Contact((), BOB, "@ home", None)),
        (ChangeKind.CUSTOMER, "c1", rows.Customer(None, False, (BOB,))),
        (ChangeKind.DETAIL, "7", rows.Detail(None, None)),
        (ChangeKind.DETAIL, "7", None),
        (ChangeKind.ORDER_FACT, f"e{BOB}", FACT),
        (ChangeKind.BUYER_CONTRIBUTION, BOB, PART),
        (ChangeKind.HEADER, "7", rows.Header(ANN, 1, 1, 1, 1)),
    ],
)
def test_whoever_names_nobody_erased_passes_untouched(kind: ChangeKind, key: str, row: object) -> None:
    published = change(kind, key, row)
    assert remains(published) is published


def test_what_an_erased_buyer_says_of_another_address_is_dropped() -> None:
    assert remains(replace(change(ChangeKind.BUYER_CONTRIBUTION, BOB, AddressLeft(None)), pk=f"e{ANN}")) is None


def cell(row: Any) -> Versioned[Any]:
    return Versioned(b"\1", row)


def test_a_buyer_forgets_and_remembers_only_that_it_did() -> None:
    row = BuyerRow(
        customer=cell(rows.Customer("X", False, (ANN,))),
        contacts={1: cell(rows.Contact((ANN, EVE), "A", None, None)), 2: cell(None)},
        published_addresses={BOB: ANN, ANN: EVE, EVE: None},
        moves={1: Move({BOB: b"\1", ANN: b"\2"}, EVE), 2: Move({BOB: b"\1"}, ANN)},
    )
    assert forget_in_buyer(row, GONE)
    assert row == BuyerRow(
        customer=cell(rows.Customer("X", False, ())),
        contacts={1: cell(rows.Contact((EVE,), "A", None, None)), 2: cell(None)},
        published_addresses={BOB: None, EVE: None},
        erased=[GONE[ANN]],
        moves={1: Move({BOB: b"\1"}, EVE), 2: Move({BOB: b"\1"}, None)},
    )


@pytest.mark.parametrize(
    "named",
    [
        BuyerRow(moves={1: Move({ANN: b"\1"}, BOB)}),
        BuyerRow(moves={1: Move({BOB: b"\1"}, ANN)}),
        BuyerRow(contacts={1: cell(rows.Contact((BOB,), None, ANN.title(), None))}),
        BuyerRow(customer=cell(rows.Customer(ANN, False, ()))),
    ],
    ids=["left", "gone to", "name", "code"],
)
def test_a_buyer_forgets_wherever_the_address_stands(named: BuyerRow) -> None:
    assert forget_in_buyer(named, GONE)
    assert ANN.encode() not in msgspec.msgpack.encode(named).lower()


def test_a_follow_up_stays_with_whom_it_is_for_when_a_former_recipient_is_forgotten() -> None:
    row = OrderRow(follow_up_recipient=BOB, former_follow_up_recipients=[ANN, EVE])
    assert forget_in_order(row, GONE)
    assert (row.follow_up_recipient, row.former_follow_up_recipients) == (BOB, [EVE])


def test_an_order_forgets_and_remembers_only_that_it_did() -> None:
    row = OrderRow(
        details={1: cell(rows.Detail(ANN, 1)), 2: cell(rows.Detail(EVE, 1))},
        buyers=[f"e{ANN}", "c1"],
        recipient=RecipientState(
            reply=BuyersReply(ASKED, b"\1", ANN),
            own=OwnAddress(ANN, b"\1", projected=True),
            orders={8: cell(CreditedOrder(ANN))},
        ),
        records=[(ANN, "SO1"), (BOB, "SO1")],
        follow_up_recipient=ANN,
    )
    assert forget_in_order(row, GONE)
    assert row == OrderRow(
        details={1: cell(rows.Detail(None, 1, True)), 2: cell(rows.Detail(EVE, 1))},
        buyers=["c1"],
        recipient=RecipientState(reply=BuyersReply(ASKED, b"\1", None), orders={8: cell(CreditedOrder(None))}),
        records=[(BOB, "SO1")],
        follow_up_recipient=NOBODY,
        erased=[GONE[ANN]],
    )


def test_a_second_time_says_again_that_something_was_there_and_changes_nothing() -> None:
    buyer, order = BuyerRow(published_addresses={ANN: None}), OrderRow(follow_up_recipient=ANN)
    for _ in range(2):
        assert forget_in_buyer(buyer, GONE)
        assert forget_in_order(order, GONE)
    assert buyer.erased == order.erased == [GONE[ANN]]


def test_rows_that_never_named_anybody_erased_stay_as_they_are() -> None:
    buyer, order = BuyerRow(published_addresses={BOB: None}), OrderRow(follow_up_recipient=BOB)
    assert not forget_in_buyer(buyer, GONE)
    assert not forget_in_order(order, GONE)
    assert (buyer, order) == (BuyerRow(published_addresses={BOB: None}), OrderRow(follow_up_recipient=BOB))


@pytest.mark.parametrize(
    ("row", "table", "without_addresses"),
    [
        (BuyerRow, erasure._BUYER_FIELDS, {"root", "next_page", "held", "version", "asked", "erased", "paged", "unreadable"}),
        (
            OrderRow,
            erasure._ORDER_FIELDS,
            {"header", "totals", "lines", "despatches", "line_replies", "held", "version", "owners", "credited", "credits"}
            | {"returns", "erased", "follow_up_delivered", "too_large", "unplaced", "bought", "kept"},
        ),
    ],
)
def test_every_field_of_a_row_is_searched_or_known_to_hold_no_address(
    row: type[msgspec.Struct], table: Collection[str], without_addresses: set[str]
) -> None:
    assert {*table} | without_addresses == {*row.__struct_fields__}
