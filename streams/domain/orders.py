"""One order or credit note, assembled from header, detail, total, lines and despatches in any order of arrival.

The rules are those of ``docs/contact-rules.md`` section 2; this module is their only implementation in the pipeline.
"""

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from streams.capture import rows
from streams.domain.cells import Cell, accepts, next_cell
from streams.domain.changes import Change, Fact, Kind
from streams.mapping import Mapping

T = TypeVar("T")


class OrderRow(msgspec.Struct, array_like=True, gc=False):
    """The state of one order id: every row that names it, and what was told to whom.

    ``answers`` holds, per credited line, whether it exists; ``buyers`` every buyer that was ever told of this order;
    ``held`` the code and the epoch millisecond since when the order is held.
    """

    header: Cell[rows.Header] | None = None
    details: dict[int, Cell[rows.Detail]] = {}
    totals: dict[int, Cell[rows.Total]] = {}
    lines: dict[int, Cell[rows.Line]] = {}
    despatches: dict[int, Cell[rows.Despatch]] = {}
    answers: dict[int, Cell[bool]] = {}
    buyers: list[str] = []
    held: tuple[str, int] | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class Live:
    """An order that contributes: its fact, and the key of its buyer."""

    fact: Fact
    buyer: str


@dataclass(frozen=True, slots=True)
class Held:
    """An order that waits for something; ``code`` says for what (``docs/contact-rules.md`` section 2)."""

    code: str


Outcome = Live | Held | None
"""None: no such order, or one that marketing ignores."""


def apply(row: OrderRow, change: Change) -> bool:
    """Write one captured row into the order; False when the change is older than what is there."""
    pk = change.pk
    if change.kind is Kind.HEADER:
        if not accepts(row.header, change.position):
            return False
        row.header = next_cell(row.header, change)
        return True
    cells: dict[Any, Any] = getattr(row, _PARTS[change.kind])
    old = cells.get(pk)
    if not accepts(old, change.position):
        return False
    cells[pk] = next_cell(old, change)
    return True


_PARTS = {Kind.DETAIL: "details", Kind.TOTAL: "totals", Kind.LINE: "lines", Kind.DESPATCH: "despatches"}


def credited_lines(row: OrderRow, mapping: Mapping) -> set[int]:
    """The lines that this document gives back; empty unless it is a credit note."""
    header = _row(row.header)
    if header is None or mapping.order.types.kind(header.type) != "credit":
        return set()
    return {cell.row.original for cell in row.lines.values() if cell.row is not None and cell.row.original is not None}


def outcome(row: OrderRow, statuses: dict[int, str], mapping: Mapping) -> Outcome:
    """What the order is worth now.

    Args:
        row: everything known about the order id.
        statuses: the status lookup, id to folded text.
        mapping: the site's meaning of types, statuses, currencies and house accounts.
    """
    header = _row(row.header)
    if header is None:
        parts = (row.details, row.totals, row.lines, row.despatches)
        waiting = any(cell.row is not None for cells in parts for cell in cells.values())
        return Held("order_without_header") if waiting else None
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
    if isinstance(buyer, Held):
        return buyer
    despatched = max((cell.row.at for cell in row.despatches.values() if cell.row and cell.row.at is not None), default=None)
    return Live(Fact(header.number, header.at, status, kind == "credit", total.net * currency.rate, despatched), buyer)


def _buyer(header: rows.Header, detail: rows.Detail | None, mapping: Mapping) -> str | Held:
    if header.customer is None:
        return Held("order_without_customer")
    if header.customer not in mapping.house_accounts:
        return customer_key(header.customer)
    if detail is None or detail.email is None:
        return Held("order_without_email")
    return address_key(detail.email)


def customer_key(customer: int) -> str:
    """The buyer key of an account."""
    return f"c{customer}"


def address_key(address: str) -> str:
    """The buyer key of a person who buys on a house account."""
    return f"e{address}"


def _exists(row: OrderRow, line: int) -> bool:
    answer = row.answers.get(line)
    return answer is not None and answer.row is True


def _row(cell: Cell[T] | None) -> T | None:
    return None if cell is None else cell.row


def _lowest(cells: dict[int, Cell[T]]) -> T | None:
    live = [key for key, cell in cells.items() if cell.row is not None]
    return cells[min(live)].row if live else None
