"""``join``: the same topology over the same input, ours against stock Faust, quixstreams and a bare loop.

Customers, contacts, order headers, totals and lines become one document per customer, in every contender. Each keeps its
state durable where it knows how to (changelog on, offsets committed), is one process, and its totals are compared with the
generator's after each run.
"""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson

from bench.contenders.bare_join import TOTALS
from bench.contenders.common import IDLE, STARTING, Names, sources
from bench.drain import Flow
from bench.errors import WrongResult
from bench.measure import Begun, agents_flow, idle_cost, ingest_flow, measured, owdd_measured, says, whole_flow
from bench.results import Result, Sample, Spread
from bench.site import Owdd, Site
from bench.workload import PREFIX, Total, Workload, customer_of
from streams.mapping import load_mapping
from streams.messages.changes import DesiredContact
from streams.messages.topics import Topics

CHANGES, QUICK_CHANGES = 100_000, 20_000

FAUST, QUIX, BARE = "stock Faust", "quixstreams", "bare aiokafka loop"
BOTH, INGEST, AGENTS = "owdd", "owdd: ingest alone", "owdd: agents alone"

Totals = dict[int, Total]


@dataclass(frozen=True, slots=True)
class _Run:
    site: Site
    workload: Workload
    number: int


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """Measure every contender ``repetitions`` times, taking turns.

    Raises:
        BenchError: a contender died, did not finish, or was wrong.
    """
    workload = Workload.of_changes(QUICK_CHANGES if quick else CHANGES)
    for prefix in (PREFIX, IDLE):
        await site.owdd(f"schema-{prefix}", prefix)
    await site.produce(workload.messages())
    samples: dict[str, list[Sample]] = {}
    contenders: list[Callable[[_Run], Awaitable[Mapping[str, Sample]]]] = [_together, _split, _faust, _quix, _bare]
    for number in range(repetitions):
        for contender in contenders:
            for name, sample in (await contender(_Run(site, workload, number))).items():
                samples.setdefault(name, []).append(sample)
    return _result(workload, samples)


async def _together(run: _Run) -> Mapping[str, Sample]:
    app = await run.site.owdd(f"both{run.number}")
    sample = await owdd_measured(run.site, app, ("ingest", "agents"), whole_flow(app), run.workload.captured)
    _compare(BOTH, await _desired(run.site, app), run.workload.truth)
    return {BOTH: sample}


async def _split(run: _Run) -> Mapping[str, Sample]:
    """Ingest over the whole backlog, then the agents over what it wrote."""
    app = await run.site.owdd(f"apart{run.number}")
    samples: dict[str, Sample] = {}
    for label, role, flow in ((INGEST, "ingest", ingest_flow(app)), (AGENTS, "agents", agents_flow(app))):
        samples[label] = await owdd_measured(run.site, app, (role,), flow, run.workload.captured)
    _compare(AGENTS, await _desired(run.site, app), run.workload.truth)
    return samples


async def _faust(run: _Run) -> Mapping[str, Sample]:
    command = ["-m", "faust", "-A", "bench.contenders.faust_join", "-L", "uvloop"]
    command += ["worker", "-l", "info", "--without-web"]
    for name in (f"faust{run.number}", f"faust-{IDLE}{run.number}"):
        await run.site.create(Names.of(name).changelogs, cleanup_policy="compact")
    return {FAUST: await _peer(run, FAUST, "faust", command, says("[^-App]: Starting"))}


async def _quix(run: _Run) -> Mapping[str, Sample]:
    return {QUIX: await _peer(run, QUIX, "quix", ["-m", "bench.contenders.quix_join"], says(STARTING))}


async def _peer(run: _Run, label: str, name: str, command: list[str], begun: Begun) -> Sample:
    idle_names, names = Names.of(f"{name}-{IDLE}{run.number}"), Names.of(f"{name}{run.number}")
    await run.site.create((*idle_names.topics, *names.topics))
    idle = await idle_cost(run.site.peer(idle_names.group, command, BENCH_PREFIX=IDLE), begun)
    flow = Flow({names.group: (*sources(PREFIX), *names.between)}, (names.out,))
    child = run.site.peer(names.group, command, BENCH_PREFIX=PREFIX)
    sample = await measured(run.site, child, begun, flow, idle, run.workload.captured)
    found: dict[str, Any] = {}
    async for key, value in run.site.read(names.out):
        found[(key or b"").decode()] = orjson.loads(value or b"{}")
    _compare(label, _totals(found), run.workload.truth)
    return sample


async def _bare(run: _Run) -> Mapping[str, Sample]:
    command, name, begun = ["-m", "bench.contenders.bare_join"], f"bare{run.number}", says(STARTING)
    idle = await idle_cost(run.site.peer(f"{name}-{IDLE}", command, BENCH_PREFIX=IDLE), begun)
    flow = Flow({Names.of(name).group: sources(PREFIX)})
    child = run.site.peer(name, command, BENCH_PREFIX=PREFIX)
    sample = await measured(run.site, child, begun, flow, idle, run.workload.captured)
    totals: Path = run.site.directory / "data" / name / TOTALS
    _compare(BARE, _totals(orjson.loads(totals.read_bytes())), run.workload.truth)
    return {BARE: sample}


async def _desired(site: Site, app: Owdd) -> Totals:
    names = load_mapping(app.mapping).contact_fields
    found: Totals = {}
    desired = Topics.of(app.settings.app_id).desired
    async for _, value in site.read(desired):
        for change in desired.unpack(value):
            if isinstance(change.row, DesiredContact) and change.row.fields is not None:
                # Money arrives as exact JSON numbers, which a float would round.
                fields = json.loads(change.row.fields, parse_float=Decimal)
                spend = Decimal(fields[names.total_spend])
                found[customer_of(change.key)] = Total(fields[names.order_count], int(spend * 10_000))
    return found


def _totals(found: Mapping[str, Mapping[str, Any]]) -> Totals:
    return {customer_of(address): Total(item["count"], item["spend"]) for address, item in found.items()}


def _compare(name: str, found: Totals, truth: Totals) -> None:
    wrong = [customer for customer in truth if not _same(found.get(customer), truth[customer])]
    if wrong or found.keys() - truth.keys():
        shown = "; ".join(f"customer {key}: {found.get(key)} instead of {truth[key]}" for key in wrong[:5])
        raise WrongResult(f"{name}: {len(wrong)} of {len(truth)} customers are wrong: {shown}")


def _same(found: Total | None, true: Total) -> bool:
    # Ours are rounded to the cent.
    return found is not None and found.orders == true.orders and abs(found.spend - true.spend) <= 50


def _result(workload: Workload, samples: Mapping[str, list[Sample]]) -> Result:
    faust = Spread.of([sample.cost for sample in samples[FAUST]]).median
    bare = Spread.of([sample.cost for sample in samples[BARE]]).median
    quix = Spread.of([sample.cost for sample in samples[QUIX]]).median
    result = Result(
        "join",
        f"{workload.captured:,} captured changes, {workload.orders:,} orders of {workload.customers:,} customers",
        [
            "contender",
            "changes/s (wall)",
            "CPU-s per 100k",
            "× stock Faust",
            "× quixstreams",
            "× bare loop",
            "broker CPU-s",
            "peak MiB",
        ],
    )
    for name, runs in samples.items():
        rate, cost = Spread.of([sample.rate for sample in runs]), Spread.of([sample.cost for sample in runs])
        broker = Spread.of([sample.broker_cost for sample in runs])
        peak = max(sample.peak_rss for sample in runs) / 2**20
        ratios = [f"{peer / cost.median:.2f}" for peer in (faust, quix, bare)]
        result.rows.append([name, rate.text(0), cost.text(), *ratios, broker.text(), f"{peak:,.0f}"])
        result.data[name] = {
            "changes_per_second": rate.json(),
            "cpu_seconds_per_100k": cost.json(),
            "broker_cpu_seconds_per_100k": broker.json(),
            "times_stock_faust": faust / cost.median,
            "times_quixstreams": quix / cost.median,
            "times_bare_loop": bare / cost.median,
            "peak_rss_bytes": max(sample.peak_rss for sample in runs),
        }
    ours = Spread.of([sample.cost for sample in samples[BOTH]]).median
    if faust / ours < 10:
        result.failed.append(f"{faust / ours:.2f} × stock Faust, the bar is 10")
    if quix / ours < 1:
        result.failed.append(f"{quix / ours:.2f} × quixstreams, the bar is 1")
    result.notes += [
        "×: changes per CPU second, relative to the contender named; higher is better. Every customer's totals were checked.",
        "CPU: user and system, of the contender's process, less what it uses while topics are empty",
        "ours alone has its JSON decoded by one process and joined by another; the peers do both in one, as `owdd` does",
    ]
    return result
