"""Orders and credit notes: which are live, with what facts, and which are held and why (contact rules §2)."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Literal

from streams.mapping import DocumentKind, Mapping, Status
from streams.mapping.model import Currency
from testkit.oracle.addresses import UNREADABLE, addresses, first_used, unreadable
from testkit.oracle.exclusions import EXCLUDED, excluded_order
from testkit.oracle.frozen import DELETED, History, thawed
from testkit.oracle.row_reading import EXACT, Row, Tables, instant, meaningful, money, name, reference, rows, text

_MOST_ROWS = 5_000

ERASED = "(erased)"
"""Stands in the address column of an order that named an erased person: it is no address, and nobody takes its place."""


@dataclass(frozen=True, slots=True)
class OrderLine:
    """One line of a document, in the order of their keys; ``original`` is the line that a credit gives back."""

    id: int
    variant: int | None
    quantity: Decimal | None
    net: Decimal | None
    original: int | None
    name: str | None


@dataclass(frozen=True, slots=True)
class LiveOrder:
    """An order or credit note that is complete and understood."""

    id: int
    kind: Literal["order", "credit"]
    number: str | None
    at: datetime | None
    status: Status
    net: Decimal
    despatched: datetime | None
    customer: int
    address: str | None
    """The order's own e-mail; only for an order of a house account."""
    own: str | None
    """The order's own e-mail, whoever the customer is; or :data:`ERASED`, :data:`EXCLUDED` or :data:`UNREADABLE`."""
    amount: Decimal
    """The net in its own currency."""
    currency: Currency
    lines: tuple[OrderLine, ...]
    contact: int | None = None
    """The contact row of the person who ordered."""
    consignment: str | None = None
    carrier: str | None = None
    """Of the latest despatch."""

    @property
    def counts(self) -> bool:
        """Whether it adds to anything."""
        return self.status != "cancelled"


@dataclass(frozen=True, slots=True)
class _Parts:
    """The rows of every order id, by table."""

    headers: dict[int, Row]
    details: dict[int, list[Row]]
    totals: dict[int, list[Row]]
    lines: dict[int, list[Row]]
    despatches: dict[int, list[Row]]
    statuses: dict[int, Row]
    line_ids: set[int]

    def rows_of(self, order: int) -> int:
        """How many rows name the order, besides its header."""
        return sum(len(table.get(order, ())) for table in (self.details, self.totals, self.lines, self.despatches))


def expected_held(tables: Tables, mapping: Mapping, history: History | None = None) -> Counter[str]:
    """How many orders are held, by code; those that are frozen are not."""
    return classified(thawed(tables, history or {}, mapping), mapping)[1]


def classified(tables: Tables, mapping: Mapping) -> tuple[list[LiveOrder], Counter[str]]:
    """Every live order, lowest id first, and the number of held ones by code."""
    live, held, _ = judged(tables, mapping)
    return live, held


def judged(tables: Tables, mapping: Mapping) -> tuple[list[LiveOrder], Counter[str], set[int]]:
    """Every live order, lowest id first, the number of held ones by code, and the ids of those that are ignored."""
    parts = _parts(tables, mapping)
    children = parts.details.keys() | parts.totals.keys() | parts.lines.keys() | parts.despatches.keys()
    live: list[LiveOrder] = []
    ignored: set[int] = set()
    held = Counter({"order_without_header": len(children - parts.headers.keys())})
    for order in sorted(parts.headers):
        outcome = _judged(order, parts, mapping)
        if isinstance(outcome, LiveOrder):
            live.append(outcome)
        elif outcome == "ignored":
            ignored.add(order)
        else:
            held[outcome] += 1
    return live, +held, ignored


def _parts(tables: Tables, mapping: Mapping) -> _Parts:
    o = mapping.order
    return _Parts(
        headers={int(row[o.header.key]): row for row in rows(tables, o.header.table, o.header.key)},
        details=_by_order(rows(tables, o.detail.table, o.detail.key), o.detail.order),
        totals=_by_order(rows(tables, o.total.table, o.total.key), o.total.order),
        lines=_by_order(rows(tables, o.line.table, o.line.key), o.line.order),
        despatches=_by_order(rows(tables, o.despatch.table, o.despatch.key), o.despatch.order),
        statuses={int(row[o.status.key]): row for row in rows(tables, o.status.table, o.status.key)},
        line_ids=set(line_owners(tables, mapping)),
    )


def line_owners(tables: Tables, mapping: Mapping) -> dict[int, int | None]:
    """Line to the order that has it, or had it last."""
    names = mapping.order.line
    every = [*rows(tables, names.table, names.key), *rows(tables, names.table + DELETED, names.key)]
    # Lines that are put aside come behind: a row may be there that no order has any more.
    return {int(row[names.key]): reference(row[names.order]) for row in every}


def _by_order(found: list[Row], column: str) -> dict[int, list[Row]]:
    grouped: dict[int, list[Row]] = defaultdict(list)
    for row in found:
        order = reference(row[column])
        if order is not None:
            grouped[order].append(row)
    return dict(grouped)


def _judged(order: int, parts: _Parts, mapping: Mapping) -> LiveOrder | str:  # noqa: C901 - one rule after the other, as the contract lists them
    """The live order, ``ignored``, or the first reason to hold it, in the order of the contract's table."""
    o = mapping.order
    if parts.rows_of(order) > _MOST_ROWS:
        return "order_too_large"
    header = parts.headers[order]
    detail = next(iter(parts.details.get(order, [])), None)
    total = next(iter(parts.totals.get(order, [])), None)

    if excluded_order(header, mapping):
        return "ignored"
    kind: DocumentKind | None = o.types.kind(reference(header[o.header.type]))
    if kind is None:
        return "unknown_type"
    if kind == "ignore" or (o.history is not None and o.history.before == "ignore" and is_history(header, mapping)):
        return "ignored"

    status_id = reference(header[o.header.status])
    if status_id is None or status_id not in parts.statuses:
        return "status_not_loaded"
    status = o.statuses.get((text(parts.statuses[status_id][o.status.text]) or "").casefold())
    if status is None:
        return "unknown_status"

    net = None if total is None else money(total[o.total.net])
    if net is None:
        return "order_without_total"

    currency_id = None
    if detail is not None and o.detail.currency is not None:
        currency_id = reference(detail[o.detail.currency])
    currency = o.currencies.get(o.default_currency if currency_id is None else currency_id)
    if currency is None:
        return "unknown_currency"

    if kind == "credit":
        originals = {reference(line[o.line.original]) for line in parts.lines.get(order, [])} - {None}
        if not originals <= parts.line_ids:
            return "credit_without_order"

    at = meaningful(instant(header[o.header.at], mapping.source.zone), mapping)
    if at is None:
        return "order_without_date"

    customer = reference(header[o.header.customer])
    if customer is None:
        return "order_without_customer"
    field = _order_field(detail, mapping)
    own = next(iter(addresses(field)), None)
    if customer in mapping.house_accounts and field in (ERASED, EXCLUDED):
        return "ignored"
    if customer in mapping.house_accounts and own is None:
        return "unreadable_address" if unreadable(field) else "order_without_email"

    sent = _latest_despatch(parts.despatches.get(order, []), mapping)
    return LiveOrder(
        id=order,
        kind=kind,
        number=text(header[o.header.number]),
        at=at,
        status=status,
        net=EXACT.multiply(net, currency.rate),
        despatched=None if sent is None else sent[0],
        consignment=None if sent is None else text(sent[1][o.despatch.consignment]),
        carrier=None if sent is None or o.despatch.carrier is None else text(sent[1][o.despatch.carrier]),
        customer=customer,
        address=own if customer in mapping.house_accounts else None,
        own=own if not unreadable(field) else field if field in (ERASED, EXCLUDED) else UNREADABLE,
        contact=None if o.header.contact is None else reference(header[o.header.contact]),
        amount=net,
        currency=currency,
        lines=tuple(_line(row, mapping) for row in parts.lines.get(order, [])),
    )


def without_record(order: LiveOrder, mapping: Mapping) -> bool:
    """Whether an order counts, but is too old for a record."""
    return mapping.order.history is not None and order.at is not None and order.at < mapping.order.history.since


def is_history(header: Row, mapping: Mapping) -> bool:
    """Whether the site's mapping begins after the document."""
    at = meaningful(instant(header[mapping.order.header.at], mapping.source.zone), mapping)
    return mapping.order.history is not None and at is not None and at < mapping.order.history.since


def _latest_despatch(found: list[Row], mapping: Mapping) -> tuple[datetime, Row] | None:
    """The latest despatch with a time, of several at one time that with the highest key."""
    at, key = mapping.order.despatch.at, mapping.order.despatch.key
    timed = [(meaningful(instant(row[at], mapping.source.zone), mapping), int(row[key]), row) for row in found]
    known = [(moment, number, row) for moment, number, row in timed if moment is not None]
    if not known:
        return None
    moment, _, row = max(known, key=lambda one: one[:2])
    return moment, row


def _line(row: Row, mapping: Mapping) -> OrderLine:
    names = mapping.order.line
    return OrderLine(
        id=int(row[names.key]),
        variant=reference(row[names.variant]),
        quantity=money(row[names.quantity]),
        net=money(row[names.net]),
        original=reference(row[names.original]),
        name=None if names.name is None else name(row[names.name]),
    )


def _order_field(detail: Row | None, mapping: Mapping) -> Any:
    """The e-mail field by which an order names its buyer."""
    column = None if detail is None else first_used(detail, mapping.order.detail.emails)
    return None if detail is None or column is None else detail[column]
