"""Orders, buyers and contacts as one chain in memory: any arrival, any batch, any crash, one answer."""

import asyncio
from collections.abc import Iterable, Mapping
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import faust
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.agents.buyers import BuyersHandler
from streams.core.clock import ManualClock
from streams.core.lanes import FEW, Lane
from streams.domain.versioned import version_bytes
from streams.engine.breaker import Breaker
from streams.engine.opening import Opener
from streams.engine.stage import Stage
from streams.engine.store import StorePosition
from streams.engine.table import StateTable
from streams.kafka.producer import Appended, BatchProducer
from streams.messages.audit_log import AuditLog
from streams.messages.barriers import CONTACTS_LOADED, Barrier, BarrierChange
from streams.messages.changes import EVERYWHERE, ChangeKind, DesiredContact, pack
from streams.observability.lag import ConsumedOffsets
from streams.observability.metrics import Metrics
from tests.agents.arrivals import timelines
from tests.agents.memory import Rows, interleaved
from tests.agents.pipeline import (
    ANN,
    BOB,
    CREDIT,
    DIGEST,
    EVE,
    HOUSE,
    LOOKUP,
    MAPPING,
    OPEN,
    ORDER,
    PEOPLE,
    SENT,
    TOPICS,
    Pipeline,
    Step,
    customer,
    detail,
    header,
    line,
    of_order,
    person,
    status,
    total,
)
from tests.examples import MORE


def test_an_order_reaches_its_customers_contact(pipeline: Pipeline) -> None:
    found = pipeline.pump(LOOKUP, PEOPLE, ORDER).contact(ANN)
    assert (found["OW_ORDER_COUNT"], found["OW_TOTAL_SPEND"], found["OW_LAST_ORDER_NO"]) == (1, 10.0, "SO10")
    assert pipeline.count(BOB) == 0


def test_orphans_are_adopted_whenever_their_parents_come(pipeline: Pipeline) -> None:
    pipeline.pump(total(10), line(10, 100))
    assert pipeline.orders.held.counts() == {"order_without_header": 1}
    pipeline.pump(header(10))
    assert pipeline.orders.held.counts() == {"status_not_loaded": 1}
    pipeline.pump(LOOKUP)
    assert not pipeline.orders.held.counts()
    assert pipeline.buyers.held.counts() == {"customer_not_loaded": 1}
    pipeline.pump(PEOPLE)
    assert not pipeline.buyers.held.counts()
    assert pipeline.count(ANN) == 1


def test_what_is_held_is_known_after_a_restart(pipeline: Pipeline) -> None:
    pipeline.pump(total(10), person(1, 1, ANN)).restart()
    assert pipeline.orders.held.counts() == {"order_without_header": 1}
    assert pipeline.buyers.held.counts() == {"contact_without_customer": 1}


@settings(deadline=None, max_examples=60)
@given(st.permutations([header(20, sort=4), total(20, "3"), line(20, 200, original=100), line(10, 100), LOOKUP, PEOPLE]))
def test_a_credit_note_finds_the_line_that_it_gives_back_in_any_order_of_arrival(arrival: list[Step]) -> None:
    pipeline = Pipeline()
    for step in arrival:
        pipeline.pump(step)
    assert pipeline.contact(ANN)["OW_REFUND_TOTAL"] == 3


def test_a_credit_note_still_counts_when_its_line_goes(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER, CREDIT)
    pipeline.pump(of_order(ChangeKind.LINE, 10, 100, None, 2))
    assert pipeline.contact(ANN)["OW_REFUND_COUNT"] == 1
    assert pipeline.orders.held.counts() == pipeline.orders.held.counts(frozen=True) == {}


def test_a_credited_line_may_move_to_another_order(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER, CREDIT, line(11, 100, at=2, former=10))
    assert pipeline.contact(ANN)["OW_REFUND_COUNT"] == 1


def test_an_order_that_changes_buyers_leaves_the_old_one(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER, header(10, 2, at=2))
    assert (pipeline.count(ANN), pipeline.count(BOB)) == (0, 1)


def test_a_house_order_follows_its_address(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, header(10, HOUSE), total(10), detail(10, ANN))
    assert pipeline.count(ANN) == 1
    pipeline.pump(detail(10, BOB, at=2))
    assert pipeline.content().keys() == {BOB}


def test_a_status_text_that_comes_late_or_changes_reaches_every_order_that_has_it(pipeline: Pipeline) -> None:
    pipeline.pump(PEOPLE, ORDER, header(11), total(11), header(12, status=2), total(12))
    assert not pipeline.count(ANN)
    pipeline.pump(LOOKUP)
    assert pipeline.count(ANN) == 3
    pipeline.pump(status(1, "cancelled", 2))
    assert pipeline.count(ANN) == 1
    pipeline.pump(status(1, None, 3))
    assert pipeline.orders.held.counts(frozen=True) == {"status_not_loaded": 2}
    assert pipeline.count(ANN) == 1


def test_a_status_that_is_written_again_unchanged_is_reported_to_nobody(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER, header(11), total(11))
    facts = pipeline.counts[ChangeKind.ORDER_FACT]
    pipeline.pump(status(1, OPEN, at=2)).restart()
    assert pipeline.counts[ChangeKind.ORDER_FACT] == facts
    assert pipeline.pump(header(12), total(12)).count(ANN) == 3


def test_a_status_that_gets_another_text_is_reported_in_bulk(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER)
    pipeline.facts.clear()
    pipeline.pump(status(1, SENT, at=2))
    assert [fact.lane for fact in pipeline.facts] == [Lane.BULK]


def test_a_status_is_reported_again_when_it_comes_again(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, ORDER)
    facts = pipeline.counts[ChangeKind.ORDER_FACT]
    pipeline.pump(status(1, OPEN))
    assert pipeline.counts[ChangeKind.ORDER_FACT] > facts


@pytest.mark.parametrize(("having", "lane"), [(FEW, Lane.LIVE), (FEW + 1, Lane.BULK)])
def test_few_orders_learn_of_a_late_status_in_its_lane_and_many_in_bulk(pipeline: Pipeline, having: int, lane: Lane) -> None:
    pipeline.pump(PEOPLE, *(header(order) + total(order) for order in range(having)))
    pipeline.facts.clear()
    pipeline.pump(LOOKUP)
    assert [fact.lane for fact in pipeline.facts] == [lane] * having


def test_a_status_is_known_after_a_restart(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE).restart()
    assert pipeline.pump(ORDER).count(ANN) == 1


def test_a_new_address_takes_the_history_along_and_says_where_it_went(pipeline: Pipeline) -> None:
    pipeline.pump(LOOKUP, PEOPLE, person(1, 1, ANN), ORDER, person(1, 1, EVE, at=2))
    assert pipeline.count(EVE) == 1
    assert pipeline.desired[ANN][1] == DesiredContact(None, None, (EVE,), left_at=version_bytes(2), words=MAPPING.consent.words)


@pytest.mark.parametrize("together", [True, False])
def test_two_moves_lead_from_the_first_address_to_the_last(pipeline: Pipeline, together: bool) -> None:
    steps = [customer(1), person(1, 1, ANN), person(1, 1, BOB, at=2), person(1, 1, EVE, at=3)]
    for step in [[published for version in steps for published in version]] if together else steps:
        pipeline.pump(step)
    assert pipeline.desired[ANN][1].moved_to == (EVE,)


def test_a_person_who_changes_accounts_is_reported_by_the_new_one_only(pipeline: Pipeline) -> None:
    pipeline.pump(PEOPLE, person(1, 1, EVE, opted=False), person(1, 2, EVE, at=2, former=1, opted=False))
    assert pipeline.contact(EVE)["OW_ACCOUNT"] == "ACC2"
    assert pipeline.content()[EVE][1] is False


@settings(deadline=None, max_examples=60 * MORE)
@given(timelines(), st.randoms(use_true_random=False), st.integers(0, 6))
def test_arrival_batches_and_crashes_do_not_show_in_the_result(found: list[list[Step]], random: Random, crashes: int) -> None:
    expected = Pipeline().pump(*[step for steps in found for step in steps])
    pipeline = Pipeline().feed(*interleaved(found, random))
    pipeline.pump_badly(random, crashes)
    assert pipeline.content() == expected.content()
    assert pipeline.records() == expected.records()
    assert all(len(published) <= 1 for published in pipeline.follow_ups.values())
    assert pipeline.orders.held.counts() == expected.orders.held.counts()
    assert pipeline.buyers.held.counts() == expected.buyers.held.counts()


@settings(deadline=None, max_examples=60)
@given(timelines(), st.randoms(use_true_random=False))
def test_any_end_of_the_input_may_be_read_again(found: list[list[Step]], random: Random) -> None:
    steps = interleaved(found, random)
    pipeline = Pipeline().pump(*steps)
    before = pipeline.content(), pipeline.records(), pipeline.follow_ups.copy()
    pipeline.restart()
    pipeline.pump(*steps[random.randint(0, len(steps)) :])
    assert (pipeline.content(), pipeline.records(), pipeline.follow_ups) == before


class Appends:
    """A producer and a table that remember what became durable when."""

    def __init__(self) -> None:
        self.done: list[str] = []

    async def append(self, topic: str, partition: int, entries: Iterable[object]) -> list[Appended]:
        # The changelog is the slower one: what does not wait for it overtakes it.
        for _ in range(5 * (topic == "changelog")):
            await asyncio.sleep(0)
        self.done.append(topic)
        return [Appended(0, len(list(entries)))]

    async def append_rows(self, partition: int, writes: Mapping[bytes, bytes | None]) -> StorePosition:
        await self.append("changelog", partition, writes)
        return StorePosition()


@pytest.mark.parametrize(
    ("headers", "done"),
    [
        (None, ["changelog", TOPICS.contacts, "table", "ack"]),
        ([("writer", b"orders/0/5")], ["changelog", TOPICS.contacts, "changelog", "table", "ack"]),
    ],
)
async def test_what_is_reported_is_remembered_before_it_is_reported_and_whose_successor_was_seen_after_it(
    headers: list[tuple[str, bytes]] | None, done: list[str]
) -> None:
    appends, state = Appends(), Rows()

    def ignored(*_: object, **__: object) -> Any:
        return lambda function: function

    async def write(*_: object) -> None:
        appends.done.append("table")

    table = SimpleNamespace(append=appends.append_rows, get=state.get, scan=state.scan, assigned=state.assigned)
    table.write = write
    table.log = lambda partition: SimpleNamespace(topic="changelog", partition=partition, epoch=1)
    app = SimpleNamespace(topic=ignored, agent=ignored, consumer_generation_id=1)
    stage = Stage(
        cast(faust.App, app),
        cast(Opener, SimpleNamespace(add=ignored)),
        [TOPICS.buyers],
        cast(StateTable, table),
        BuyersHandler(TOPICS, Metrics(), DIGEST),
        cast(BatchProducer, appends),
        partitions=1,
        dead_letters="dead",
        audit=AuditLog(cast(BatchProducer, appends), "audit", 1, b"k"),
        breaker=Breaker(500, 0.9),
        hash_key=b"k",
        clock=ManualClock(),
        metrics=Metrics(),
        progress=ConsumedOffsets("group", [TOPICS.buyers]),
    )
    place = SimpleNamespace(topic=TOPICS.buyers, partition=0)
    message = SimpleNamespace(**vars(place), tp=place, offset=0, key=None, headers=headers, timestamp=0.0, generation_id=1)
    message.value = pack([customer(1, ANN)[0][1]])
    stage._stream = SimpleNamespace(ack=lambda _: appends.append("ack", 0, ()))
    stage.resume({0})
    await stage.opened(0)
    await stage._cycle([SimpleNamespace(message=message)])
    assert appends.done == done


@pytest.mark.parametrize("seed", range(12))
def test_a_barrier_stands_behind_all_that_came_before_it_also_of_its_own_unit(pipeline: Pipeline, seed: int) -> None:
    barrier = BarrierChange(EVERYWHERE, CONTACTS_LOADED, b"", Lane.BULK, 0, Barrier("ingest", 0, 1))
    pipeline.feed(customer(1), person(1, 1, ANN), [(TOPICS.buyers, barrier)], customer(2), person(2, 2, BOB))
    pipeline.pump_badly(Random(seed), crashes=3)
    assert pipeline.arrived.index(ANN) < pipeline.arrived.index(EVERYWHERE)
    before = pipeline.arrived.count(EVERYWHERE)
    pipeline.pump([(TOPICS.buyers, barrier)])
    assert pipeline.arrived.count(EVERYWHERE) == before
