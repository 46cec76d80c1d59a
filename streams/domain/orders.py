"""One order or credit note, assembled from header, detail, total, lines, despatches and returns in any order of arrival.

The rules are those of ``docs/contact-rules.md`` section 2; this module is their only implementation in the pipeline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any, TypeVar

import msgspec

from streams.capture import rows
from streams.domain.money import EXACT
from streams.domain.versioned import Versioned, is_not_older, merged
from streams.mapping import Mapping
from streams.mapping.model import Currency
from streams.messages.changes import Change, ChangeKind, CreditedAmount, LineReply, OrderFact

T = TypeVar("T")

MOST_ROWS = 5_000
"""Rows of one order that are remembered, deleted ones included; its record of 5,000 lines has about half a megabyte."""


class Recipient(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Whom an order belongs to by its buyer's word (at ``position``), as long as the order's own address is ``own``.

    It is the choice, not the list that it was made from: a large account's addresses would stand in each of its orders.
    """

    buyer: str
    position: bytes
    own: str | None
    address: str | None


class OrderRow(msgspec.Struct, array_like=True, gc=False):
    """The state of one order id: every row that names it, and what was published to whom.

    ``line_replies`` holds, per credited line, whether it exists; ``buyers`` every buyer that ever got a fact of this order;
    ``held`` the code and the epoch millisecond since when the order is held. ``owners``: per credited line, the order that
    has it; ``credited``: every order that this credit note ever gave something back; ``credits``: what credit notes give
    back of this order, by their id. ``records``: the places (recipient, key) of this order's record, the current one last;
    ``follow_up_recipient``: whom the follow-up is for, empty if it was an erased person; ``former_follow_up_recipients``:
    whom before; ``follow_up_delivered``: Dotdigital has it. ``erased``: digests of those who were taken out of this row.
    ``too_large``: there were more rows than :data:`MOST_ROWS`, and some are not here.
    """

    header: Versioned[rows.Header] | None = None
    details: dict[int, Versioned[rows.Detail]] = {}
    totals: dict[int, Versioned[rows.Total]] = {}
    lines: dict[int, Versioned[rows.Line]] = {}
    despatches: dict[int, Versioned[rows.Despatch]] = {}
    line_replies: dict[int, Versioned[bool]] = {}
    buyers: list[str] = []
    held: tuple[str, int] | None = None
    version: int = 0
    owners: dict[int, int] = {}
    credited: list[int] = []
    credits: dict[int, Versioned[CreditedAmount]] = {}
    returns: dict[int, Versioned[rows.Return]] = {}
    recipient: Recipient | None = None
    records: list[tuple[str, str]] = []
    follow_up_recipient: str | None = None
    erased: list[bytes] = []
    former_follow_up_recipients: list[str] = []
    follow_up_delivered: bool = False
    too_large: bool = False


@dataclass(frozen=True, slots=True)
class Live:
    """An order that contributes: its fact, the key of its buyer, and its net in its own currency."""

    fact: OrderFact
    buyer: str
    net: Decimal
    currency: Currency


@dataclass(frozen=True, slots=True)
class Held:
    """An order that waits for something; ``code`` says for what (``docs/contact-rules.md`` section 2)."""

    code: str


DocumentState = Live | Held | None
"""None: no such order, or one that marketing ignores."""


def cell_at(row: OrderRow, change: Change) -> Versioned[Any] | None:
    """What the order holds in the place that ``change`` writes."""
    if change.kind is ChangeKind.HEADER:
        return row.header
    return _PARTS[change.kind](row).get(change.row.line if isinstance(change.row, LineReply) else change.pk)


def apply(row: OrderRow, change: Change) -> bool:
    """Write one captured row, answer or credit into the order; False when it is older than what is there."""
    old = cell_at(row, change)
    if not is_not_older(old, change.position):
        return False
    if old is None and _rows(row) >= MOST_ROWS:
        row.too_large = True
        # Not as stale: the order must be projected once more, now as held.
        return True
    if change.kind is ChangeKind.HEADER:
        row.header = merged(old, change)
    elif isinstance(change.row, LineReply):
        _answer(row, change.row, change.position)
    else:
        _PARTS[change.kind](row)[change.pk] = merged(old, change)
    return True


_PART_NAMES = {
    ChangeKind.DETAIL: "details",
    ChangeKind.TOTAL: "totals",
    ChangeKind.LINE: "lines",
    ChangeKind.DESPATCH: "despatches",
    ChangeKind.RETURN: "returns",
    ChangeKind.LINE_REPLY: "line_replies",
    ChangeKind.CREDITED_AMOUNT: "credits",
}
# Every change of an order passes here: getters in C are a tenth of what a loop over the names takes.
_PARTS: dict[ChangeKind, Callable[[OrderRow], dict[int | str, Versioned[Any]]]] = {
    kind: attrgetter(name) for kind, name in _PART_NAMES.items()
}
_all_parts = attrgetter(*_PART_NAMES.values())


def _rows(row: OrderRow) -> int:
    return sum(map(len, _all_parts(row)))


def _answer(row: OrderRow, answer: LineReply, position: bytes) -> None:
    row.line_replies[answer.line] = Versioned(position, answer.exists)
    if answer.order is None:
        row.owners.pop(answer.line, None)
    else:
        row.owners[answer.line] = answer.order


def credited_lines(row: OrderRow, mapping: Mapping) -> set[int]:
    """The lines that this document gives back; empty unless it is a credit note."""
    header = _row(row.header)
    if header is None or mapping.order.types.kind(header.type) != "credit":
        return set()
    return {cell.row.original for cell in row.lines.values() if cell.row is not None and cell.row.original is not None}


def variants(row: OrderRow) -> set[int]:
    """The variants that the lines name."""
    return {cell.row.variant for cell in row.lines.values() if cell.row is not None and cell.row.variant is not None}


def own_address(row: OrderRow) -> str | None:
    """The address on the order itself."""
    detail = _lowest(row.details)
    return None if detail is None else detail.email


def account_of(row: OrderRow, mapping: Mapping) -> str | None:
    """The key of the account that the order names, unless that is a house account."""
    header = _row(row.header)
    if header is None or header.customer is None or header.customer in mapping.house_accounts:
        return None
    return customer_key(header.customer)


def document_state(row: OrderRow, statuses: dict[int, str], mapping: Mapping) -> DocumentState:
    """What the order is worth now.

    Args:
        row: everything known about the order id.
        statuses: the status lookup, id to folded text.
        mapping: the site's meaning of types, statuses, currencies and house accounts.
    """
    header = _row(row.header)
    if row.too_large or header is None:
        return _incomplete(row)
    kind = mapping.order.types.kind(header.type)
    if kind is None:
        return Held("unknown_type")
    if kind == "ignore":
        return None
    if header.status is None or header.status not in statuses:
        return Held("status_not_loaded")
    status = mapping.order.statuses.get(statuses[header.status])
    if status is None:
        return Held("unknown_status")
    total = _lowest(row.totals)
    if total is None or total.net is None:
        return Held("order_without_total")
    detail = _lowest(row.details)
    number = (detail.currency if detail is not None else None) or mapping.order.default_currency
    currency = mapping.order.currencies.get(number)
    if currency is None:
        return Held("unknown_currency")
    if kind == "credit" and not all(_exists(row, line) for line in credited_lines(row, mapping)):
        return Held("credit_without_order")
    buyer = _buyer(header, detail, mapping)
    if not isinstance(buyer, str):
        return buyer
    despatched = max((cell.row.at for cell in row.despatches.values() if cell.row and cell.row.at is not None), default=None)
    fact = OrderFact(header.number, header.at, status, kind == "credit", EXACT.multiply(total.net, currency.rate), despatched)
    return Live(fact, buyer, total.net, currency)


def _incomplete(row: OrderRow) -> Held | None:
    if row.too_large:
        return Held("order_too_large")
    parts = (row.details, row.totals, row.lines, row.despatches)
    waiting = any(cell.row is not None for cells in parts for cell in cells.values())
    return Held("order_without_header") if waiting else None


def _buyer(header: rows.Header, detail: rows.Detail | None, mapping: Mapping) -> str | Held | None:
    """The buyer's key; None for a person who must be forgotten."""
    if not header.dated:
        return Held("order_without_date")
    if header.customer is None:
        return Held("order_without_customer")
    if header.customer not in mapping.house_accounts:
        return customer_key(header.customer)
    if detail is not None and detail.erased:
        return None
    if detail is not None and detail.unreadable:
        return Held("unreadable_address")
    if detail is None or detail.email is None:
        return Held("order_without_email")
    return address_key(detail.email)


def customer_key(customer: int) -> str:
    """The buyer key of an account."""
    return f"c{customer}"


def address_key(address: str) -> str:
    """The buyer key of a person who buys on a house account."""
    return f"e{address}"


def unknown_key(contact: int) -> str:
    """The key under which a house account's person is listed while the address cannot be read."""
    return f"u{contact}"


def _exists(row: OrderRow, line: int) -> bool:
    answer = row.line_replies.get(line)
    return answer is not None and answer.row is True


def _row(cell: Versioned[T] | None) -> T | None:
    return None if cell is None else cell.row


def _lowest(cells: dict[int, Versioned[T]]) -> T | None:
    # One such row is the rule. Of several the lowest key counts, so that the order of their arrival does not matter.
    live = [key for key, cell in cells.items() if cell.row is not None]
    return cells[min(live)].row if live else None
