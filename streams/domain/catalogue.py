"""One variant, assembled from its own row, prices, stocks and memberships in any order of arrival, and its record.

``docs/delivery-rules.md`` sections 1 and 5; this module is their only implementation in the pipeline.
"""

from collections.abc import Mapping as Named
from decimal import Decimal
from enum import Enum, auto
from math import floor
from typing import Any, TypeVar
from urllib.parse import quote

import msgspec
import orjson

from streams.capture import rows
from streams.domain.held_reason import HeldReason
from streams.domain.last_workable import keep
from streams.domain.money import EXACT, cents, money, total
from streams.domain.versioned import Versioned, is_not_older, merged
from streams.mapping import Mapping
from streams.mapping.delivery import PLACEHOLDER, Catalogue
from streams.messages.changes import Change, ChangeKind, VariantInfo

T = TypeVar("T")


class VariantRow(msgspec.Struct, array_like=True, gc=False):
    """The state of one variant id: every row that names it, by primary key.

    ``last``: what the variant's row said before it was deleted, or lost its SKU or name; ``last_prices``: of price rows that
    cannot be used any more the version that could. Both stand in only where nothing newer does (``docs/delivery-rules.md`` §1).
    ``listed``: it has had a record since a positive fact last took it away.
    """

    variant: Versioned[rows.Variant] | None = None
    prices: dict[int, Versioned[rows.Price]] = {}
    stocks: dict[int, Versioned[rows.Stock]] = {}
    memberships: dict[int, Versioned[rows.Membership]] = {}
    version: int = 0
    held: HeldReason | None = None
    last: rows.Variant | None = None
    last_prices: dict[int, rows.Price] = {}
    listed: bool = False


class Effect(Enum):
    """What a change did to the place that it was written to."""

    STALE = auto()
    """Nothing: what is there is newer."""
    KNOWN = auto()
    """Only the position is new. Orderwise rewrites rows without changing them, as its stock recalculation does."""
    CHANGED = auto()
    """Somebody must hear of it, or hear again: an equal position may be one of whose consequences a crash left nothing."""


def written(old: Versioned[T] | None, change: Change) -> tuple[Versioned[T], Effect]:
    """The cell after ``change``, and what that means."""
    if old is not None and not is_not_older(old, change.position):
        return old, Effect.STALE
    new = merged(old, change)
    known = old is not None and old.position < new.position and old.row == new.row
    return new, Effect.KNOWN if known else Effect.CHANGED


def apply(row: VariantRow, change: Change, currency: int) -> Effect:
    """Write one captured row into the variant; prices count in ``currency``."""
    if change.kind is ChangeKind.VARIANT:
        old = row.variant
        row.variant, effect = written(old, change)
        if effect is not Effect.STALE:
            row.last = _last(row.last, old.row if old is not None else None, row.variant.row)
        return effect
    cells: dict[int, Versioned[Any]] = getattr(row, _PARTS[change.kind])
    key = int(change.pk)
    before = cells.get(key)
    cells[key], effect = written(before, change)
    if change.kind is ChangeKind.PRICE and effect is not Effect.STALE:
        keep(row.last_prices, key, before, cells[key], lambda price: _counts(price, currency))
    return effect


def _last(last: rows.Variant | None, old: rows.Variant | None, new: rows.Variant | None) -> rows.Variant | None:
    """What must be remembered of former versions: nothing, while there is a row with SKU and name."""
    if new is not None and new.code is not None and new.name is not None:
        return None
    if old is None:
        return last
    code, name = (old.code, old.name) if last is None else (old.code or last.code, old.name or last.name)
    return msgspec.structs.replace(old, code=code, name=name)


def _counts(price: rows.Price, currency: int) -> bool:
    return price.currency == currency and price.amount is not None


_PARTS = {ChangeKind.PRICE: "prices", ChangeKind.STOCK: "stocks", ChangeKind.MEMBERSHIP: "memberships"}


def parents(row: VariantRow) -> set[tuple[ChangeKind, int]]:
    """The product and categories that the variant names, whether they exist or not."""
    found = {
        (ChangeKind.CATEGORY, member.category) for member in _live(row.memberships).values() if member.category is not None
    }
    variant = row.variant.row if row.variant is not None else None
    if variant is not None and variant.product is not None:
        found.add((ChangeKind.PRODUCT, variant.product))
    return found


def item(row: VariantRow) -> VariantInfo | None:
    """What orders need to know of the variant, or knew of one that is gone; None when it never existed."""
    variant = _newest(row) or row.last
    if variant is None:
        return None
    last = row.last or variant
    sku, name = variant.code or last.code, variant.name or last.name
    newest = _newest(row)
    return VariantInfo(variant.product, sku, name, newest is None or (newest.code, newest.name) != (sku, name))


def _newest(row: VariantRow) -> rows.Variant | None:
    return row.variant.row if row.variant is not None else None


def record(
    key: int,
    row: VariantRow,
    product: rows.Product | None,
    categories: Named[int, rows.Category],
    mapping: Mapping,
    former_name: str | None = None,
) -> bytes | None:
    """The variant's catalogue record as JSON; None when it is not in the catalogue.

    Args:
        key: the variant's id.
        row: everything known about the variant.
        product: the product row that it names, if there is one.
        categories: those of the category rows that it names which exist.
        mapping: the site's currencies and what it wants of the catalogue.
        former_name: what the product was called when it last had a name.
    """
    catalogue, variant, known = mapping.delivery.catalogue, _newest(row), item(row)
    if catalogue is None or variant is None or not variant.sold or known is None or known.sku is None:
        return None
    name = variant.name or (product.name if product is not None else None) or known.name or former_name
    price = unit_price(row, mapping.order.default_currency)
    if name is None or price is None or cents(price) <= 0:
        return None
    code = product.code if product is not None else None
    fields = {
        "id": str(key),
        "sku": known.sku,
        "name": name,
        "price": money(price),
        "currency": mapping.order.currencies[mapping.order.default_currency].code,
        "stock": free_stock(row),
        "parent_id": str(variant.product) if product is not None else None,
        "product_code": code,
        "product_name": product.name if product is not None else None,
        "categories": _named(categories),
        **_addresses(catalogue, {"sku": known.sku, "code": code, "id": str(key)}),
    }
    # An empty list would fix a property's type for ever, and so would a null.
    published = {field: value for field, value in fields.items() if value is not None and value != []}
    return orjson.dumps(published, option=orjson.OPT_SORT_KEYS)


def is_unworkable(row: VariantRow, mapping: Mapping) -> bool:
    """Whether a variant without a record may have one all the same: it is sold, and what it lacks is no positive fact."""
    variant = _newest(row)
    return variant is not None and variant.sold and held_code(row, mapping) is None


def held_code(row: VariantRow, mapping: Mapping) -> str | None:
    """Why a variant that is sold is not in the catalogue, if its price is the reason.

    The collection demands a price, and Orderwise's 0.00 means "price on application", not that the item is free.
    """
    variant, price = _newest(row), unit_price(row, mapping.order.default_currency)
    offered = mapping.delivery.catalogue is not None and variant is not None and variant.sold
    return "price_on_application" if offered and price is not None and cents(price) <= 0 else None


def frozen_code(row: VariantRow, mapping: Mapping, *, product_deleted: bool, product_named: bool) -> str | None:
    """Which of the rows that a catalogue record only needs no longer says what it must, so that a former one stands in."""
    variant = _newest(row)
    if variant is None:
        return None
    if variant.code is None:
        return "variant_without_sku"
    if variant.name is None and not product_named:
        return "variant_without_name"
    if not any(_counts(price, mapping.order.default_currency) for price in _live(row.prices).values()):
        return "variant_without_price"
    return "product_not_loaded" if product_deleted else None


def unit_price(row: VariantRow, currency: int) -> Decimal | None:
    """The price of one, exact: of the price rows in ``currency`` the base one, else the one with the lowest key.

    Without any that can be used, the same of those that could be.
    """
    found = {key: price for key, price in _live(row.prices).items() if _counts(price, currency)} or row.last_prices
    if not found:
        return None
    price = found[min(found, key=lambda key: (not found[key].base, key))]
    if price.amount is None or price.per is None or price.per <= 0:
        return price.amount
    return EXACT.divide(price.amount, price.per)


def free_stock(row: VariantRow) -> int:
    """Whole pieces that can be sold. Orderwise's own figure may be negative."""
    return max(0, floor(total(stock.free or Decimal(0) for stock in _live(row.stocks).values())))


def _named(categories: Named[int, rows.Category]) -> list[dict[str, str]]:
    return [{"id": str(key), "name": row.name} for key, row in sorted(categories.items()) if row.name is not None]


def _addresses(catalogue: Catalogue, values: dict[str, str | None]) -> dict[str, str | None]:
    return {"url": _filled(catalogue.url, values), "image_path": _filled(catalogue.image, values)}


def _filled(template: str | None, values: dict[str, str | None]) -> str | None:
    if template is None or any(values[name] is None for name in PLACEHOLDER.findall(template)):
        return None
    return PLACEHOLDER.sub(lambda found: quote(values[found[1]] or "", safe=""), template)


def _live(cells: dict[int, Versioned[T]]) -> dict[int, T]:
    return {key: cell.row for key, cell in cells.items() if cell.row is not None}
