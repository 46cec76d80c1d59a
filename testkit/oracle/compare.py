"""What must be against what is: every difference between an expectation and an account at rest.

What a look at rest cannot show is not checked: whether a contact was created with the right status (only that nobody is
subscribed who never opted in), whether an unsubscribe moved along to a person's new address, and whether a credit note that
was told has changed since.
"""

from collections.abc import Collection

from streams.mapping import Mapping
from testkit.oracle.account import Account
from testkit.oracle.compare_contacts import contact_differences, subscribed_again
from testkit.oracle.compare_erasure import erasure_differences
from testkit.oracle.compare_followups import follow_up_differences
from testkit.oracle.compare_lists import list_differences
from testkit.oracle.compare_records import catalogue_differences, order_differences
from testkit.oracle.difference import Difference
from testkit.oracle.expectation import Expectation
from testkit.oracle.moves import renames


def compare(
    expected: Expectation,
    account: Account,
    mapping: Mapping,
    *,
    opted_in_ever: Collection[str] = (),
    preexisting: Collection[str] | None = None,
    unsubscribed_there: Collection[str] = (),
    moved_here: Collection[str] = (),
) -> list[Difference]:
    """Every difference, by kind and then by address or key; where several answers are right, what is none.

    Args:
        opted_in_ever: addresses that some version of a row opted in, so that they may have been created subscribed.
        preexisting: addresses that the account had before us. They keep their status and stay, cleared, when the rows
            no longer have them. When given, every other contact that the rows do not have must be gone; when None,
            being cleared is enough.
        unsubscribed_there: addresses that unsubscribed in Dotdigital, and so must not be subscribed; their contacts stay,
            cleared, when the rows no longer have them.
        moved_here: addresses to which a contact may have gone along with its person (:mod:`testkit.oracle.moves`), so that it
            has the status that it had, and may have been there before us. They count only if the mapping renames contacts.
    """
    before = None if preexisting is None else frozenset(address.strip().lower() for address in preexisting)
    acted = frozenset(address.strip().lower() for address in unsubscribed_there)
    moved = frozenset(moved_here) if renames(mapping) else frozenset[str]()
    if mapping.consent.mode == "external":
        # Another system creates the contacts: what has none waits, and all of them were there before us.
        before = frozenset(contact.email.strip().lower() for contact in account.by_id.values())
        expected = expected.only(before)

    def differences(wanted: Expectation) -> list[Difference]:
        return _differences(wanted, account, mapping, frozenset(opted_in_ever), before, acted, moved)

    found = differences(expected)
    for other in expected.others if found else ():
        neither = {(one.kind, one.whom, one.field, one.key) for one in differences(other)}
        found = [one for one in found if (one.kind, one.whom, one.field, one.key) in neither]
    return found


def _differences(
    expected: Expectation,
    account: Account,
    mapping: Mapping,
    opted_in_ever: frozenset[str],
    before: frozenset[str] | None,
    acted: frozenset[str],
    moved: frozenset[str],
) -> list[Difference]:
    return [
        *contact_differences(
            expected,
            account,
            mapping,
            opted_in_ever=opted_in_ever,
            moved=moved,
            preexisting=before,
            unsubscribed_there=acted,
        ),
        *subscribed_again(account, acted),
        *order_differences(expected, account, mapping),
        *catalogue_differences(expected, account, mapping),
        *list_differences(expected, account, mapping, before),
        *follow_up_differences(expected, account, mapping, before),
        *erasure_differences(expected, account, mapping),
    ]
