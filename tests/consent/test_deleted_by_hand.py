"""Opt-outs of a person who signs up anew where somebody had deleted their contact by hand."""

import pytest

from tests.consent.consent_harness import World
from tests.consent.test_consent_stories import ANN, A, B, becomes, in_erp, signs_up

YEAR = 31_536_000.0


def parked_as_deleted(world: World, email: str) -> None:
    """Somebody deletes the contact in Dotdigital, the bin is emptied, and we have found out."""
    found = world.contact(email)
    assert found is not None
    world.box.store.bin(found)
    world.box.store.purge()
    in_erp(world, email, opted=True)
    assert world.contact(email) is None


@pytest.mark.parametrize("records", range(4))
def test_an_opt_out_reaches_who_signed_up_anew_after_a_deletion_by_hand(records: int) -> None:
    world = World(bin_days=0.0)
    in_erp(world, A, opted=True)
    parked_as_deleted(world, A)
    signs_up(world, A)
    world.row(ANN, A, opted=False)
    world.consume_all()
    world.read_again(records)
    world.settle()
    assert world.status(A) == "unsubscribed"
    world.close()


@pytest.mark.parametrize("records", range(4))
def test_a_look_is_no_answer_to_an_opt_out_that_came_after_it(records: int) -> None:
    world = World(bin_days=0.0)
    in_erp(world, A, opted=True)
    parked_as_deleted(world, A)
    world.row(ANN, A, opted=False)
    world.consume_all()
    assert world.send_next() == f"e{A}", "nobody is there"
    signs_up(world, A)
    for opted in (True, False):
        world.row(ANN, A, opted=opted)
        world.consume("buyers")
        world.consume("contacts")
    world.read_again(records)
    world.settle()
    assert world.status(A) == "unsubscribed"
    world.close()


def test_a_refusal_that_comes_along_to_a_contact_deleted_by_hand_does_not_wait_for_the_first_load() -> None:
    world = World(bin_days=0.0, wait=YEAR)
    in_erp(world, A, opted=True)
    parked_as_deleted(world, A)
    in_erp(world, A, opted=None)
    signs_up(world, A)
    world.row(2, B, opted=True)
    world.settle()
    becomes(world, B, "unsubscribed")
    world.row(2, A, opted=None)
    world.settle()
    assert world.status(A) == "unsubscribed"
    world.close()
