"""An account with many persons and orders: a change costs what it changes, whoever else is there."""

from dataclasses import dataclass

import pytest

from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import ChangeKind
from tests.agents.memory import Rows
from tests.agents.pipeline import LOOKUP, TOPICS, Pipeline, Step, customer, detail, header, person, total

SMALL, LARGE = 3, 60


def address(number: int) -> str:
    return f"p{number}@example.com"


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
    costs = [account.cost(person(1_000, 1, "new@example.com")) for account in accounts]
    assert costs[0] == costs[1]
    for account in accounts:
        assert account.contact("new@example.com")["OW_ORDER_COUNT"] == account.contact(address(1))["OW_ORDER_COUNT"]


def test_a_person_who_changes_address_moves_the_orders_with_that_address_and_no_others() -> None:
    account = Account(LARGE, 2)
    having = {key for to, key in account.records() if to == address(2)}
    account.cost(person(2, 1, "new@example.com", at=2))
    assert account.counts[ChangeKind.RECIPIENTS_REPLY] == len(having) > 0
    # No longer an address of the account, it counts no more: the order falls to the account's first.
    assert having <= {key for to, key in account.records() if to == address(1)}


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
    assert (address(1), "SO2") in account.records()
    account.pump(person(1_000, 1, "late@example.com"))
    assert ("late@example.com", "SO2") in account.records()


def test_another_persons_address_is_published_to_that_contact_alone(accounts: tuple[Account, Account]) -> None:
    account = accounts[0]
    account.cost(person(2_000, 1, "other@example.com"))
    assert account.counts[ChangeKind.BUYER_CONTRIBUTION] == 1
    assert len(account.queues[TOPICS.contacts]) == 0
