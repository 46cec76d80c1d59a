"""Replace, never increment: the guard of a stored fact, through every kind of state row that has one."""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture import rows
from streams.domain import buyers, catalogue, contact_projection, line_index, orders
from streams.domain.catalogue import Effect, VariantRow
from streams.domain.versioned import Versioned, is_not_older, next_version, version_bytes
from streams.mapping import load_mapping
from streams.messages.changes import Change, ChangeKind, LineOwnership, Totals
from streams.messages.contributions import AddressLeft, BuyerContribution
from streams.messages.kinds import CHANGES, LineOwnershipChange

MAPPING = load_mapping()
Write = tuple[int, int | None]
"""Position and value; None deletes."""


@dataclass(frozen=True)
class Guarded:
    """One guarded place: how to make its state, write a value into it, and look at the cell."""

    name: str
    new: Callable[[], Any]
    apply: Callable[[Any, Change], object]
    kind: ChangeKind
    row: Callable[[int], object]
    cell: Callable[[Any], Versioned[Any] | None]
    pk: int | str = 1


def apply_to_order(row: orders.OrderRow, change: Change) -> bool:
    return orders.apply(row, change, MAPPING)


def part(count: int) -> BuyerContribution:
    return BuyerContribution(None, None, None, False, None, Totals(orders=count), None, None)


def of_variant(
    name: str, kind: ChangeKind, row: Callable[[int], object], cell: Callable[[Any], Versioned[Any] | None]
) -> Guarded:
    def apply(state: VariantRow, change: Change) -> bool:
        return catalogue.apply(state, change, 1) is not Effect.STALE

    return Guarded(name, VariantRow, apply, kind, row, cell)


PLACES = [
    Guarded(
        "order header",
        orders.OrderRow,
        apply_to_order,
        ChangeKind.HEADER,
        lambda n: rows.Header(None, n, 1, 1, 1),
        lambda row: row.header,
    ),
    Guarded(
        "order detail",
        orders.OrderRow,
        apply_to_order,
        ChangeKind.DETAIL,
        lambda n: rows.Detail(None, n),
        lambda row: row.details.get(1),
    ),
    Guarded(
        "order total",
        orders.OrderRow,
        apply_to_order,
        ChangeKind.TOTAL,
        lambda n: rows.Total(Decimal(n)),
        lambda row: row.totals.get(1),
    ),
    Guarded(
        "order line",
        orders.OrderRow,
        apply_to_order,
        ChangeKind.LINE,
        lambda n: rows.Line(n, None, None, None),
        lambda row: row.lines.get(1),
    ),
    Guarded(
        "despatch",
        orders.OrderRow,
        apply_to_order,
        ChangeKind.DESPATCH,
        lambda n: rows.Despatch(n, None),
        lambda row: row.despatches.get(1),
    ),
    Guarded(
        "customer",
        buyers.BuyerRow,
        buyers.apply,
        ChangeKind.CUSTOMER,
        lambda n: rows.Customer(str(n), False, ()),
        lambda row: row.customer,
    ),
    Guarded(
        "contact",
        buyers.BuyerRow,
        buyers.apply,
        ChangeKind.CONTACT,
        lambda n: rows.Contact((), str(n), None, None),
        lambda row: row.contacts.get(1),
    ),
    Guarded(
        "part",
        contact_projection.ContactRow,
        contact_projection.apply,
        ChangeKind.BUYER_CONTRIBUTION,
        part,
        lambda row: row.parts.get("c1"),
        pk="c1",
    ),
    of_variant("variant", ChangeKind.VARIANT, lambda n: rows.Variant(n, None, None, True), lambda row: row.variant),
    of_variant("price", ChangeKind.PRICE, lambda n: rows.Price(n, None, None, False), lambda row: row.prices.get(1)),
    of_variant("stock", ChangeKind.STOCK, lambda n: rows.Stock(Decimal(n)), lambda row: row.stocks.get(1)),
    of_variant("membership", ChangeKind.MEMBERSHIP, rows.Membership, lambda row: row.memberships.get(1)),
]


def change(place: Guarded, position: int, value: int | None) -> Change:
    row = None if value is None else place.row(value)
    if place.kind is ChangeKind.BUYER_CONTRIBUTION and row is None:
        row = AddressLeft(None)
    return CHANGES[place.kind]("k", place.pk, version_bytes(position), 1, 0, row)


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
@settings(deadline=None)
@given(writes=st.lists(st.tuples(st.integers(0, 5), st.none() | st.integers(0, 3)), max_size=12))
def test_a_write_counts_unless_it_is_older_than_what_is_there(place: Guarded, writes: list[Write]) -> None:
    state = place.new()
    held: tuple[int, object] | None = None
    for position, value in writes:
        published = change(place, position, value)
        newer = held is None or position >= held[0]
        if newer:
            held = (position, published.row)
        assert bool(place.apply(state, published)) is newer
        cell = place.cell(state)
        assert cell is not None and held is not None
        assert (cell.position, cell.row) == (version_bytes(held[0]), held[1])


@pytest.mark.parametrize("place", PLACES, ids=lambda place: place.name)
def test_a_deleted_fact_does_not_come_back_from_an_older_version(place: Guarded) -> None:
    state = place.new()
    place.apply(state, change(place, 5, 1))
    place.apply(state, change(place, 7, None))
    assert not place.apply(state, change(place, 6, 2))
    cell = place.cell(state)
    assert cell is not None
    assert cell.position == version_bytes(7)
    assert cell.row in (None, AddressLeft(None))


def test_an_equal_position_is_written_again() -> None:
    assert is_not_older(Versioned(version_bytes(3), "old"), version_bytes(3))


def test_nothing_there_accepts_anything() -> None:
    assert is_not_older(None, b"")


def test_an_older_owner_of_a_line_is_ignored() -> None:
    block = line_index.LineBlock()
    line_index.apply(block, LineOwnershipChange("l0", 1, version_bytes(2), 1, 0, LineOwnership(5, False)))
    line_index.apply(block, LineOwnershipChange("l0", 1, version_bytes(1), 1, 0, LineOwnership(5, True)))
    assert line_index.owner(block, 1) is None


@settings(deadline=None)
@given(clock=st.lists(st.integers(0, 2**50), min_size=1, max_size=30))
def test_versions_rise_whatever_the_clock_does(clock: list[int]) -> None:
    version = 0
    for now in clock:
        following = next_version(version, now)
        assert following > version
        assert following >= now
        assert version_bytes(following) > version_bytes(version)
        version = following


@settings(deadline=None)
@given(before=st.integers(1, 2**50), later=st.integers(1, 10**9))
def test_a_table_rebuilt_from_nothing_outranks_its_former_life(before: int, later: int) -> None:
    former = next_version(0, before)
    assert next_version(0, before + later) > former


@settings(deadline=None)
@given(one=st.integers(0, 2**63), other=st.integers(0, 2**63))
def test_versions_compare_as_bytes_as_they_do_as_numbers(one: int, other: int) -> None:
    assert (version_bytes(one) < version_bytes(other)) is (one < other)
