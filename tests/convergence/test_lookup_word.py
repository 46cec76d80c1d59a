"""One corrected word in a lookup table takes nobody away: all that hangs on it stays as it was, is listed, and comes right again.

Also if state is rebuilt in between, from a log in which compaction left nothing of the word before.
"""

import asyncio
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import httpx
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from streams.kafka import client
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured
from streams.mapping import load_mapping
from streams.messages.protocol import specs
from streams.operations.held_documents import held_documents
from streams.operations.rebuild import purge
from streams.operations.topic_admin import apply_topics
from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.oracle.account import Account
from testkit.oracle.sandbox import read_account
from testkit.simulate import row_builders
from testkit.simulate.tables import DETAIL, HEADER, STATUS, TOTAL
from tests.convergence.convergence_harness import stack
from tests.convergence.written_rows import WrittenRows
from tests.patience import PATIENCE

GUESTS = 200
HOUSE, WORD = 1, "Dispatched"
WORKER = "worker"


class GuestShop:
    """A shop whose every order is a guest's and has one status, in front of a running stack."""

    def __init__(self, running: LocalStack) -> None:
        self._rows = WrittenRows(running)

    async def open(self) -> None:
        """The opening rows, as a snapshot reads them."""
        rng, at, db = Random(12), "2025-10-01T10:00:00Z", self._rows.db
        db.insert(STATUS, row_builders.status(6, WORD))
        for key in range(1, GUESTS + 1):
            email = guest(key)
            db.insert(
                HEADER,
                row_builders.header(key, number=f"SO-{key}", at=at, customer=HOUSE, type_id=1, status=6, done=True),
            )
            db.insert(
                DETAIL,
                row_builders.detail(rng, key, order=key, currency=0, name="A Guest", email=email, invoice_email=None, at=at),
            )
            db.insert(TOTAL, row_builders.total(key, order=key, quantity=1, net=10 * key * 10_000))
        await self._rows.open()

    async def write_word(self, text: str) -> None:
        """Somebody corrects the text of the one status."""
        await self._rows.update(STATUS, 6, os_description=text)


def guest(number: int) -> str:
    return f"guest{number}@example.com"


async def sign_up(running: LocalStack, emails: list[str]) -> None:
    """These people subscribe by themselves, in a form of the marketing platform."""
    settings = running.settings
    user = (settings.dotdigital_user, settings.dotdigital_password.get_secret_value())
    async with httpx.AsyncClient(base_url=settings.dotdigital_url, auth=user) as http:
        for email in emails:
            answer = await http.patch(
                f"/contacts/v3/email/{email}", json={"channelProperties": {"email": {"status": "subscribed"}}}
            )
            answer.raise_for_status()


async def writes(running: LocalStack) -> int:
    """Calls so far that change something of a contact."""
    async with httpx.AsyncClient() as http:
        found = (await http.get(f"{running.settings.dotdigital_url}/_sandbox/requests", params={"limit": 100_000})).json()
    return sum(call["method"] != "GET" for call in found["requests"])


async def frozen(running: LocalStack) -> dict[str, int]:
    samples = await running.scrape()
    return {dict(labels)["kind"]: int(value) for (name, labels), value in samples.items() if name == "owdd_frozen" and value}


async def until(running: LocalStack, condition: Callable[[dict[str, int]], bool]) -> dict[str, int]:
    async with asyncio.timeout(PATIENCE):
        while not condition(found := await frozen(running)):
            await asyncio.sleep(0.1)
    return found


def content(account: Account) -> dict[str, Any]:
    contacts = {one.email: (one.status, dict(one.fields), one.binned, one.lists) for one in account.contacts}
    return contacts | {f"{one.name} {record.key}": record.content for one in account.collections for record in one.records}


async def rebuild(running: LocalStack) -> None:
    """The documented rebuild, with the lookup's log compacted: only the word of now is left of it."""
    worker = running.workers[WORKER].process
    worker.terminate()
    await asyncio.to_thread(worker.wait)
    await purge(running.settings, execute=True)
    topic = next(name for name in captured(load_mapping(running.mapping)) if name.endswith(STATUS))
    kafka = KafkaConfig.of(running.settings)
    async with reader(kafka) as consumer:
        ends = await consumer.end_offsets([TopicPartition(topic, one) for one in range(running.settings.partitions)])
    admin = client.admin_client(kafka)
    await admin.start()
    try:
        # A log that is only compacted keeps its beginning; how it is kept is no matter here.
        kept = {"cleanup.policy": "compact,delete", "retention.ms": "-1"}
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, kept)])
        await admin.delete_records({place: RecordsToDelete(end - 1) for place, end in ends.items() if end})
    finally:
        await admin.close()
    running.reconfigure({"OWDD_APP_VERSION": "2"})
    await apply_topics(kafka, list(specs(running.settings, load_mapping(running.mapping))), execute=True)
    await running.start_worker(*Role, name=WORKER)


async def test_a_word_that_a_lookup_loses_takes_nobody_away(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "word", partitions=2, OWDD_READBACK_SECONDS="1") as running:
        await running.start_worker(*Role, name=WORKER)
        shop = GuestShop(running)
        await shop.open()
        await running.settled()
        await sign_up(running, [guest(key) for key in range(1, GUESTS // 2 + 1)])

        before, calls = content(read_account(running.settings.dotdigital_url)), await writes(running)
        assert sum(name.startswith("guest") for name in before) == GUESTS
        assert sum(name.startswith("Orders") for name in before) == GUESTS

        await shop.write_word("Dispatchd")
        assert await until(running, lambda found: sum(found.values()) == GUESTS) == {"unknown_status": GUESTS}
        await running.settled()
        assert content(read_account(running.settings.dotdigital_url)) == before
        listed = await held_documents(running.settings)
        assert {(one.table, one.code, one.frozen) for one in listed} == {("orders", "unknown_status", True)}
        assert {one.key for one in listed} == {str(key) for key in range(1, GUESTS + 1)}

        assert await writes(running) == calls

        await rebuild(running)
        assert await until(running, lambda found: sum(found.values()) == GUESTS) == {"unknown_status": GUESTS}
        await running.settled()
        assert content(read_account(running.settings.dotdigital_url)) == before

        await shop.write_word(WORD)
        await until(running, lambda found: not found)
        await running.settled()
        assert content(read_account(running.settings.dotdigital_url)) == before
