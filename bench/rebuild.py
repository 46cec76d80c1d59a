"""``rebuild``: the joins anew beside live traffic: how fast, what it costs the live changes, and that Dotdigital gets no call.

Ingest, agents and dispatch are a process each, on a real broker, against the sandbox; a new generation of the joins has ingest
and agents of its own. The first load of the same records, in the same run, is what the rebuild is compared with. A live change
is a delivery of an order, one for each customer in turn, so that each is a request of its own.
"""

import asyncio
import os
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from typing import Any, Final

import orjson

from bench.account import Write, open_account
from bench.child import Child, free_port
from bench.errors import BenchError, NotDrained, WrongResult
from bench.measure import whole_flow
from bench.pace import Pipeline, play
from bench.results import Goal, Result, Spread
from bench.site import PROGRAM, Owdd, Site
from bench.workload import Message, Workload
from bench.workload_rows import email
from streams.cli.exit_codes import ExitCode
from streams.messages.generation_log import known_generations
from streams.operations.generation_progress import build_progress
from streams.operations.generations import of_generation
from testkit.virtual.measures import percentile

CHANGES, QUICK_CHANGES = int(os.environ.get("OWDD_REBUILD_CHANGES", "1_000_000")), 60_000
"""Fewer fit a machine that has other work."""
RATE: Final = 20
"""Live changes a second."""
CUSTOMERS: Final = 200
"""Those whose orders are delivered while we measure."""
_SHARE: Final = 0.5
"""A rebuild that reads less than this share of what the first load read in a second misses the bar."""

_PREFIX = "rebuild"
_ROLES, _JOINS = ("ingest", "agents", "dispatch"), ("ingest", "agents")
_LEAST_PATIENCE, _SLOWEST = 600.0, 300
"""Seconds that any wait has, and the changes in a second that it is lengthened for: a million may take an hour and more."""
_LOOK_SECONDS = 1.0
_ENDS: Final = (ExitCode.OK, ExitCode.CHANGES, ExitCode.UNFINISHED)
_QUICK_DELIVERY = {"OWDD_BULK_QUIET": "1", "OWDD_BULK_LONGEST": "5", "OWDD_IMPORT_POLL": "1", "OWDD_IMPORT_SECONDS": "1"}
"""So that the first load is delivered soon."""

_FIRST, _REBUILT = "first load", "rebuild beside live changes"
_ALONE, _BESIDE = "alone", "beside a rebuild"


@dataclass(slots=True)
class _Found:
    """What was measured: changes a second and CPU seconds of the joins for 100,000, by work; and what went on beside it."""

    rate: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    cpu: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    peak: dict[str, list[float]] = field(default_factory=lambda: defaultdict(list))
    delays: dict[str, list[list[int]]] = field(default_factory=lambda: defaultdict(list))
    switches: list[float] = field(default_factory=list)
    compared: int = 0
    live: int = 0


class _Traffic:
    """Deliveries of orders, round after round; ``patience``: how long each may take."""

    def __init__(self, pipeline: Pipeline, patience: float) -> None:
        self._pipeline = pipeline
        self.patience = patience
        self.rounds = 0

    async def round(self) -> list[int]:
        """One change of each customer; the delays in ms."""
        messages = list(self._pipeline.workload.despatches(range(1, CUSTOMERS + 1), self.rounds))
        self.rounds += 1
        return await play(self._pipeline, messages, RATE, self.patience)

    async def until(self, over: asyncio.Event) -> list[int]:
        """Rounds until ``over`` is set, one at least; the delays of all in ms."""
        delays = await self.round()
        while not over.is_set():
            delays += await self.round()
        return delays


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """First load, live changes alone, then rebuilds beside them, each with the switch and the way back.

    Raises:
        BenchError: a worker died or did not finish, a generation differs, or a call that no live change explains was made.
    """
    found, changes = _Found(), QUICK_CHANGES if quick else CHANGES
    patience = _LEAST_PATIENCE + changes / _SLOWEST
    async with _loaded(site, changes, patience, found) as (pipeline, app, captured):
        traffic = _Traffic(pipeline, patience)
        for number in range(1, repetitions + 1):
            found.delays[_ALONE].append(await traffic.round())
            await _rebuild(pipeline, app, traffic, number, found)
        found.live = traffic.rounds * CUSTOMERS
        found.peak["dispatch, at the most"].append(pipeline.workers["dispatch"].meter.peak_rss)
    return _result(found, captured)


@asynccontextmanager
async def _loaded(site: Site, changes: int, patience: float, found: _Found) -> AsyncIterator[tuple[Pipeline, Owdd, int]]:
    """The pipeline with a shop whose load is measured and delivered, its application, and the number of captured records."""
    app = await site.owdd(_PREFIX, _PREFIX)
    customers = max(CUSTOMERS, changes // 200)
    workload = Workload(customers, max(customers, changes // 50), updates=False, even=True, prefix=_PREFIX)
    async with open_account(site, replace(app, more=_QUICK_DELIVERY)) as (account, app):
        captured = await site.produce(_messages(workload, changes))
        with ExitStack() as stack:
            ports = {role: free_port() for role in _ROLES}
            workers = {role: stack.enter_context(_worker(site, app, role, port)) for role, port in ports.items()}
            done = await site.watch.drained(whole_flow(app), workers["agents"], patience)
            found.rate[_FIRST].append(captured / (done.last - done.first))
            found.cpu[_FIRST].append(sum(workers[role].meter.at(done.last) for role in _JOINS) / captured * 100_000)
            found.peak[f"agents, {_FIRST}"].append(workers["agents"].meter.peak_rss)
            await account.until_quiet(patience)
            emails = await account.contacts()
            yield Pipeline(site, account, workload, emails, workers, ports), app, captured


def _messages(workload: Workload, changes: int) -> Iterator[Message]:
    """The shop, and then changes of its orders, until there are ``changes``."""
    made = 0
    for message in workload.messages():
        made += 1
        yield message
    orders = list(range(1, workload.orders + 1))
    for round_ in count():
        if made >= changes:
            return
        some = orders[: changes - made]
        made += len(some)
        yield from workload.updates_of(some, round_)


def _worker(site: Site, app: Owdd, role: str, port: int) -> Child:
    return site.worker(replace(app, data=app.data / f"{role}-{app.settings.generation}", port=port), role)


async def _rebuild(pipeline: Pipeline, app: Owdd, traffic: _Traffic, number: int, found: _Found) -> None:
    site, account = pipeline.site, pipeline.account
    before, rounds, over = await account.moment(), traffic.rounds, asyncio.Event()
    await _command(app, "rebuild", "--again", "--timeout", "0")
    its = replace(app, settings=of_generation(app.settings, number))
    with ExitStack() as stack:
        ports = {role: free_port() for role in _JOINS}
        joins = {role: stack.enter_context(_worker(site, its, role, port)) for role, port in ports.items()}
        live = asyncio.create_task(traffic.until(over))
        try:
            began = max([await asyncio.to_thread(joins[role].wait_for_port, port) for role, port in ports.items()])
            total = await _complete(pipeline, app, number, joins, traffic.patience)
            took = time.monotonic() - began
        finally:
            over.set()
            delays = await live
        found.rate[_REBUILT].append(total / took)
        found.cpu[_REBUILT].append(sum(child.meter.sample()[1] for child in joins.values()) / total * 100_000)
        for role, child in joins.items():
            found.peak[f"{role}, rebuild"].append(child.meter.peak_rss)
        found.delays[_BESIDE].append(delays)
        await account.until_quiet(traffic.patience)
        check_only_live(await account.writes(pipeline.emails, before), pipeline.emails, traffic.rounds - rounds)
        compared = await _command(app, "rebuild")
        if compared["differences"]["changes"]:
            raise WrongResult(f"generation {number} differs: {compared['differences']['changes']}")
        found.compared = compared["differences"]["compared"]
        quiet, switched = await account.moment(), time.monotonic()
        await _command(app, "rebuild", "--execute")
        found.switches.append(time.monotonic() - switched)
        await _command(app, "back", "--execute")
        await account.until_quiet(traffic.patience)
        if calls := await account.writes(pipeline.emails, quiet):
            raise WrongResult(f"{len(calls)} calls followed from the switch and the way back, the first {calls[0]}")
    await _command(app, "clean", "--execute")


async def _complete(pipeline: Pipeline, app: Owdd, number: int, joins: Mapping[str, Child], patience: float) -> int:
    """Wait until the outbox has everything that the generation wants; how many records that took."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        pipeline.check()
        for child in joins.values():
            child.check()
        known = await known_generations(app.settings)
        progress = await build_progress(app.settings, known, known.generations[number])
        if progress.done:
            return progress.total
        await asyncio.sleep(_LOOK_SECONDS)
    raise NotDrained(f"generation {number} is not complete after {patience:g} s: {progress}")


async def _command(app: Owdd, *arguments: str) -> Any:
    """What ``owdd replay`` prints as JSON.

    Raises:
        BenchError: it failed.
    """
    process = await asyncio.create_subprocess_exec(
        *(*PROGRAM, "replay", *arguments, "--json"),
        env=app.environment(),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    printed, problems = await process.communicate()
    if process.returncode not in _ENDS:
        raise BenchError(f"owdd replay {' '.join(arguments)}: code {process.returncode}: {(printed + problems).decode()}")
    return orjson.loads(printed)


def check_only_live(writes: Sequence[Write], emails: Mapping[int, str], rounds: int) -> None:
    """See that every call is about somebody whose order was delivered meanwhile, and that nobody got more than was delivered.

    An import is about those whom its rows are about.

    Raises:
        WrongResult: no live change explains a call.
    """
    living = {email(number + 1) for number in range(CUSTOMERS)}
    calls: Counter[tuple[str, str]] = Counter()
    for write in writes:
        for contact in write.contacts:
            whose = emails.get(contact, "")
            if whose not in living:
                raise WrongResult(f"no live change explains {write.method} {write.route}")
            calls[f"{write.method} {write.route}", whose] += 1
    for (what, _), number in calls.items():
        if number > rounds:
            raise WrongResult(f"{rounds} live changes of a customer do not explain {number} calls: {what}")


def _result(found: _Found, captured: int) -> Result:
    title = f"{captured:,} captured changes; beside a rebuild {RATE} live changes a second"
    result = Result("rebuild", title, ["what", "measured"])
    rates = {what: Spread.of(values) for what, values in found.rate.items()}
    costs = {what: Spread.of(values) for what, values in found.cpu.items()}
    for what, rate in rates.items():
        result.rows.append([f"{what}: changes/s", rate.text(0)])
        result.rows.append([f"{what}: CPU s of ingest and agents per 100k changes", costs[what].text()])
        result.data[what] = {"changes_per_second": rate.json(), "cpu_seconds_per_100k": costs[what].json()}
    for what, runs in found.delays.items():
        shown = {share: Spread.of([percentile(run, share) or 0.0 for run in runs]) for share in (0.5, 0.99)}
        result.rows.append([f"live changes {what}: p50, p99 ms", ", ".join(spread.text(0) for spread in shown.values())])
        result.data[f"live {what}"] = {f"p{share * 100:g}_ms": spread.json() for share, spread in shown.items()}
    for what, peaks in found.peak.items():
        peak = Spread.of([size / 2**20 for size in peaks])
        result.rows.append([f"peak memory of {what}, MiB", peak.text(0)])
        result.data[f"peak {what}"] = peak.json()
    switch = Spread.of(found.switches)
    result.rows.append(["the switch, with the comparison before it: s", switch.text(1)])
    result.data |= {"switch_seconds": switch.json(), "compared": found.compared, "live_changes": found.live}
    result.notes.append(
        f"{found.compared:,} deliveries were compared and none differs; neither rebuild, switch nor way back made a call:"
        f" all calls were about the customers of the {found.live:,} live changes"
    )
    share = 100 * rates[_REBUILT].median / rates[_FIRST].median
    result.goals.append(Goal("rebuild beside live traffic: pace, of the first load's", share, 100 * _SHARE, "%", at_least=True))
    return result
