"""What remains of changes and rows once somebody is taken from them."""

from typing import Any

import msgspec
import pytest
from msgspec.structs import replace

from streams.capture import rows
from streams.domain.buyers import BuyerRow, Move
from streams.domain.erasure import NOBODY, digester, forget_in_buyer, forget_in_order, scrubbed
from streams.domain.orders import OrderRow, Recipient
from streams.domain.versioned import Cell
from streams.messages.changes import Change, Fact, Kind, Left, Message, Part, Recipients, Totals

ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"
GONE = {ANN: b"d" * 16}
PART = Part("Ann", None, None, False, None, Totals(), None, None)
FACT = Fact("1", 1, "open", False, Totals().spend, None)


def change(kind: Kind, key: str, row: Message | None) -> Change:
    return Change(kind, key, 1, b"\1", 1, 0, row)


def remains(told: Change) -> Change | None:
    return scrubbed(told, GONE.__contains__)


@pytest.mark.parametrize(
    ("kind", "key", "row", "expected"),
    [
        (Kind.CONTACT, "c1", rows.Contact((ANN, BOB), "A", "B", True), rows.Contact((BOB,), "A", "B", True)),
        (Kind.CONTACT, "c1", rows.Contact((ANN,), "A", "B", True), rows.Contact((), None, None, True)),
        (Kind.CONTACT, "c1", rows.Contact((ANN,), "A", "B", None, True), rows.Contact((), None, None, None, True)),
        (Kind.CUSTOMER, "c1", rows.Customer("X", True, (BOB, ANN)), rows.Customer("X", True, (BOB,))),
        (Kind.DETAIL, "7", rows.Detail(ANN, 2), rows.Detail(None, 2, True)),
        (Kind.RECIPIENTS, "7", Recipients((ANN, EVE)), Recipients((EVE,))),
        (Kind.PART, BOB, Left(ANN), Left(None)),
        (Kind.PART, BOB, replace(PART, moved_to=(ANN, EVE)), replace(PART, moved_to=(EVE,))),
        (Kind.PART, BOB, replace(PART, account=ANN), PART),
        (Kind.CONTACT, "c1", Left(ANN), Left(None)),
        (Kind.CONTACT, "c1", rows.Contact((BOB,), "Ann", f"({ANN.upper()})", None), rows.Contact((BOB,), "Ann", None, None)),
        (Kind.CONTACT, "c1", rows.Contact((ANN, BOB), ANN, "B", None), rows.Contact((BOB,), None, "B", None)),
        (Kind.CUSTOMER, "c1", rows.Customer(f"<{ANN}>", True, (BOB,)), rows.Customer(None, True, (BOB,))),
    ],
)
def test_the_address_goes_and_the_rest_stays(kind: Kind, key: str, row: Message, expected: Message) -> None:
    told = remains(change(kind, key, row))
    assert told is not None
    assert told == change(kind, key, expected)


@pytest.mark.parametrize(
    ("kind", "key", "row"),
    [
        (Kind.PART, ANN, PART),
        (Kind.PART, ANN, Left(BOB)),
        (Kind.CONTACT, f"e{ANN}", rows.Contact((ANN,), "A", None, None)),
        (Kind.CONTACT, f"e{ANN}", None),
        (Kind.FACT, f"e{ANN}", FACT),
    ],
)
def test_what_is_about_nobody_else_is_dropped(kind: Kind, key: str, row: Message | None) -> None:
    assert remains(change(kind, key, row)) is None


@pytest.mark.parametrize(
    ("kind", "key", "row"),
    [
        (Kind.CONTACT, "c1", rows.Contact((BOB,), "A", None, None)),
        (Kind.CONTACT, "c1", rows.Contact((), "A", None, None)),
        (Kind.CONTACT, "c1", rows.Contact((), BOB, "@ home", None)),
        (Kind.CUSTOMER, "c1", rows.Customer(None, False, (BOB,))),
        (Kind.DETAIL, "7", rows.Detail(None, None)),
        (Kind.DETAIL, "7", None),
        (Kind.FACT, f"e{BOB}", FACT),
        (Kind.PART, BOB, PART),
        (Kind.HEADER, "7", rows.Header(ANN, 1, 1, 1, 1)),
    ],
)
def test_whoever_names_nobody_erased_passes_untouched(kind: Kind, key: str, row: Message | None) -> None:
    told = change(kind, key, row)
    assert remains(told) is told


def test_what_an_erased_buyer_says_of_another_address_is_dropped() -> None:
    assert remains(replace(change(Kind.PART, BOB, Left(None)), pk=f"e{ANN}")) is None


def test_a_digest_is_of_one_address_under_one_key() -> None:
    digest = digester(b"key")
    assert digest(ANN) == digester(b"key")(ANN)
    assert len({digest(ANN), digest(BOB), digester(b"other")(ANN)}) == 3
    assert len(digester(b"k" * 100)(ANN)) == 16


def cell(row: Any) -> Cell[Any]:
    return Cell(b"\1", row)


def test_a_buyer_forgets_and_remembers_only_that_it_did() -> None:
    row = BuyerRow(
        customer=cell(rows.Customer("X", False, (ANN,))),
        contacts={1: cell(rows.Contact((ANN, EVE), "A", None, None)), 2: cell(None)},
        told={BOB: ANN, ANN: EVE, EVE: None},
        recipients=(ANN, EVE),
        moves={1: Move({BOB: b"\1", ANN: b"\2"}, EVE), 2: Move({BOB: b"\1"}, ANN)},
    )
    assert forget_in_buyer(row, GONE)
    assert row == BuyerRow(
        customer=cell(rows.Customer("X", False, ())),
        contacts={1: cell(rows.Contact((EVE,), "A", None, None)), 2: cell(None)},
        told={BOB: None, EVE: None},
        recipients=(EVE,),
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
    row = OrderRow(followed=BOB, unfollowed=[ANN, EVE])
    assert forget_in_order(row, GONE)
    assert (row.followed, row.unfollowed) == (BOB, [EVE])


def test_an_order_forgets_and_remembers_only_that_it_did() -> None:
    row = OrderRow(
        details={1: cell(rows.Detail(ANN, 1)), 2: cell(rows.Detail(EVE, 1))},
        buyers=[f"e{ANN}", "c1"],
        recipient=Recipient("c1", b"\1", ANN, ANN),
        records=[(ANN, "SO1"), (BOB, "SO1")],
        followed=ANN,
    )
    assert forget_in_order(row, GONE)
    assert row == OrderRow(
        details={1: cell(rows.Detail(None, 1, True)), 2: cell(rows.Detail(EVE, 1))},
        buyers=["c1"],
        recipient=Recipient("c1", b"\1", None, None),
        records=[(BOB, "SO1")],
        followed=NOBODY,
        erased=[GONE[ANN]],
    )


def test_a_second_time_says_again_that_something_was_there_and_changes_nothing() -> None:
    buyer, order = BuyerRow(told={ANN: None}), OrderRow(followed=ANN)
    for _ in range(2):
        assert forget_in_buyer(buyer, GONE)
        assert forget_in_order(order, GONE)
    assert buyer.erased == order.erased == [GONE[ANN]]


def test_rows_that_never_named_anybody_erased_stay_as_they_are() -> None:
    buyer, order = BuyerRow(told={BOB: None}), OrderRow(followed=BOB)
    assert not forget_in_buyer(buyer, GONE)
    assert not forget_in_order(order, GONE)
    assert (buyer, order) == (BuyerRow(told={BOB: None}), OrderRow(followed=BOB))
