"""Insight records: of orders under their contacts, of the catalogue under the account (delivery rules §4 and §5)."""

from collections.abc import Iterator
from collections.abc import Mapping as Dict
from typing import Any

from streams.mapping import Mapping
from testkit.oracle.account import Account, Collection, Record
from testkit.oracle.difference import Difference, Kind, same
from testkit.oracle.expectation import Expectation
from testkit.oracle.expected_records import OrderRecord


def order_differences(expected: Expectation, account: Account, mapping: Mapping) -> list[Difference]:
    """Order records that are missing, left over, under another contact, or wrong in a property."""
    if mapping.delivery.orders is None:
        return []
    owners = {number: contact.email.strip().lower() for number, contact in account.by_id.items()}
    held, found = _held(account, mapping.delivery.orders.collection, "contact", "orders", "record")
    for key in sorted(expected.orders.keys() | held.keys()):
        wanted, record = expected.orders.get(key, []), held.get(key)
        # A record of a contact in the bin is out of reach, and goes with it.
        owner = None if record is None else owners.get(record.owner or 0)
        if expected.shared & {owner, *(one.owner for one in wanted)}:
            # It waits for a contact that is held, or stays with one.
            continue
        if record is None or owner is None:
            found += [Difference("record", one.owner, "record", "one", None, key) for one in wanted[:1]]
        elif not wanted:
            if owner not in expected.erased:
                found.append(Difference("record", owner, "record", None, "one", key))
        else:
            closest = min([_order(key, one, owner, record, newest=expected.newest_names) for one in wanted], key=len)
            found += closest
    return found


def _order(key: str, wanted: OrderRecord, owner: str, record: Record, *, newest: bool) -> list[Difference]:
    content = wanted.content if newest else wanted.content_beside(record.content)
    found = list(_content("record", wanted.owner, key, content, record.content))
    if owner != wanted.owner:
        found.append(Difference("record", wanted.owner, "owner", wanted.owner, owner, key))
    return found


def catalogue_differences(expected: Expectation, account: Account, mapping: Mapping) -> list[Difference]:
    """Catalogue records that are missing, left over, or wrong in a property."""
    if mapping.delivery.catalogue is None or mapping.products is None:
        return []
    held, found = _held(account, mapping.delivery.catalogue.collection, "account", "catalog", "catalogue")
    for key in sorted(expected.catalogue.keys() | held.keys()):
        wanted, record = expected.catalogue.get(key), held.get(key)
        if record is None or wanted is None:
            shown = ("one" if wanted is not None else None, "one" if record is not None else None)
            found.append(Difference("catalogue", "", "record", *shown, key=key))
        else:
            found += _content("catalogue", "", key, wanted, record.content)
    return found


def _held(account: Account, name: str, scope: str, type_: str, kind: Kind) -> tuple[dict[str, Record], list[Difference]]:
    """The records of a collection by key, and what is wrong with the collection as a whole."""
    collection = account.collection(name) or Collection(name, scope, type_)
    asked, shown = (scope, type_), (collection.scope.casefold(), collection.type.casefold())
    wrong = [] if asked == shown else [Difference(kind, "", "collection", " ".join(asked), " ".join(shown), name)]
    return {record.key: record for record in collection.records}, wrong


def _content(kind: Kind, whom: str, key: str, expected: Dict[str, Any], actual: Dict[str, Any]) -> Iterator[Difference]:
    """Properties that differ; ``products[0].qty`` names one inside a list."""
    wanted, held = dict(_leaves("", expected)), dict(_leaves("", actual))
    for name in sorted(wanted.keys() | held.keys()):
        if not same(wanted.get(name), held.get(name), is_date=name.endswith("_date")):
            yield Difference(kind, whom, name, wanted.get(name), held.get(name), key)


def _leaves(place: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Single values by their place; an empty object or list is a value too, for it fixes a property's type."""
    inner: list[tuple[str, Any]] = []
    if isinstance(value, dict):
        inner = [(f"{place}.{name}" if place else name, one) for name, one in value.items()]
    elif isinstance(value, list):
        inner = [(f"{place}[{index}]", one) for index, one in enumerate(value)]
    if inner:
        for name, one in inner:
            yield from _leaves(name, one)
    elif place:
        yield place, value
