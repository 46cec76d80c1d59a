"""``urgent``: from the append of an urgent change to its request, 200 changes a second, during a backfill.

``owdd run --only dispatch`` on a real broker against the sandbox, which notes when each request arrives. Every change is of
another contact, so each is a request of its own. All share this machine: what the sandbox and the broker take is on top.
"""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any

import msgspec

from bench.account import Account, open_account
from bench.child import Child
from bench.results import Goal, Result, Spread
from bench.site import Owdd, Site
from streams.core.lanes import Lane
from streams.domain.versioned import version_bytes
from streams.engine.unit_of_work import packed
from streams.kafka.producer import BatchProducer
from streams.mapping import load_mapping
from streams.messages.changes import Change, partition_of
from streams.messages.topics import Topics
from testkit.virtual.measures import percentile
from testkit.virtual.traffic import TrafficShop

RATE = 200
BAR_MS = 250.0

_SECONDS, _QUICK_SECONDS = 30, 10
_BACKFILL, _QUICK_BACKFILL = 30_000, 5_000
_BULK = {"OWDD_BULK_QUIET": "1", "OWDD_BULK_LONGEST": "5"}
"""So that the backfill goes out while the urgent changes do."""


@dataclass(frozen=True, slots=True)
class _Stage:
    app: Owdd
    account: Account
    producer: BatchProducer
    shop: TrafficShop
    worker: Child

    async def append(self, changes: Iterable[Change]) -> None:
        """What the agents would append, in as few records."""
        settings = self.app.settings
        places: dict[int, list[Any]] = defaultdict(list)
        for change in changes:
            places[partition_of(change.key, settings.partitions)].append(change)
        topic = Topics.of(settings.app_id).desired
        await asyncio.gather(*(self.producer.send(topic, place, packed(topic, those)) for place, those in places.items()))


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """Delays of urgent changes, alone and beside a backfill.

    Raises:
        BenchError: the worker died, or did not finish.
    """
    seconds, backfill = (_QUICK_SECONDS, _QUICK_BACKFILL) if quick else (_SECONDS, _BACKFILL)
    delays: dict[str, list[list[int]]] = {"alone": [], "beside a backfill": []}
    async with _stage(site) as stage:
        await stage.append(_now(islice(stage.shop.found(RATE * seconds, 0), RATE * seconds), Lane.BULK))
        emails = await stage.account.until(RATE * seconds, stage.worker)
        for _ in range(repetitions):
            delays["alone"].append(await _urgent(stage, emails, seconds))
            await stage.append(_newcomers(stage.shop, backfill))
            delays["beside a backfill"].append(await _urgent(stage, emails, seconds))
            await stage.account.until(len(stage.shop.customers), stage.worker)
    return _result(delays, seconds, backfill)


@asynccontextmanager
async def _stage(site: Site) -> AsyncIterator[_Stage]:
    async with open_account(site, await site.owdd("urgent")) as (account, app):
        app = replace(app, more=app.more | _BULK)
        with site.worker(app, "dispatch") as worker:
            async with site.producer() as producer:
                yield _Stage(app, account, producer, TrafficShop(random.Random(1), load_mapping(app.mapping)), worker)


def _now(changes: Iterable[Change], lane: Lane) -> Iterable[Change]:
    """The same content, published at this moment."""
    for change in changes:
        now = time.time_ns()
        yield msgspec.structs.replace(change, lane=lane, caused_at=now // 1_000_000, position=version_bytes(now // 1000))


def _newcomers(shop: TrafficShop, count: int) -> Iterable[Change]:
    newcomers = [shop.newcomer() for _ in range(count)]
    shop.plan(0, shop.load(iter(newcomers), 1, count))
    return _now((event.change for event in shop.run()), Lane.BULK)


async def _urgent(stage: _Stage, emails: Mapping[int, str], seconds: int) -> list[int]:
    """Append at an even rate; the delay of each change in ms, until its request arrived."""
    known = set(emails.values())
    customers = [customer for customer in stage.shop.customers if customer.email in known][: RATE * seconds]
    for number, customer in enumerate(customers):
        stage.shop.plan(number, stage.shop.rename(customer, f"Name{time.time_ns()}"))
    changes = [event.change for event in stage.shop.run()]
    since = await stage.account.moment()
    sent: dict[str, int] = {}
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, change in enumerate(changes):
            await asyncio.sleep(max(0.0, started + number / RATE - time.monotonic()))
            (published,) = _now([change], Lane.URGENT)
            sent[change.key] = published.caused_at
            group.create_task(stage.append([published]))
    arrived = await stage.account.arrivals(emails, sent.keys(), since, stage.worker)
    return [arrived[email] - caused_at for email, caused_at in sent.items()]


def _result(delays: Mapping[str, Sequence[Sequence[int]]], seconds: int, backfill: int) -> Result:
    result = Result(
        "urgent",
        f"{RATE} urgent changes a second for {seconds} s, alone and beside {backfill:,} contacts to create by import",
        ["urgent changes", "p50 ms", "p95 ms", "p99 ms", "most ms"],
    )
    for name, runs in delays.items():
        shown = {share: Spread.of([percentile(run, share) or 0.0 for run in runs]) for share in (0.5, 0.95, 0.99, 1.0)}
        result.rows.append([name, *(spread.text(0) for spread in shown.values())])
        result.data[name] = {f"p{share * 100:g}_ms": spread.json() for share, spread in shown.items()}
        result.goals.append(Goal(f"dispatch alone, {RATE} urgent changes/s {name}: p99", shown[0.99].median, BAR_MS, "ms"))
    result.notes.append("from the append of a change to the arrival of its request, 200 ms of debounce included")
    return result
