"""The rows without those who were erased (delivery rules §9).

An erased address is taken out of every e-mail field, and nothing takes its place: neither the next column of an account's or
an order's addresses, nor a second look at the same one. A house order is then nobody's.
"""

from collections.abc import Callable, Collection
from typing import Any

from streams.mapping import Mapping
from testkit.oracle.addresses import addresses, first_used
from testkit.oracle.order_facts import ERASED
from testkit.oracle.row_reading import Row, Tables


def without(tables: Tables, mapping: Mapping, erased: Collection[str]) -> Tables:
    """A copy of ``tables`` in which nobody of ``erased`` (normalised addresses) occurs."""
    if not erased:
        return tables
    contact, customer, detail = mapping.contact, mapping.customer, mapping.order.detail
    changes: dict[str, Callable[[Row], Row]] = {
        contact.table: lambda row: {**row, contact.email: _others(row[contact.email], erased)},
        customer.table: lambda row: _first_used(row, customer.emails, lambda field: _others(field, erased)),
        detail.table: lambda row: _first_used(row, detail.emails, lambda field: _unless_erased(field, erased)),
    }
    return {
        name: {key: changes[name](row) for key, row in found.items()} if name in changes else found
        for name, found in tables.items()
    }


def _first_used(row: Row, columns: tuple[str, ...], change: Callable[[Any], Any]) -> Row:
    """``row`` with only the first of ``columns`` that is not empty, changed."""
    used = first_used(row, columns)
    emptied = {**row, **dict.fromkeys(columns)}
    return emptied if used is None else {**emptied, used: change(row[used])}


def _others(field: Any, erased: Collection[str]) -> Any:
    found = addresses(field)
    return ("; ".join(address for address in found if address not in erased) or None) if found else field


def _unless_erased(field: Any, erased: Collection[str]) -> Any:
    """The first address, which is the only one that an order looks at."""
    first = next(iter(addresses(field)), field)
    return ERASED if first in erased else first
