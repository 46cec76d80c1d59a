"""Rows that a snapshot did not show, in captured topics of a real broker."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import pytest
import typer
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.cli import reconcile_rows as command
from streams.core.clock import Clock, SystemClock
from streams.kafka import client
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.producer import BatchProducer, KeyValue
from streams.kafka.reader import committed_reader, read_span
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import capture_specs
from streams.mapping import load_mapping
from streams.operations.missed_deletes import MissedDeletes, TableComparison
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka
from tests.capture import records
from tests.capture.test_notifications import notification, scanned

TABLE, KEY = "order_header", "oh_id"
BEGAN = SystemClock().now_ms() - 60_000
BEFORE, SINCE = BEGAN - 1_000, BEGAN + 1_000
"""When records were appended (epoch ms): before the snapshot, at its beginning, behind it."""

Row = tuple[int, str, int]
"""Key, kind of event (``t``: the tombstone behind a deletion) and time of append."""


class Capture:
    """One table with two partitions: rows of odd keys are in the second."""

    def __init__(self, broker: Path, name: str) -> None:
        running = kafka.status(broker).broker
        assert running is not None
        self.settings = Settings(kafka_bootstrap=running.bootstrap, partitions=2)
        mapping = load_mapping()
        source = mapping.source.model_copy(update={"topic_prefix": name})
        self.mapping = mapping.model_copy(update={"source": source})
        self.kafka = KafkaConfig.of(self.settings)
        self.topic = self.mapping.topic(TABLE)

    async def write(self, *rows: Row) -> None:
        async with client.producer(self.kafka, acks="all") as producer:
            for key, op, at in rows:
                place = {"partition": key % 2, "timestamp_ms": at}
                await producer.send_and_wait(self.topic, self.value(key, op), self.key(key), **place)

    async def notify(self, rows: int, began: int | None = BEGAN) -> None:
        topic = CaptureNames.of(self.mapping).notifications
        ends = scanned(f"{self.mapping.source.database}.dbo.{TABLE}", "SUCCEEDED", str(rows))
        async with client.producer(self.kafka, acks="all") as producer:
            if began is not None:
                await producer.send_and_wait(topic, notification("Initial Snapshot", "STARTED"), timestamp_ms=began)
            await producer.send_and_wait(topic, ends, timestamp_ms=SINCE)

    @staticmethod
    def key(key: int) -> bytes:
        return orjson.dumps({KEY: key})

    @staticmethod
    def value(key: int, op: str) -> bytes | None:
        row = records.HEADER | {KEY: key}
        source = {"connector": "sqlserver", "table": TABLE, "commit_lsn": records.LSN, "snapshot": str(op == "r").lower()}
        before, after = (row, None) if op == "d" else (None, row)
        value = {"before": before, "after": after, "source": source, "op": op, "ts_ms": 1}
        return None if op == "t" else orjson.dumps(value)

    async def compare(self, rows: MissedDeletes) -> TableComparison:
        (found,) = [table async for table in rows.compare() if table.topic == self.topic]
        return found

    async def newest(self, consumer: AIOKafkaConsumer) -> dict[int, str]:
        """The kind of the newest record of every key."""
        found = {}
        for place in (TopicPartition(self.topic, number) for number in range(2)):
            end = (await consumer.end_offsets([place]))[place]
            async for record in read_span(consumer, place, 0, end):
                found[orjson.loads(record.key)[KEY]] = "t" if record.value is None else orjson.loads(record.value)["op"]
        return found


@asynccontextmanager
async def capture(broker: Path, name: str) -> AsyncIterator[tuple[Capture, MissedDeletes, AIOKafkaConsumer]]:
    made = Capture(broker, name)
    await apply_topics(made.kafka, list(capture_specs(made.settings, made.mapping)), execute=True)
    async with committed_reader(made.kafka) as consumer:
        yield made, MissedDeletes(made.settings, made.mapping, consumer), consumer


async def test_what_was_there_before_and_has_no_record_since_was_deleted(broker: Path) -> None:
    async with capture(broker, "missed") as (made, rows, consumer):
        await made.write(
            *[(key, "c", BEFORE) for key in range(1, 11)],
            (1, "u", BEFORE),
            (3, "d", BEFORE),
            (3, "t", BEFORE),
            (4, "d", BEFORE),  # without a tombstone
            *[(key, "r", SINCE) for key in (5, 6, 7)],
            (8, "u", SINCE),
            (9, "d", SINCE),
            (9, "t", SINCE),
            (11, "c", SINCE),
        )
        assert (await made.compare(rows)).reason == "no finished snapshot of the whole table is known"
        await made.notify(rows=5)
        found = await made.compare(rows)
        assert (found.rows, found.shown, found.reason) == (3, 6, None)  # 1, 2 and 10 are gone
        async with BatchProducer(made.settings) as producer:
            await rows.withdraw(found, producer, SystemClock())
        newest = await made.newest(consumer)
        assert found.withdrawn == 3
        assert newest == {1: "t", 2: "t", 10: "t", 3: "t", 4: "d", 5: "r", 6: "r", 7: "r", 8: "u", 9: "t", 11: "c"}
        assert (await made.compare(rows)).rows == 0, "a second time nothing is left"


async def test_rows_that_the_snapshot_read_and_kafka_does_not_have_forbid_a_conclusion(broker: Path) -> None:
    async with capture(broker, "short") as (made, rows, _):
        await made.write((1, "c", BEFORE), (2, "c", BEFORE), (1, "r", SINCE))
        await made.notify(rows=2)
        found = await made.compare(rows)
        assert found.reason == "the snapshot read 2 rows, and only 1 have a record since it began"
        assert found.rows == 0


class Interrupting(BatchProducer):
    """Just before the first deletions, the connector writes that row 2 was inserted again."""

    def __init__(self, made: Capture) -> None:
        super().__init__(made.settings)
        self._made = made
        self._interrupted = False

    async def send(self, topic: str, partition: int, entries: Any) -> int:
        entries = list[KeyValue](entries)
        if not self._interrupted:
            self._interrupted = True
            await self._made.write((2, "c", SINCE))
        return await super().send(topic, partition, entries)


async def test_a_row_that_comes_back_in_that_moment_stays(broker: Path) -> None:
    async with capture(broker, "comeback") as (made, rows, consumer):
        await made.write((2, "c", BEFORE), (4, "c", BEFORE), (6, "r", SINCE))
        await made.notify(rows=1)
        found = await made.compare(rows)
        assert found.rows == 2
        async with Interrupting(made) as producer:
            await rows.withdraw(found, producer, SystemClock())
        assert await made.newest(consumer) == {2: "c", 4: "t", 6: "r"}


async def test_a_row_that_came_back_after_the_comparison_is_not_touched(broker: Path) -> None:
    async with capture(broker, "returned") as (made, rows, consumer):
        await made.write((2, "c", BEFORE), (4, "r", SINCE))
        await made.notify(rows=1)
        found = await made.compare(rows)
        await made.write((2, "c", SINCE))
        async with BatchProducer(made.settings) as producer:
            await rows.withdraw(found, producer, SystemClock())
        assert (found.withdrawn, await made.newest(consumer)) == (0, {2: "c", 4: "r"})


async def test_a_partition_that_has_no_row_any_more_is_compared_too(broker: Path) -> None:
    async with capture(broker, "empty") as (made, rows, _):
        await made.write((2, "c", BEFORE), (3, "c", BEFORE), (4, "r", SINCE))
        await made.notify(rows=1)
        found = await made.compare(rows)
        offsets: dict[int, Sequence[int]] = {place.partition: missed.offsets for place, missed in found.missed.items()}
        assert offsets == {0: [0], 1: [0]}


async def test_the_audit_trail_gets_it_before_anything_is_withdrawn(broker: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with capture(broker, "audited") as (made, _, consumer):
        await made.write((2, "c", BEFORE), (4, "r", SINCE))
        await made.notify(rows=1)
        recorded = list[tuple[str, str, dict[int, str]]]()

        async def record(_settings: Settings, action: str, by: str, _clock: Clock) -> None:
            async with committed_reader(made.kafka) as looking:
                recorded.append((action, by, await made.newest(looking)))

        monkeypatch.setattr(command, "record_maintenance", record)
        for execute in (False, True, True):
            with suppress(typer.Exit):
                rows_of = partial(command.reconcile_rows, operator="kim", personal=False, as_json=True)
                await asyncio.to_thread(rows_of, made.settings, made.mapping, execute=execute)
        assert recorded == [("withdraw rows", "kim", {2: "c", 4: "r"})], "once: the second time there is nothing to withdraw"
        assert await made.newest(consumer) == {2: "t", 4: "r"}
