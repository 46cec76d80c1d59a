"""Who is excluded, from the captured row to the desired contact: no contact and no record, but every opt-out."""

from typing import Any

import pytest
from msgspec.structs import replace

from streams.capture import rows
from streams.mapping import Mapping
from streams.mapping.model import ConsentRule
from streams.messages.changes import ChangeKind
from tests.agents.pipeline import (
    ANN,
    BOB,
    EVE,
    HOUSE,
    LOOKUP,
    MAPPING,
    ORDER,
    TOPICS,
    Pipeline,
    Step,
    change,
    customer,
    detail,
    header,
    house_person,
    of_order,
    person,
    total,
)
from tests.agents.test_records import credit


def excluding(step: Step, **fields: Any) -> Step:
    """The same row, as ingest reads it under a mapping that excludes something of it."""
    return [(topic, type(one)(one.key, one.pk, one.position, 1, 0, _with(one.row, fields))) for topic, one in step]


def _with(row: Any, fields: dict[str, Any]) -> Any:
    return None if row is None else replace(row, **fields)


def relayed(pk: int, account: int, *emails: str, at: int = 1, opted: bool | None = None) -> Step:
    """A person all of whose addresses are excluded."""
    return excluding(person(pk, account, *emails, at=at, opted=opted), emails=(), excluded=emails)


def opted(pipeline: Pipeline, email: str) -> bool | None:
    return pipeline.desired[email][1].opted


def test_an_excluded_address_has_no_contact_and_the_others_of_the_account_keep_everything() -> None:
    pipeline = Pipeline().pump(LOOKUP, customer(1), relayed(1, 1, EVE), person(2, 1, ANN), ORDER)
    assert pipeline.content().keys() == {ANN}
    assert pipeline.count(ANN) == 1
    assert pipeline.records().keys() == {(ANN, "SO10")}


@pytest.mark.parametrize("said", [True, False, None])
def test_of_its_consent_only_an_opt_out_counts(said: bool | None) -> None:
    pipeline = Pipeline().pump(customer(1), relayed(1, 1, EVE, opted=said))
    assert not pipeline.content()
    assert opted(pipeline, EVE) is (False if said is False else None)
    shared = Pipeline().pump(customer(1), relayed(1, 1, EVE, opted=said), customer(2), person(2, 2, EVE))
    assert opted(shared, EVE) is (False if said is False else None)


def test_an_exclusion_that_comes_later_withdraws_and_is_no_move() -> None:
    pipeline = Pipeline().pump(customer(1), person(1, 1, ANN, BOB))
    pipeline.pump(excluding(person(1, 1, BOB, at=2), excluded=(ANN,)))
    assert pipeline.content().keys() == {BOB}
    assert pipeline.desired[ANN][1].moved_to == ()
    pipeline.pump(person(1, 1, ANN, BOB, at=3))
    assert pipeline.content().keys() == {ANN, BOB}


def test_an_excluded_account_shows_nothing_and_gets_no_record() -> None:
    pipeline = Pipeline().pump(LOOKUP, customer(1), person(1, 1, ANN, opted=False), ORDER)
    assert pipeline.content().keys() == {ANN}
    pipeline.pump(excluding(customer(1, at=2), excluded=True))
    assert not pipeline.content()
    assert not pipeline.records()
    assert opted(pipeline, ANN) is False
    pipeline.pump(customer(1, at=3))
    assert pipeline.records().keys() == {(ANN, "SO10")}


def test_an_exclusion_of_the_account_withdraws_the_order_that_only_its_person_placed() -> None:
    placed = excluding(header(10), contact=2)
    pipeline = Pipeline().pump(LOOKUP, customer(1), person(1, 1, ANN), person(2, 1, EVE), placed, total(10), detail(10, BOB))
    assert pipeline.records().keys() == {(EVE, "SO10")}
    pipeline.pump(excluding(customer(1, at=2), excluded=True))
    assert not pipeline.records()
    assert not pipeline.orders.held.counts()
    pipeline.pump(customer(1, at=3))
    assert pipeline.records().keys() == {(EVE, "SO10")}


def test_an_order_of_an_excluded_account_is_shown_to_nobody_whose_address_is_on_it() -> None:
    pipeline = Pipeline().pump(LOOKUP, excluding(customer(1), excluded=True), customer(2), person(2, 2, BOB))
    pipeline.pump(ORDER, detail(10, BOB), credit(20, "3", (100, "3")), header(11), total(11), detail(11, EVE))
    assert not pipeline.records()
    assert not any(pipeline.follow_ups.values())
    assert not pipeline.orders.held.counts(), "an exclusion is meant, and waits for nothing"


def test_a_deleted_account_stays_excluded() -> None:
    pipeline = Pipeline().pump(excluding(customer(1), excluded=True), person(1, 1, ANN))
    pipeline.pump([change(TOPICS.buyers, ChangeKind.CUSTOMER, "c1", 1, None, 2)])
    assert not pipeline.content()


def test_an_order_of_an_excluded_channel_counts_nowhere() -> None:
    pipeline = Pipeline().pump(LOOKUP, customer(1, ANN), ORDER, header(11), total(11))
    assert pipeline.count(ANN) == 2
    pipeline.pump(excluding(header(11, at=2), excluded=True))
    assert pipeline.count(ANN) == 1
    assert pipeline.records().keys() == {(ANN, "SO10")}
    assert not pipeline.orders.held.counts()


def test_a_channel_that_is_excluded_withdraws_even_what_cannot_be_worked_out() -> None:
    pipeline = Pipeline().pump(LOOKUP, customer(1, ANN), ORDER)
    pipeline.pump(excluding(header(10, at=2, status=77), excluded=True))
    assert pipeline.count(ANN) == 0
    assert not pipeline.orders.held.counts(frozen=True)


def test_a_house_order_of_an_excluded_address_is_nobodys_and_not_held() -> None:
    excluded = of_order(ChangeKind.DETAIL, 10, 10, rows.Detail(None, 1, excluded=True))
    pipeline = Pipeline().pump(LOOKUP, header(10, HOUSE), total(10), excluded)
    assert not pipeline.content()
    assert not pipeline.orders.held.counts()
    pipeline.pump(of_order(ChangeKind.DETAIL, 10, 10, rows.Detail(None, 1, unreadable=True), 2))
    assert not pipeline.orders.held.counts(), "what cannot be read stays excluded"


def test_an_order_of_a_person_who_is_excluded_is_shown_to_nobody() -> None:
    pipeline = Pipeline().pump(LOOKUP, customer(1), person(1, 1, ANN), relayed(2, 1, EVE))
    pipeline.pump(excluding(header(10), contact=2), total(10), detail(10, BOB))
    assert not pipeline.records()
    assert pipeline.orders.held.counts() == {"recipient_unknown": 1}
    assert pipeline.count(ANN) == 1, "spend stays with the account"


def test_a_house_account_that_is_excluded_has_neither_orders_nor_persons() -> None:
    exclude = MAPPING.exclude.model_copy(update={"accounts": frozenset({HOUSE})})
    pipeline = Pipeline(MAPPING.model_copy(update={"exclude": exclude}))
    guest = house_person(1, ANN)
    pipeline.pump(LOOKUP, header(10, HOUSE), total(10), detail(10, ANN), excluding(guest, emails=(), excluded=(ANN,)))
    assert not pipeline.content()
    assert not pipeline.records()


def test_every_statement_says_by_which_word_list_it_was_read() -> None:
    pipeline = Pipeline().pump(customer(1), relayed(1, 1, EVE, opted=False), person(2, 1, ANN), accounts(5, BOB))
    assert {row.words for _, row in pipeline.desired.values()} == {MAPPING.consent.words}


def test_every_statement_says_which_rows_answered_what_whether_they_count_or_not() -> None:
    people = person(1, 1, ANN, opted=False) + relayed(2, 1, EVE, opted=False) + person(4, 4, BOB, opted=True)
    pipeline = Pipeline().pump(customer(1), excluding(people, word=7))
    before = {email: row.answers for email, (_, row) in pipeline.desired.items()}
    assert [found.out for found in (*before[ANN], *before[EVE], *before[BOB])] == [True, True, False]
    assert len({found.digest for answers in before.values() for found in answers}) == 3
    shared = [row for number in range(11, 16) for row in customer(number, ANN)]
    pipeline.pump(shared, excluding(person(1, 1, ANN, opted=False, at=2), word=8))
    after = pipeline.desired[ANN][1]
    assert after.shared and len(after.answers) == 1 and after.answers != before[ANN]


def test_whom_no_contact_row_names_is_unread_only_where_consent_has_a_column() -> None:
    def unread(mapping: Mapping) -> dict[str, bool]:
        pipeline = Pipeline(mapping).pump(LOOKUP, customer(1), person(1, 1, ANN), customer(2, BOB))
        pipeline.pump(header(10, HOUSE), total(10), detail(10, EVE))
        return {email: row.unread for email, (_, row) in pipeline.desired.items()}

    column = MAPPING.model_copy(update={"consent": ConsentRule(mode="column", column="cc_opt_in")})
    assert unread(column) == {ANN: False, BOB: True, EVE: True}
    assert not any(unread(MAPPING).values())


def accounts(count: int, email: str, at: int = 1) -> Step:
    return [entry for number in range(1, count + 1) for entry in customer(number, email, at=at)]


def test_an_address_of_five_accounts_is_held_and_of_four_it_is_one_person() -> None:
    pipeline = Pipeline().pump(accounts(5, EVE))
    assert pipeline.contacts.held.counts() == {"address_shared": 1}
    pipeline.pump(customer(5, BOB, at=2))
    assert not pipeline.contacts.held.counts()
    assert pipeline.content().keys() == {EVE, BOB}


def test_an_address_that_becomes_shared_keeps_what_was_delivered_but_for_an_opt_out() -> None:
    pipeline = Pipeline().pump(accounts(4, EVE))
    before = pipeline.desired[EVE][1].fields
    pipeline.pump(customer(5), person(1, 5, EVE, opted=False))
    assert (pipeline.desired[EVE][1].fields, opted(pipeline, EVE)) == (before, False)
    assert pipeline.desired[EVE][1].shared, "and so is what belongs to the contact"
    pipeline.pump(person(1, 5, BOB, at=2))
    assert not pipeline.desired[EVE][1].shared


@pytest.mark.parametrize("together", [True, False])
def test_a_shared_address_is_nobodys_on_another_accounts_order_however_it_came_to_be_shared(together: bool) -> None:
    pipeline = Pipeline().pump(LOOKUP, customer(9, ANN), header(10, 9), total(10), detail(10, EVE))
    steps = [customer(number, EVE) for number in range(1, 6)]
    for batch in [steps] if together else [[step] for step in steps]:
        pipeline.pump(*batch)
    assert not pipeline.records()
    assert pipeline.orders.held.counts() == {"recipient_unknown": 1}
    pipeline.pump(customer(5, BOB, at=2))
    assert pipeline.records().keys() == {(EVE, "SO10")}


def test_guests_with_one_address_are_one_person_however_many() -> None:
    steps = [step for number in range(10, 20) for step in (header(number, HOUSE), total(number), detail(number, ANN))]
    pipeline = Pipeline().pump(LOOKUP, *steps)
    assert not pipeline.contacts.held.counts()
    assert pipeline.count(ANN) == 10
