"""Which header of an order counts, and what its status and type mean (``docs/contact-rules.md`` section 2)."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import msgspec

from streams.capture import rows
from streams.domain.last_workable import LastWorkable
from streams.domain.versioned import Versioned
from streams.mapping import Mapping
from streams.messages.changes import OrderStatus
from streams.messages.frozen_orders import FrozenHeader


@dataclass(frozen=True, slots=True)
class Statuses:
    """The status lookup: folded text by id; of a text that the site no longer knows, what it meant, and its end's position."""

    texts: dict[int, str]
    lost: dict[int, tuple[OrderStatus, bytes]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Head:
    """The header that counts and what its status and type mean; ``fault``: why the newest one cannot be worked out."""

    header: rows.Header | None
    status: OrderStatus | None
    fault: str | None
    credit: bool = False


def head_of(
    headers: Sequence[Versioned[rows.Header]],
    detail: rows.Detail | None,
    last: FrozenHeader | None,
    statuses: Statuses,
    mapping: Mapping,
) -> Head:
    """The newest of ``headers`` that can be worked out, or else ``last``.

    Args:
        headers: the newest first, at the positions where they got their statuses.
        detail: the detail row, which says whose a house order is.
        last: the header that counted before a rebuild, if none of what it found could be worked out.
        statuses: the status lookup.
        mapping: the site's meaning of types and statuses, and its house accounts.
    """
    first: str | None = None
    for cell in headers:
        status, fault = _status(cell, last, statuses, mapping)
        anybodys = cell.row is not None and _is_anybodys_order(cell.row.customer, detail, mapping)
        first = first or fault or ("unreadable_address" if anybodys else None)
        usable = cell.row is not None and cell.row.customer is not None and cell.row.dated and not anybodys
        if status is not None and cell.row is not None and usable:
            return _numbered(Head(cell.row, status, first, mapping.order.types.kind(cell.row.type) == "credit"), last)
    if last is None or _is_anybodys_order(last.customer, detail, mapping):
        return Head(None, None, first)
    former = rows.Header(last.number, last.at, last.customer, last.type, last.status, contact=last.contact)
    return Head(former, last.meaning, first, last.credit)


def _numbered(head: Head, last: FrozenHeader | None) -> Head:
    """The header under the order's last number; after a rebuild only ``last`` knows it."""
    if head.header is not None and head.header.number is None and last is not None and last.number is not None:
        head = replace(head, header=msgspec.structs.replace(head.header, number=last.number, unnumbered=True))
    if head.header is not None and head.header.unnumbered:
        return replace(head, fault=head.fault or "order_without_number")
    return head


def left_to_stand_in(last: LastWorkable, statuses: Statuses, mapping: Mapping) -> LastWorkable:
    """What may yet stand in for an order whose rows all can be worked out: the newest former header of a known status.

    The status lookup comes another way than the headers: it may say only later that the status of the newest one had lost its
    text before the header got it, or what that of a former one means.
    """
    known = (place for place, cell in enumerate(last.headers, 1) if _status(cell, None, statuses, mapping)[0] is not None)
    return LastWorkable(last.headers[: next(known, None)], last.since)


def is_unknown(detail: rows.Detail) -> bool:
    """Whether an address is on the order that nobody can read, and never was another or none."""
    return detail.unreadable and detail.email is None and not detail.emptied


def _is_anybodys_order(customer: int | None, detail: rows.Detail | None, mapping: Mapping) -> bool:
    """Whether the header says that the order is a house order, and the detail does not say whose: its address is unreadable."""
    if customer not in mapping.house_accounts or detail is None or detail.erased or detail.excluded:
        return False
    return is_unknown(detail)


def _status(
    cell: Versioned[rows.Header], last: FrozenHeader | None, statuses: Statuses, mapping: Mapping
) -> tuple[OrderStatus | None, str | None]:
    """What the header's status means, and the code of what is wrong with the header.

    A text that the site no longer knows still means what it meant, for a header that is older than its end, or that had the
    status when the order froze.
    """
    header = cell.row
    if header is None or mapping.order.types.kind(header.type) is None:
        return None, "unknown_type"
    text = None if header.status is None else statuses.texts.get(header.status)
    status = None if text is None else mapping.order.statuses.get(text)
    if status is not None:
        undated = None if header.dated else "order_without_date"
        return status, "order_without_customer" if header.customer is None else undated
    meant, until = (None, b"") if header.status is None else statuses.lost.get(header.status, (None, b""))
    status = meant if cell.position < until else None
    if status is None and last is not None and last.status == header.status:
        status = last.meaning
    return status, "status_not_loaded" if text is None else "unknown_status"
