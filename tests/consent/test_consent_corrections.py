"""A later *in* of the ERP for a contact that we created unsubscribed: corrected where nothing speaks against it, else a conflict."""

from collections.abc import Iterator

import pytest

from streams.domain.consent import UNSUBSCRIBED
from streams.domain.consent_conflicts import ConflictRule
from tests.consent.consent_harness import METRICS, World
from tests.consent.test_consent_stories import becomes, lose_replies

A, B = ("a@example.com", "b@example.com")
READING = 400
"""Seconds from one reading to the next: more than clocks may differ by."""


@pytest.fixture
def world() -> Iterator[World]:
    made = World(bin_days=30.0, corrects=True)
    made.read_back()
    made.consume_all()
    made.clock.advance(READING)
    yield made
    made.close()


def says(world: World, email: str, opted: bool | None, person: int = 1) -> None:
    world.row(person, email, opted=opted)
    world.settle()


def is_read(world: World) -> None:
    """Dotdigital is read, and what follows from that is done."""
    world.clock.advance(READING)
    assert world.read_back()
    world.settle()


def created_too_early(world: World, email: str = A, person: int = 1) -> None:
    """The ERP says in of a contact that was created before it did."""
    says(world, email, None, person)
    assert world.status(email) == UNSUBSCRIBED
    says(world, email, True, person)
    assert world.status(email) == UNSUBSCRIBED


def conflicts() -> float:
    return float(sum(METRICS.consent_conflicts.labels(rule)._value.get() for rule in ConflictRule))


def test_it_is_subscribed_after_a_reading_later_than_the_in(world: World) -> None:
    before = conflicts()
    says(world, A, None)
    world.row(1, A, opted=True)
    world.consume_all()
    assert world.read_back()
    world.settle()
    assert world.status(A) == UNSUBSCRIBED, "by clocks that differ, that reading may be older"
    is_read(world)
    assert (world.status(A), conflicts()) == ("subscribed", before)


def test_it_is_off_unless_the_site_wants_it() -> None:
    world, before = World(bin_days=30.0), conflicts()
    world.read_back()
    world.consume_all()
    created_too_early(world)
    is_read(world)
    assert (world.status(A), conflicts()) == (UNSUBSCRIBED, before + 1)
    world.close()


def test_who_is_corrected_may_leave_for_good(world: World) -> None:
    created_too_early(world)
    is_read(world)
    becomes(world, A, "unsubscribed")
    is_read(world)
    says(world, A, True)
    is_read(world)
    assert world.status(A) == UNSUBSCRIBED
    says(world, B, True)
    assert world.status(B) == UNSUBSCRIBED, "the refusal follows the person"


def test_a_corrected_contact_stays_ours_and_an_out_of_the_erp_unsubscribes_it(world: World) -> None:
    created_too_early(world)
    is_read(world)
    is_read(world)
    says(world, A, False)
    assert world.status(A) == UNSUBSCRIBED
    world.row_gone(1)
    world.settle()
    assert world.status(A) is None


@pytest.mark.parametrize("when", ["before the in", "after it", "after the reading"])
def test_who_signed_up_and_left_again_unseen_stays_unsubscribed(world: World, when: str) -> None:
    def comes_and_goes() -> None:
        becomes(world, A, "subscribed")
        becomes(world, A, "unsubscribed")

    before = conflicts()
    says(world, A, None)
    if when == "before the in":
        comes_and_goes()
    says(world, A, True)
    world.clock.advance(READING)
    if when == "after it":
        comes_and_goes()
    assert world.read_back()
    world.consume_all()
    if when == "after the reading":
        comes_and_goes()
    world.settle()
    is_read(world)
    is_read(world)
    assert (world.status(A), conflicts()) == (UNSUBSCRIBED, before + 1)


def test_who_was_out_once_by_the_erp_is_a_conflict(world: World) -> None:
    before = conflicts()
    says(world, A, None)
    says(world, A, False)
    says(world, A, True)
    is_read(world)
    is_read(world)
    assert (world.status(A), conflicts()) == (UNSUBSCRIBED, before + 1)


def test_a_contact_of_others_is_never_subscribed(world: World) -> None:
    found = world.box.store.create({"email": A})
    found.set_email_status("unsubscribed", found.created)
    created_too_early(world)
    is_read(world)
    is_read(world)
    assert world.status(A) == UNSUBSCRIBED


def test_a_contact_that_was_created_before_the_first_reading_may_have_left_unread() -> None:
    world = World(bin_days=30.0, corrects=True)
    created_too_early(world)
    for _ in range(3):
        is_read(world)
    assert world.status(A) == UNSUBSCRIBED
    world.close()


def test_any_other_result_stops_all_corrections_until_a_person_has_looked(world: World) -> None:
    created_too_early(world, A, 1)
    world.clock.advance(READING)
    assert world.read_back()
    world.consume_all()
    world.wire.meanwhile(1, lambda: becomes(world, A, "suppressed"))
    world.settle()
    assert world.status(A) == "suppressed"
    assert world.handlers["outbox"].corrections_stopped()  # type: ignore[attr-defined]
    world.clock.advance(READING)
    created_too_early(world, B, 2)
    for _ in range(2):
        is_read(world)
    assert world.status(B) == UNSUBSCRIBED
    world.start()
    assert world.handlers["outbox"].corrections_stopped()  # type: ignore[attr-defined]
    world.corrects = False
    world.start()
    is_read(world)
    world.corrects = True
    world.start()
    is_read(world)
    assert world.status(B) == "subscribed"


@pytest.mark.parametrize("left", [False, True])
def test_a_call_whose_reply_is_lost_is_never_sent_again(world: World, left: bool) -> None:
    created_too_early(world)
    world.clock.advance(READING)
    assert world.read_back()
    world.consume_all()
    lose_replies(world, "none", "lost_reply")
    assert world.send_next() is not None
    assert world.status(A) == "subscribed"
    if left:
        becomes(world, A, "unsubscribed")
    world.settle()
    is_read(world)
    assert world.status(A) == (UNSUBSCRIBED if left else "subscribed")
    assert world.handlers["outbox"].corrections_stopped() is left  # type: ignore[attr-defined]


@pytest.mark.parametrize("appends", range(3))
def test_a_worker_that_dies_in_between_sends_it_once(world: World, appends: int) -> None:
    created_too_early(world)
    world.clock.advance(READING)
    assert world.read_back()
    world.consume_all()
    world.appends_left = appends
    world.send_next()
    world.appends_left = None
    was = world.status(A)
    if was == "subscribed":
        becomes(world, A, "unsubscribed")
    world.settle()
    is_read(world)
    assert world.status(A) == (UNSUBSCRIBED if was == "subscribed" else "subscribed")


def test_conflicts_that_are_there_when_corrections_are_switched_on_are_corrected_too() -> None:
    world = World(bin_days=30.0)
    world.read_back()
    world.consume_all()
    world.clock.advance(READING)
    created_too_early(world)
    for _ in range(3):
        is_read(world)
    assert world.status(A) == UNSUBSCRIBED
    world.corrects = True
    world.start()
    for _ in range(2):
        is_read(world)
    assert world.status(A) == "subscribed"
    world.close()
