"""``growth``: what a change costs when its buyer has 10, 1,000 or 50,000 orders, and when its account has many persons.

All three shops of the first kind hold 50,000 orders; they differ in how many buyers share them. The same number of distinct
orders is updated in each. In the shops of the second kind an account has few persons and orders, or many of both; each gets as
many new persons. Both in two ways: as a backlog (where a buyer with many changes is projected once for many of them, which
favours large buyers) and as a trickle, one change at a time (where nothing is shared, so the size shows).
"""

import asyncio
import random
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeAlias

from bench.child import Child, free_port
from bench.measure import whole_flow
from bench.results import Goal, Result, Spread
from bench.site import Owdd, Site
from bench.workload import Message, Workload

ORDERS = 50_000
HISTORIES = (10, 1_000, 50_000)
ACCOUNTS = ((1_000, 2, 10), (20, 200, 100), (5, 2_000, 400))
"""Accounts, persons of each, orders of each."""
BAR = 1.3

_BURST, _QUICK_BURST = 5_000, 2_000
_TRICKLE, _QUICK_TRICKLE = 1_000, 300
_TRICKLE_RATE = 200.0
_WAYS = {"burst": "backlog", "trickle": "one by one"}


Changes: TypeAlias = Callable[[int], tuple[list[Message], list[Message]]]
"""The changes of one round: those of the backlog, and those that trickle."""


@dataclass
class _Shop:
    """A shop, what its buyers have, and its changes round by round."""

    size: str
    workload: Workload
    changes: Changes
    app: Owdd
    ingest: Child
    agents: Child
    burst: list[float] = field(default_factory=list)
    trickle: list[float] = field(default_factory=list)


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """CPU of the agents process per change, by the length of the buyer's history.

    Raises:
        BenchError: a worker died or did not finish.
    """
    burst, trickle = (_QUICK_BURST, _QUICK_TRICKLE) if quick else (_BURST, _TRICKLE)
    kinds: list[list[_Shop]] = []
    for open_all in (_open_histories, _open_accounts):
        # One kind after the other: workers that are done with would disturb the next.
        with ExitStack() as stack:
            shops = await open_all(site, stack, burst, trickle)
            for number in range(repetitions):
                made = [shop.changes(number) for shop in shops]
                for shop, (backlog, _) in zip(shops, made, strict=True):
                    shop.burst.append(await _backlog(site, shop, backlog))
                for shop, (_, single) in zip(shops, made, strict=True):
                    shop.trickle.append(await _one_by_one(site, shop, single))
        kinds.append(shops)
    return _result(kinds, burst, trickle)


async def _open_histories(site: Site, stack: ExitStack, burst: int, trickle: int) -> list[_Shop]:
    def updates(workload: Workload, number: int) -> tuple[list[Message], list[Message]]:
        chosen = random.Random(number).sample(range(1, ORDERS + 1), burst + trickle)
        found = list(workload.updates_of(chosen, number))
        return found[:burst], found[burst:]

    shops = []
    for history in HISTORIES:
        workload = Workload(ORDERS // history, ORDERS, lines=0, updates=False, even=True, prefix=f"grow{history}")
        shops.append(await _open(site, stack, f"{history:,} orders a buyer", workload, partial(updates, workload)))
    return shops


async def _open_accounts(site: Site, stack: ExitStack, burst: int, trickle: int) -> list[_Shop]:
    def people(workload: Workload, number: int) -> tuple[list[Message], list[Message]]:
        first = number * (burst + trickle)
        found = list(workload.new_persons(range(first, first + burst + trickle)))
        return found[:burst], found[burst:]

    shops = []
    for accounts, persons, orders in ACCOUNTS:
        prefix = f"people{persons}"
        workload = Workload(accounts, accounts * orders, lines=0, updates=False, even=True, prefix=prefix, persons=persons)
        size = f"{persons:,} persons × {orders:,} orders an account"
        shops.append(await _open(site, stack, size, workload, partial(people, workload)))
    return shops


async def _open(site: Site, stack: ExitStack, size: str, workload: Workload, changes: Changes) -> _Shop:
    """A shop with its history loaded and its two workers running."""
    app = await site.owdd(workload.prefix, prefix=workload.prefix)
    await site.produce(workload.messages())
    ingest = stack.enter_context(site.worker(app, "ingest"))
    ingest.wait_for_port(app.port)
    agents = stack.enter_context(site.worker(replace(app, port=free_port(), data=app.data / "agents"), "agents"))
    await site.watch.drained(whole_flow(app), agents)
    return _Shop(size, workload, changes, app, ingest, agents)


async def _backlog(site: Site, shop: _Shop, changes: list[Message]) -> float:
    started, _ = shop.agents.meter.sample()
    await site.produce(changes)
    return await _cost(site, shop, started, len(changes))


async def _one_by_one(site: Site, shop: _Shop, changes: list[Message]) -> float:
    started, _ = shop.agents.meter.sample()
    async with site.producer() as producer:
        for place, message in enumerate(changes):
            await asyncio.sleep(max(0.0, started + place / _TRICKLE_RATE - time.monotonic()))
            await site.append(producer, message)
    return await _cost(site, shop, started, len(changes))


async def _cost(site: Site, shop: _Shop, started: float, changes: int) -> float:
    shop.ingest.check()
    done = await site.watch.drained(whole_flow(shop.app), shop.agents)
    meter = shop.agents.meter
    return (meter.at(done.committed) - meter.at(started)) / changes * 100_000


def _result(kinds: list[list[_Shop]], burst: int, trickle: int) -> Result:
    result = Result(
        "growth",
        f"{ORDERS:,} orders, or accounts; {burst:,} changes as a backlog, {trickle:,} at {_TRICKLE_RATE:g} a second",
        ["buyers", "backlog: CPU-s per 100k", "× smallest", "trickle: CPU-s per 100k", "× smallest"],
    )
    for shops in kinds:
        first = {way: Spread.of(getattr(shops[0], way)).median for way in ("burst", "trickle")}
        for shop in shops:
            _add(result, shop, first)
    result.notes.append("CPU of the agents process alone; the trickle also pays for every wake-up, in all shops alike")
    return result


def _add(result: Result, shop: _Shop, first: dict[str, float]) -> None:
    spreads = {"burst": Spread.of(shop.burst), "trickle": Spread.of(shop.trickle)}
    row = [shop.size]
    for way, spread in spreads.items():
        ratio = spread.median / first[way]
        row += [spread.text(), f"{ratio:.2f}"]
        result.goals.append(Goal(f"{shop.size}, {_WAYS[way]}: cost, of the smallest's", ratio, BAR, "×"))
    result.rows.append(row)
    result.data[shop.size] = {
        way: {"cpu_seconds_per_100k": spread.json(), "times_smallest": spread.median / first[way]}
        for way, spread in spreads.items()
    }
