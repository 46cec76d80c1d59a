"""A producer notices that a log lost what was acknowledged, by the offsets of what it writes next; the broker is played."""

import asyncio
from contextlib import nullcontext
from typing import Any

import pytest
from aiokafka.errors import NodeNotReadyError
from aiokafka.structs import RecordMetadata, TopicPartition

from streams.core.acknowledged import Acknowledged, LogId
from streams.core.bookmark import Bookmark
from streams.kafka import acknowledged_watch, client
from streams.kafka.acknowledged_watch import AcknowledgedWatch
from streams.kafka.continuity import LostAcknowledgedError
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.settings import Settings

TOPIC, PLACE = "shop.desired", ("shop.desired", 1)
AT = 1_700_000_000_000


class _Batch:
    def __init__(self) -> None:
        self.records = 0

    def append(self, **_: object) -> object:
        self.records += 1
        return self.records

    def close(self) -> None:
        pass

    def record_count(self) -> int:
        return self.records


class Broker:
    """What it acknowledges, and when, is up to the test."""

    def __init__(self) -> None:
        self.waiting: list[asyncio.Future[RecordMetadata]] = []

    def create_batch(self) -> _Batch:
        return _Batch()

    async def send_batch(self, _: object, topic: str, partition: int) -> "asyncio.Future[RecordMetadata]":
        self.waiting.append(asyncio.get_running_loop().create_future())
        return self.waiting[-1]

    async def send(self, topic: str, *, partition: int, **_: object) -> "asyncio.Future[RecordMetadata]":
        return await self.send_batch(None, topic, partition)

    def acknowledge(self, offset: int, timestamp_ms: int = AT, *, topic: str = TOPIC) -> None:
        """The records that waited longest begin at ``offset``; a timestamp of -1: it had them before."""
        known = int(timestamp_ms != -1)
        place = TopicPartition(topic, 1)
        self.waiting.pop(0).set_result(RecordMetadata(topic, 1, place, offset, timestamp_ms, known, 0))


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    played = Broker()
    monkeypatch.setattr(client, "producer", lambda *_, **__: played)
    return played


@pytest.fixture
def acknowledged() -> Acknowledged:
    return Acknowledged([TOPIC])


@pytest.fixture
def producer(broker: Broker, acknowledged: Acknowledged) -> BatchProducer:
    return BatchProducer(Settings(), acknowledged)


async def begun(work: Any) -> "asyncio.Task[Any]":
    """Work that waits for the broker by now."""
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    return task


async def test_the_last_record_of_a_batch_is_noted(broker: Broker, producer: BatchProducer, acknowledged: Acknowledged) -> None:
    work = await begun(producer.send(TOPIC, 1, [(b"a", b"1"), (b"b", b"2")]))
    broker.acknowledge(10)
    assert await work == 11
    assert acknowledged.marks() == {PLACE: Bookmark.at(11, AT, b"b", b"2")}
    work = await begun(producer.send_one(TOPIC, 1, b"c", b"3"))
    broker.acknowledge(12)
    await work
    assert acknowledged.marks() == {PLACE: Bookmark.at(12, AT, b"c", b"3")}


@pytest.mark.parametrize("offset", [3, 11])
async def test_an_acknowledgement_below_an_earlier_one_ends_the_writer(
    broker: Broker, producer: BatchProducer, acknowledged: Acknowledged, offset: int
) -> None:
    task = await begun(producer.send(TOPIC, 1, [(b"a", b"1"), (b"b", b"2")]))
    broker.acknowledge(10)
    await task
    for work in (producer.send(TOPIC, 1, [(b"c", b"3")]), producer.send_one(TOPIC, 1, b"d", b"4")):
        task = await begun(work)
        broker.acknowledge(offset)
        with pytest.raises(LostAcknowledgedError, match=r"shop\.desired/1 at 11: .*owdd topics reread"):
            await task
    assert acknowledged.marks()[PLACE].offset == 11, "the next start must know"


async def test_writers_that_wait_beside_each_other_are_no_loss(broker: Broker, producer: BatchProducer) -> None:
    """The first goes on after the second, although it was acknowledged before."""
    several = asyncio.gather(*(producer.send(TOPIC, 1, [(b"a", b"1")]) for _ in range(3)))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    for offset in (10, 11, 12):
        broker.acknowledge(offset)
    assert await several == [10, 11, 12]


async def test_what_the_broker_had_before_is_at_an_unknown_offset(
    broker: Broker, producer: BatchProducer, acknowledged: Acknowledged
) -> None:
    work = await begun(producer.send(TOPIC, 1, [(b"a", b"1")]))
    broker.acknowledge(10)
    await work
    for offset in (-1, 0):
        work = await begun(producer.send_one(TOPIC, 1, b"b", b"2"))
        broker.acknowledge(offset, timestamp_ms=-1)
        await work
    assert acknowledged.marks()[PLACE].offset == 10


async def test_changelogs_look_after_themselves(broker: Broker, producer: BatchProducer, acknowledged: Acknowledged) -> None:
    for offset in (10, 3):
        work = await begun(producer.send("changelog", 1, [(b"a", b"1")]))
        broker.acknowledge(offset, topic="changelog")
        await work
    assert not acknowledged.marks()


async def test_the_watch_compares_what_was_the_last_before(monkeypatch: pytest.MonkeyPatch, acknowledged: Acknowledged) -> None:
    """A log may be cut, and grow past the newest record, while the watch does not look, or gets no answer."""
    compared: list[int] = []

    async def lost_writes(_: object, noted: list[dict[LogId, Bookmark]]) -> dict[LogId, Bookmark]:
        (marks,) = noted
        compared.append(marks[PLACE].offset)
        acknowledged.note(PLACE, Bookmark.at(10 * len(compared), AT, b"a", b"1"))
        if len(compared) == 2:
            raise NodeNotReadyError
        return marks if len(compared) == 4 else {}

    monkeypatch.setattr(acknowledged_watch, "_WATCH_SECONDS", 0)
    monkeypatch.setattr(acknowledged_watch, "reader", lambda _: nullcontext())
    monkeypatch.setattr(acknowledged_watch, "lost_writes", lost_writes)
    acknowledged.note(PLACE, Bookmark.at(0, AT, b"a", b"1"))
    with pytest.raises(LostAcknowledgedError, match="/1 at 20:"):
        await AcknowledgedWatch(KafkaConfig.of(Settings()), acknowledged).run()
    assert compared == [0, 0, 0, 20]
