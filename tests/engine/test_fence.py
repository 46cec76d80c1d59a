"""A stage leaves out what an outdated worker emitted."""

from types import SimpleNamespace
from typing import cast

from streams.engine.changelog import Changelog
from streams.engine.fence import in_force, is_outdated, writer_headers
from streams.engine.unit_of_work import UnitOfWork
from tests.agents.memory import Rows


def headers(epoch: int, partition: int = 3) -> list[tuple[str, bytes]]:
    return writer_headers(cast(Changelog, SimpleNamespace(topic="orders-changelog", partition=partition, epoch=epoch)))


def test_what_comes_with_a_lower_epoch_than_was_seen_is_outdated() -> None:
    state = Rows()
    unit = UnitOfWork(0, 1, state, 0)
    assert [is_outdated(unit, headers(epoch)) for epoch in (5, 5, 7, 5, 7)] == [False, False, False, True, False]
    state.commit(unit)
    later = UnitOfWork(0, 1, state, 0)
    assert is_outdated(later, headers(6)), "after a restart too"
    assert not later.writes


def test_a_record_that_came_first_is_in_force_again_when_the_unit_ended_before_its_outputs() -> None:
    state, records = Rows(), [SimpleNamespace(headers=headers(epoch)) for epoch in (5, 7, 5)]
    unit = UnitOfWork(0, 1, state, 0)
    assert in_force(unit, records) == records[:2]
    state.write(unit.writes)
    assert in_force(UnitOfWork(0, 1, state, 0), records) == records[:2]


def test_other_writers_are_other_matters() -> None:
    unit = UnitOfWork(0, 1, Rows(), 0)
    assert not is_outdated(unit, headers(7))
    assert not is_outdated(unit, headers(5, partition=4))
    assert not is_outdated(unit, None)
    assert not is_outdated(unit, [("topic", b"x")])
