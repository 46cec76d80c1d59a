"""``urgent``: from the append of an urgent change to its request, 200 changes a second, during a backfill.

``owdd run --only dispatch`` on a real broker against the sandbox, which notes when each request arrives. Every change is of
another contact, so each is a request of its own. All share this machine: what the sandbox and the broker take is on top.
"""

import asyncio
import random
import sys
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import msgspec
from pydantic import SecretStr

from bench.child import Child
from bench.errors import NotDrained
from bench.results import Result, Spread
from bench.site import Owdd, Site
from streams.core.lanes import Lane
from streams.dispatch.policies import client_config
from streams.domain.versioned import version_bytes
from streams.dotdigital import bootstrap
from streams.dotdigital.client import DotdigitalClient, unobserved
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
_USER, _PASSWORD = "api-user", "sandbox-password"
_BULK = {"OWDD_BULK_QUIET": "1", "OWDD_BULK_LONGEST": "5"}
"""So that the backfill goes out while the urgent changes do."""
_PATIENCE = 120.0


@dataclass(frozen=True, slots=True)
class _Stage:
    site: Site
    app: Owdd
    sandbox: httpx.AsyncClient
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

    async def held(self) -> dict[int, str]:
        """The address of every contact, by id."""
        state = (await self.sandbox.get("/_sandbox/state")).json()
        return {contact["contactId"]: contact["email"] for contact in state["contacts"]}

    async def calls(self) -> int:
        """How many requests there were so far."""
        return int((await self.sandbox.get("/_sandbox/requests", params={"limit": 0})).json()["total"])

    async def arrivals(self, emails: Mapping[int, str], wanted: AbstractSet[str], since: int) -> dict[str, int]:
        """When the first change of each wanted contact arrived (epoch ms), after request number ``since``."""
        found: dict[str, int] = {}
        deadline = time.monotonic() + _PATIENCE
        while wanted - found.keys():
            rows = (await self.sandbox.get("/_sandbox/requests", params={"since": since})).json()["requests"]
            for row in rows:
                since = row["n"]
                if row["method"] == "PATCH" and (email := emails.get(_contact(row["path"]), "")) in wanted:
                    at = datetime.fromisoformat(row["at"])
                    found.setdefault(email, round(at.timestamp() * 1000))
            if time.monotonic() > deadline:
                raise NotDrained(f"{len(found):,} of {len(wanted):,} changes arrived:\n{self.worker.said(20)}")
            if not rows:
                await asyncio.sleep(0.5)
        return found

    async def until(self, contacts: int) -> dict[int, str]:
        """Wait until the account has so many contacts."""
        deadline = time.monotonic() + _PATIENCE
        while len(found := await self.held()) < contacts:
            self.worker.check()
            if time.monotonic() > deadline:
                raise NotDrained(f"{len(found):,} of {contacts:,} contacts exist:\n{self.worker.said(20)}")
            # Showing everybody keeps the sandbox busy for a while.
            await asyncio.sleep(5.0)
        return found


async def run(site: Site, *, quick: bool, repetitions: int) -> Result:
    """Delays of urgent changes, alone and beside a backfill.

    Raises:
        BenchError: the worker died, or did not finish.
    """
    seconds, backfill = (_QUICK_SECONDS, _QUICK_BACKFILL) if quick else (_SECONDS, _BACKFILL)
    delays: dict[str, list[list[int]]] = {"alone": [], "beside a backfill": []}
    async with _stage(site) as stage:
        await stage.append(_now(islice(stage.shop.found(RATE * seconds, 0), RATE * seconds), Lane.BULK))
        emails = await stage.until(RATE * seconds)
        for _ in range(repetitions):
            delays["alone"].append(await _urgent(stage, emails, seconds))
            await stage.append(_newcomers(stage.shop, backfill))
            delays["beside a backfill"].append(await _urgent(stage, emails, seconds))
            await stage.until(len(stage.shop.customers))
    return _result(delays, seconds, backfill)


@asynccontextmanager
async def _stage(site: Site) -> AsyncIterator[_Stage]:
    mapping = load_mapping()
    app = await site.owdd("urgent")
    address = site.directory / "sandbox.url"
    account = {"OWDD_DOTDIGITAL_USER": _USER, "OWDD_DOTDIGITAL_PASSWORD": _PASSWORD}
    command = [sys.executable, "-m", "streams", "sandbox", "--port", "0", "--port-file", str(address)]
    with Child("sandbox", command, app.environment() | account, site.directory / "sandbox.log") as sandbox:
        url = await _published(sandbox, address)
        settings = app.settings.model_copy(
            update={"dotdigital_url": url, "dotdigital_user": _USER, "dotdigital_password": SecretStr(_PASSWORD)}
        )
        async with DotdigitalClient(client_config(settings), unobserved) as client:
            await bootstrap.apply(client, await bootstrap.plan(client, mapping))
        app = replace(app, more=account | _BULK | {"OWDD_DOTDIGITAL_URL": url})
        with site.worker(app, "dispatch") as worker:
            async with site.producer() as producer, httpx.AsyncClient(base_url=url, timeout=60.0) as http:
                yield _Stage(site, app, http, producer, TrafficShop(random.Random(1), mapping), worker)


async def _published(sandbox: Child, address: Path) -> str:
    deadline = time.monotonic() + _PATIENCE
    while not address.exists():
        sandbox.check()
        if time.monotonic() > deadline:
            raise NotDrained("the sandbox did not start")
        await asyncio.sleep(0.05)
    return address.read_text().strip()


def _contact(path: str) -> int:
    found = path.removeprefix("/contacts/v3/contactId/")
    return int(found) if found.isdecimal() else 0


def _now(changes: Iterable[Change], lane: Lane) -> Iterable[Change]:
    """The same content, told at this moment."""
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
    since = await stage.calls()
    sent: dict[str, int] = {}
    started = time.monotonic()
    async with asyncio.TaskGroup() as group:
        for number, change in enumerate(changes):
            await asyncio.sleep(max(0.0, started + number / RATE - time.monotonic()))
            (published,) = _now([change], Lane.URGENT)
            sent[change.key] = published.caused_at
            group.create_task(stage.append([published]))
    arrived = await stage.arrivals(emails, sent.keys(), since)
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
        if shown[0.99].median > BAR_MS:
            result.failed.append(f"{name}: p99 {shown[0.99].median:.0f} ms, the bar is {BAR_MS:.0f}")
    result.notes.append("from the append of a change to the arrival of its request, 200 ms of debounce included")
    return result
