"""``idle``, ``everyday`` and ``backfill``: the whole pipeline at rest, on an ordinary day, and beside a first load.

Ingest, agents and dispatch are a process each, on a real broker, against the sandbox. A change is a delivery of an order. It is
urgent, and of another customer each time, so that each is a request of its own. CPU is that of the processes named, all of it:
nothing is subtracted. The sandbox's is left out, but it runs on the same cores.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from bench.account import PATIENCE, Account, open_account
from bench.child import Child, Meter, free_port
from bench.results import Goal, Result, Spread
from bench.site import PROGRAM, Site
from bench.workload import PREFIX, Message, Workload
from bench.workload_rows import email
from testkit.virtual.measures import percentile

_IDLE_BAR = 0.05
"""Cores of the three workers together, and of the broker."""
_COST_BAR_MS = 10.0
"""CPU of one change at the first rate, broker included."""
_DELAY_BARS_MS = {20: 250.0, 100: 300.0, 200: 500.0}
"""p99 of append to request, debounce included, by changes a second."""

_ROLES = ("ingest", "agents", "dispatch")
_BROKER, _TOTAL = "broker", "all"
_CUSTOMERS, _QUICK_CUSTOMERS = 1200, 200
_BACKFILL, _QUICK_BACKFILL = 100_000, 5_000
_BACKFILL_BAR_MS = 500.0
_BACKFILL_PATIENCE = 600.0
_IDLE_SECONDS, _QUICK_IDLE_SECONDS = 60.0, 10.0
_REST_SECONDS, _QUICK_REST_SECONDS = 120.0, 5.0
"""After these the broker's compiler is done."""
_BULK = {"OWDD_BULK_QUIET": "1", "OWDD_BULK_LONGEST": "5"}
"""So that the shop is delivered soon after it was loaded."""

Seconds = Mapping[str, float]
"""CPU seconds by part."""


@dataclass(frozen=True, slots=True)
class Pipeline:
    """What is measured, and what feeds it."""

    site: Site
    account: Account
    workload: Workload
    emails: Mapping[int, str]
    workers: Mapping[str, Child]
    ports: Mapping[str, int]

    def cpu(self) -> dict[str, float]:
        """CPU seconds so far of every part."""
        meters: dict[str, Meter] = {role: worker.meter for role, worker in self.workers.items()}
        return {part: meter.sample()[1] for part, meter in (meters | {_BROKER: self.site.meter}).items()}

    def since(self, before: Seconds) -> Seconds:
        """CPU seconds of every part, and of all, since ``before``."""
        used = {part: seconds - before[part] for part, seconds in self.cpu().items()}
        return used | {_TOTAL: sum(used.values())}

    def check(self) -> None:
        """Raises ``ChildDied`` if a worker has ended."""
        for worker in self.workers.values():
            worker.check()


async def idle(site: Site, *, quick: bool, repetitions: int) -> Result:
    """Cores that the pipeline takes while nothing is captured and everything is delivered.

    Raises:
        BenchError: a worker died, or the shop was not delivered.
    """
    seconds = _QUICK_IDLE_SECONDS if quick else _IDLE_SECONDS
    found: list[Seconds] = []
    async with open_pipeline(site, _QUICK_CUSTOMERS) as pipeline:
        await asyncio.sleep(_QUICK_REST_SECONDS if quick else _REST_SECONDS)
        for _ in range(repetitions):
            before, started = pipeline.cpu(), time.monotonic()
            await asyncio.sleep(seconds)
            used, wall = pipeline.since(before), time.monotonic() - started
            pipeline.check()
            found.append({part: cpu / wall for part, cpu in used.items()})
    return _idle_result(found, seconds)


async def everyday(site: Site, *, quick: bool, repetitions: int) -> Result:
    """CPU of a change, and its delay from the append to the request, at several even rates.

    Raises:
        BenchError: a worker died, or a change was not delivered.
    """
    customers = _QUICK_CUSTOMERS if quick else _CUSTOMERS
    costs: dict[int, list[Seconds]] = {rate: [] for rate in _DELAY_BARS_MS}
    delays: dict[int, list[list[int]]] = {rate: [] for rate in _DELAY_BARS_MS}
    async with open_pipeline(site, customers) as pipeline:
        for number in range(repetitions):
            for place, rate in enumerate(_DELAY_BARS_MS):
                messages = list(pipeline.workload.despatches(range(1, customers + 1), number * len(_DELAY_BARS_MS) + place))
                before = pipeline.cpu()
                delays[rate].append(await play(pipeline, messages, rate))
                used = pipeline.since(before)
                costs[rate].append({part: 1000 * cpu / customers for part, cpu in used.items()})
                await pipeline.account.until_quiet()
    return _everyday_result(costs, delays, customers)


async def backfill(site: Site, *, quick: bool, repetitions: int) -> Result:
    """Delays of urgent changes at the slowest rate while new customers are loaded through the whole pipeline.

    Raises:
        BenchError: a worker died, or a change was not delivered.
    """
    customers, newcomers = (_QUICK_CUSTOMERS, _QUICK_BACKFILL) if quick else (_CUSTOMERS, _BACKFILL)
    rate, runs = min(_DELAY_BARS_MS), []
    for number in range(repetitions):
        async with open_pipeline(site, customers, name=f"backfill{number}") as pipeline:
            messages = list(pipeline.workload.despatches(range(1, customers + 1), 0))
            loading = asyncio.create_task(site.produce(pipeline.workload.newcomers(newcomers)))
            runs.append(await play(pipeline, messages, rate, _BACKFILL_PATIENCE))
            await loading
    result = Result("backfill", f"{newcomers:,} new contacts, and {customers:,} deliveries at {rate} a second", ["delay", "ms"])
    shown = {share: Spread.of([percentile(run, share) or 0.0 for run in runs]) for share in (0.5, 0.99, 1.0)}
    for share, spread in shown.items():
        result.rows.append([f"p{share * 100:g}", spread.text(0)])
        result.data[f"p{share * 100:g}_ms"] = spread.json()
    name = f"{rate} urgent changes/s beside a backfill of {newcomers:,}: p99"
    result.goals.append(Goal(name, shown[0.99].median, _BACKFILL_BAR_MS, "ms"))
    return result


@asynccontextmanager
async def open_pipeline(
    site: Site, customers: int, *, name: str = PREFIX, program: Sequence[str] = PROGRAM
) -> AsyncIterator[Pipeline]:
    """Three workers, and a shop of ``customers`` with an order each that was delivered.

    ``name``: of its captured topics, which two pipelines must not share; ``program`` runs the workers.
    """
    app = await site.owdd(f"pace-{name}", name)
    workload = Workload(customers, customers, lines=1, updates=False, even=True, prefix=name)
    async with open_account(site, replace(app, more=_BULK)) as (account, app):
        await site.produce(workload.messages())
        with ExitStack() as stack:
            ports = {role: free_port() for role in _ROLES}
            workers = {
                role: stack.enter_context(site.worker(replace(app, data=app.data / role, port=port), role, program=program))
                for role, port in ports.items()
            }
            emails = await account.until(customers, workers["dispatch"])
            await account.until_quiet()
            yield Pipeline(site, account, workload, emails, workers, ports)


async def play(pipeline: Pipeline, messages: Sequence[Message], rate: int, patience: float = PATIENCE) -> list[int]:
    """Append ``messages``, one for each customer in turn, at an even rate; the delay of each in ms until its request.

    Raises:
        NotDrained: not every request arrived within ``patience`` seconds after the last message.
    """
    since = await pipeline.account.moment()
    sent: dict[str, int] = {}
    started = time.monotonic()
    async with pipeline.site.producer() as producer, asyncio.TaskGroup() as group:
        for number, message in enumerate(messages):
            await asyncio.sleep(max(0.0, started + number / rate - time.monotonic()))
            sent[email(number + 1)] = time.time_ns() // 1_000_000
            group.create_task(pipeline.site.append(producer, message))
    worker = pipeline.workers["dispatch"]
    arrived = await pipeline.account.arrivals(pipeline.emails, sent.keys(), since, worker, patience)
    return [arrived[address] - at for address, at in sent.items()]


def _idle_result(found: Sequence[Seconds], seconds: float) -> Result:
    result = Result("idle", f"everything delivered, nothing captured, {seconds:g} s", ["part", "cores"])
    for part in found[0]:
        spread = Spread.of([cores[part] for cores in found])
        result.rows.append([part, spread.text(3)])
        result.data[part] = spread.json()
    workers = Spread.of([sum(cores[role] for role in _ROLES) for cores in found])
    result.rows.append(["workers together", workers.text(3)])
    result.data["workers"] = workers.json()
    for name, median in (("workers", workers.median), (_BROKER, Spread.of([cores[_BROKER] for cores in found]).median)):
        result.goals.append(Goal(f"idle: {name}", median, _IDLE_BAR, "cores"))
    return result


def _everyday_result(
    costs: Mapping[int, Sequence[Seconds]], delays: Mapping[int, Sequence[Sequence[int]]], customers: int
) -> Result:
    parts = [*_ROLES, _BROKER, _TOTAL]
    columns = ["changes/s", *(f"{part}, ms a change" for part in parts), "p50 ms", "p99 ms"]
    result = Result("everyday", f"{customers:,} deliveries of as many customers at each rate", columns)
    for rate, runs in delays.items():
        cost = {part: Spread.of([used[part] for used in costs[rate]]) for part in parts}
        delay = {share: Spread.of([percentile(run, share) or 0.0 for run in runs]) for share in (0.5, 0.99)}
        shown = [*(spread.text(1) for spread in cost.values()), *(spread.text(0) for spread in delay.values())]
        result.rows.append([f"{rate}", *shown])
        result.data[f"{rate} a second"] = {
            "cpu_ms_a_change": {part: spread.json() for part, spread in cost.items()},
            "delay_ms": {f"p{share * 100:g}": spread.json() for share, spread in delay.items()},
        }
        result.goals.append(Goal(f"{rate} urgent changes/s: p99", delay[0.99].median, _DELAY_BARS_MS[rate], "ms"))
    slowest = min(costs)
    dear = Spread.of([used[_TOTAL] for used in costs[slowest]]).median
    result.goals.append(Goal(f"{slowest} changes/s: CPU a change, broker included", dear, _COST_BAR_MS, "ms"))
    result.notes.append("from the append of a captured row to the arrival of its request, 200 ms of debounce included")
    return result
