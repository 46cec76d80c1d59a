"""Opt-outs are counted: those that Dotdigital was found to have, and those that we passed on."""

from collections.abc import Iterator

import pytest

from tests.consent.consent_harness import METRICS, World
from tests.consent.test_consent_stories import A, B, becomes, in_erp


@pytest.fixture
def world() -> Iterator[World]:
    made = World(bin_days=0.0)
    yield made
    made.close()


def test_opt_outs_are_counted_once_whichever_way_they_go(world: World) -> None:
    def counted() -> list[float]:
        return [METRICS.opt_outs.labels(direction)._value.get() for direction in ("in", "out")]

    before = counted()
    in_erp(world, A, opted=True)
    assert counted() == before
    becomes(world, A, "unsubscribed")
    for _ in range(2):
        world.read_back()
        world.settle()
    assert counted() == [before[0] + 1, before[1]]
    world.row(2, B, opted=True)
    world.settle()
    for _ in range(2):
        world.row(2, B, opted=False)
        world.settle()
    assert world.status(B) == "unsubscribed"
    assert counted() == [before[0] + 1, before[1] + 1]
