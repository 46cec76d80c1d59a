"""An account that holds exactly what is expected, for tests to spoil."""

from dataclasses import replace
from typing import Any

from streams.mapping import Mapping
from testkit.oracle import Account, Actual, Collection, Event, Expectation, Record

LIST = 7


def account_of(expected: Expectation, mapping: Mapping, status: str = "unsubscribed") -> Account:
    """Everything that ``expected`` asks for: what is none is absent, the list's name is in another case."""
    ids = {email: number for number, email in enumerate(expected.contacts, 100)}
    contacts = (
        Actual(
            email,
            status,
            {name: value for name, value in contact.fields.items() if value is not None},
            id=ids[email],
            lists=(LIST,) if expected.recent_buyers.get(email) == "in" else (),
        )
        for email, contact in expected.contacts.items()
    )
    orders = (Record(key, ids[several[0].owner], several[0].content) for key, several in expected.orders.items())
    catalogue = (Record(key, None, content) for key, content in expected.catalogue.items())
    wanted = mapping.delivery
    collections = [
        Collection(wanted.orders.collection, "contact", "orders", tuple(orders)) if wanted.orders else None,
        Collection(wanted.catalogue.collection, "account", "catalog", tuple(catalogue)) if wanted.catalogue else None,
    ]
    return Account(
        contacts=tuple(contacts),
        lists={LIST: "ow RECENT buyers"},
        collections=tuple(collection for collection in collections if collection is not None),
        events=tuple(
            Event(ids[email], "refund", number) for email, numbers in expected.follow_ups.items() for number in sorted(numbers)
        ),
    )


def with_records(account: Account, name: str, *records: Record) -> Account:
    """``account`` with other records in one collection."""
    changed = (replace(found, records=records) if found.name == name else found for found in account.collections)
    return replace(account, collections=tuple(changed))


def with_contact(account: Account, email: str, **changes: Any) -> Account:
    """``account`` with one contact changed."""
    contacts = (replace(found, **changes) if found.email == email else found for found in account.contacts)
    return replace(account, contacts=tuple(contacts))
