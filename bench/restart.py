"""``restart``: how long an agents worker takes to be ready again with its data directory, and what a second worker costs it.

A worker has the state of many contacts. It is killed, and stopped, and started again on its directory: that is the time from
the start of the process to its readiness. Then a second worker without a directory joins while changes trickle in: the time
until both are ready, and the longest time in which no partition that stays where it is was written to.
"""

import asyncio
import os
import signal
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise

import httpx
from aiokafka import TopicPartition

from bench.child import Child, free_port
from bench.errors import NotDrained
from bench.measure import whole_flow
from bench.results import Goal, Result, Spread
from bench.site import Owdd, Site
from bench.workload import PARTITIONS, Message, Workload
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import tables

CONTACTS, QUICK_CONTACTS = 200_000, 20_000
READY_BAR, TAKEOVER_BAR, PAUSE_BAR = 10.0, 75.0, 3.0
RATE = 200
"""Changes a second while the second worker joins: each partition gets one every 20 ms."""

_PREFIX = "restart"
_PATIENCE = 300.0
_PACE = 500
"""Contacts a second that are loaded at least."""


@dataclass
class _Found:
    """Seconds, one of each a repetition."""

    killed: list[float] = field(default_factory=list)
    stopped: list[float] = field(default_factory=list)
    takeover: list[float] = field(default_factory=list)
    pause: list[float] = field(default_factory=list)


async def run(site: Site, *, quick: bool, repetitions: int, contacts: int = 0) -> Result:
    """Restart and join ``repetitions`` times; ``contacts`` (0: as many as usual) have state.

    Raises:
        BenchError: a worker died, or was not ready in time.
    """
    contacts = contacts or (QUICK_CONTACTS if quick else CONTACTS)
    app = await site.owdd(_PREFIX, _PREFIX)
    workload = Workload(contacts, contacts, lines=0, updates=False, even=True, prefix=_PREFIX)
    await site.produce(workload.messages())
    found = _Found()
    with site.worker(app, "ingest") as ingest:
        ingest.wait_for_port(app.port)
        mine = replace(app, port=free_port(), data=app.data / "agents")
        with site.worker(mine, "agents") as agents:
            await site.watch.drained(whole_flow(app), agents, _PATIENCE + contacts / _PACE)
            os.kill(agents.meter.pid, signal.SIGKILL)
        for number in range(repetitions):
            with site.worker(mine, "agents") as agents:
                found.killed.append(await _ready(mine, agents))
            with site.worker(mine, "agents") as agents:
                found.stopped.append(await _ready(mine, agents))
                await _join(site, mine, agents, workload, number, found)
                os.kill(agents.meter.pid, signal.SIGKILL)
    return _result(contacts, found)


async def _ready(app: Owdd, worker: Child) -> float:
    """Wait until the worker says that it is ready; seconds since this call."""
    started = time.monotonic()
    async with httpx.AsyncClient() as http:
        while True:
            worker.check()
            with suppress(httpx.HTTPError):
                if (await http.get(f"http://127.0.0.1:{app.port}/health/ready")).is_success:
                    return time.monotonic() - started
            if time.monotonic() - started > _PATIENCE:
                raise NotDrained(f"{worker.name} was not ready in time:\n{worker.said(30)}")
            await asyncio.sleep(0.05)


async def _join(site: Site, app: Owdd, first: Child, workload: Workload, number: int, found: _Found) -> None:
    """A second worker without a directory comes while changes trickle in."""
    log = tables(app.settings)["orders"]
    feeding = asyncio.create_task(_feed(site, workload, number))
    try:
        await _written_everywhere(site, log)
        began = time.time()
        other = replace(app, port=free_port(), data=app.data.with_name(f"second{number}"))
        with site.worker(other, "agents") as second:
            await asyncio.to_thread(second.wait_for_text, "recovering state", _PATIENCE)
            await _ready(other, second)
            await _ready(app, first)
            ended = time.time()
            await _written_everywhere(site, log)
            opened = second.said(10_000)
            stayed = {partition for partition in range(PARTITIONS) if f"{log}/{partition} " not in opened}
            found.takeover.append(ended - began)
            if stayed:
                found.pause.append(await _longest_pause(site, log, stayed, began))
    finally:
        feeding.cancel()
        with suppress(asyncio.CancelledError):
            await feeding


def _updates(workload: Workload, number: int) -> Iterator[Message]:
    round_ = number * 1_000
    while True:
        yield from workload.updates_of(list(range(1, workload.orders + 1)), round_)
        round_ += 1


async def _feed(site: Site, workload: Workload, number: int) -> None:
    async with site.producer() as producer:
        for message in _updates(workload, number):
            await site.append(producer, message)
            await asyncio.sleep(1 / RATE)


async def _written_everywhere(site: Site, topic: str) -> None:
    """Wait until every partition has grown."""
    before, deadline = await site.watch.ends([topic]), time.monotonic() + _PATIENCE
    while True:
        now = await site.watch.ends([topic])
        if all(now[place] > end for place, end in before.items()):
            return
        if time.monotonic() > deadline:
            raise NotDrained(f"nobody writes to all of {topic}")
        await asyncio.sleep(0.1)


async def _longest_pause(site: Site, topic: str, partitions: set[int], since: float) -> float:
    """The longest time between two records of one of ``partitions`` from ``since`` (epoch seconds) on."""
    places = [TopicPartition(topic, number) for number in partitions]
    times: dict[TopicPartition, list[float]] = defaultdict(lambda: [since])
    consumer = client.consumer(KafkaConfig(site.broker.bootstrap))
    async with consumer:
        consumer.assign(places)
        ends = await consumer.end_offsets(places)
        for place, at in (await consumer.offsets_for_times(dict.fromkeys(places, int(since * 1000)))).items():
            consumer.seek(place, at.offset)
        while places := [place for place in places if await consumer.position(place) < ends[place]]:
            for place, records in (await consumer.getmany(*places, timeout_ms=500)).items():
                times[place] += [record.timestamp / 1000 for record in records]
    return max(later - earlier for found in times.values() for earlier, later in pairwise(found))


def _result(contacts: int, found: _Found) -> Result:
    result = Result("restart", f"the state of {contacts:,} contacts with an order each", ["what", "seconds", "bar"])
    rows: list[tuple[str, list[float], float]] = [
        ("killed, and started on its data directory, until ready", found.killed, READY_BAR),
        ("stopped, and started on its data directory, until ready", found.stopped, READY_BAR),
        ("a second worker without a directory, until both are ready", found.takeover, TAKEOVER_BAR),
        ("longest pause of a partition that stayed meanwhile", found.pause, PAUSE_BAR),
    ]
    for what, seconds, bar in rows:
        if not seconds:
            # A worker that is slow to join again loses all partitions for a while.
            result.failed.append(f"{what}: none stayed")
            continue
        spread = Spread.of(seconds)
        result.rows.append([what, spread.text(1), f"{bar:g}"])
        result.data[what] = spread.json()
        result.goals.append(Goal(what, spread.median, bar, "s"))
    return result
