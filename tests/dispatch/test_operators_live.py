"""Brake and pause over a real broker: workers of dispatch, a person's commands, and a worker that is killed meanwhile."""

import asyncio
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import httpx
import orjson

from streams.core.lanes import Lane
from streams.domain.versioned import version_bytes
from streams.engine.unit_of_work import packed
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.messages.audit import Entry, RemovalsDecided, WritesControlled, read_audit
from streams.messages.changes import DesiredContact, partition_of
from streams.messages.kinds import DesiredContactChange
from streams.messages.topics import Topics
from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.oracle.sandbox import read_account
from testkit.soak.site import Site, open_site
from tests.patience import PATIENCE

PEOPLE = [f"p{number:03}@example.com" for number in range(60)]
GONE = PEOPLE[:30]


async def want(running: LocalStack, version: int, emails: list[str], fields: bytes | None) -> None:
    settings, places = running.settings, defaultdict[int, list[Any]](list)
    topic = Topics.of(settings.app_id).desired
    for email in emails:
        change = DesiredContactChange(email, 0, version_bytes(version), Lane.LIVE, 0, DesiredContact(fields, None))
        places[partition_of(email, settings.partitions)].append(change)
    async with BatchProducer(settings) as producer:
        for partition, changes in places.items():
            await producer.send(topic, partition, packed(topic, changes))


def there(running: LocalStack) -> set[str]:
    account = read_account(running.settings.dotdigital_url)
    return {contact.email for contact in account.contacts if not contact.binned}


def named(running: LocalStack, name: str) -> set[str]:
    account = read_account(running.settings.dotdigital_url)
    return {contact.email for contact in account.contacts if contact.fields.get("FIRSTNAME") == name}


async def owdd(running: LocalStack, *arguments: str) -> tuple[int, Any]:
    command = [sys.executable, "-m", "streams", *arguments, "--json"]
    done = await asyncio.to_thread(subprocess.run, command, env=running.environment, capture_output=True, check=False)
    assert done.stdout, done.stderr.decode()
    return done.returncode, orjson.loads(done.stdout)


async def audited(running: LocalStack) -> list[Entry]:
    settings = running.settings
    topic, places = Topics.of(settings.app_id).audit, range(settings.partitions)
    return [read_audit(record.value) async for record in read_topic(KafkaConfig.of(settings), topic, places)]


async def metric(running: LocalStack, name: str, **labels: str) -> float:
    return (await running.scrape()).get((name, tuple(sorted(labels.items()))), 0.0)


async def until(running: LocalStack, people: set[str]) -> None:
    async with asyncio.timeout(PATIENCE):
        while await asyncio.to_thread(there, running) != people:
            await asyncio.sleep(0.2)


async def test_a_mass_removal_waits_for_a_person_whatever_happens_to_the_workers(tmp_path: Path, broker: Path) -> None:
    site = Site("brake", partitions=4, variables={"OWDD_BRAKE_LEAST": "20"})
    async with open_site(tmp_path, broker, site) as running:
        for name in ("one", "two"):
            await running.start_worker(Role.DISPATCH, name=name, wait=False)
        for name in ("one", "two"):
            await running.ready(running.workers[name])
        await want(running, 1, PEOPLE, b'{"FIRSTNAME":"Ann"}')
        await until(running, set(PEOPLE))

        await want(running, 2, GONE, None)
        await running.kill("one")
        async with asyncio.timeout(PATIENCE):
            while not (found := (await owdd(running, "removals", "show"))[1]) or found[0]["removals"] < len(GONE):
                await asyncio.sleep(0.2)
        assert (found[0]["kind"], found[0]["removals"], found[0]["others"]) == ("contacts", 30, 30)
        assert not set(found[0]["examples"]) & set(GONE), "hashes, unless addresses are asked for"
        await want(running, 2, PEOPLE[40:], b'{"FIRSTNAME":"Bea"}')
        await running.ready(running.workers["one"])
        # Everything else goes on. The log is never at rest here: while removals are held, the brake counts time in it.
        async with asyncio.timeout(PATIENCE):
            while await asyncio.to_thread(named, running, "Bea") != set(PEOPLE[40:]):
                await asyncio.sleep(0.2)
        assert there(running) == set(PEOPLE)

        assert (await owdd(running, "removals", "release"))[0] == 2
        assert there(running) == set(PEOPLE), "without --execute nothing is done"
        code, _ = await owdd(running, "removals", "release", "contacts", "--execute", "--operator", "kim")
        assert code == 0
        await until(running, set(PEOPLE) - set(GONE))
        assert (await owdd(running, "removals", "show"))[1] == []
        decided = [entry for entry in await audited(running) if isinstance(entry, RemovalsDecided)]
        assert [(entry.by, entry.decision, entry.kind, entry.count) for entry in decided] == [
            ("kim", "release", "contacts", 30)
        ]


async def test_a_pause_reaches_a_worker_that_runs_and_one_that_starts(tmp_path: Path, broker: Path) -> None:
    async with open_site(tmp_path, broker, Site("pause", partitions=1)) as running:
        worker = await running.start_worker(Role.DISPATCH, name="one")
        await want(running, 1, PEOPLE[:2], b'{"FIRSTNAME":"Ann"}')
        await until(running, set(PEOPLE[:2]))
        assert (await owdd(running, "pause", "--operator", "kim"))[0] == 0
        async with httpx.AsyncClient() as http, asyncio.timeout(PATIENCE):
            while "kim" not in (await http.get(f"{worker.url}/health/ready")).text:
                await asyncio.sleep(0.1)
        await want(running, 2, PEOPLE[2:4], b'{"FIRSTNAME":"Ann"}')
        await running.kill("one")
        await running.ready(running.workers["one"])
        async with asyncio.timeout(PATIENCE):
            while await metric(running, "owdd_pending", lane="live") < 2:
                await asyncio.sleep(0.1)
        assert await metric(running, "owdd_paused") == 1
        assert there(running) == set(PEOPLE[:2])
        assert (await owdd(running, "resume", "--operator", "kim"))[0] == 0
        await until(running, set(PEOPLE[:4]))
        controlled = [entry for entry in await audited(running) if isinstance(entry, WritesControlled)]
        assert [(entry.by, entry.action) for entry in controlled] == [("kim", "pause"), ("kim", "resume")]
