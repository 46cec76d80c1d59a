"""``partitions``: what a change costs with 1 to 32 partitions; each number on a broker of its own."""

from bench.join import BOTH, compare, desired_totals
from bench.measure import owdd_measured, whole_flow
from bench.results import Goal, Result, Sample, Spread
from bench.site import open_site
from bench.workload import PREFIX, Workload

NUMBERS = (1, 4, 16, 32)
CHANGES, QUICK_CHANGES = 60_000, 10_000
BAR = 1.3


async def run(*, quick: bool, repetitions: int) -> Result:
    """CPU of ingest and agents in one process over the same backlog, by the number of partitions.

    Raises:
        BenchError: the worker died, did not finish, or was wrong.
    """
    found: dict[int, list[Sample]] = {number: [] for number in NUMBERS}
    captured = 0
    for turn in range(repetitions):
        for number in NUMBERS:
            workload = Workload.of_changes(QUICK_CHANGES if quick else CHANGES)
            async with open_site(number) as site:
                app = await site.owdd(f"partitions{number}-{turn}", PREFIX)
                await site.produce(workload.messages())
                captured = workload.captured
                found[number].append(await owdd_measured(site, app, ("ingest", "agents"), whole_flow(app), captured))
                compare(BOTH, await desired_totals(site, app), workload.truth)
    result = Result(
        "partitions",
        f"{captured:,} captured changes, as many partitions of every topic",
        ["partitions", "changes/s (wall)", "CPU-s per 100k", "broker CPU-s", "peak MiB"],
    )
    costs = {number: Spread.of([sample.cost for sample in samples]) for number, samples in found.items()}
    for number, samples in found.items():
        rate, broker = Spread.of([one.rate for one in samples]), Spread.of([one.broker_cost for one in samples])
        peak = max(one.peak_rss for one in samples)
        result.rows.append([f"{number}", rate.text(0), costs[number].text(), broker.text(), f"{peak / 2**20:,.0f}"])
        result.data[f"{number}"] = {"cpu_seconds_per_100k": costs[number].json(), "peak_rss_bytes": peak}
    least = min(cost.median for cost in costs.values())
    dearest = max(costs, key=lambda number: costs[number].median)
    ratio = costs[dearest].median / least
    result.goals.append(Goal(f"1 to 32 partitions: cost of a change with {dearest}, of the cheapest's", ratio, BAR, "×"))
    return result
