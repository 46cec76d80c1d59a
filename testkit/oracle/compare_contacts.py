"""Contacts and their consent (contact rules §4 to §6, delivery rules §8)."""

from collections import defaultdict
from collections.abc import Iterator
from typing import Any

from streams.mapping import Mapping
from testkit.oracle.account import Account, Actual
from testkit.oracle.difference import Difference, same
from testkit.oracle.expectation import Expectation
from testkit.oracle.expected_contacts import Expected

_DATES = ("first_order", "last_order", "last_despatch", "last_refund", "exclude_until")


def contact_differences(
    expected: Expectation,
    account: Account,
    mapping: Mapping,
    *,
    opted_in_ever: frozenset[str],
    preexisting: frozenset[str] | None,
    unsubscribed_there: frozenset[str] = frozenset(),
    moved: frozenset[str] = frozenset(),
) -> list[Difference]:
    """Contacts that are missing, doubled, left over, wrong in a data field, or subscribed without leave."""
    live: dict[str, list[Actual]] = defaultdict(list)
    for contact in account.contacts:
        if not contact.binned:
            live[contact.email.strip().lower()].append(contact)

    found: list[Difference] = []
    for email in sorted((expected.contacts.keys() | live.keys()) - expected.erased):
        wanted, held = expected.contacts.get(email), live[email]
        if email in expected.shared and wanted is not None:
            for contact in held:
                found += _status(email, wanted, contact, mapping, opted_in_ever, (preexisting or frozenset()) | moved)
        elif wanted is None:
            for contact in held:
                theirs = None if preexisting is None else preexisting | unsubscribed_there | moved
                found += [] if email in expected.shared else _leftover(email, contact, mapping, theirs)
                if email in expected.opted_out and contact.status == "subscribed":
                    found.append(Difference("consent", email, "status", "not subscribed: the rows opt out", contact.status))
        elif len(held) != 1:
            found.append(Difference("contact", email, "contact", "one live contact", f"{len(held)} live contacts"))
        else:
            found += _fields(email, wanted, held[0], mapping, newest=expected.newest_names)
            found += _status(email, wanted, held[0], mapping, opted_in_ever, (preexisting or frozenset()) | moved)
    return found


def subscribed_again(account: Account, unsubscribed_there: frozenset[str]) -> Iterator[Difference]:
    """Those who unsubscribed in Dotdigital and are subscribed now."""
    for contact in account.contacts:
        email = contact.email.strip().lower()
        if email in unsubscribed_there and contact.status == "subscribed" and not contact.binned:
            yield Difference("consent", email, "status", "not subscribed: unsubscribed in Dotdigital", contact.status)


def _fields(email: str, expected: Expected, contact: Actual, mapping: Mapping, *, newest: bool) -> list[Difference]:
    held, skus = _folded(contact), mapping.contact_fields.last_skus
    wanted = expected.fields if newest else expected.fields | {skus: expected.skus_beside(held.get(skus.casefold()))}
    dates = {getattr(mapping.contact_fields, name) for name in _DATES}
    # A kept field has whatever it had before where the rows have no value.
    fixed = {name: value for name, value in wanted.items() if value is not None or name not in mapping.kept_fields}
    return [
        Difference("contact", email, name, value, held.get(name.casefold()))
        for name, value in fixed.items()
        if not same(value, held.get(name.casefold()), is_date=name in dates)
    ]


def _status(
    email: str,
    expected: Expected,
    contact: Actual,
    mapping: Mapping,
    opted_in_ever: frozenset[str],
    preexisting: frozenset[str],
) -> list[Difference]:
    if contact.status != "subscribed" or expected.consent == "in":
        return []
    if expected.consent == "out":
        return [Difference("consent", email, "status", "not subscribed: the rows opt out", contact.status)]
    if email in preexisting or (mapping.consent.mode == "column" and email in opted_in_ever):
        return []
    return [Difference("consent", email, "status", "not subscribed: the rows never opted in", contact.status)]


def _leftover(email: str, contact: Actual, mapping: Mapping, preexisting: frozenset[str] | None) -> list[Difference]:
    """A contact whose address the rows do not have; it may stay, without our data, if others have had a hand in it."""
    if preexisting is not None and email not in preexisting:
        return [Difference("contact", email, "contact", "none: no row has this address", "a live contact")]
    held = _folded(contact)
    emptied = set(mapping.contact_fields.model_dump().values()) - mapping.kept_fields
    ours = [name for name in emptied if held.get(name.casefold()) is not None]
    return [Difference("contact", email, name, None, held[name.casefold()]) for name in ours]


def _folded(contact: Actual) -> dict[str, Any]:
    return {name.casefold(): value for name, value in contact.fields.items()}
