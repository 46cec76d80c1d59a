"""Erased stays erased: whatever arrives whenever, and wherever a worker dies, no stage keeps the address."""

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture import rows
from streams.domain.erasure import scrubbed
from streams.messages.audit import ErasureResult
from streams.messages.changes import ChangeKind, EraseAddress
from streams.messages.kinds import DetailRowChange
from tests.agents.arrivals import timelines
from tests.agents.memory import interleaved
from tests.agents.pipeline import (
    ANN,
    BOB,
    CREDIT,
    DIGEST,
    EVE,
    HOUSE,
    LOOKUP,
    ORDER,
    PEOPLE,
    STAGES,
    TOPICS,
    Pipeline,
    Step,
    change,
    customer,
    detail,
    header,
    house_person,
    person,
    status,
    total,
)
from tests.examples import MORE

GUEST = header(30, HOUSE) + total(30) + detail(30, ANN)


def erase(address: str) -> Step:
    return [change(TOPICS.contacts, ChangeKind.ERASURE, address, 0, EraseAddress(DIGEST(address)), 0)]


def where(pipeline: Pipeline, address: str) -> list[tuple[str, bytes]]:
    """The state rows that hold the address."""
    mark = address.encode()
    return [
        (topic, key) for topic in STAGES for key, value in pipeline.state[topic].rows.items() if mark in key or mark in value
    ]


def without(steps: list[Step], address: str) -> list[Step]:
    """What the rows say without the person."""
    remains = [[(topic, scrubbed(published, address.__eq__)) for topic, published in step] for step in steps]
    return [[(topic, published) for topic, published in step if published is not None] for step in remains]


def test_every_stage_forgets_and_says_so(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER, CREDIT, GUEST, person(1, 1, ANN, EVE))
    assert {topic for topic, _ in where(pipeline, ANN)} == set(STAGES)
    pipeline.pump(erase(ANN))
    assert where(pipeline, ANN) == []
    assert pipeline.erased == {ANN}
    traces = [entry for entry in pipeline.traces if isinstance(entry, ErasureResult)]
    assert {(trace.stage, trace.partition) for trace in traces} == {("orders", 0), ("buyers", 0), ("contacts", 0)}
    assert {trace.digest for trace in traces} == {DIGEST(ANN).hex()}
    assert all(trace.rows for trace in traces)


def test_the_rows_of_each_are_counted_apart(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER, CREDIT, GUEST, person(1, 1, ANN, EVE))
    pipeline.pump(erase(ANN) + erase("new@example.com"))
    traces = [entry for entry in pipeline.traces if isinstance(entry, ErasureResult)]
    rows = {(trace.digest == DIGEST(ANN).hex(), trace.stage): trace.rows for trace in traces}
    assert rows == {
        (True, "contacts"): 1,
        (True, "buyers"): 2,
        (True, "orders"): 3,
        (False, "contacts"): 0,
        (False, "buyers"): 0,
        (False, "orders"): 0,
    }


def test_the_accounts_other_addresses_keep_its_totals(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER, person(1, 1, ANN), person(2, 1, EVE), erase(ANN))
    assert pipeline.count(EVE) == 1
    assert pipeline.record(EVE, "SO10")["order_total"] == "10.00"
    assert pipeline.content().keys() == {EVE, BOB}


def test_an_order_of_a_house_account_is_nobodys_and_waits_for_nothing(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, GUEST, erase(ANN))
    assert pipeline.content() == {}
    assert not pipeline.orders.held.counts()


def test_an_order_that_waits_forgets_too(pipeline: Pipeline) -> None:
    pipeline.pump(GUEST, detail(31, ANN), erase(ANN))
    assert where(pipeline, ANN) == []
    assert pipeline.orders.held.counts() == {"status_not_loaded": 1, "order_without_header": 1}


def test_a_name_goes_with_its_last_address(pipeline: Pipeline) -> None:
    pipeline.pump(PEOPLE, person(1, 1, ANN), person(2, 1, ANN, EVE), erase(ANN))
    state = b"".join(pipeline.state[TOPICS.buyers].rows.values())
    assert b"First1" not in state
    assert b"First2" in state


def test_a_follow_up_of_the_erased_is_not_reported_to_another(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER, CREDIT)
    assert pipeline.follow_ups[20].keys() == {ANN}
    pipeline.pump(erase(ANN), person(1, 1, EVE), customer(1, at=2))
    assert pipeline.count(EVE) == 1
    assert pipeline.follow_ups[20].keys() == {ANN}


def test_a_follow_up_can_still_be_taken_back_when_its_former_recipient_is_erased(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, customer(1, ANN), ORDER, CREDIT).pump(customer(1, BOB, at=2)).pump(erase(ANN))
    assert pipeline.follow_ups[20].keys() == {BOB}
    pipeline.pump(status(3, "cancelled"), header(20, sort=4, status=3, at=2))
    assert not pipeline.follow_ups[20]


def test_an_address_that_stands_in_a_name_is_forgotten_there(pipeline: Pipeline) -> None:
    row = rows.Contact((EVE,), ANN, "Lee", None)
    pipeline.pump(LOOKUP, customer(1), [change(TOPICS.buyers, ChangeKind.CONTACT, "c1", 1, row, 1)])
    assert pipeline.contact(EVE)["FIRSTNAME"] == ANN
    pipeline.pump(erase(ANN))
    assert where(pipeline, ANN) == []
    assert (pipeline.contact(EVE)["FIRSTNAME"], pipeline.contact(EVE)["LASTNAME"]) == (None, "Lee")


def test_a_house_contact_with_two_addresses_leaves_the_erased_one_nowhere(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, house_person(1, BOB, ANN)).pump(house_person(1, ANN, at=2, former=BOB))
    assert pipeline.desired[BOB][1].moved_to == (ANN,)
    pipeline.pump(erase(ANN))
    assert where(pipeline, ANN) == []
    assert pipeline.desired[BOB][1].moved_to == ()


def test_whoever_came_after_the_erased_is_still_known_to_those_before(pipeline: Pipeline) -> None:
    pipeline.pump(customer(1), person(1, 1, BOB), person(1, 1, ANN, at=2), person(1, 1, EVE, at=3), erase(ANN))
    assert pipeline.desired[BOB][1].moved_to == (EVE,)


def test_newer_versions_that_still_carry_the_address_are_emptied_after_a_restart(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, GUEST, erase(ANN)).restart()
    pipeline.pump(customer(1, ANN, EVE, at=2), person(1, 1, ANN, at=2), detail(30, ANN, at=2), detail(40, ANN))
    assert where(pipeline, ANN) == []
    assert pipeline.content().keys() == {EVE, BOB}


def test_an_unknown_address_may_be_erased_before_it_comes(pipeline: Pipeline) -> None:
    pipeline.pump(erase(ANN), LOOKUP, PEOPLE, ORDER, GUEST)
    assert where(pipeline, ANN) == []
    assert pipeline.content().keys() == {BOB}


def test_a_column_that_could_not_be_read_keeps_the_mark_of_its_row(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, GUEST, erase(ANN))
    unknown = DetailRowChange("30", 30, (2).to_bytes(8, "big"), 1, 0, rows.Detail(None, 1), ("email", "erased"))
    pipeline.pump([(TOPICS.orders, unknown)])
    assert not pipeline.orders.held.counts()


@pytest.mark.parametrize("stage", [TOPICS.orders, TOPICS.buyers])
def test_what_followed_from_an_erasure_is_reported_again_after_a_crash(pipeline: Pipeline, stage: str) -> None:
    pipeline.pump(LOOKUP, customer(1), person(1, 1, BOB), person(2, 1, EVE), ORDER, person(1, 1, ANN, at=2))
    assert (pipeline.desired[BOB][1].moved_to, pipeline.record(ANN, "SO10")["id"]) == ((ANN,), "SO10")
    pipeline.feed(erase(ANN)).cycle(TOPICS.contacts, 1)
    pipeline.queues[stage].extend(pipeline.cycle(stage, 1, "before outputs"))
    pipeline.restart()
    pipeline.pump()
    assert where(pipeline, ANN) == []
    assert pipeline.records().keys() == {(EVE, "SO10")}


def test_whoever_moved_to_the_erased_is_reported_though_the_worker_died(pipeline: Pipeline) -> None:
    pipeline.pump(customer(1), person(1, 1, BOB), person(1, 1, ANN, at=2)).feed(erase(ANN)).cycle(TOPICS.contacts, 1)
    pipeline.queues[TOPICS.buyers].extend(pipeline.cycle(TOPICS.buyers, 1, "before outputs"))
    pipeline.restart()
    pipeline.pump()
    assert where(pipeline, ANN) == []
    assert pipeline.desired[BOB][1].moved_to == ()


@settings(deadline=None, max_examples=75 * MORE)
@given(timelines(), st.randoms(use_true_random=False), st.integers(0, 6))
def test_no_interleaving_and_no_crash_leaves_the_address_anywhere(
    found: list[list[Step]], random: Random, crashes: int
) -> None:
    steps = interleaved(found, random)
    asked = interleaved([steps, [erase(ANN)]], random)
    expected = Pipeline().pump(*without(steps, ANN))
    pipeline = Pipeline().feed(*asked)
    pipeline.pump_badly(random, crashes)
    assert where(pipeline, ANN) == []
    assert pipeline.content() == expected.content()
    assert pipeline.records() == expected.records()
    assert pipeline.orders.held.counts() == expected.orders.held.counts()


@settings(deadline=None, max_examples=60)
@given(timelines(), st.randoms(use_true_random=False))
def test_what_is_read_again_brings_nobody_back(found: list[list[Step]], random: Random) -> None:
    steps = interleaved(found, random)
    pipeline = Pipeline().pump(*steps, erase(ANN))
    before = pipeline.content()
    pipeline.restart()
    pipeline.pump(*steps[random.randint(0, len(steps)) :])
    assert where(pipeline, ANN) == []
    assert pipeline.content() == before
