"""The table of a delivery task's states and transitions is walked at random, and sequences that a walk meets seldom one by one."""

from pathlib import Path

import pytest
from hypothesis import settings

from streams.dispatch.outbox import delivery_task
from streams.dispatch.outbox.delivery_task import TaskState
from tests.dispatch.delivery_sequences import DeliveryStates
from tests.dispatch.outbox_harness import A
from tests.dispatch.transition_table import TABLE
from tests.examples import MORE


def test_every_state_and_event_of_the_table_is_known() -> None:
    assert {state for steps in TABLE.values() for step in steps for state in step} == set(TaskState)
    assert len(TABLE) == 15


TestDeliveryStates = DeliveryStates.TestCase
TestDeliveryStates.settings = settings(max_examples=160 * MORE, stateful_step_count=60, deadline=None)


# Sequences that a walk meets seldom, each in every form


@pytest.mark.parametrize("lost_with", ["call", "worker", "nothing"])
def test_what_is_wanted_again_is_sent_when_the_account_may_have_taken_something_else(lost_with: str) -> None:
    walk = DeliveryStates()
    walk.go_back(A, lost_with, True)
    walk.teardown()


def test_a_contact_that_came_back_during_its_erasure_is_erased_again() -> None:
    walk = DeliveryStates()
    walk.erase_twice(7)
    assert walk.call is not None and walk.held == A
    walk.teardown()


@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize("wanted_again", [None, 0, 1, 2])
@pytest.mark.parametrize("import_ends_first", [False, True])
@pytest.mark.parametrize("import_writes_last", [False, True])
def test_an_import_and_a_call_beside_it_end_in_any_order(
    import_writes_last: bool, import_ends_first: bool, named: bool, wanted_again: int | None, at_once: bool
) -> None:
    walk = DeliveryStates()
    walk.cross(A, import_writes_last, import_ends_first, named, wanted_again, at_once, True)
    assert walk.imports == 1
    walk.teardown()


def test_the_page_of_delivery_states_has_the_tables_of_the_docstring() -> None:
    page = (Path(__file__).parents[2] / "docs" / "delivery-states.md").read_text("utf-8").splitlines()
    table = [line for line in (delivery_task.__doc__ or "").splitlines() if line.startswith("| ")]
    assert [line for line in table if line not in page] == []
