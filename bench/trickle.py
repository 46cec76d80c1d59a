"""``trickle``: the join at rest and at 20 changes a second, ours beside what a user would pick instead.

Ours are ingest and agents in one process: the peers deliver nothing. All read the same captured topics, one after the other,
each with the changes that the others got before; every customer's totals are compared at the end.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial

from bench.child import Child
from bench.contenders.peers import PATHWAY, STREAMS, Peer, peers
from bench.drain import Flow
from bench.join import BOTH, Totals, compare, desired_totals, totals_of
from bench.measure import whole_flow
from bench.results import Result, Spread
from bench.site import Site
from bench.workload import PREFIX, Workload

_RATE = 20
_CUSTOMERS, _QUICK_CUSTOMERS = 1200, 200
_REST_SECONDS, _QUICK_REST_SECONDS = 60.0, 5.0
"""Until a JVM has compiled what it needs at rest."""
_IDLE_SECONDS, _QUICK_IDLE_SECONDS = 30.0, 5.0


@dataclass(frozen=True, slots=True)
class _Contender:
    """Its process, what it reads and writes, and the totals that it has come to."""

    child: Child
    flow: Flow
    totals: Callable[[], Awaitable[Totals]]


@dataclass(frozen=True, slots=True)
class _Cost:
    """Cores at rest, and CPU ms of a change: the contender's own and the broker's."""

    idle: float
    idle_broker: float
    change: float
    change_broker: float


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """Measure every contender ``repetitions`` times, taking turns.

    Raises:
        BenchError: a contender died, did not finish, or was wrong; a peer cannot be installed.
    """
    customers = _QUICK_CUSTOMERS if quick else _CUSTOMERS
    workload = Workload(customers, customers, lines=1, updates=False, even=True)
    others = peers(site.directory, (STREAMS, PATHWAY))
    await site.owdd("trickle-schema")
    await site.produce(workload.messages())
    makers: dict[str, Callable[[str], Awaitable[_Contender]]] = {BOTH: partial(_ours, site)}
    makers |= {peer.label: partial(_peer, site, peer) for peer in others}
    found: dict[str, list[_Cost]] = {name: [] for name in makers}
    for number in range(repetitions):
        for name, make in makers.items():
            contender = await make(f"trickle{number}")
            round_ = number * len(makers) + len(found[name])
            found[name].append(await _measured(site, contender, workload, round_, quick=quick))
            compare(name, await contender.totals(), workload.truth)
    return _result(found, customers)


async def _ours(site: Site, run: str) -> _Contender:
    app = await site.owdd(run, PREFIX)
    child = site.worker(app, "ingest", "agents")
    return _Contender(child, whole_flow(app), lambda: desired_totals(site, app))


async def _peer(site: Site, peer: Peer, run: str) -> _Contender:
    async def totals() -> Totals:
        return totals_of(await peer.contacts(site, run))

    return _Contender(await peer.child(site, run), peer.flow(site, run), totals)


async def _measured(site: Site, contender: _Contender, workload: Workload, round_: int, *, quick: bool) -> _Cost:
    with contender.child as child:
        await site.watch.drained(contender.flow, child)
        await asyncio.sleep(_QUICK_REST_SECONDS if quick else _REST_SECONDS)
        own, broker, began = *_cpu(site, child), time.monotonic()
        await asyncio.sleep(_QUICK_IDLE_SECONDS if quick else _IDLE_SECONDS)
        own_after, broker_after, seconds = *_cpu(site, child), time.monotonic() - began
        idle, idle_broker = (own_after - own) / seconds, (broker_after - broker) / seconds
        messages = list(workload.updates_of(list(range(1, workload.orders + 1)), round_))
        started = time.monotonic()
        async with site.producer() as producer:
            for number, message in enumerate(messages):
                await asyncio.sleep(max(0.0, started + number / _RATE - time.monotonic()))
                await site.append(producer, message)
        done = await site.watch.drained(contender.flow, child)
        change = 1000 * (child.meter.at(done.committed) - own_after) / len(messages)
        change_broker = 1000 * (site.meter.at(done.committed) - broker_after) / len(messages)
        return _Cost(idle, idle_broker, change, change_broker)


def _cpu(site: Site, child: Child) -> tuple[float, float]:
    return child.meter.sample()[1], site.meter.sample()[1]


def _result(found: Mapping[str, list[_Cost]], customers: int) -> Result:
    columns = ["contender", "cores at rest", "broker", "CPU ms a change", "broker"]
    result = Result("trickle", f"the join at rest, and {customers:,} changes at {_RATE} a second", columns)
    for name, costs in found.items():
        spreads = {
            "idle_cores": Spread.of([cost.idle for cost in costs]),
            "idle_broker_cores": Spread.of([cost.idle_broker for cost in costs]),
            "cpu_ms_a_change": Spread.of([cost.change for cost in costs]),
            "broker_cpu_ms_a_change": Spread.of([cost.change_broker for cost in costs]),
        }
        cells = [spread.text(3 if "cores" in what else 1) for what, spread in spreads.items()]
        result.rows.append([name, *cells])
        result.data[name] = {what: spread.json() for what, spread in spreads.items()}
    result.notes.append("every customer's totals were checked; the broker's CPU is all that it took meanwhile, at rest too")
    return result
