"""Dotdigital cannot be reached for ten minutes in the middle of traffic: nothing is lost, urgent goes first, the budget holds.

In virtual time, with the whole of dispatch over the real client and the sandbox (:mod:`bench.delivery`).
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from streams.core.lanes import Lane
from streams.dispatch.policies import debounce_policy
from streams.mapping import load_mapping
from testkit.virtual import event_loop
from testkit.virtual.account import Terms
from testkit.virtual.contender import Surroundings
from testkit.virtual.event_loop import ORIGIN_MS, VirtualClock
from testkit.virtual.measures import measure
from testkit.virtual.pipeline import SETTINGS, Pipeline
from testkit.virtual.trace import CONTACT, START_MS
from testkit.virtual.traces import Plot, Scale
from testkit.virtual.traffic import TrafficShop
from testkit.virtual.world import Played, World

MINUTE = 60_000
DOWN, UP, END = 10 * MINUTE, 20 * MINUTE, 30 * MINUTE
TIGHT = Terms(high=60)
"""A budget that takes minutes to work off what has gathered, call by call."""
SINGLY = SETTINGS.model_copy(update={"import_least": 10_000})
"""Imports would make the backlog vanish in two calls."""


def traffic(shop: TrafficShop, scale: Scale) -> None:
    """Orders, despatches, refunds and opt-outs, spread evenly."""
    rng = shop.rng
    for _ in range(scale.orders):
        shop.plan(rng.randrange(END), shop.buy(new=0.3))
    for order in shop.orders[: scale.orders // 2]:
        shop.plan(rng.randrange(END), shop.despatch(order))
    for order in shop.orders[scale.orders // 2 :: 10]:
        shop.plan(rng.randrange(END), shop.refund(order))
    for customer in shop.customers[: scale.orders // 20]:
        shop.plan(rng.randrange(END), shop.opt_out(customer))


OUTAGE = Plot("ten minutes", "traffic with an outage", 1, traffic, UP / 3_600_000, (DOWN / 3_600_000, UP / 3_600_000))


class RestartedMeanwhile(Pipeline):
    """A worker that ends in the middle of the outage, and another that takes up its table."""

    async def run(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout_at((START_MS - ORIGIN_MS + (DOWN + UP) // 2) / 1000):
                await super().run()
        await super().run()


def play(make: Callable[[Surroundings], Pipeline], directory: Path, seed: int, **faults: float) -> tuple[Played, World]:
    """The trace of a seed, with ``faults`` of the sandbox at those rates."""
    mapping = load_mapping()

    async def main(clock: VirtualClock) -> tuple[Played, World]:
        world = World(mapping, TIGHT, debounce_policy(SETTINGS), clock, directory)
        world.box.faults.update(faults)
        return await world.play(OUTAGE.trace(mapping, seed, Scale(orders=100)), make, patience=3600), world

    return event_loop.run(main)


def waited(played: Played, lane: Lane) -> list[int]:
    """When what was made before Dotdigital came back was sent, in seconds after that."""
    back = START_MS + UP
    return sorted(
        (late.sent - back) // 1000 for late in played.carried.late if late.lane is lane and late.made < back <= late.sent
    )


@pytest.mark.parametrize("kind", [Pipeline, RestartedMeanwhile])
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_urgent_goes_first_and_the_budget_holds(kind: type[Pipeline], tmp_path: Path, seed: int) -> None:
    played, _ = play(partial(kind, settings=SINGLY), tmp_path, seed)
    measures = measure(played, TIGHT)
    assert measures.undelivered == 0 and measures.wrong == 0
    assert measures.unanswered > 0, "the outage was not noticed"

    urgent, live = waited(played, Lane.URGENT), waited(played, Lane.LIVE)
    assert len(urgent) > 20, "nothing urgent waited"
    assert urgent[-1] - min(urgent[0], live[0]) <= 2
    assert live[-1] > urgent[-1] + 60, "the budget was no bottleneck"

    spent = Counter((call.at // MINUTE, call.tier) for call in played.calls if call.status)
    assert all(tier is None or calls <= TIGHT.tiers[tier] for (_, tier), calls in spent.items())
    assert measures.throttled < 0.001
    assert measures.used is not None and measures.used >= 0.95


def test_calls_are_not_hammered_while_nothing_answers(tmp_path: Path) -> None:
    played, _ = play(Pipeline, tmp_path, 1)
    tried = [call.at for call in played.calls if not call.status]
    last = [at for at in tried if at > START_MS + UP - 5 * MINUTE]
    # One probe at a time, five seconds after the one before on average, and the reader.
    assert len(last) <= 80


def test_lost_replies_and_failures_around_the_outage_lose_nothing(tmp_path: Path) -> None:
    played, world = play(Pipeline, tmp_path, 1, lost_reply=0.03, http_500=0.03, http_503=0.03)
    assert played.undelivered == 0 and played.wrong == 0
    assert {contact.email for contact in world.box.store} == {key for kind, key in world.ledger.desired if kind == CONTACT}
