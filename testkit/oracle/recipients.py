"""Whose contact a live order or credit note belongs to (delivery rules §2)."""

from collections.abc import Collection

from streams.mapping import Mapping
from testkit.oracle.addresses import addresses
from testkit.oracle.credits import credited_orders
from testkit.oracle.erasure import without
from testkit.oracle.exclusions import EXCLUDED, shared_addresses, without_excluded
from testkit.oracle.expected_contacts import customer_addresses, expected_contacts, without_account
from testkit.oracle.frozen import History, thawed
from testkit.oracle.order_facts import LiveOrder, classified, line_owners, without_record
from testkit.oracle.row_reading import Tables, reference, rows


def recipients(tables: Tables, mapping: Mapping, live: list[LiveOrder]) -> dict[int, str]:
    """The address of every live document that has one, by its id."""
    found = {order.id: address for order, address in _of_themselves(tables, mapping, live).items() if address is not None}
    owners, kinds = line_owners(tables, mapping), {order.id: order.kind for order in live}
    for credit in live:
        given_back = credited_orders(credit, owners) if credit.kind == "credit" else set()
        if given_back:
            found.pop(credit.id, None)
            first = min(given_back)
            if kinds.get(first) == "order" and first in found:
                found[credit.id] = found[first]
    return found


def orders_of_nobody(tables: Tables, mapping: Mapping, history: History | None = None, erased: Collection[str] = ()) -> int:
    """How many orders have no record because nobody has the address that is on them; nobody has one of ``erased``."""
    return len(_strangers(tables, mapping, history or {}, erased))


def orders_of_the_staying(tables: Tables, mapping: Mapping, history: History, erased: Collection[str] = ()) -> int:
    """How many of these have the address of a person who lost the account.

    If it had a contact before that was delivered, the contact stays, and has the order.
    """
    names = mapping.contact
    former = [row for versions in history.get(names.table, {}).values() for row in versions if row is not None]
    had = {address for row in former if reference(row[names.customer]) is not None for address in addresses(row[names.email])}
    staying = had & without_account(thawed(tables, history, mapping), mapping)
    return sum(order.own in staying for order in _strangers(tables, mapping, history, erased))


def _strangers(tables: Tables, mapping: Mapping, history: History, erased: Collection[str]) -> list[LiveOrder]:
    if mapping.delivery.orders is None:
        return []
    gone = frozenset(address.strip().lower() for address in erased)
    tables = without_excluded(without(thawed(tables, history, mapping), mapping, gone), mapping)
    found = _of_themselves(tables, mapping, classified(tables, mapping)[0])
    return [
        order
        for order, address in found.items()
        if address is None
        and order.own not in (None, EXCLUDED)
        and order.kind == "order"
        and order.number is not None
        and not without_record(order, mapping)
    ]


def _of_themselves(tables: Tables, mapping: Mapping, live: list[LiveOrder]) -> dict[LiveOrder, str | None]:
    of_customers = customer_addresses(tables, mapping)
    everybody = expected_contacts(tables, mapping).keys() - shared_addresses(of_customers.values(), mapping)
    people = _people(tables, mapping)
    found: dict[LiveOrder, str | None] = {}
    for order in live:
        of_customer = of_customers.get(order.customer)
        if order.address is not None:
            found[order] = order.address
        elif order.own is None:
            found[order] = next(iter(of_customer or ()), None)
        elif order.own in (of_customer or ()) or order.own in everybody:
            found[order] = order.own
        else:
            person = people.get(order.contact or 0)
            found[order] = person[1] if person is not None and of_customer is not None and person[0] == order.customer else None
    return found


def _people(tables: Tables, mapping: Mapping) -> dict[int, tuple[int | None, str]]:
    """The account and the first address of every person, by contact row; only those that have one."""
    names = mapping.contact
    found = {
        int(row[names.key]): (reference(row[names.customer]), addresses(row[names.email]))
        for row in rows(tables, names.table, names.key)
    }
    return {key: (customer, several[0]) for key, (customer, several) in found.items() if several}
