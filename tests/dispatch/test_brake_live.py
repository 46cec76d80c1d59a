"""The brake over a real broker: two workers of dispatch, a person's command, and a worker that is killed meanwhile."""

import asyncio
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import orjson

from streams.core.lanes import Lane
from streams.domain.versioned import version_bytes
from streams.engine.unit_of_work import packed
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.messages.audit import RemovalsDecided, read_audit
from streams.messages.changes import DesiredContact, partition_of
from streams.messages.kinds import DesiredContactChange
from streams.messages.topics import Topics
from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.oracle.sandbox import read_account
from testkit.soak.site import Site, open_site

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


async def owdd(running: LocalStack, *arguments: str) -> tuple[int, Any]:
    command = [sys.executable, "-m", "streams", *arguments, "--json"]
    done = await asyncio.to_thread(subprocess.run, command, env=running.environment, capture_output=True, check=False)
    assert done.stdout, done.stderr.decode()
    return done.returncode, orjson.loads(done.stdout)


async def until(running: LocalStack, people: set[str]) -> None:
    async with asyncio.timeout(60):
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
        async with asyncio.timeout(90):
            while not (found := (await owdd(running, "removals", "show"))[1]) or found[0]["removals"] < len(GONE):
                await asyncio.sleep(0.2)
        assert (found[0]["kind"], found[0]["removals"], found[0]["others"]) == ("contacts", 30, 30)
        assert not set(found[0]["examples"]) & set(GONE), "hashes, unless addresses are asked for"
        await want(running, 2, PEOPLE[40:], b'{"FIRSTNAME":"Bea"}')
        await running.ready(running.workers["one"])
        await running.settled(90)
        assert there(running) == set(PEOPLE)

        assert (await owdd(running, "removals", "release"))[0] == 2
        assert there(running) == set(PEOPLE), "without --execute nothing is done"
        code, _ = await owdd(running, "removals", "release", "contacts", "--execute", "--operator", "kim")
        assert code == 0
        await until(running, set(PEOPLE) - set(GONE))
        assert (await owdd(running, "removals", "show"))[1] == []
        settings = running.settings
        topic, places = Topics.of(settings.app_id).audit, range(settings.partitions)
        entries = [read_audit(record.value) async for record in read_topic(KafkaConfig.of(settings), topic, places)]
        decided = [entry for entry in entries if isinstance(entry, RemovalsDecided)]
        assert [(entry.by, entry.decision, entry.kind, entry.count) for entry in decided] == [
            ("kim", "release", "contacts", 30)
        ]
