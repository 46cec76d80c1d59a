"""``watching``: what metrics, the lag probe, the canary and scrapes cost; with and without them in turn, in one run.

Without them a worker runs as :mod:`bench.unwatched`. With them it is asked for its metrics as often as the shipped Prometheus
asks. Measured are the join of ``bench join`` (the bar), the idle pipeline, and twenty changes a second.
"""

import asyncio
import contextlib
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager

import httpx

from bench.measure import owdd_measured, whole_flow
from bench.pace import Pipeline, open_pipeline, play
from bench.results import Goal, Result, Spread
from bench.site import PROGRAM, Site
from bench.workload import PREFIX, Workload

_BAR = 0.03
_CHANGES, _QUICK_CHANGES = 100_000, 20_000
_CUSTOMERS, _QUICK_CUSTOMERS = 600, 200
_IDLE_SECONDS, _QUICK_IDLE_SECONDS = 30.0, 15.0
_RATE = 20
_SCRAPE_SECONDS = 5.0
"""As ``grafana/prometheus.yml`` has it."""

_WITH, _WITHOUT = "with", "without"
_PROGRAMS = {_WITH: PROGRAM, _WITHOUT: (sys.executable, "-m", "bench.unwatched")}
_JOIN, _IDLE, _PACE = "join, CPU s/100k changes", "idle, cores", f"{_RATE} changes/s, CPU ms a change"

Measurements = dict[str, dict[str, list[float]]]
"""Measurements by what, and by with or without."""


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """Measure each with and without, taking turns.

    Raises:
        BenchError: a worker died, or did not finish.
    """
    workload = Workload.of_changes(_QUICK_CHANGES if quick else _CHANGES)
    await site.owdd("watching-schema")
    await site.produce(workload.messages())
    found: Measurements = defaultdict(lambda: defaultdict(list))
    for number in range(repetitions):
        for kind, program in _PROGRAMS.items():
            app = await site.owdd(f"watching-{kind}-{number}", PREFIX)
            async with _scraped([app.port] if kind == _WITH else []):
                sample = await owdd_measured(
                    site, app, ("ingest", "agents"), whole_flow(app), workload.captured, program=program
                )
            found[_JOIN][kind].append(sample.cost)
            customers = _QUICK_CUSTOMERS if quick else _CUSTOMERS
            async with (
                open_pipeline(site, customers, name=f"{kind}-{number}", program=program) as pipeline,
                _scraped(pipeline.ports.values() if kind == _WITH else []),
            ):
                idle, pace = await _paced(pipeline, customers, _QUICK_IDLE_SECONDS if quick else _IDLE_SECONDS)
            found[_IDLE][kind].append(idle)
            found[_PACE][kind].append(pace)
    return _result(found, workload.captured)


async def _paced(pipeline: Pipeline, customers: int, seconds: float) -> tuple[float, float]:
    """Cores of the three workers while nothing happens, then CPU ms of them for a change."""
    before, started = pipeline.cpu(), time.monotonic()
    await asyncio.sleep(seconds)
    idle = _of_workers(pipeline, before) / (time.monotonic() - started)
    before = pipeline.cpu()
    await play(pipeline, list(pipeline.workload.despatches(range(1, customers + 1), 0)), _RATE)
    used = _of_workers(pipeline, before)
    pipeline.check()
    return idle, 1000 * used / customers


def _of_workers(pipeline: Pipeline, before: Mapping[str, float]) -> float:
    used = pipeline.since(before)
    return sum(used[role] for role in pipeline.workers)


@asynccontextmanager
async def _scraped(ports: Iterable[int]) -> AsyncIterator[None]:
    """Ask for the metrics of workers as Prometheus would."""
    targets = [f"http://127.0.0.1:{port}/metrics" for port in ports]

    async def scrape() -> None:
        async with httpx.AsyncClient() as http:
            while True:
                for target in targets:
                    with contextlib.suppress(httpx.HTTPError):
                        await http.get(target, headers={"accept-encoding": "gzip"})
                await asyncio.sleep(_SCRAPE_SECONDS)

    scraping = asyncio.create_task(scrape())
    try:
        yield
    finally:
        scraping.cancel()
        await asyncio.wait([scraping])


def _result(found: Measurements, changes: int) -> Result:
    result = Result("watching", f"{changes:,} changes joined; then three workers", ["what", _WITH, _WITHOUT, "cost"])
    for what, kinds in found.items():
        with_, without = Spread.of(kinds[_WITH]), Spread.of(kinds[_WITHOUT])
        cost = with_.median / without.median - 1
        result.rows.append([what, with_.text(3), without.text(3), f"{cost:+.1%}"])
        result.data[what] = {_WITH: with_.json(), _WITHOUT: without.json(), "cost": cost}
        if what == _JOIN:
            result.goals.append(Goal("join: CPU for being watched", 100 * cost, 100 * _BAR, "%"))
    return result
