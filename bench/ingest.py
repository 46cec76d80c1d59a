"""``ingest``: decode, validate, trim, re-key and pack, alone."""

from bench.join import CHANGES, QUICK_CHANGES
from bench.measure import ingest_flow, owdd_measured
from bench.results import Result, Sample, Spread
from bench.site import Site
from bench.workload import Workload

_PREFIX = "ingest"


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """Records a second and CPU of ``owdd run --only ingest`` over a backlog.

    Raises:
        BenchError: the worker died or did not finish.
    """
    workload = Workload.of_changes(QUICK_CHANGES if quick else CHANGES)
    workload.prefix = _PREFIX
    await site.owdd("ingest-schema", _PREFIX)
    size = 0
    messages = []
    for message in workload.messages():
        size += len(message.value)
        messages.append(message)
    await site.produce(messages)
    samples = [await _once(site, workload, number) for number in range(repetitions)]
    rate = Spread.of([sample.rate for sample in samples])
    cost = Spread.of([sample.cost for sample in samples])
    broker = Spread.of([sample.broker_cost for sample in samples])
    result = Result(
        "ingest",
        f"{workload.captured:,} envelopes of {size / workload.captured:,.0f} bytes",
        ["part", "records/s (wall)", "CPU-s per 100k", "broker CPU-s", "peak MiB"],
    )
    peak = max(sample.peak_rss for sample in samples)
    result.rows.append(["owdd ingest", rate.text(0), cost.text(), broker.text(), f"{peak / 2**20:,.0f}"])
    result.data = {
        "records_per_second": rate.json(),
        "cpu_seconds_per_100k": cost.json(),
        "broker_cpu_seconds_per_100k": broker.json(),
        "envelope_bytes": size / workload.captured,
        "peak_rss_bytes": peak,
    }
    return result


async def _once(site: Site, workload: Workload, number: int) -> Sample:
    app = await site.owdd(f"ingest{number}", _PREFIX)
    return await owdd_measured(site, app, ("ingest",), ingest_flow(app), workload.captured)
