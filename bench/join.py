"""``join``: the same topology over the same input, ours beside what a user would pick instead.

Customers, contacts, order headers, totals and lines become one document per customer, in every contender. Each keeps its
state durable where it knows how to (changelog on, offsets committed), is one process, and its totals are compared with the
generator's after each run.
"""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial

from bench.contenders.common import IDLE
from bench.contenders.peers import BARE, FAUST, PATHWAY, STREAMS, Contacts, Peer, peers
from bench.errors import WrongResult
from bench.measure import agents_flow, idle_cost, ingest_flow, measured, owdd_measured, whole_flow
from bench.results import Goal, Result, Sample, Spread
from bench.site import Owdd, Site
from bench.workload import PREFIX, Total, Workload
from bench.workload_rows import customer_of
from streams.mapping import load_mapping
from streams.messages.changes import DesiredContact
from streams.messages.topics import Topics

CHANGES, QUICK_CHANGES = 100_000, 20_000

BOTH, INGEST, AGENTS = "owdd", "owdd: ingest alone", "owdd: agents alone"
BARS = {FAUST: 25.0, STREAMS: 2.0, PATHWAY: 1.0, BARE: 0.4}
"""Changes per CPU second, relative to a peer's."""
_MEMORY_BAR = 600 * 2**20

Totals = dict[int, Total]


@dataclass(frozen=True, slots=True)
class Scope:
    """What is measured: peers by their labels (none: all of them), and how many changes of orders (0: as many as usual)."""

    peers: Sequence[str] = ()
    changes: int = 0


@dataclass(frozen=True, slots=True)
class _Run:
    site: Site
    workload: Workload
    number: int


async def run(site: Site, *, quick: bool, repetitions: int, scope: Scope = Scope()) -> Result:
    """Measure every contender ``repetitions`` times, taking turns.

    Raises:
        BenchError: a contender died, did not finish, or was wrong; a peer cannot be installed.
    """
    workload = Workload.of_changes(scope.changes or (QUICK_CHANGES if quick else CHANGES))
    others = peers(site.directory, scope.peers)
    for prefix in (PREFIX, IDLE):
        await site.owdd(f"schema-{prefix}", prefix)
    await site.produce(workload.messages())
    samples: dict[str, list[Sample]] = {}
    contenders: list[Callable[[_Run], Awaitable[Mapping[str, Sample]]]] = [_together, _split]
    contenders += [partial(_peer, peer) for peer in others]
    for number in range(repetitions):
        for contender in contenders:
            for name, sample in (await contender(_Run(site, workload, number))).items():
                samples.setdefault(name, []).append(sample)
    return _result(workload, samples)


async def _together(run: _Run) -> Mapping[str, Sample]:
    app = await run.site.owdd(f"both{run.number}")
    sample = await owdd_measured(run.site, app, ("ingest", "agents"), whole_flow(app), run.workload.captured)
    compare(BOTH, await desired_totals(run.site, app), run.workload.truth)
    return {BOTH: sample}


async def _split(run: _Run) -> Mapping[str, Sample]:
    """Ingest over the whole backlog, then the agents over what it wrote."""
    app = await run.site.owdd(f"apart{run.number}")
    samples: dict[str, Sample] = {}
    for label, role, flow in ((INGEST, "ingest", ingest_flow(app)), (AGENTS, "agents", agents_flow(app))):
        samples[label] = await owdd_measured(run.site, app, (role,), flow, run.workload.captured)
    compare(AGENTS, await desired_totals(run.site, app), run.workload.truth)
    return samples


async def _peer(peer: Peer, run: _Run) -> Mapping[str, Sample]:
    site, number = run.site, str(run.number)
    idle = await idle_cost(await peer.idle_child(site, number), peer.begun)
    child = await peer.child(site, number)
    sample = await measured(site, child, peer.begun, peer.flow(site, number), idle, run.workload.captured)
    compare(peer.label, totals_of(await peer.contacts(site, number)), run.workload.truth)
    return {peer.label: sample}


async def desired_totals(site: Site, app: Owdd) -> Totals:
    """The totals in the contacts that ours wants delivered."""
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


def totals_of(found: Contacts) -> Totals:
    """The totals in a peer's documents."""
    return {customer_of(address): Total(item["count"], item["spend"]) for address, item in found.items()}


def compare(name: str, found: Totals, truth: Totals) -> None:
    """See that a contender is right about every customer.

    Raises:
        WrongResult: it is not.
    """
    wrong = [customer for customer in truth if not _same(found.get(customer), truth[customer])]
    if wrong or found.keys() - truth.keys():
        shown = "; ".join(f"customer {key}: {found.get(key)} instead of {truth[key]}" for key in wrong[:5])
        raise WrongResult(f"{name}: {len(wrong)} of {len(truth)} customers are wrong: {shown}")


def _same(found: Total | None, true: Total) -> bool:
    # Ours are rounded to the cent.
    return found is not None and found.orders == true.orders and abs(found.spend - true.spend) <= 50


def _result(workload: Workload, samples: Mapping[str, list[Sample]]) -> Result:
    costs = {name: Spread.of([sample.cost for sample in runs]).median for name, runs in samples.items()}
    others = [name for name in BARS if name in costs]
    result = Result(
        "join",
        f"{workload.captured:,} captured changes, {workload.orders:,} orders of {workload.customers:,} customers",
        [
            "contender",
            "changes/s (wall)",
            "CPU-s per 100k",
            *(f"× {name}" for name in others),
            "broker CPU-s",
            "peak MiB",
        ],
    )
    for name, runs in samples.items():
        rate, cost = Spread.of([sample.rate for sample in runs]), Spread.of([sample.cost for sample in runs])
        broker = Spread.of([sample.broker_cost for sample in runs])
        peak = max(sample.peak_rss for sample in runs)
        ratios = {other: costs[other] / cost.median for other in others}
        cells = [f"{ratio:.2f}" for ratio in ratios.values()]
        result.rows.append([name, rate.text(0), cost.text(), *cells, broker.text(), f"{peak / 2**20:,.0f}"])
        result.data[name] = {
            "changes_per_second": rate.json(),
            "cpu_seconds_per_100k": cost.json(),
            "broker_cpu_seconds_per_100k": broker.json(),
            "changes_per_cpu_second_relative_to": ratios,
            "peak_rss_bytes": peak,
        }
    ours = {other: costs[other] / costs[BOTH] for other in others}
    result.goals += [
        Goal(f"join: changes per CPU second, of {name}", ratio, BARS[name], "×", at_least=True) for name, ratio in ours.items()
    ]
    peak = max(sample.peak_rss for sample in samples[BOTH])
    result.goals.append(Goal("join: memory", peak / 2**20, _MEMORY_BAR / 2**20, "MiB"))
    result.notes += [
        "×: changes per CPU second, relative to the contender named; higher is better. Every customer's totals were checked.",
        "CPU: user and system, of the contender's process, less what it uses while topics are empty",
        "ours alone has its JSON decoded by one process and joined by another; the peers do both in one, as `owdd` does",
        "Kafka Streams: one thread, at most 1 GiB of heap, a commit every 5 s (exactly once: 100 ms); its compiler counts",
        "Pathway: one thread; the state is in memory, or written to files as well if persistent",
    ]
    return result
