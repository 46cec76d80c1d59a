"""A change that reaches many rows holds nobody up: it is worked off in slices, and nothing is lost or kept back by a crash."""

from collections.abc import Iterator
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.agents import sweeps
from streams.agents.sweeps import MOST_LOOKED_AT, MOST_REACHED
from streams.core.lanes import FEW, Lane
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import ChangeKind
from tests.agents.arrivals import shops, timelines
from tests.agents.memory import Rows, interleaved
from tests.agents.pipeline import (
    ANN,
    BOB,
    LOOKUP,
    PEOPLE,
    TOPICS,
    Pipeline,
    Step,
    customer,
    detail,
    header,
    item,
    line,
    status,
    total,
)
from tests.agents.test_products import Stage, category, member, variant

MANY = 3 * MOST_REACHED


def orders_of(unit: UnitOfWork) -> int:
    """How many orders a unit writes."""
    return sum(key.startswith(b"o") for key in unit.writes)


class Watched(Pipeline):
    """A pipeline that notes how many orders each unit of the orders stage wrote, and how many rows it looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[int] = []
        self.state[TOPICS.orders].commit = self._commit  # type: ignore[method-assign]

    def _commit(self, unit: UnitOfWork) -> None:
        self.written.append(orders_of(unit))
        Rows.commit(self.state[TOPICS.orders], unit)


def many(variant_id: int | None = None) -> list[Step]:
    return [
        header(number) + total(number) + line(number, 10 * number, variant=variant_id, quantity="1", net="1")
        for number in range(1, MANY + 1)
    ]


def test_a_status_of_many_orders_is_worked_off_in_slices() -> None:
    pipeline = Watched()
    pipeline.pump(PEOPLE, *many())
    assert pipeline.orders.held.counts() == {"status_not_loaded": MANY}
    pipeline.written.clear()
    pipeline.pump(LOOKUP)
    assert pipeline.count(ANN) == MANY
    # The buyer's replies to one slice come with the next.
    assert max(pipeline.written) <= 2 * MOST_REACHED


def test_a_variant_of_many_orders_is_worked_off_in_slices() -> None:
    pipeline = Watched()
    pipeline.pump(LOOKUP, PEOPLE, *many(5))
    pipeline.written.clear()
    pipeline.pump(item(5, "SAW"))
    records = pipeline.records()
    assert len(records) == MANY and all(b"SAW" in content for content in records.values())
    assert max(pipeline.written) <= MOST_REACHED


def test_an_urgent_change_overtakes_what_is_left_of_a_sweep() -> None:
    pipeline = Pipeline()
    pipeline.pump(LOOKUP, PEOPLE, *many())
    pipeline.feed(status(1, "dispatched", at=2))
    pipeline.cycle(TOPICS.orders, 1)
    pipeline.facts.clear()
    # It comes behind the status, and what is left of the status comes behind it.
    pipeline.feed(header(MANY + 1, 2), total(MANY + 1))
    pipeline.queues[TOPICS.orders].rotate(2)
    pipeline.cycle(TOPICS.orders, 2)
    assert {fact.pk for fact in pipeline.facts} == {MANY + 1}
    pipeline.pump()
    assert pipeline.contact(ANN)["OW_LAST_STATUS"] == "despatched"


def test_a_sweep_that_finds_nothing_looks_at_a_bounded_number_of_rows() -> None:
    pipeline = Pipeline()
    pipeline.pump(LOOKUP, PEOPLE, *many())
    looked, scan = 0, pipeline.state[TOPICS.orders].scan

    def counted(partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        nonlocal looked
        for row in scan(partition, prefix, after):
            looked += prefix == b"o"
            yield row

    pipeline.state[TOPICS.orders].scan = counted  # type: ignore[method-assign]
    pipeline.feed(status(7, "nobody has it"))
    while pipeline.queues[TOPICS.orders]:
        before = looked
        pipeline.cycle(TOPICS.orders, 1)
        assert looked - before <= MOST_LOOKED_AT + 1
    assert looked >= MANY


def test_a_category_of_many_variants_is_worked_off_in_slices() -> None:
    stage = Stage()
    for number in range(1, MANY + 1):
        stage.publish(variant(number), member(number, pk=number))
    reached: set[int] = set()
    left = category("Kettles")
    while left:
        published = stage.publish(left)
        records = [change for change in published if change.kind is ChangeKind.DESIRED_CATALOGUE]
        assert len(records) <= MOST_REACHED and {change.lane for change in records} == {Lane.LIVE}
        reached |= {int(change.pk) for change in records}
        left = [change for change in published if change.kind is ChangeKind.SWEEP]
    assert reached == set(range(1, MANY + 1))


@pytest.fixture
def small_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """One row at a time."""
    monkeypatch.setattr(sweeps, "MOST_REACHED", FEW + 1)
    monkeypatch.setattr(sweeps, "MOST_LOOKED_AT", 1)


@pytest.mark.usefixtures("small_slices")
@settings(deadline=None, max_examples=100)
@given(st.one_of(timelines(), shops()), st.randoms(use_true_random=False), st.integers(0, 6))
def test_slices_batches_and_crashes_do_not_show_in_the_result(found: list[list[Step]], random: Random, crashes: int) -> None:
    expected = Pipeline().pump(*[step for steps in found for step in steps])
    pipeline = Pipeline().feed(*interleaved(found, random))
    pipeline.pump_badly(random, crashes)
    assert (pipeline.content(), pipeline.records()) == (expected.content(), expected.records())
    assert pipeline.orders.held.counts() == expected.orders.held.counts()


def test_an_address_that_somebody_gets_reaches_its_many_orders_in_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sweeps, "MOST_LOOKED_AT", 2)
    several = [header(order) + total(order) + detail(order, BOB) for order in range(1, 8)]
    pipeline = Pipeline().pump(LOOKUP, customer(1, ANN), *several)
    assert not pipeline.records()
    pipeline.pump(customer(2, BOB))
    assert pipeline.records().keys() == {(BOB, f"SO{order}") for order in range(1, 8)}
    assert pipeline.counts[ChangeKind.RECIPIENTS_SWEEP] == 3
