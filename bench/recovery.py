"""``recovery``: changelog records a second that a worker without its data directory reads, beside partitions that are live.

The changelogs of buyers and contacts are full, that of orders is empty: so the orders stage is open at once and goes on, with
changes from ingest, while the others are recovered. A plain loop over the same changelogs is measured in the same run.
"""

import asyncio
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from random import Random

import orjson

from bench.child import Child, free_port
from bench.errors import NotDrained, WrongResult
from bench.results import Goal, Result, Spread
from bench.site import Owdd, Site
from bench.workload import PARTITIONS, Message, Workload
from streams.kafka.producer import BatchProducer, KeyValue
from streams.kafka.topics import agents_app, tables
from streams.messages.topics import Topics

RECORDS, QUICK_RECORDS = 2_000_000, 400_000
BAR = 150_000
LIVE_RATE = 50

_VERSIONS = 4
_VALUE_BYTES = 150
_PREFIX = "recovery"
_TABLES = ("buyers", "contacts")
_PLAIN, _OURS = "plain loop", "owdd, beside live partitions"
_PATIENCE = 180.0


@dataclass(frozen=True, slots=True)
class _Sample:
    records: int
    wall: float
    cpu: float

    @property
    def rate(self) -> float:
        return self.records / self.wall

    @property
    def cost(self) -> float:
        return self.cpu / self.records * 100_000


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """Measure the plain loop and the worker ``repetitions`` times, taking turns.

    Raises:
        BenchError: one of them died, did not finish, or did not read everything.
    """
    records = QUICK_RECORDS if quick else RECORDS
    app = await site.owdd("recovery", _PREFIX)
    changelogs = [tables(app.settings)[table] for table in _TABLES]
    async with BatchProducer(app.settings) as producer:
        await _fill(producer, changelogs, records)
    found: dict[str, list[_Sample]] = {_PLAIN: [], _OURS: []}
    live: list[float] = []
    # Few customers, so that orders come at once: they are what the open stage works on.
    feed = Workload(50, 100_000, updates=False, even=True, prefix=_PREFIX).messages()
    with site.worker(app, "ingest"):
        for number in range(repetitions):
            found[_PLAIN].append(_plain(site, changelogs, number))
            sample, applied = await _ours(site, app, number, feed)
            found[_OURS].append(sample)
            live.append(applied)
    return _result(records, found, live)


async def _fill(producer: BatchProducer, changelogs: list[str], records: int) -> None:
    """Each key ``_VERSIONS`` times, with values that compress as little as packed rows do."""
    rng = Random(1)
    keys = records // (len(changelogs) * PARTITIONS * _VERSIONS)
    for _ in range(_VERSIONS):
        for topic in changelogs:
            for partition in range(PARTITIONS):
                rows: list[KeyValue] = [(b"~%020d" % key, rng.randbytes(_VALUE_BYTES)) for key in range(keys)]
                await producer.send(topic, partition, rows)


def _plain(site: Site, changelogs: list[str], number: int) -> _Sample:
    child = site.peer(f"plain{number}", ["-m", "bench.contenders.plain_recovery", *changelogs])
    with child:
        child.wait_for_text("}", _PATIENCE)
        return _Sample(**orjson.loads(child.said(1)))


async def _ours(site: Site, app: Owdd, number: int, feed: Iterator[Message]) -> tuple[_Sample, float]:
    """One start without a data directory; beside it, how many changes a second the open stage applied meanwhile."""
    fresh = replace(app, data=app.data / f"lost{number}", port=free_port())
    expected = sum(await _ends(site, app))
    with site.worker(fresh, "agents") as worker:
        feeding = asyncio.create_task(_feed(site, feed))
        try:
            started = await asyncio.to_thread(worker.wait_for_text, "recovering state")
            before = await _progress(site, app)
            ended = await _opened(worker)
            applied = await _progress(site, app) - before
        finally:
            feeding.cancel()
            with suppress(asyncio.CancelledError):
                await feeding
        read = sum(int(line.rpartition("records=")[2]) for line in _opened_lines(worker))
        if read < expected:
            raise WrongResult(f"{read:,} of {expected:,} changelog records were read")
        sample = _Sample(read, ended - started, worker.meter.at(ended) - worker.meter.at(started))
        return sample, applied / sample.wall


async def _ends(site: Site, app: Owdd) -> list[int]:
    return list((await site.watch.ends([tables(app.settings)[table] for table in _TABLES])).values())


async def _progress(site: Site, app: Owdd) -> int:
    _, committed = await site.watch.lag({agents_app(app.settings): [Topics.of(app.settings.app_id).orders]})
    return committed


async def _feed(site: Site, feed: Iterator[Message]) -> None:
    async with site.producer() as producer:
        for message in feed:
            await site.append(producer, message)
            await asyncio.sleep(1 / LIVE_RATE)


async def _opened(worker: Child) -> float:
    """Wait until everything that is full is open; the moment (monotonic)."""
    deadline = time.monotonic() + _PATIENCE
    while len(_opened_lines(worker)) < len(_TABLES) * PARTITIONS:
        worker.check()
        if time.monotonic() > deadline:
            raise NotDrained(f"{worker.name} did not open its state:\n{worker.said(30)}")
        await asyncio.sleep(0.05)
    return worker.meter.sample()[0]


def _opened_lines(worker: Child) -> list[str]:
    lines = worker.said(1000).splitlines()
    return [line for line in lines if "state opened" in line and any(f"-{table}-changelog" in line for table in _TABLES)]


def _result(records: int, found: dict[str, list[_Sample]], live: list[float]) -> Result:
    result = Result(
        "recovery",
        f"{records:,} changelog records of two tables, {_VALUE_BYTES} bytes each, {_VERSIONS} of every key",
        ["what", "records/s", "CPU s per 100k"],
    )
    for name, samples in found.items():
        rate, cost = Spread.of([sample.rate for sample in samples]), Spread.of([sample.cost for sample in samples])
        result.rows.append([name, rate.text(0), cost.text()])
        result.data[name] = {"records_per_second": rate.json(), "cpu_seconds_per_100k": cost.json()}
    applied = Spread.of(live)
    result.data["live records a second meanwhile"] = applied.json()
    result.notes.append(f"{applied.text(1)} records a second were applied by the stage that was open")
    ours = Spread.of([sample.rate for sample in found[_OURS]]).median
    result.goals.append(Goal("recovery beside live partitions", ours, BAR, "records/s", at_least=True))
    return result
