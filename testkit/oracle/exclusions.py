"""Who and what the mapping excludes (contact rules §1.2): as if they were not there, but for opt-outs."""

import re
from collections import Counter
from collections.abc import Collection
from typing import Any

from streams.mapping import Mapping
from testkit.oracle.addresses import addresses, first_used
from testkit.oracle.row_reading import Row, Tables, reference

EXCLUDED = "(excluded)"
"""Stands in the address column of an order whose address is excluded: it is no address, and nobody takes its place."""


def excluded(address: str, mapping: Mapping) -> bool:
    """Whether nobody may be contacted at that address."""
    rule, domain = mapping.exclude, address.rpartition("@")[2]
    of_domain = any(domain == one or domain.endswith("." + one) for one in rule.domains)
    return address in rule.addresses or of_domain or any(_matches(address, pattern) for pattern in rule.patterns)


def _matches(address: str, pattern: str) -> bool:
    return re.fullmatch("(?s:.*)".join(re.escape(part) for part in pattern.split("*")), address) is not None


def excluded_order(header: Row, mapping: Mapping) -> bool:
    """Whether an order came by a channel, or stands on a house account, that is excluded."""
    column, customer = mapping.order.header.channel, reference(header[mapping.order.header.customer])
    channel = column is not None and _word(header[column]) in mapping.exclude.channels
    return channel or (customer in mapping.house_accounts and customer in mapping.exclude.accounts)


def without_excluded(tables: Tables, mapping: Mapping) -> Tables:
    """A copy of ``tables`` in which excluded accounts and addresses do not occur; nothing takes an address's place."""
    customer, contact, detail = mapping.customer, mapping.contact, mapping.order.detail
    gone = _accounts(tables, mapping)
    orders = _orders_of(gone, tables, mapping)
    accounts = {key: row for key, row in tables.get(customer.table, {}).items() if int(row[customer.key]) not in gone}
    people = {key: row for key, row in tables.get(contact.table, {}).items() if reference(row[contact.customer]) not in gone}
    return {
        **tables,
        customer.table: {key: _changed(row, customer.emails, mapping) for key, row in accounts.items()},
        contact.table: {key: _changed(row, (contact.email,), mapping) for key, row in people.items()},
        detail.table: {
            # Of an excluded account no order is anybody's, not even the one with another account's address on it.
            key: {**row, **dict.fromkeys(detail.emails)} if reference(row[detail.order]) in orders else _order(row, mapping)
            for key, row in tables.get(detail.table, {}).items()
        },
    }


def opted_out_regardless(tables: Tables, mapping: Mapping) -> frozenset[str]:
    """Addresses that a row opts out though the mapping excludes the address or the account."""
    rule, contact = mapping.consent, mapping.contact
    if rule.mode != "column" or rule.column is None:
        return frozenset()
    gone = _accounts(tables, mapping)
    return frozenset(
        address
        for row in tables.get(contact.table, {}).values()
        if _word(row[rule.column]) in rule.opted_out
        for address in addresses(row[contact.email])
        if reference(row[contact.customer]) in gone or excluded(address, mapping)
    )


def shared_addresses(of_accounts: Collection[list[str]], mapping: Mapping) -> frozenset[str]:
    """Addresses of so many accounts that they are nobody's; ``of_accounts``: the addresses of every account."""
    counted = Counter(address for found in of_accounts for address in set(found))
    return frozenset(address for address, accounts in counted.items() if accounts >= mapping.exclude.shared_by)


def _accounts(tables: Tables, mapping: Mapping) -> set[int]:
    names, rule = mapping.customer, mapping.exclude
    by_type = (
        int(row[names.key])
        for row in tables.get(names.table, {}).values()
        if names.type is not None and _word(row[names.type]) in rule.customer_types
    )
    return set(rule.accounts) | (set(by_type) - mapping.house_accounts)


def _orders_of(customers: set[int], tables: Tables, mapping: Mapping) -> set[int]:
    names = mapping.order.header
    headers = tables.get(names.table, {}).values()
    return {int(row[names.key]) for row in headers if reference(row[names.customer]) in customers}


def _order(row: Row, mapping: Mapping) -> Row:
    """An order's detail; of its addresses only the first counts."""
    columns = mapping.order.detail.emails
    used = first_used(row, columns)
    first = [] if used is None else addresses(row[used])[:1]
    return row if used is None or not any(excluded(one, mapping) for one in first) else {**row, used: EXCLUDED}


def _changed(row: Row, columns: tuple[str, ...], mapping: Mapping) -> Row:
    """The row without excluded addresses in the first of ``columns`` that is not empty."""
    used = first_used(row, columns)
    found = [] if used is None else addresses(row[used])
    left = [address for address in found if not excluded(address, mapping)]
    if used is None or left == found:
        return row
    return {**row, **dict.fromkeys(columns), used: "; ".join(left) or None}


def _word(value: Any) -> str | None:
    return None if value is None else str(value).strip().casefold()
