"""Events and enrolments that follow a refund (delivery rules §7)."""

from collections import Counter
from collections.abc import Iterator
from collections.abc import Mapping as Dict
from datetime import UTC, datetime, timedelta

from streams.mapping import Mapping
from streams.mapping.delivery import RefundEvent
from testkit.oracle.account import Account
from testkit.oracle.difference import Difference
from testkit.oracle.expectation import Expectation
from testkit.oracle.lists import MARGIN

_DAWN = datetime(1, 1, 2, tzinfo=UTC)


def follow_up_differences(
    expected: Expectation, account: Account, mapping: Mapping, preexisting: frozenset[str] | None
) -> Iterator[Difference]:
    """Credit notes that were not delivered, delivered to two, or delivered though the person was no contact yet.

    A credit note is told to whom it belonged at that time: if rows moved it since, the address that was told stays, and so
    does what was told of a note that is gone by now. Of contacts that the account had before us it is not known since when.
    """
    wanted = mapping.delivery.follow_up
    if wanted is None:
        return
    oldest = expected.at - timedelta(days=wanted.most_days) + MARGIN
    # Without a date nobody says that the contact was not there.
    since = {contact.email.strip().lower(): contact.created or _DAWN for contact in account.by_id.values()}
    due = {
        email: {number for number, at in notes.items() if at >= max(oldest, since.get(email, _DAWN) + MARGIN)}
        for email, notes in expected.follow_ups.items()
        if email not in expected.shared
    }
    if isinstance(wanted, RefundEvent):
        yield from _events(due, expected, account, wanted.type)
        yield from _too_early(expected, account, wanted.type, preexisting)
    else:
        yield from _enrolments(due, account, wanted.program)


def _events(due: Dict[str, set[str]], expected: Expectation, account: Account, type_: str) -> Iterator[Difference]:
    # An event that the same contact got again is one event: its call was repeated, because the first answer was lost.
    published = Counter(number for number, _ in {(event.id, event.contact) for event in account.events if event.type == type_})
    whom = {number: email for email, notes in expected.follow_ups.items() for number in notes}
    for number in sorted(whom.keys() | {str(number) for number in published}):
        missing = number in due.get(whom.get(number, ""), ()) and not published[number]
        if published[number] > 1 or missing:
            yield Difference("follow-up", whom.get(number, ""), "event", 1, published[number], number)


def _too_early(expected: Expectation, account: Account, type_: str, preexisting: frozenset[str] | None) -> Iterator[Difference]:
    contacts = account.by_id
    for event in account.events:
        contact = contacts.get(event.contact)
        if event.type != type_ or contact is None or contact.created is None or preexisting is None:
            continue
        email = contact.email.strip().lower()
        at = expected.follow_ups.get(email, {}).get(event.id or "")
        if at is not None and at < contact.created - MARGIN and email not in preexisting:
            yield Difference("follow-up", email, "event", "none: the person was no contact yet", 1, event.id or "")


def _enrolments(due: Dict[str, set[str]], account: Account, program: int) -> Iterator[Difference]:
    """A programme shows who is on it, not how often; Dotdigital takes nobody who cannot be mailed."""
    enrolled = set(account.programs.get(program, ()))
    for contact in account.by_id.values():
        email = contact.email.strip().lower()
        numbers = due.get(email, set())
        if numbers and contact.status == "subscribed" and contact.id not in enrolled:
            yield Difference("follow-up", email, "enrolment", True, False, ", ".join(sorted(numbers)))
