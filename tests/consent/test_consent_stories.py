"""Single stories of consent that were once got wrong, or that one would get wrong first."""

from collections.abc import Iterator

import pytest

from tests.consent.consent_harness import HOUSE, World

A, B, C = ("a@example.com", "b@example.com", "c@example.com")
ANN = 1


@pytest.fixture
def world() -> Iterator[World]:
    """A world whose bin is emptied at once, so that only we can remember."""
    made = World(bin_days=0.0)
    yield made
    made.close()


def in_erp(world: World, email: str, *, opted: bool | None) -> None:
    """The ERP has Ann at ``email``, and everybody knows."""
    world.row(ANN, email, opted=opted)
    world.settle()


def gone_from_erp(world: World) -> None:
    """The ERP deletes Ann, and everybody knows."""
    world.row_gone(ANN)
    world.settle()


def becomes(world: World, email: str, status: str) -> None:
    """Somebody else than we changes the contact's status."""
    found = world.contact(email)
    assert found is not None
    world.clock.advance(2)
    found.updated = world.box.store.now()
    found.set_email_status(status, found.updated)


def lose_replies(world: World, *names: str) -> None:
    world.box.faults.update({"next": list(names)})


def test_an_opt_in_does_not_resubscribe(world: World) -> None:
    in_erp(world, A, opted=None)
    in_erp(world, A, opted=True)
    assert world.status(A) == "unsubscribed"


def test_an_unsubscribe_moves_with_the_person(world: World) -> None:
    in_erp(world, A, opted=True)
    becomes(world, A, "unsubscribed")
    in_erp(world, B, opted=True)
    assert (world.status(A), world.status(B)) == ("unsubscribed", "unsubscribed")


def test_an_unsubscribe_moves_with_the_person_twice(world: World) -> None:
    in_erp(world, A, opted=True)
    becomes(world, A, "unsubscribed")
    in_erp(world, B, opted=True)
    in_erp(world, C, opted=True)
    assert world.status(C) == "unsubscribed"


def test_who_subscribes_at_the_new_address_takes_the_unsubscribe_back(world: World) -> None:
    in_erp(world, A, opted=True)
    becomes(world, A, "unsubscribed")
    in_erp(world, B, opted=True)
    world.read_back()
    world.settle()
    becomes(world, B, "subscribed")
    world.read_back()
    in_erp(world, C, opted=True)
    assert world.status(C) == "subscribed"


@pytest.mark.parametrize("lost", range(5))
def test_an_unsubscribe_moves_whichever_reply_is_lost(world: World, lost: int) -> None:
    in_erp(world, A, opted=True)
    becomes(world, A, "unsubscribed")
    world.row(ANN, B, opted=True)
    world.consume_all()
    lose_replies(world, *["none"] * lost, "lost_reply")
    for _ in range(3):
        world.send_next()
        world.consume_all()
    world.settle()
    assert (world.status(A), world.status(B)) == ("unsubscribed", "unsubscribed")


def test_an_unsubscribe_of_a_contact_that_was_there_before_us_moves_too(world: World) -> None:
    world.box.store.create({"email": A})
    becomes(world, A, "unsubscribed")
    in_erp(world, A, opted=True)
    in_erp(world, B, opted=True)
    assert (world.status(A), world.status(B)) == ("unsubscribed", "unsubscribed")


@pytest.mark.parametrize("account", [ANN, 2], ids=["same account", "another"])
@pytest.mark.parametrize("colleague_stays", [True, False])
def test_who_leaves_a_shared_mailbox_takes_the_unsubscribe_along(world: World, account: int, colleague_stays: bool) -> None:
    in_erp(world, A, opted=True)
    world.row(2, A, opted=True, account=account)
    world.settle()
    becomes(world, A, "unsubscribed")
    world.read_back()
    in_erp(world, B, opted=True)
    if not colleague_stays:
        world.row_gone(2)
        world.settle()
    assert (world.status(A), world.status(B)) == ("unsubscribed", "unsubscribed")


@pytest.mark.parametrize("before", [ANN, HOUSE], ids=["account", "house"])
@pytest.mark.parametrize("after", [2, HOUSE], ids=["account", "house"])
def test_who_changes_address_and_account_takes_the_unsubscribe_along(world: World, before: int, after: int) -> None:
    world.row(ANN, A, opted=True, account=before)
    world.settle()
    becomes(world, A, "unsubscribed")
    world.row(ANN, B, opted=True, account=after)
    world.settle()
    assert (world.status(A), world.status(B)) == ("unsubscribed", "unsubscribed")


@pytest.mark.parametrize("accounts", [(ANN, ANN, ANN), (HOUSE, HOUSE, HOUSE), (ANN, HOUSE, 2)], ids=["one", "house", "several"])
def test_an_unsubscribe_moves_with_the_person_twice_at_once(world: World, accounts: tuple[int, int, int]) -> None:
    for email, account in zip((A, B, C), accounts, strict=True):
        world.row(ANN, email, opted=True, account=account)
        if email == A:
            world.settle()
            becomes(world, A, "unsubscribed")
    world.settle()
    assert (world.status(A), world.status(B), world.status(C)) == ("unsubscribed", None, "unsubscribed")


def test_a_bounce_stays_with_the_mailbox(world: World) -> None:
    in_erp(world, A, opted=True)
    becomes(world, A, "hardBounced")
    in_erp(world, B, opted=True)
    assert world.status(B) == "subscribed"


def test_an_unsubscribe_that_was_read_back_outlives_a_deletion_by_hand(world: World) -> None:
    in_erp(world, A, opted=True)
    becomes(world, A, "unsubscribed")
    world.read_back()
    found = world.contact(A)
    assert found is not None
    world.box.store.bin(found)
    in_erp(world, A, opted=True)
    assert world.status(A) is None
    world.create_again(A)
    assert world.status(A) == "unsubscribed"


def test_a_person_who_came_and_left_again_stays_out(world: World) -> None:
    in_erp(world, A, opted=None)
    becomes(world, A, "subscribed")
    in_erp(world, A, opted=None)
    becomes(world, A, "unsubscribed")
    gone_from_erp(world)
    in_erp(world, A, opted=True)
    assert world.status(A) == "unsubscribed"


def test_what_we_said_of_a_contact_does_not_hold_for_another_one_at_its_address(world: World) -> None:
    in_erp(world, A, opted=None)
    found = world.contact(A)
    assert found is not None and found.email_status == "unsubscribed", "by us"
    world.box.store.bin(found)
    world.box.store.purge()
    world.box.store.create({"email": A})
    becomes(world, A, "unsubscribed")
    world.read_back()
    world.settle()
    gone_from_erp(world)
    assert world.status(A) == "unsubscribed", "not ours to delete"
    other = world.contact(A)
    assert other is not None
    world.box.store.bin(other)
    in_erp(world, A, opted=True)
    assert world.status(A) is None
    world.create_again(A)
    assert world.status(A) == "unsubscribed"


def test_an_opt_out_is_reported_once(world: World) -> None:
    in_erp(world, A, opted=True)
    in_erp(world, A, opted=False)
    assert world.status(A) == "unsubscribed"
    becomes(world, A, "subscribed")
    in_erp(world, A, opted=False)
    assert world.status(A) == "subscribed", "the person had the last word"
    in_erp(world, A, opted=None)
    in_erp(world, A, opted=False)
    assert world.status(A) == "unsubscribed", "until the ERP says it anew"


def test_a_second_refusal_is_reported_to_who_subscribed_after_the_first(world: World) -> None:
    world.box.store.create({"email": A})
    becomes(world, A, "unsubscribed")
    in_erp(world, A, opted=True)
    world.box.store.create({"email": B})
    becomes(world, B, "subscribed")
    in_erp(world, B, opted=True)
    assert world.status(B) == "unsubscribed", "carried from A"
    becomes(world, B, "subscribed")
    world.row(2, B, opted=False)
    world.settle()
    assert world.status(B) == "unsubscribed", "said by the ERP"


@pytest.mark.parametrize(("opted", "after"), [(True, "pendingOptIn"), (None, "pendingOptIn"), (False, "unsubscribed")])
def test_a_confirmation_that_is_pending_is_only_ended_by_an_opt_out(world: World, opted: bool | None, after: str) -> None:
    world.box.store.create({"email": A})
    becomes(world, A, "pendingOptIn")
    in_erp(world, A, opted=opted)
    assert world.status(A) == after


@pytest.mark.parametrize("status", ["suppressed", "spamTrap"])
def test_an_opt_out_leaves_a_suppression_as_it_is(world: World, status: str) -> None:
    world.box.store.create({"email": A})
    becomes(world, A, status)
    in_erp(world, A, opted=False)
    assert world.status(A) == status


@pytest.mark.parametrize("lost", range(4))
def test_a_contact_that_vanished_is_not_subscribed_by_a_lost_reply(world: World, lost: int) -> None:
    in_erp(world, A, opted=None)
    found = world.contact(A)
    assert found is not None
    world.box.store.bin(found)
    world.row(ANN, A, opted=None)
    world.consume_all()
    lose_replies(world, *["none"] * lost, "lost_reply")
    world.send_next()
    world.settle()
    assert world.status(A) is None
    world.create_again(A)
    assert world.status(A) == "unsubscribed"


def test_a_contact_whose_creation_was_not_answered_goes_when_the_address_does(world: World) -> None:
    world.row(ANN, A, opted=None)
    world.consume_all()
    lose_replies(world, "none", "lost_reply")
    world.send_next()
    assert world.status(A) is not None
    gone_from_erp(world)
    assert world.status(A) is None


def test_a_shared_address_is_as_strict_as_its_strictest_buyer(world: World) -> None:
    in_erp(world, A, opted=True)
    world.row(2, A, opted=False)
    world.settle()
    assert world.status(A) == "unsubscribed"


@pytest.mark.parametrize("records", [0, 1, 2, 3])
def test_an_erased_person_is_not_brought_back_by_a_replay(world: World, records: int) -> None:
    in_erp(world, A, opted=True)
    world.erase(A)
    world.settle()
    world.read_again(records)
    in_erp(world, A, opted=True)
    assert world.status(A) is None


def test_who_comes_back_after_an_erasure_can_be_erased_again(world: World) -> None:
    world.erase(A)
    world.settle()
    world.box.store.create({"email": A})
    world.erase(A)
    world.settle()
    assert world.status(A) is None


def test_the_status_that_we_gave_is_nobodys_refusal(world: World) -> None:
    in_erp(world, A, opted=None)
    gone_from_erp(world)
    in_erp(world, A, opted=True)
    assert world.status(A) == "subscribed"


@pytest.mark.parametrize("lost", range(4))
def test_a_contact_that_vanishes_between_two_calls_is_not_created_subscribed(world: World, lost: int) -> None:
    world.box.store.create({"email": A})
    becomes(world, A, "subscribed")
    world.row(ANN, A, opted=None)
    world.consume_all()
    found = world.contact(A)
    assert found is not None
    world.wire.meanwhile(1, lambda: world.box.store.bin(found))
    lose_replies(world, *["none"] * lost, "lost_reply")
    world.send_next()
    world.settle()
    world.create_again(A)
    assert world.status(A) == "unsubscribed"


def signs_up(world: World, email: str) -> None:
    """A person signs up in Dotdigital, before the ERP knows the address."""
    world.box.store.create({"email": email})
    becomes(world, email, "subscribed")


@pytest.mark.parametrize("known", [True, False], ids=["outbox knows of it", "folded"])
def test_an_unsubscribe_that_nobody_has_read_moves_with_a_row_that_only_passes_by(world: World, known: bool) -> None:
    signs_up(world, A)
    in_erp(world, A, opted=True)
    gone_from_erp(world)
    becomes(world, A, "unsubscribed")
    world.row(ANN, A, opted=True)
    if known:
        world.consume_all()
    in_erp(world, B, opted=True)
    assert (world.status(A), world.status(B)) == ("unsubscribed", "unsubscribed")


@pytest.mark.parametrize("records", [1, 2, 3])
def test_an_opt_out_is_not_taken_for_one_that_was_passed_on_before_a_replay(world: World, records: int) -> None:
    in_erp(world, A, opted=True)
    becomes(world, A, "unsubscribed")
    in_erp(world, B, opted=True)
    becomes(world, B, "subscribed")
    world.read_again(records)
    in_erp(world, B, opted=False)
    assert world.status(B) == "unsubscribed"


def test_an_unsubscribe_moves_each_time_that_somebody_leaves_its_address(world: World) -> None:
    in_erp(world, A, opted=True)
    becomes(world, A, "unsubscribed")
    in_erp(world, B, opted=True)
    becomes(world, B, "subscribed")
    world.row(ANN, A, opted=True)
    in_erp(world, B, opted=True)
    assert world.status(B) == "unsubscribed", "as if the row had stayed there for a while"


@pytest.mark.parametrize("account", [ANN, 2], ids=["same account", "another"])
def test_an_unsubscribe_that_nobody_has_read_moves_with_who_leaves_a_shared_mailbox(world: World, account: int) -> None:
    in_erp(world, A, opted=True)
    world.row(2, A, opted=True, account=account)
    world.settle()
    becomes(world, A, "unsubscribed")
    in_erp(world, B, opted=True)
    assert (world.status(A), world.status(B)) == ("unsubscribed", "unsubscribed")


@pytest.mark.parametrize("account", [ANN, 2], ids=["same account", "another"])
def test_an_unsubscribe_moves_with_everybody_who_leaves_at_once(world: World, account: int) -> None:
    in_erp(world, A, opted=True)
    world.row(2, A, opted=True, account=account)
    world.settle()
    becomes(world, A, "unsubscribed")
    world.row(ANN, B, opted=True)
    world.row(2, C, opted=True, account=account)
    world.settle()
    assert (world.status(B), world.status(C)) == ("unsubscribed", "unsubscribed")


@pytest.mark.parametrize("known", [True, False], ids=["outbox knows of it", "folded"])
def test_an_unsubscribe_moves_with_a_row_that_only_passes_by_again(world: World, known: bool) -> None:
    signs_up(world, A)
    in_erp(world, A, opted=True)
    in_erp(world, B, opted=True)
    becomes(world, A, "unsubscribed")
    world.row(ANN, A, opted=True)
    if known:
        world.consume_all()
    in_erp(world, B, opted=True)
    assert (world.status(A), world.status(B)) == ("unsubscribed", "unsubscribed")


def test_the_address_that_somebody_left_is_looked_at_before_the_next_one_is_created(world: World) -> None:
    in_erp(world, A, opted=True)
    becomes(world, A, "unsubscribed")
    world.row(ANN, B, opted=True)
    world.consume_all()
    assert world.send_next() == f"e{A}"
    world.consume_all()
    assert world.send_next() == f"e{B}"
    assert world.status(B) == "unsubscribed"
