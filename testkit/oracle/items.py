"""What can be bought, and the catalogue's records of it (delivery rules §1 and §5)."""

from collections import defaultdict
from dataclasses import dataclass
from decimal import ROUND_FLOOR, Decimal
from typing import Any
from urllib.parse import quote

from streams.mapping import Mapping
from streams.mapping.tables import Products
from testkit.oracle.frozen import DELETED, FORMER, History, thawed
from testkit.oracle.row_reading import EXACT, Row, Tables, flag, money, name, reference, rounded, rows, text


@dataclass(frozen=True, slots=True)
class Item:
    """One variant; ``product`` is what its row names, whether or not that exists."""

    id: int
    product: int | None
    sku: str | None
    name: str | None
    sold: bool


@dataclass(frozen=True, slots=True)
class Namings:
    """What a variant was ever called. An order shows what it was called when the order came, which no row says."""

    skus: frozenset[str]
    names: frozenset[str]


def namings(tables: Tables, mapping: Mapping) -> dict[int, Namings]:
    """Every SKU and name that a variant has or had, by its id."""
    if mapping.products is None:
        return {}
    names = mapping.products.variant
    found: dict[int, list[Item]] = defaultdict(list)
    for key, item in items(tables, mapping).items():
        found[key].append(item)
    for row in tables.get(names.table + FORMER, {}).values():
        found[int(row[names.key])].append(_item(row, mapping.products))
    return {
        key: Namings(frozenset(one.sku for one in known if one.sku), frozenset(one.name for one in known if one.name))
        for key, known in found.items()
    }


def items(tables: Tables, mapping: Mapping) -> dict[int, Item]:
    """Every variant by id as orders have it, deleted ones included; none where no products are mapped."""
    if mapping.products is None:
        return {}
    names = mapping.products.variant
    return _items(tables, mapping.products, names.table) | _items(tables, mapping.products, names.table + DELETED)


def _items(tables: Tables, products: Products, table: str) -> dict[int, Item]:
    names = products.variant
    return {int(row[names.key]): _item(row, products) for row in rows(tables, table, names.key)}


def _item(row: Row, products: Products) -> Item:
    names = products.variant
    return Item(
        id=int(row[names.key]),
        product=reference(row[names.product]),
        sku=text(row[names.code]),
        name=name(row[names.name]),
        sold=names.sold is None or row[names.sold] is None or flag(row[names.sold]),
    )


def catalogue_records(tables: Tables, mapping: Mapping) -> dict[str, dict[str, Any]]:
    """The catalogue's records by key."""
    catalogue, products = mapping.delivery.catalogue, mapping.products
    if catalogue is None or products is None:
        return {}
    shelf = _Shelf.of(tables, products)
    currency = mapping.order.currencies[mapping.order.default_currency].code
    found: dict[str, dict[str, Any]] = {}
    for item in _items(tables, products, products.variant.table).values():
        product = shelf.products.get(item.product or 0)
        code = None if product is None else text(product[products.product.code])
        product_name = None if product is None else name(product[products.product.name])
        former_name = None if product is None else name(product.get(products.product.name + FORMER))
        shown, price = item.name or product_name or former_name, _price(shelf.prices[item.id], mapping)
        if not item.sold or item.sku is None or shown is None or price is None or rounded(price) <= 0:
            continue
        record: dict[str, Any] = {
            "id": str(item.id),
            "sku": item.sku,
            "name": shown,
            "price": rounded(price),
            "currency": currency,
            "stock": _stock(shelf.stock[item.id], products),
            "parent_id": None if product is None else str(item.product),
            "product_code": code,
            "product_name": product_name,
            "categories": shelf.categories(item.id, products) or None,
            "url": _filled(catalogue.url, item, code),
            "image_path": _filled(catalogue.image, item, code),
        }
        found[str(item.id)] = {member: value for member, value in record.items() if value is not None}
    return found


def priced_on_application(tables: Tables, mapping: Mapping, history: History | None = None) -> int:
    """How many sold variants have a price of 0.00 or less, and are not in the catalogue for it."""
    if mapping.delivery.catalogue is None or mapping.products is None:
        return 0
    tables, table = thawed(tables, history or {}, mapping), mapping.products.variant.table
    prices = _Shelf.of(tables, mapping.products).prices
    found = [_price(prices[item.id], mapping) for item in _items(tables, mapping.products, table).values() if item.sold]
    return sum(price is not None and rounded(price) <= 0 for price in found)


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Rows by the variant (or the id) that they belong to, lowest key first."""

    products: dict[int, Row]
    prices: dict[int, list[Row]]
    stock: dict[int, list[Row]]
    memberships: dict[int, list[Row]]
    names: dict[int, str]

    @classmethod
    def of(cls, tables: Tables, names: Products) -> "_Shelf":
        categories = rows(tables, names.category.table, names.category.key)
        named = {int(row[names.category.key]): name(row[names.category.name]) for row in categories}
        return cls(
            products={int(row[names.product.key]): row for row in rows(tables, names.product.table, names.product.key)},
            prices=_grouped(rows(tables, names.price.table, names.price.key), names.price.variant),
            stock=_grouped(rows(tables, names.stock.table, names.stock.key), names.stock.variant),
            memberships=_grouped(rows(tables, names.membership.table, names.membership.key), names.membership.variant),
            names={key: found for key, found in named.items() if found is not None},
        )

    def categories(self, variant: int, names: Products) -> list[dict[str, str]]:
        """The named categories of a variant by id, each once."""
        ids = {reference(row[names.membership.category]) for row in self.memberships[variant]}
        return [{"id": str(key), "name": self.names[key]} for key in sorted(key for key in ids if key in self.names)]


def _grouped(found: list[Row], column: str) -> dict[int, list[Row]]:
    grouped: dict[int, list[Row]] = defaultdict(list)
    for row in found:
        variant = reference(row[column])
        if variant is not None:
            grouped[variant].append(row)
    return grouped


def _price(found: list[Row], mapping: Mapping) -> Decimal | None:
    """The exact unit price by the row that counts."""
    assert mapping.products is not None
    names, usual = mapping.products.price, mapping.order.default_currency
    usable = [row for row in found if reference(row[names.currency]) == usual and money(row[names.amount]) is not None]
    # Lowest key first already; the sort keeps that among equals.
    best = next(iter(sorted(usable, key=lambda row: names.base is None or not flag(row[names.base]))), None)
    if best is None:
        return None
    amount, per = money(best[names.amount]), money(best[names.per]) if names.per is not None else None
    return EXACT.divide(amount or Decimal(0), per if per is not None and per > 0 else Decimal(1))


def _stock(found: list[Row], products: Products) -> int:
    total = Decimal(0)
    for row in found:
        total = EXACT.add(total, money(row[products.stock.free]) or Decimal(0))
    return max(0, int(total.to_integral_value(ROUND_FLOOR)))


def _filled(pattern: str | None, item: Item, code: str | None) -> str | None:
    """A URL; none when it needs something that is none."""
    if pattern is None:
        return None
    for mark, value in (("{sku}", item.sku), ("{code}", code), ("{id}", str(item.id))):
        if mark not in pattern:
            continue
        if value is None:
            return None
        pattern = pattern.replace(mark, quote(value, safe=""))
    return pattern
