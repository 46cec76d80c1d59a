"""``growth``: what a change costs when its buyer has 10, 1,000 or 50,000 orders.

All three shops hold 50,000 orders; they differ in how many buyers share them. The same number of distinct orders is updated
in each, in two ways: as a backlog (where a buyer with many updated orders is projected once for many of them, which favours
large buyers) and as a trickle, one change at a time (where nothing is shared, so the history shows).
"""

import asyncio
import random
import time
from contextlib import ExitStack
from dataclasses import dataclass, field, replace

from bench.child import Child, free_port
from bench.measure import whole_flow
from bench.results import Result, Spread
from bench.site import Owdd, Site
from bench.workload import Workload

ORDERS = 50_000
HISTORIES = (10, 1_000, 50_000)
BAR = 1.3

_BURST, _QUICK_BURST = 5_000, 2_000
_TRICKLE, _QUICK_TRICKLE = 1_000, 300
_TRICKLE_RATE = 200.0


@dataclass
class _Shop:
    history: int
    workload: Workload
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
    with ExitStack() as stack:
        shops = [await _open(site, stack, history) for history in HISTORIES]
        for number in range(repetitions):
            rng = random.Random(number)
            chosen = rng.sample(range(1, ORDERS + 1), burst + trickle)
            for shop in shops:
                shop.burst.append(await _backlog(site, shop, chosen[:burst], number))
            for shop in shops:
                shop.trickle.append(await _one_by_one(site, shop, chosen[burst:], number))
    return _result(shops, burst, trickle)


async def _open(site: Site, stack: ExitStack, history: int) -> _Shop:
    """A shop with its history loaded and its two workers running."""
    name = f"grow{history}"
    workload = Workload(customers=ORDERS // history, orders=ORDERS, lines=0, updates=False, even=True, prefix=name)
    app = await site.owdd(name, prefix=name)
    await site.produce(workload.messages())
    ingest = stack.enter_context(site.worker(app, "ingest"))
    ingest.wait_for_port(app.port)
    agents = stack.enter_context(site.worker(replace(app, port=free_port()), "agents"))
    await site.watch.drained(whole_flow(app), agents)
    return _Shop(history, workload, app, ingest, agents)


async def _backlog(site: Site, shop: _Shop, orders: list[int], number: int) -> float:
    started, _ = shop.agents.meter.sample()
    await site.produce(shop.workload.updates_of(orders, number))
    return await _cost(site, shop, started, len(orders))


async def _one_by_one(site: Site, shop: _Shop, orders: list[int], number: int) -> float:
    started, _ = shop.agents.meter.sample()
    async with site.producer() as producer:
        for place, message in enumerate(shop.workload.updates_of(orders, number)):
            await asyncio.sleep(max(0.0, started + place / _TRICKLE_RATE - time.monotonic()))
            await site.append(producer, message)
    return await _cost(site, shop, started, len(orders))


async def _cost(site: Site, shop: _Shop, started: float, changes: int) -> float:
    shop.ingest.check()
    done = await site.watch.drained(whole_flow(shop.app), shop.agents)
    meter = shop.agents.meter
    return (meter.at(done.committed) - meter.at(started)) / changes * 100_000


def _result(shops: list[_Shop], burst: int, trickle: int) -> Result:
    result = Result(
        "growth",
        f"{ORDERS:,} orders; {burst:,} updates as a backlog, {trickle:,} at {_TRICKLE_RATE:g} a second",
        ["orders a buyer", "backlog: CPU-s per 100k", "× 10 orders", "trickle: CPU-s per 100k", "× 10 orders"],
    )
    first = {way: Spread.of(getattr(shops[0], way)).median for way in ("burst", "trickle")}
    for shop in shops:
        spreads = {"burst": Spread.of(shop.burst), "trickle": Spread.of(shop.trickle)}
        row = [f"{shop.history:,}"]
        for way, spread in spreads.items():
            ratio = spread.median / first[way]
            row += [spread.text(), f"{ratio:.2f}"]
            if ratio > BAR:
                result.failed.append(f"{shop.history:,} orders, {way}: {ratio:.2f} × the cost with 10, the bar is {BAR}")
        result.rows.append(row)
        result.data[str(shop.history)] = {
            way: {"cpu_seconds_per_100k": spread.json(), "times_10_orders": spread.median / first[way]}
            for way, spread in spreads.items()
        }
    result.notes.append("CPU of the agents process alone; the trickle also pays for every wake-up, in all three shops alike")
    return result
