"""One order or credit note, assembled from header, detail, total, lines, despatches and returns in any order of arrival.

The rules are those of ``docs/contact-rules.md`` section 2; this module is their only implementation in the pipeline.
"""

from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from operator import attrgetter
from typing import Any, TypeAlias, TypeVar

import msgspec

from streams.capture import rows
from streams.domain.buyers import ERASED
from streams.domain.held_reason import HeldReason
from streams.domain.last_workable import (
    KeptFacts,
    LastWorkable,
    keep,
    keep_header,
    lowest,
    note_unpriced,
    with_number,
    with_readable_address,
    workable,
)
from streams.domain.money import EXACT
from streams.domain.order_head import Head, Statuses, head_of, is_unknown
from streams.domain.recipient_state import RecipientState
from streams.domain.versioned import Versioned, is_not_older, merged
from streams.mapping import Mapping
from streams.mapping.model import Currency
from streams.messages.changes import Change, ChangeKind, CreditedAmount, LineReply, OrderFact
from streams.messages.frozen_orders import NOTHING, FrozenHeader, FrozenOrder

T = TypeVar("T")

NOBODYS = ERASED
"""On an order in place of an address that was erased, is excluded, or cannot be read."""

MOST_ROWS = 5_000
"""Rows of one order that are remembered, deleted ones included; its record of 5,000 lines has about half a megabyte."""


class OrderRow(msgspec.Struct, array_like=True, gc=False):
    """The state of one order id: every row that names it, and what was published to whom.

    ``line_replies`` holds, per credited line, whether it exists; ``buyers`` every buyer that ever got a fact of this order;
    ``held`` why it cannot be worked out. ``owners``: per credited line, the order that has it; ``credited``: every order that
    this credit note ever gave something back; ``credits``: what credit notes give back of this order, by their id.
    ``records``: the places (recipient, key) of this order's record, the current one last; ``follow_up_recipient``: whom the
    follow-up is for, empty if it was an erased person; ``former_follow_up_recipients``: whom before; ``follow_up_delivered``:
    Dotdigital has it. ``erased``: digests of those who were taken out of this row. ``too_large``: there were more rows than
    :data:`MOST_ROWS`, and some are not here. ``unplaced``: its record is nobody's. ``bought``: how many former names a
    variant of its lines had when it came; 0 if it is not here. ``kept``: what stands in for rows that a rebuild may not find.
    """

    header: Versioned[rows.Header] | None = None
    details: dict[int, Versioned[rows.Detail]] = {}
    totals: dict[int, Versioned[rows.Total]] = {}
    lines: dict[int, Versioned[rows.Line]] = {}
    despatches: dict[int, Versioned[rows.Despatch]] = {}
    line_replies: dict[int, Versioned[bool]] = {}
    buyers: list[str] = []
    held: HeldReason | None = None
    version: int = 0
    owners: dict[int, int] = {}
    credited: list[int] = []
    credits: dict[int, Versioned[CreditedAmount]] = {}
    returns: dict[int, Versioned[rows.Return]] = {}
    recipient: RecipientState = msgspec.field(default_factory=RecipientState)
    records: list[tuple[str, str]] = []
    follow_up_recipient: str | None = None
    erased: list[bytes] = []
    former_follow_up_recipients: list[str] = []
    follow_up_delivered: bool = False
    too_large: bool = False
    last: LastWorkable = msgspec.field(default_factory=LastWorkable)
    unplaced: HeldReason | None = None
    bought: dict[int, int] = {}
    kept: KeptFacts | None = None

    @property
    def kept_facts(self) -> FrozenOrder:
        """What stands in for rows that a rebuild did not find."""
        return NOTHING if self.kept is None else self.kept.facts


@dataclass(frozen=True, slots=True)
class Live:
    """An order that contributes: its fact, the key of its buyer, and its net in its own currency.

    ``frozen``: the code of the first row that no longer says what it must; its last workable version stands in for it.
    ``contact``: the contact row of the person who ordered.
    """

    fact: OrderFact
    buyer: str
    net: Decimal
    currency: Currency
    frozen: str | None = None
    contact: int | None = None


@dataclass(frozen=True, slots=True)
class Held:
    """An order that waits for something; ``code`` says for what (``docs/contact-rules.md`` section 2).

    ``withdrawn``: a positive fact says that the order is gone, though some of its rows remain. Otherwise nothing is known, and
    what was published of it stays.
    """

    code: str
    withdrawn: bool = False


DocumentState: TypeAlias = Live | Held | None
"""None: no such order, or one that marketing ignores."""


def cell_at(row: OrderRow, change: Change) -> Versioned[Any] | None:
    """What the order holds in the place that ``change`` writes."""
    if change.kind is ChangeKind.HEADER:
        return row.header
    return _PARTS[change.kind](row).get(change.row.line if isinstance(change.row, LineReply) else change.pk)


def apply(row: OrderRow, change: Change, mapping: Mapping) -> bool:
    """Write one captured row, answer or credit into the order; False when it is older than what is there.

    A version that can no longer be worked out leaves the one before in :attr:`OrderRow.last`.
    """
    old = cell_at(row, change)
    if not is_not_older(old, change.position):
        return False
    if old is None and _rows(row) >= MOST_ROWS:
        row.too_large = True
        # Not as stale: the order must be projected once more, now as held.
        return True
    if isinstance(change.row, LineReply):
        _answer(row, change.row, change.position)
        return True
    new = merged(old, change)
    if change.kind is ChangeKind.HEADER:
        row.header = with_number(old, new)
        keep_header(row.last, old, row.header, mapping)
        return True
    if change.kind is ChangeKind.DETAIL:
        new = with_readable_address(old, new)
        keep(row.last.details, int(change.pk), old, new, lambda found: _currency(found, mapping) is not None)
        note_unpriced(row.last, int(change.pk), came=old is None, priced=_currency(new.row, mapping) is not None)
    elif change.kind is ChangeKind.TOTAL:
        keep(row.last.totals, int(change.pk), old, new, lambda found: found.net is not None)
    _PARTS[change.kind](row)[change.pk] = new
    return True


_AFTER_THE_ROWS = {"order_without_date", "order_without_customer", "unreadable_address", "order_without_number"}
"""Faults of a header that stand behind those of its order's other rows in the documented table."""
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
    if answer.order is not None:
        row.owners[answer.line] = answer.order


def credited_lines(row: OrderRow, mapping: Mapping) -> set[int]:
    """The lines that this document gives back; empty unless it is a credit note, or was one when its type was known."""
    found = {cell.row.original for cell in row.lines.values() if cell.row is not None and cell.row.original is not None}
    if not found:
        # Nearly every order: what it is need not be worked out for that.
        return found
    kinds = (mapping.order.types.kind(header.row.type) for header in _headers(row) if header.row is not None)
    kind = next((kind for kind in kinds if kind is not None), None)
    if kind is None and (last := row.kept_facts.header) is not None and last.credit:
        kind = "credit"
    return found if kind == "credit" else set()


def _headers(row: OrderRow) -> list[Versioned[rows.Header]]:
    """The newest header, and those that may stand in for it; their positions are where they got their statuses."""
    newest = [] if row.header is None else [Versioned(row.last.since or row.header.position, row.header.row)]
    return [*newest, *row.last.headers]


def variants(row: OrderRow) -> set[int]:
    """The variants that the lines name."""
    return {cell.row.variant for cell in row.lines.values() if cell.row is not None and cell.row.variant is not None}


def own_address(row: OrderRow) -> str | None:
    """The address on the order itself; :data:`NOBODYS` if there is one whose place nobody takes."""
    detail = workable(row.details, row.last.details)
    if detail is None:
        return None
    return NOBODYS if detail.erased or detail.excluded or is_unknown(detail) else detail.email


def is_address_excluded(row: OrderRow) -> bool:
    """Whether the mapping excludes the address on the order."""
    detail = workable(row.details, row.last.details)
    return detail is not None and detail.excluded


def document_state(row: OrderRow, statuses: Statuses, mapping: Mapping) -> DocumentState:
    """What the order is worth now.

    Args:
        row: everything known about the order id.
        statuses: the status lookup.
        mapping: the site's meaning of types, statuses, currencies and house accounts.
    """
    header = _row(row.header)
    if row.too_large or header is None:
        return _incomplete(row)
    if _is_ignored(header, mapping):
        # Whatever else of it cannot be worked out.
        return None
    return _worked_out(row, _head(row, statuses, mapping), mapping)


def _worked_out(row: OrderRow, head: Head, mapping: Mapping) -> DocumentState:
    header, status = head.header, head.status
    total, detail = workable(row.totals, row.last.totals), workable(row.details, row.last.details)
    net, currency = _net(row, total), _currency_of(row, detail, mapping)
    unknown = any(not _is_known(row, line) for line in credited_lines(row, mapping))
    if header is None or status is None or net is None or currency is None:
        reason = _reason(head, net, currency, unknown=unknown)
        return Held(reason, withdrawn=currency is None and bool(row.last.unpriced))
    if _is_ignored(header, mapping):
        return None
    if unknown:
        # What was published before the line arrived was never true.
        return Held("credit_without_order", withdrawn=True)
    buyer = _buyer(header, detail, mapping)
    if not isinstance(buyer, str):
        return buyer
    fault = _first_fault(row, head, mapping) or head.fault
    if detail is not None and detail.unreadable and header.customer in mapping.house_accounts:
        fault = fault or "unreadable_address"
    sent = latest_despatch(row)
    despatched = None if sent is None else sent.at
    fact = OrderFact(header.number, header.at, status, head.credit, EXACT.multiply(net, currency.rate), despatched)
    return Live(fact, buyer, net, currency, fault, header.contact)


def is_gone(row: OrderRow, state: DocumentState) -> bool:
    """Whether a positive fact says that there is no such order: its header is deleted, or it is none of marketing's.

    An order of which only other rows are here yet is not gone, nor one that waits for something.
    """
    return row.header is not None and (state is None or row.header.row is None)


def stand_ins(row: OrderRow, statuses: Statuses, mapping: Mapping) -> tuple[FrozenHeader | None, Decimal | None, int | None]:
    """The header, net and currency with which a frozen order counts; no currency if it has no detail row to name one."""
    head = _head(row, statuses, mapping)
    total, detail = workable(row.totals, row.last.totals), workable(row.details, row.last.details)
    shown: FrozenHeader | None = None
    if (last := head.header) is not None and head.status is not None and last.customer is not None:
        shown = FrozenHeader(
            last.number, last.at, last.customer, last.type, last.status, head.status, head.credit, last.contact
        )
    named = _currency(detail, mapping) is not None
    currency = row.kept_facts.currency
    if detail is not None and named:
        currency = detail.currency or mapping.order.default_currency
    return shown, _net(row, total), currency


def _net(row: OrderRow, total: rows.Total | None) -> Decimal | None:
    return row.kept_facts.net if total is None or total.net is None else total.net


def _currency_of(row: OrderRow, detail: rows.Detail | None, mapping: Mapping) -> Currency | None:
    found = _currency(detail, mapping)
    if row.kept is None or (detail is not None and found is not None):
        return found
    kept = row.kept.facts.currency
    return found if kept is None else mapping.order.currencies.get(kept)


def _is_ignored(header: rows.Header, mapping: Mapping) -> bool:
    """Whether the mapping says that the order is none of ours: its type, its channel, or the house account that it is on."""
    house = header.customer in mapping.house_accounts and header.customer in mapping.exclude.accounts
    history = mapping.order.history
    old = history is not None and history.before == "ignore" and header.dated and history.is_before(header.at)
    return header.excluded or house or old or mapping.order.types.kind(header.type) == "ignore"


def _reason(head: Head, net: Decimal | None, currency: Currency | None, *, unknown: bool) -> str:
    """What an order is held for: the first reason of the documented table that no version of a row is without."""
    fault = (head.fault or "order_without_header") if head.header is None else None
    reasons = (
        fault if fault not in _AFTER_THE_ROWS else None,
        "order_without_total" if net is None else None,
        "unknown_currency" if currency is None else None,
        "credit_without_order" if unknown else None,
        fault,
    )
    return next(reason for reason in reasons if reason is not None)


def _first_fault(row: OrderRow, head: Head, mapping: Mapping) -> str | None:
    """The first reason, in the same order, that the newest versions give: what a frozen order waits for."""
    total, detail = lowest(row.totals), lowest(row.details)
    if head.fault is not None and head.fault not in _AFTER_THE_ROWS:
        return head.fault
    if total is None or total.net is None:
        return "order_without_total"
    if detail is None and (row.last.details or row.kept_facts.currency is not None):
        return "order_without_detail"
    return "unknown_currency" if _currency(detail, mapping) is None else None


def _head(row: OrderRow, statuses: Statuses, mapping: Mapping) -> Head:
    detail = workable(row.details, row.last.details)
    return head_of(_headers(row), detail, row.kept_facts.header, statuses, mapping)


def _currency(detail: rows.Detail | None, mapping: Mapping) -> Currency | None:
    """The currency that the detail names; without one the usual one."""
    number = (detail.currency if detail is not None else None) or mapping.order.default_currency
    return mapping.order.currencies.get(number)


def _incomplete(row: OrderRow) -> Held | None:
    if row.too_large:
        return Held("order_too_large")
    parts = (row.details, row.totals, row.lines, row.despatches)
    waiting = any(cell.row is not None for cells in parts for cell in cells.values())
    return Held("order_without_header", withdrawn=row.header is not None) if waiting else None


def _buyer(header: rows.Header, detail: rows.Detail | None, mapping: Mapping) -> str | Held | None:
    """The buyer's key; None for a person who must be forgotten, or whom the mapping excludes."""
    if header.customer is None:
        return Held("order_without_customer")
    if header.customer not in mapping.house_accounts:
        return customer_key(header.customer)
    if detail is not None and (detail.erased or detail.excluded):
        return None
    if detail is not None and detail.email is not None:
        return address_key(detail.email)
    if detail is not None and detail.unreadable:
        # That of any other house order has no header here.
        return Held("unreadable_address", withdrawn=True)
    # An address that was emptied says that the order is nobody's; a detail that is missing says nothing.
    return Held("order_without_email", withdrawn=detail is not None)


def latest_despatch(row: OrderRow) -> rows.Despatch | None:
    """The latest despatch that has a time; of several at one time that with the highest key."""
    known = [(cell.row.at, key, cell.row) for key, cell in row.despatches.items() if cell.row and cell.row.at is not None]
    return max(known, key=lambda one: one[:2])[2] if known else None


def customer_key(customer: int) -> str:
    """The buyer key of an account."""
    return f"c{customer}"


def address_key(address: str) -> str:
    """The buyer key of a person who buys on a house account."""
    return f"e{address}"


def unknown_key(contact: int) -> str:
    """The key of a person of no known buyer: without an account, or on a house account while the address cannot be read."""
    return f"u{contact}"


def _is_known(row: OrderRow, line: int) -> bool:
    """Whether an order has the line, or had it: an ERP edits an order by deleting its lines and inserting them anew."""
    answer = row.line_replies.get(line)
    return line in row.owners or (answer is not None and answer.row is True)


def _row(cell: Versioned[T] | None) -> T | None:
    return None if cell is None else cell.row
