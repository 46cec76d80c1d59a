"""An order's record and what a contact shows of its lines (``docs/delivery-rules.md`` section 4)."""

import re
from collections.abc import Iterator, Mapping
from decimal import ROUND_UP, Decimal
from hashlib import sha256
from typing import Any

import orjson

from streams.capture import rows
from streams.domain.money import EXACT, cents, money, total
from streams.domain.orders import Live, OrderRow, latest_despatch
from streams.domain.times import utc_text
from streams.mapping.delivery import OrderRecords, RecordStatus
from streams.messages.changes import CreditedLine, VariantInfo

Items = Mapping[int, VariantInfo]
"""What is known of variants, by id."""

_LONGEST = 1000
_NOTHING = Decimal(0)
_PLAIN = re.compile(r"[A-Za-z0-9-]+")
_UNFIT = re.compile(r"[^A-Za-z0-9_-]")


def key(number: str) -> str:
    """The key of an order's record: its number, or what is left of it where a key may not contain all of it.

    Numbers that only differ in such characters stay apart by a hash. A plain number has no ``_``, so it is no other one's key.
    """
    if _PLAIN.fullmatch(number):
        return number
    return f"{former_key(number)}_{sha256(number.encode()).hexdigest()[:8]}"


def former_key(number: str) -> str:
    """The key under which releases up to 0.2 stored the record."""
    return _UNFIT.sub("_", number)


def content(row: OrderRow, live: Live, items: Items, wanted: OrderRecords, *, tax_included: bool = False) -> bytes:
    """The JSON of an order's record; what is none is left out of it.

    Args:
        row: everything known about the order, which has a number.
        live: what it is worth.
        items: the variants of its lines.
        wanted: the words to show for statuses, and until when orders came with the first load.
        tax_included: what the site's amounts contain, by its mapping.
    """
    fact, net, given_back = live.fact, cents(live.net), cents(refunded(row, live))
    known = list(_lines(row))
    shown, products = status(row, live, given_back), _products(row, known, items)
    lines = total(cents(line.net) for _, line, _ in known if line.net is not None)
    sent = latest_despatch(row)
    record = {
        "id": fact.number,
        "order_status": wanted.statuses.get(shown, shown),
        "purchase_date": utc_text(fact.at),
        "first_load": None if wanted.loaded_before is None else fact.at < wanted.loaded_before.timestamp(),
        "currency": live.currency.code,
        "tax_included": tax_included,
        "order_subtotal": money(net),
        "other_total": money(EXACT.subtract(net, lines)),
        "refund_total": money(given_back),
        "order_total": money(max(EXACT.subtract(net, given_back), _NOTHING)),
        "despatch_date": None if fact.despatched is None else utc_text(fact.despatched),
        "consignment_number": sent and sent.consignment,
        "carrier": sent and sent.carrier,
        "return_number": _return_number(row),
        "products": products or None,
    }
    return orjson.dumps(_without_none(record))


def refunded(row: OrderRow, live: Live) -> Decimal:
    """What was given back of the order, in its own currency."""
    if not row.credits:
        return _NOTHING
    return EXACT.divide(total(cell.row.amount for cell in row.credits.values() if cell.row is not None), live.currency.rate)


def status(row: OrderRow, live: Live, given_back: Decimal) -> RecordStatus:
    """What became of the order, as its record says it; ``given_back`` in cents.

    A refund of 33.33 gives back all of 33.3333, and what rounds to nothing is none.
    """
    if not live.fact.counts:
        return live.fact.status
    if given_back > 0:
        return "refunded" if given_back >= cents(live.net) else "part_refunded"
    if any(cell.row is not None for cell in row.returns.values()):
        return "returning"
    return live.fact.status


def skus(row: OrderRow, items: Items) -> str | None:
    """The SKUs of the order's lines, each once; as many whole ones as a data field holds."""
    known = (items[variant].sku for _, _, variant in _lines(row) if variant in items)
    text = ""
    for sku in dict.fromkeys(sku for sku in known if sku is not None):
        longer = f"{text}, {sku}" if text else sku
        if len(longer) > _LONGEST:
            break
        text = longer
    return text or None


def _lines(row: OrderRow) -> Iterator[tuple[int, rows.Line, int]]:
    for key, cell in sorted(row.lines.items()):
        if cell.row is not None and cell.row.variant is not None:
            yield key, cell.row, cell.row.variant


def _products(row: OrderRow, lines: list[tuple[int, rows.Line, int]], items: Items) -> list[dict[str, Any]]:
    """``lines``, which name a variant, with what credit notes give back of each."""
    returned: dict[int, list[CreditedLine]] = {}
    for cell in row.credits.values():
        for line in cell.row.lines if cell.row is not None else ():
            returned.setdefault(line.line, []).append(line)
    return [_product(line, variant, items.get(variant), returned.get(key, [])) for key, line, variant in lines]


def _product(line: rows.Line, variant: int, item: VariantInfo | None, returned: list[CreditedLine]) -> dict[str, Any]:
    known = item or VariantInfo(None, None, None)
    return _without_none(
        {
            "product_id": str(variant),
            "parent_id": None if known.product is None else str(known.product),
            "sku": known.sku,
            "name": line.name or known.name,
            "price": money(EXACT.divide(line.net, line.quantity)) if line.net is not None and line.quantity else None,
            "quantity": None if line.quantity is None else quantity(line.quantity),
            "qty": None if line.quantity is None else _whole(line.quantity),
            "line_total": None if line.net is None else money(line.net),
            "returned_qty": quantity(total(one.quantity for one in returned)) if returned else _NONE_RETURNED,
            "refunded": cents(total(one.amount for one in returned)) > 0,
        }
    )


def _return_number(row: OrderRow) -> str | None:
    known = [
        (cell.row.at is not None, cell.row.at or 0, key, cell.row) for key, cell in row.returns.items() if cell.row is not None
    ]
    return max(known)[-1].number if known else None


def quantity(amount: Decimal) -> orjson.Fragment:
    """The exact quantity, with a decimal place at least: the first record fixes a property's type for ever."""
    text = f"{amount or abs(amount):f}"
    whole, _, places = text.partition(".")
    return orjson.Fragment(f"{whole}.{places.rstrip('0') or '0'}".encode())


_NONE_RETURNED = quantity(_NOTHING)
"""What nearly every line shows."""


def _whole(quantity: Decimal) -> orjson.Fragment:
    # Away from zero: a quarter of a metre was bought. An int of more than 64 bits is none that orjson writes.
    rounded = quantity.to_integral_value(ROUND_UP, EXACT)
    return orjson.Fragment(f"{rounded or abs(rounded):f}".encode())


def _without_none(members: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}
