"""Rows as frozen documents have them: of each row the last version with which its document could be worked out.

The law: what was delivered and cannot be worked out any more keeps its last state, and only a positive fact withdraws it
(contact rules §2a). The history of each row says which version that was; the order across tables is never looked at.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TypeAlias

from streams.mapping import Mapping
from streams.mapping.tables import Products
from testkit.oracle.addresses import first_used, unreadable
from testkit.oracle.exclusions import excluded_order
from testkit.oracle.no_address import emptied, emptied_versions
from testkit.oracle.row_reading import Row, Tables, instant, meaningful, money, reference, text

History: TypeAlias = Dict[str, Dict[str, Sequence[Row | None]]]
"""Table name to primary key (as text) to the row's former versions, oldest first; None: it was deleted."""

DELETED = " (deleted)"
"""Stands behind a table's name where rows are kept as documents that name them still have them: deleted lines of which credit
notes give back, and variants that are deleted or lost SKU or name."""

FORMER = " (former)"
"""Stands behind a table's name where every version that a row had is kept: variants, whose names orders keep; and behind that
of a product's name column, where a product that has none any more has the last one."""


@dataclass(frozen=True, slots=True)
class _Part:
    """A table whose rows belong to orders; ``workable``: whether a row says what its order needs."""

    table: str
    order: str
    workable: Callable[[Row], bool]


class Lost(Enum):
    """Before which headers a status had lost its text that names none now; the order of two tables decides."""

    AFTER_ALL = auto()
    BEFORE_THE_NEWEST = auto()
    BEFORE_ALL = auto()


def thawed(tables: Tables, history: History, mapping: Mapping, *, lost: Lost = Lost.AFTER_ALL) -> Tables:
    """``tables`` in which rows that their documents cannot do with are replaced by former ones that they could.

    Whenever the statuses were ``lost``, the answer is right.
    """
    tables, history = emptied(tables, mapping), emptied_versions(history, mapping)
    if not history:
        return tables
    order = mapping.order
    found = {name: dict(table) for name, table in tables.items()}
    _put_back(found, history, order.status.table, lambda row: _status_known(row, mapping))
    headers = found.get(order.header.table, {})
    _readable(found, history, order.detail.table, order.detail.emails)
    _put_back_parts(
        found, history, _Part(order.detail.table, order.detail.order, partial(_currency_known, mapping=mapping)), headers
    )
    now, ever = (source.get(order.status.table, {}) for source in (tables, found))
    newest = ever if lost is Lost.AFTER_ALL else now
    _put_back_headers(found, history, mapping, newest, now if lost is Lost.BEFORE_ALL else ever)
    _put_back_parts(found, history, _Part(order.total.table, order.total.order, partial(_has_net, mapping=mapping)), headers)
    _readable(found, history, mapping.customer.table, mapping.customer.emails)
    _readable_persons(found, history, mapping)
    _deleted_accounts(found, history, mapping)
    if mapping.products is not None:
        _put_back_goods(found, history, mapping.products, mapping.order.default_currency)
    _put_aside_lines(found, history, mapping)
    return found


def _put_aside_lines(found: dict[str, dict[str, Row]], history: History, mapping: Mapping) -> None:
    """Lines that no order has any more, deleted or not, as they were in the one that had them last."""
    names = mapping.order.line
    here = found.get(names.table, {})
    lost = {key for key in history.get(names.table, {}) if key not in here or reference(here[key][names.order]) is None}
    owned = {
        key: next((row for row in reversed(history[names.table][key]) if row and reference(row[names.order]) is not None), None)
        for key in lost
    }
    found[names.table + DELETED] = {key: row for key, row in owned.items() if row is not None}


def _put_back(found: dict[str, dict[str, Row]], history: History, table: str, workable: Callable[[Row], bool]) -> None:
    """Every row of ``table``, deleted ones too, in its last workable version."""
    rows = found.setdefault(table, {})
    for key, versions in history.get(table, {}).items():
        if key not in rows or not workable(rows[key]):
            former = next((row for row in reversed(versions) if row is not None and workable(row)), None)
            if former is not None:
                rows[key] = former


def _put_back_headers(
    found: dict[str, dict[str, Row]], history: History, mapping: Mapping, newest: Dict[str, Row], former: Dict[str, Row]
) -> None:
    """A header that exists, in its last workable version; its deletion is a positive fact, and so is a type that is ignored.

    ``newest`` and ``former``: the statuses that say something of the newest version, and of former ones.
    """
    names, all_statuses = mapping.order.header, found.get(mapping.order.status.table, {})
    anybodys = _orders_of_anybody(found, mapping)

    def workable(key: str, row: Row, statuses: Dict[str, Row]) -> bool:
        kind, status = mapping.order.types.kind(reference(row[names.type])), reference(row[names.status])
        if kind == "ignore" or excluded_order(row, mapping) or _is_history(row, mapping):
            return True
        dated = meaningful(instant(row[names.at], mapping.source.zone), mapping) is not None
        known = status is not None and str(status) in statuses and _status_known(statuses[str(status)], mapping)
        customer = reference(row[names.customer])
        named = customer is not None and not (customer in mapping.house_accounts and int(key) in anybodys)
        return kind is not None and known and named and dated

    rows = found.get(names.table, {})
    for key in list(rows):
        versions = _numbered([*history.get(names.table, {}).get(key, ()), rows[key]], names.number)
        rows[key] = versions.pop()
        if not workable(key, rows[key], newest):
            stands_in = next((row for row in reversed(versions) if workable(key, row, former)), None)
            if stands_in is not None:
                rows[key] = stands_in
            elif workable(key, rows[key], all_statuses):
                # It never had a status whose text was known: the order is held.
                rows[key] = {**rows[key], names.status: None}


def _numbered(versions: Sequence[Row | None], number: str) -> list[Row]:
    """The versions since the row was there again, each under its number, or under the last before it."""
    since = max((place + 1 for place, row in enumerate(versions) if row is None), default=0)
    found = list[Row]()
    for row in versions[since:]:
        if row is not None:
            found.append(row if text(row[number]) or not found else {**row, number: found[-1][number]})
    return found


def _orders_of_anybody(found: dict[str, dict[str, Row]], mapping: Mapping) -> set[int | None]:
    """Orders whose detail has text where an address belongs, and no address: if they are house orders, nobody knows whose."""
    names = mapping.order.detail
    counting: dict[int | None, tuple[int, Row]] = {}
    for key, row in found.get(names.table, {}).items():
        order, number = reference(row[names.order]), int(key.partition(" ")[0])
        if order not in counting or number < counting[order][0]:
            counting[order] = number, row
    return {order for order, (_, row) in counting.items() if _unreadable(row, names.emails)}


def _put_back_parts(found: dict[str, dict[str, Row]], history: History, part: _Part, headers: Dict[str, Row]) -> None:
    """The row that counts for each order, if it cannot be worked out, and for an order that has none left the last one."""
    rows = found.setdefault(part.table, {})
    living: dict[int | None, list[int]] = defaultdict(list)
    for key, row in rows.items():
        living[reference(row[part.order])].append(int(key))
    counting = {order: min(keys) for order, keys in living.items()}
    lost: dict[int, tuple[int, Row]] = {}
    for key, versions in sorted(history.get(part.table, {}).items(), key=lambda item: int(item[0])):
        usable = {reference(row[part.order]): row for row in versions if row is not None and part.workable(row)}
        for order, row in usable.items():
            if order is not None and order not in living and str(order) in headers:
                lost.setdefault(order, (int(key), row))
            elif counting.get(order) == int(key) and not part.workable(rows[key]):
                rows[key] = row
    for order, (number, row) in lost.items():
        # Under a key of its own: the row may belong to another order by now.
        rows[f"{number} of {order}"] = row


def _readable(found: dict[str, dict[str, Row]], history: History, table: str, columns: tuple[str, ...]) -> None:
    """Address columns that hold something, but no address, as they were when they could be read, unless emptied since."""
    rows = found.get(table, {})
    for key, versions in history.get(table, {}).items():
        row = rows.get(key)
        if row is None or not _unreadable(row, columns):
            continue
        for former in reversed(versions):
            if former is None or not _unreadable(former, columns):
                if former is not None:
                    rows[key] = {**row, **{column: former[column] for column in columns}}
                break


def house_persons_unread(tables: Tables, mapping: Mapping) -> frozenset[str]:
    """The contact rows of house accounts whose address cannot be read: their contact stays if it was delivered before."""
    names = mapping.contact
    return frozenset(
        key
        for key, row in tables.get(names.table, {}).items()
        if reference(row[names.customer]) in mapping.house_accounts and unreadable(row[names.email])
    )


def _readable_persons(found: dict[str, dict[str, Row]], history: History, mapping: Mapping) -> None:
    """A person whose address cannot be read: the last one that could, with the name that belonged to it."""
    names = mapping.contact

    def owner(person: Row) -> int | str | None:
        customer = reference(person[names.customer])
        return "a house account" if customer in mapping.house_accounts else customer

    kept = (names.email, names.first_name, names.last_name, names.full_name)
    people = found.get(names.table, {})
    for key, versions in history.get(names.table, {}).items():
        row = people.get(key)
        if row is None or not unreadable(row[names.email]):
            continue
        for former in reversed(versions):
            if former is None or owner(former) != owner(row):
                break
            if not unreadable(former[names.email]):
                people[key] = {**row, **{column: former[column] for column in kept}}
                break


def _deleted_accounts(found: dict[str, dict[str, Row]], history: History, mapping: Mapping) -> None:
    """An account whose row is gone still shows at the addresses that its persons name, and at no other."""
    names = mapping.customer
    rows = found.setdefault(names.table, {})
    for key, versions in history.get(names.table, {}).items():
        last = next((row for row in reversed(versions) if row is not None), None)
        if key not in rows and last is not None:
            rows[key] = {**last, **dict.fromkeys(names.emails)}


def _put_back_goods(found: dict[str, dict[str, Row]], history: History, names: Products, currency: int) -> None:
    """Variants with the SKU and name that they had, prices of variants that have none left, and products that are gone.

    In the catalogue a product's name stands in for a variant's own one first; orders keep what they had.
    """
    variant, price, product = names.variant, names.price, names.product
    there = set(found.get(product.table, {}))
    _put_back(found, history, product.table, lambda _: True)
    found[variant.table + FORMER] = {
        f"{key} {place}": row
        for key, versions in history.get(variant.table, {}).items()
        for place, row in enumerate(versions)
        if row is not None
    }
    products = found.get(product.table, {})
    for key, versions in history.get(product.table, {}).items():
        called = next((row[product.name] for row in reversed(versions) if row is not None and text(row[product.name])), None)
        if called is not None and text(products[key][product.name]) is None:
            products[key] = {**products[key], (product.name + FORMER if key in there else product.name): called}
    here = found.setdefault(variant.table, {})
    named = found.setdefault(variant.table + DELETED, {})
    for key, versions in history.get(variant.table, {}).items():
        former = [row for row in versions if row is not None]
        newest = here[key] if key in here else former[-1]
        sku, shown = (
            next((row[column] for row in (newest, *reversed(former)) if text(row[column])), None)
            for column in (variant.code, variant.name)
        )
        named[key] = {**newest, variant.code: sku, variant.name: shown}
        if key in here:
            parent = products.get(str(reference(newest[variant.product])))
            other = parent is not None and text(parent[product.name]) is not None
            here[key] = {**newest, variant.code: sku, **({} if other else {variant.name: shown})}
            if not other and shown is None and not (parent is not None and text(parent.get(product.name + FORMER))):
                # Nothing of it gives a name: the record stays as it was while a product did.
                named_by = (row[variant.product] for row in reversed(former))
                parents = (one for one in named_by if text(products.get(str(reference(one)), {}).get(product.name)) is not None)
                here[key] = {**here[key], variant.product: next(parents, newest[variant.product])}

    def counts(row: Row) -> bool:
        return reference(row[price.currency]) == currency and money(row[price.amount]) is not None

    prices = found.setdefault(price.table, {})
    having = {reference(row[price.variant]) for row in prices.values() if counts(row)}
    for key, versions in history.get(price.table, {}).items():
        for row in {reference(row[price.variant]): row for row in versions if row is not None and counts(row)}.values():
            if (owner := reference(row[price.variant])) not in having:
                prices[f"{key} of {owner}"] = row


def _is_history(header: Row, mapping: Mapping) -> bool:
    history, at = mapping.order.history, meaningful(instant(header[mapping.order.header.at], mapping.source.zone), mapping)
    return history is not None and history.before == "ignore" and at is not None and at < history.since


def _unreadable(row: Row, columns: tuple[str, ...]) -> bool:
    column = first_used(row, columns)
    return column is not None and unreadable(row[column])


def _has_net(row: Row, mapping: Mapping) -> bool:
    return money(row[mapping.order.total.net]) is not None


def _status_known(row: Row, mapping: Mapping) -> bool:
    return (text(row[mapping.order.status.text]) or "").casefold() in mapping.order.statuses


def _currency_known(row: Row, mapping: Mapping) -> bool:
    column = mapping.order.detail.currency
    number = None if column is None else reference(row[column])
    return (mapping.order.default_currency if number is None else number) in mapping.order.currencies
