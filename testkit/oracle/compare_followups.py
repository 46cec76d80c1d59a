"""Events and enrolments that follow a refund (delivery rules §7)."""

from collections import Counter
from collections.abc import Iterator

from streams.mapping import Mapping
from streams.mapping.delivery import RefundEvent
from testkit.oracle.account import Account
from testkit.oracle.difference import Difference
from testkit.oracle.expectation import Expectation


def follow_up_differences(expected: Expectation, account: Account, mapping: Mapping) -> Iterator[Difference]:
    """Credit notes that were not delivered, or delivered to two.

    A credit note is told to whom it belonged at that time: if rows moved it since, the address that was told stays, and so
    does what was told of a note that is gone by now.
    """
    wanted = mapping.delivery.follow_up
    if isinstance(wanted, RefundEvent):
        yield from _events(expected, account, wanted.type)
    elif wanted is not None:
        yield from _enrolments(expected, account, wanted.program)


def _events(expected: Expectation, account: Account, type_: str) -> Iterator[Difference]:
    # An event that the same contact got again is one event: its call was repeated, because the first answer was lost.
    published = Counter(number for number, _ in {(event.id, event.contact) for event in account.events if event.type == type_})
    whom = {number: email for email, numbers in expected.follow_ups.items() for number in numbers}
    for number in sorted(whom.keys() | {str(number) for number in published}):
        due = number in whom and whom[number] not in expected.shared
        if published[number] > 1 or (due and not published[number]):
            yield Difference("follow-up", whom.get(number, ""), "event", 1, published[number], number)


def _enrolments(expected: Expectation, account: Account, program: int) -> Iterator[Difference]:
    """A programme shows who is on it, not how often; Dotdigital takes nobody who cannot be mailed."""
    enrolled = set(account.programs.get(program, ()))
    for contact in account.by_id.values():
        email = contact.email.strip().lower()
        numbers = expected.follow_ups.get(email, frozenset())
        if numbers and email not in expected.shared and contact.status == "subscribed" and contact.id not in enrolled:
            yield Difference("follow-up", email, "enrolment", True, False, ", ".join(sorted(numbers)))
