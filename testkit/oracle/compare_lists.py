"""Membership of the list of recent buyers (delivery rules §6)."""

from collections.abc import Iterator

from streams.mapping import Mapping
from testkit.oracle.account import Account
from testkit.oracle.difference import Difference
from testkit.oracle.expectation import Expectation


def list_differences(
    expected: Expectation, account: Account, mapping: Mapping, preexisting: frozenset[str] | None
) -> Iterator[Difference]:
    """Contacts that should be on the list and are not, or the other way round.

    Somebody whom the account had before us may have been put on the list by others, and is then not ours to take off.
    """
    wanted = mapping.delivery.recent_buyers
    if wanted is None:
        return
    number = _number(account, wanted.list)
    for contact in account.by_id.values():
        email = contact.email.strip().lower()
        due, member = expected.recent_buyers.get(email, "out"), number in contact.lists
        if email in expected.erased | expected.shared or due == "either" or (due == "in") == member:
            continue
        if due == "in" or (preexisting is not None and email not in preexisting):
            yield Difference("list", email, "member", due == "in", member, str(wanted.list))


def _number(account: Account, wanted: int | str) -> int | None:
    """The id of a list that is given by id or by name; names are the same in any case."""
    if isinstance(wanted, int):
        return wanted
    return next((number for number, name in account.lists.items() if name.casefold() == wanted.casefold()), None)
