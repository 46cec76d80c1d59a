"""Whether those who were erased are gone from everything (delivery rules §9)."""

from collections.abc import Iterator

from streams.mapping import Mapping
from testkit.oracle.account import Account
from testkit.oracle.difference import Difference
from testkit.oracle.expectation import Expectation


def erasure_differences(expected: Expectation, account: Account, mapping: Mapping) -> Iterator[Difference]:
    """What the account still holds of erased addresses: a contact outside the bin, and what hangs on it."""
    orders = mapping.delivery.orders
    collection = None if orders is None else account.collection(orders.collection)
    for contact in account.by_id.values():
        email = contact.email.strip().lower()
        if email not in expected.erased:
            continue
        yield Difference("erasure", email, "contact", None, "a live contact")
        for record in () if collection is None else collection.records:
            if record.owner == contact.id:
                yield Difference("erasure", email, "record", None, "one", record.key)
        for number in contact.lists:
            yield Difference("erasure", email, "member", False, True, account.lists.get(number, str(number)))
