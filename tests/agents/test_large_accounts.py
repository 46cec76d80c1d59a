"""An account with many persons and orders: a change costs what it changes, whoever else is there."""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import streams
from streams.capture.rows import Contact
from streams.engine.stage import Record
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import ChangeKind, pack
from tests.agents.arrivals import shops, timelines
from tests.agents.memory import Rows, interleaved
from tests.agents.pipeline import LOOKUP, TOPICS, Pipeline, Step, change, customer, detail, header, person, total
from tests.agents.test_erasure import erase, where

SMALL, LARGE = 3, 60


def address(number: int) -> str:
    return f"p{number}@example.com"


def deleted(number: int) -> Step:
    """The contact row is deleted."""
    return [change(TOPICS.buyers, ChangeKind.CONTACT, "c1", number, None, 2)]


@dataclass
class Cost:
    """What a step caused: changes of every kind together, and state rows written."""

    changes: int
    rows: int


class Account(Pipeline):
    """An account of so many persons, each with so many orders, half of them with the person's address on them."""

    def __init__(self, persons: int, orders: int) -> None:
        super().__init__()
        self.written = 0
        for state in self.state.values():
            state.commit = lambda unit, state=state: self._commit(state, unit)  # type: ignore[method-assign, misc]
        people = [person(number, 1, address(number)) for number in range(1, persons + 1)]
        documents = [
            header(number) + total(number) + (detail(number, address(1 + number % persons)) if number % 2 else [])
            for number in range(1, persons * orders + 1)
        ]
        self.pump(LOOKUP, customer(1), *people, *documents)

    def _commit(self, state: Rows, unit: UnitOfWork) -> None:
        self.written += len(unit.writes)
        Rows.commit(state, unit)

    def cost(self, step: Step) -> Cost:
        self.counts.clear()
        self.written = 0
        self.pump(step)
        return Cost(self.counts.total(), self.written)


@pytest.fixture(scope="module")
def accounts() -> tuple[Account, Account]:
    return Account(SMALL, 4), Account(LARGE, 20)


def test_a_new_person_costs_the_same_in_a_large_account_as_in_a_small_one(accounts: tuple[Account, Account]) -> None:
    small, large = (account.cost(person(1_000, 1, "new@example.com")) for account in accounts)
    # A large account has its persons in pages: one by contact row, one by address.
    assert (large.changes, large.rows) == (small.changes, small.rows + 2)
    for account in accounts:
        assert account.contact("new@example.com")["OW_ORDER_COUNT"] == account.contact(address(1))["OW_ORDER_COUNT"]


def instructions(work: Callable[[], object]) -> int:
    """How many of the interpreter's instructions the handlers take: a measure that no other work on the machine changes."""
    count, product = 0, str(Path(streams.__file__).parent)

    def trace(frame: FrameType, event: str, _: Any) -> Any:
        nonlocal count
        if not frame.f_code.co_filename.startswith(product):
            return None
        frame.f_trace_opcodes = True
        count += event == "opcode"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        work()
    finally:
        sys.settrace(before)
    return count


def test_new_persons_of_one_account_cost_the_same_each_however_many_come_at_a_time(accounts: tuple[Account, Account]) -> None:
    _, account = accounts

    def each(count: int) -> float:
        unit = UnitOfWork(0, 1, account.state[TOPICS.buyers], account.clock.now_us())
        changes = [change for number in range(count) for _, change in person(2_000 + number, 1, address(2_000 + number))]
        return instructions(lambda: account.buyers.handle(unit, [Record(TOPICS.buyers, 0, None, pack(changes))])) / count

    assert each(400) < 1.3 * each(50)


@pytest.mark.parametrize("inline", [0, 1])
@settings(deadline=None, max_examples=60)
@given(found=st.one_of(timelines(), shops()), random=st.randoms(use_true_random=False), crashes=st.integers(0, 6))
def test_pages_batches_and_crashes_do_not_show_in_the_result(
    inline: int, found: list[list[Step]], random: Random, crashes: int
) -> None:
    expected = Pipeline().pump(*[step for steps in found for step in steps])
    with patch("streams.agents.buyers.MOST_INLINE", inline):
        pipeline = Pipeline().feed(*interleaved(found, random))
        pipeline.pump_badly(random, crashes)
    assert (pipeline.content(), pipeline.records()) == (expected.content(), expected.records())
    assert pipeline.buyers.held.counts() == expected.buyers.held.counts()


def test_a_person_who_changes_address_moves_the_orders_with_that_address_and_no_others() -> None:
    account = Account(LARGE, 2)
    assert max(len(value) for key, value in account.state[TOPICS.buyers].rows.items() if key == b"bc1") < 1_000
    having = {key for to, key in account.records() if to == address(2)}
    account.cost(person(2, 1, "new@example.com", at=2))
    assert account.counts[ChangeKind.RECIPIENTS_REPLY] == 2 * len(having) > 0, "by the account, and by the address's contact"
    # No longer an address of the account, and nobody else's: the order shows to nobody.
    assert not having & {key for _, key in account.records()}


def test_another_first_address_moves_the_orders_without_one_of_their_own() -> None:
    account = Account(LARGE, 2)
    first = {key for to, key in account.records() if to == address(1)}
    account.cost(person(0, 1, "new@example.com"))
    moved = {key for to, key in account.records() if to == "new@example.com"}
    assert moved == first
    assert account.counts[ChangeKind.RECIPIENTS_REPLY] == len(moved)


def test_an_address_that_an_order_has_on_it_and_the_account_gets_later_takes_the_order() -> None:
    account = Account(SMALL, 2)
    account.pump(detail(2, "late@example.com"))
    assert "SO2" not in {key for _, key in account.records()}
    account.pump(person(1_000, 1, "late@example.com"))
    assert ("late@example.com", "SO2") in account.records()


def test_another_persons_address_is_published_to_that_contact_alone(accounts: tuple[Account, Account]) -> None:
    account = accounts[0]
    account.cost(person(2_000, 1, "other@example.com"))
    assert account.counts[ChangeKind.BUYER_CONTRIBUTION] == 1
    assert len(account.queues[TOPICS.contacts]) == 0


def test_a_person_of_a_large_account_who_is_erased_is_on_no_page() -> None:
    account = Account(LARGE, 2)
    assert where(account, address(5))
    account.pump(erase(address(5)))
    assert where(account, address(5)) == []
    assert account.count(address(6)) == 2 * LARGE


def test_a_large_account_of_whom_all_persons_leave_has_its_own_address_again() -> None:
    account = Account(LARGE, 1)
    for number in range(1, LARGE + 1):
        account.pump(deleted(number))
    account.pump(customer(1, "shop@example.com", at=3))
    assert account.content().keys() == {"shop@example.com"}
    account.pump(person(LARGE + 1, 1, "new@example.com"))
    assert account.content().keys() == {"new@example.com"}
    assert {to for to, _ in account.records()} == {"new@example.com"}


def test_an_unreadable_address_of_a_large_account_is_frozen_until_it_is_corrected_whoever_else_changes() -> None:
    account = Account(LARGE, 1)
    account.pump([change(TOPICS.buyers, ChangeKind.CONTACT, "c1", 7, Contact((), "P", None, None, unreadable=True), 2)])
    assert account.buyers.held.counts(frozen=True) == {"unreadable_address": 1}
    account.pump(person(8, 1, "new@example.com", at=2))
    assert account.buyers.held.counts(frozen=True) == {"unreadable_address": 1}
    account.pump(person(7, 1, address(7), at=3))
    assert not account.buyers.held.counts(frozen=True)
