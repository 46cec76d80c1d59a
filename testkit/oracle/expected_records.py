"""The insight records of orders (delivery rules §4)."""

import hashlib
from collections import defaultdict
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal
from typing import Any

from streams.mapping import Mapping
from streams.mapping.delivery import RecordStatus
from testkit.oracle.credits import ReturnedLine, credited, returned_lines
from testkit.oracle.items import Item, Namings, items, namings
from testkit.oracle.order_facts import LiveOrder, classified, without_record
from testkit.oracle.recipients import recipients
from testkit.oracle.row_reading import EXACT, Tables, instant, iso, meaningful, reference, rounded, rows, text

_NEVER = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class OrderRecord:
    """One record as its owner's contact must have it; ``namings``: what the variants on it were called, by their ids."""

    owner: str
    content: dict[str, Any]
    namings: Dict[str, Namings] = field(default_factory=dict)

    def content_beside(self, actual: Dict[str, Any]) -> dict[str, Any]:
        """The content with the SKUs and names that ``actual`` has, where the variants were called so."""
        shown = actual.get("products")
        products = self.content.get("products")
        if not products or not isinstance(shown, list) or len(shown) != len(products):
            return self.content
        return self.content | {
            "products": [_called(one, theirs, self.namings) for one, theirs in zip(products, shown, strict=True)]
        }


def _called(product: dict[str, Any], actual: Any, namings: Dict[str, Namings]) -> dict[str, Any]:
    known = namings.get(product["product_id"])
    if known is None or not isinstance(actual, dict):
        return product
    # The line's own name is nobody's former one.
    own = "name" in product and product["name"] not in known.names
    found = {}
    if actual.get("sku") in known.skus:
        found["sku"] = actual["sku"]
    if not own and actual.get("name") in known.names:
        found["name"] = actual["name"]
    return product | found


def order_records(tables: Tables, mapping: Mapping) -> dict[str, list[OrderRecord]]:
    """Record key to the order's record; of several orders with one key any may show, so all are given."""
    wanted = mapping.delivery.orders
    if wanted is None:
        return {}
    live, _ = classified(tables, mapping)
    owners, given_back = recipients(tables, mapping, live), credited(tables, mapping, live)
    returned, sold, back_of = _returns(tables, mapping), items(tables, mapping), returned_lines(live)
    called = namings(tables, mapping)
    found: dict[str, list[OrderRecord]] = defaultdict(list)
    for order in live:
        if order.kind != "order" or order.number is None or order.id not in owners or without_record(order, mapping):
            continue
        back = given_back.get(order.id, Decimal(0))
        status = _status(order, back, returned=order.id in returned)
        content = _content(order, back, sold, back_of) | {
            "order_status": wanted.statuses.get(status, status),
            "return_number": returned.get(order.id),
            "tax_included": mapping.order.tax_included,
            "first_load": None if wanted.loaded_before is None or order.at is None else order.at < wanted.loaded_before,
        }
        content = {name: value for name, value in content.items() if value is not None}
        mine = {str(line.variant): called[line.variant] for line in order.lines if line.variant in called}
        found[_key(order.number)].append(OrderRecord(owners[order.id], content, mine))
    return dict(found)


def _key(number: str) -> str:
    if all(sign.isascii() and (sign.isalnum() or sign == "-") for sign in number):
        return number
    cleaned = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "_-") else "_" for sign in number)
    return f"{cleaned}_{hashlib.sha256(number.encode()).hexdigest()[:8]}"


def _content(order: LiveOrder, given_back: Decimal, sold: dict[int, Item], back_of: Dict[int, ReturnedLine]) -> dict[str, Any]:
    net, back = rounded(order.amount), rounded(EXACT.divide(given_back, order.currency.rate))
    of_products = sum((rounded(line.net or Decimal(0)) for line in order.lines if line.variant is not None), Decimal(0))
    return {
        "id": order.number,
        "purchase_date": iso(order.at),
        "currency": order.currency.code,
        "order_subtotal": net,
        "other_total": rounded(net - of_products),
        "refund_total": back,
        "order_total": rounded(max(Decimal(0), net - back)),
        "despatch_date": iso(order.despatched),
        "consignment_number": order.consignment,
        "carrier": order.carrier,
        "products": _products(order, sold, back_of) or None,
    }


def _status(order: LiveOrder, given_back: Decimal, *, returned: bool) -> RecordStatus:
    if order.status == "cancelled":
        return "cancelled"
    back = rounded(EXACT.divide(given_back, order.currency.rate))
    if back > 0:
        return "refunded" if back >= rounded(order.amount) else "part_refunded"
    return "returning" if returned else order.status


def _products(order: LiveOrder, sold: dict[int, Item], back_of: Dict[int, ReturnedLine]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for line in order.lines:
        if line.variant is None:
            continue
        item, back = sold.get(line.variant), back_of.get(line.id, ReturnedLine())
        price = EXACT.divide(line.net, line.quantity) if line.net is not None and line.quantity else None
        product = {
            "product_id": str(line.variant),
            "parent_id": None if item is None or item.product is None else str(item.product),
            "sku": None if item is None else item.sku,
            "name": line.name or (None if item is None else item.name),
            "price": None if price is None else rounded(price),
            "quantity": line.quantity,
            "qty": None if line.quantity is None else int(line.quantity.to_integral_value(ROUND_UP)),
            "line_total": None if line.net is None else rounded(line.net),
            "returned_qty": back.quantity,
            "refunded": rounded(back.amount) > 0,
        }
        found.append({name: value for name, value in product.items() if value is not None})
    return found


def _returns(tables: Tables, mapping: Mapping) -> dict[int, str | None]:
    """Order id to the number of its latest return, which may have none."""
    names = mapping.returns
    if names is None:
        return {}
    found: dict[int, list[tuple[datetime, int, str | None]]] = defaultdict(list)
    for row in rows(tables, names.table, names.key):
        order = reference(row[names.order])
        if order is not None:
            at = meaningful(instant(row[names.at], mapping.source.zone), mapping) or _NEVER
            found[order].append((at, int(row[names.key]), text(row[names.number])))
    return {order: max(several, key=lambda one: one[:2])[2] for order, several in found.items()}
