"""Bad input on a real broker: every hostile record ends in the dead-letter topic, and its neighbours are processed."""

from pathlib import Path
from typing import Any

import httpx
import orjson
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from streams.messages.changes import Totals, pack, partition_of
from streams.messages.contributions import AddressLeft, BuyerContribution
from streams.messages.kinds import BuyerContributionChange
from streams.messages.topics import Topics
from streams.worker import Role
from testkit.demo.stack import LocalStack
from tests.capture.hostile import RECORDS
from tests.convergence.convergence_harness import stack


async def letters(running: LocalStack, count: int) -> list[dict[str, Any]]:
    """The first ``count`` dead letters, headers by name, with key and value."""
    topic = Topics.of(running.settings.app_id).dead_letters
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=running.settings.kafka_bootstrap,
        auto_offset_reset="earliest",
        max_partition_fetch_bytes=16 * 2**20,
    )
    await consumer.start()
    try:
        found: list[dict[str, Any]] = []
        while len(found) < count:
            record = await consumer.getone()
            found.append({name: value.decode() for name, value in record.headers} | {"key": record.key, "value": record.value})
        return found
    finally:
        await consumer.stop()


def account(number: int) -> tuple[bytes, bytes]:
    """A harmless record: key and value. Account 1 is the house account, so it stays out."""
    source = {
        "connector": "sqlserver",
        "table": "customer_detail",
        "commit_lsn": "00000001:00000001:0001",
        "ts_ms": 1,
        "snapshot": "false",
    }
    row: dict[str, Any] = {"cd_id": number, "cd_ow_account": None, "cd_account_customer": False}
    row |= {"cd_statement_email": f"person{number}@example.com", "cd_invoice_email": None}
    value = {"before": None, "after": row, "source": source, "op": "c", "ts_ms": 1}
    return orjson.dumps({"cd_id": number}), orjson.dumps(value)


async def test_every_hostile_record_is_dead_lettered_with_its_code_and_its_neighbours_get_through(
    tmp_path: Path, broker: Path
) -> None:
    # A compacted topic refuses a record without key, so those never get this far; tests/capture has them.
    records = [record for record in RECORDS if record.key is not None]
    assert len(records) >= 40
    async with stack(tmp_path, broker, "hostile", partitions=1, OWDD_BREAKER_WINDOW="1000") as running:
        await running.start_worker(*Role)
        topic = "hostile.Orderwise.dbo.customer_detail"
        bootstrap = running.settings.kafka_bootstrap
        async with AIOKafkaProducer(bootstrap_servers=bootstrap, max_request_size=16 * 2**20) as producer:
            for number, record in enumerate(records, 2):
                key, value = account(number)
                await producer.send_and_wait(topic, record.value, record.key)
                await producer.send_and_wait(topic, value, key)

        found = await letters(running, len(records))
        await running.settled()

        assert [letter["code"] for letter in found] == [record.code for record in records]
        assert [(letter["key"], letter["value"]) for letter in found] == [(record.key, record.value) for record in records]
        assert [(letter["topic"], letter["offset"]) for letter in found] == [(topic, str(2 * n)) for n in range(len(records))]
        state = httpx.get(f"{running.settings.dotdigital_url}/_sandbox/state").json()
        assert {contact["email"] for contact in state["contacts"]} == {
            f"person{number}@example.com" for number in range(2, len(records) + 2)
        }


async def test_a_change_that_cannot_be_applied_does_not_take_its_packed_neighbours_along(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "packed", partitions=1) as running:
        await running.start_worker(*Role)
        topics = Topics.of(running.settings.app_id)
        part = BuyerContribution("A", None, None, False, None, Totals(live=1), None, None)
        good = BuyerContributionChange("good@example.com", "c1", b"\0" * 8, 1, 1, part)
        bad = BuyerContributionChange("bad@example.com", "not a buyer", b"\0" * 8, 1, 1, part)
        other = BuyerContributionChange("other@example.com", "c1", b"\0" * 8, 1, 1, part)
        gone = BuyerContributionChange("gone@example.com", "c1", b"\0" * 8, 1, 1, AddressLeft(None))
        assert partition_of(good.key, 1) == 0
        async with AIOKafkaProducer(bootstrap_servers=running.settings.kafka_bootstrap) as producer:
            await producer.send_and_wait(topics.contacts, pack([good, bad, other, gone]), partition=0)

        (letter,) = await letters(running, 1)
        await running.settled()

        assert (letter["code"], letter["stage"], letter["value"]) == ("cannot_apply", "contacts", pack([bad]))
        state = httpx.get(f"{running.settings.dotdigital_url}/_sandbox/state").json()
        assert {contact["email"] for contact in state["contacts"]} == {"good@example.com", "other@example.com"}
