"""Whose contact a live order or credit note belongs to (delivery rules §2)."""

from streams.mapping import Mapping
from testkit.oracle.expected_contacts import customer_addresses
from testkit.oracle.order_facts import LiveOrder
from testkit.oracle.row_reading import Tables


def recipients(tables: Tables, mapping: Mapping, live: list[LiveOrder]) -> dict[int, str]:
    """The address of every live document that has one, by its id."""
    of_customers = customer_addresses(tables, mapping)
    found = {order.id: _recipient(order, of_customers.get(order.customer, [])) for order in live}
    return {order: address for order, address in found.items() if address is not None}


def _recipient(order: LiveOrder, of_customer: list[str]) -> str | None:
    if order.address is not None:
        return order.address
    return order.own if order.own in of_customer else next(iter(of_customer), None)
