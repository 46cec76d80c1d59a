"""Logs that lost what was written and acknowledged, before anybody had read it: the writer notices. On a broker that may be killed."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from streams.core.acknowledged import Acknowledged, LogId
from streams.core.bookmark import Bookmark
from streams.engine.stage import Record
from streams.engine.unit_of_work import UnitOfWork
from streams.kafka import client
from streams.kafka.acknowledged_watch import AcknowledgedWatch
from streams.kafka.continuity import LostAcknowledgedError, lost_writes
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec
from streams.messages.protocol import BROKERS_TIME
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka
from tests.cut_logs import cut
from tests.engine.workers import PARTITIONS, Keeping, Worker, create_topics, until
from tests.patience import PATIENCE

# Faust and mode are full of deprecated asyncio calls; they are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

WRITTEN = 20
LEFT = 8
AT = 1_700_000_000_000


class Forwarding(Keeping):
    """A handler that also sends each record on."""

    def __init__(self, topic: str) -> None:
        super().__init__()
        self._topic = topic

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        for record in records:
            unit.emit_raw(self._topic, unit.partition, record.key, record.value)
        return super().handle(unit, records)


@pytest.fixture
def settings(settings_of_own_broker: Settings) -> Settings:
    return settings_of_own_broker


@pytest.fixture
async def unread(settings: Settings) -> str:
    """A topic that nobody reads."""
    name = f"unread-{uuid4().hex[:8]}"
    spec = TopicSpec(name, PARTITIONS, 1, "between stages", BROKERS_TIME)
    await apply_topics(KafkaConfig.of(settings), [spec], execute=True)
    return name


async def cut_at(own_broker: Path, topic: str, partitions: Sequence[int], offset: int) -> None:
    kafka.kill(own_broker)
    for partition in partitions:
        cut(own_broker, topic, partition, offset)
    await asyncio.to_thread(kafka.start, own_broker, short_lived=True)


async def write(settings: Settings, topic: str, partition: int, records: int, written: Acknowledged | None = None) -> None:
    """One batch for each record."""
    async with BatchProducer(settings, written) as producer:
        for number in range(records):
            await producer.send(topic, partition, [(b"%d" % number, uuid4().bytes)])


class Watched(Acknowledged):
    """Notes that know when they were looked at."""

    def __init__(self, topic: str) -> None:
        super().__init__([topic])
        self.looked_at = asyncio.Event()

    def marks(self) -> dict[LogId, Bookmark]:
        self.looked_at.set()
        return super().marks()


@asynccontextmanager
async def watching(settings: Settings, written: Watched) -> AsyncIterator["asyncio.Task[None]"]:
    watch = asyncio.create_task(AcknowledgedWatch(KafkaConfig.of(settings), written).run())
    try:
        async with asyncio.timeout(PATIENCE):
            await written.looked_at.wait()
            yield watch
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def test_single_records_among_batches_are_no_loss(settings: Settings, unread: str) -> None:
    """As the canary comes among the changes that ingest writes."""
    written = Acknowledged([unread])
    async with BatchProducer(settings, written) as producer:
        await producer.send_one(unread, 0, None, b"first")
        for _ in range(5):
            await asyncio.gather(
                producer.send(unread, 0, [(b"a", b"1"), (b"b", b"2")]),
                producer.send_one(unread, 0, None, b"canary"),
                producer.send(unread, 0, [(b"c", b"3")]),
            )
    assert written.marks()[unread, 0].offset == 5 * 4 and not written.overtaken


@pytest.mark.parametrize(("replaced_at", "found"), [(None, False), (AT + 5_000, True)])
async def test_a_cut_between_two_records_of_one_millisecond_is_found(
    settings: Settings, replaced_at: int | None, found: bool
) -> None:
    """Played with a topic that keeps the times that it is given."""
    topic, kafka_config = f"one-millisecond-{uuid4().hex[:8]}", KafkaConfig.of(settings)
    await apply_topics(kafka_config, [TopicSpec(topic, 1, 1, "given times", {})], execute=True)
    async with client.producer(kafka_config) as producer:
        for value, at in ((b"left", AT), (b"lost", AT)) if replaced_at is None else ((b"left", AT), (b"new", replaced_at)):
            await producer.send_and_wait(topic, value, partition=0, timestamp_ms=at)
    mark = Bookmark.at(1, AT, None, b"lost")
    async with reader(kafka_config) as consumer:
        assert await lost_writes(consumer, [{(topic, 0): mark}]) == ({(topic, 0): mark} if found else {})


@pytest.mark.parametrize("since", [0, WRITTEN], ids=["shorter", "grown again"])
async def test_a_living_writer_notices_that_its_records_are_gone(
    own_broker: Path, settings: Settings, unread: str, since: int
) -> None:
    harmed, whole = Watched(unread), Watched(unread)
    await write(settings, unread, 0, WRITTEN, harmed)
    await write(settings, unread, 1, WRITTEN, whole)
    async with watching(settings, whole) as unharmed, watching(settings, harmed) as watch:
        await cut_at(own_broker, unread, [0], LEFT)
        if since:
            # Somebody else's, and one of the writer's own behind them.
            await write(settings, unread, 0, since)
            await write(settings, unread, 0, 1, harmed)
        with pytest.raises(LostAcknowledgedError, match=f"^{unread}/0 at {WRITTEN - 1}: "):
            await watch
        assert not unharmed.done()


async def test_a_writer_that_starts_again_refuses_until_it_is_settled(
    own_broker: Path, settings: Settings, unread: str, tmp_path: Path
) -> None:
    shorter, grown, whole = range(3)
    app_id = f"lost-{uuid4().hex[:8]}"
    await create_topics(settings, app_id)

    def worker() -> Worker:
        return Worker(settings, app_id, tmp_path, Forwarding(unread), Acknowledged([unread]))

    async with worker().running() as first:
        for _ in range(WRITTEN):
            await asyncio.gather(*(first.feed((b"key", b"x"), partition=place) for place in (shorter, grown, whole)))
        await until(lambda: all(first.finished(partition) == WRITTEN for partition in (shorter, grown, whole)))
        await first.app.consumer.commit()
    # Another one goes on, and commits anew: what the first has written stays noted.
    async with worker().running() as second:
        await second.feed((b"key", b"y"), partition=whole)
        await until(lambda: second.finished(whole) == WRITTEN + 1)
        await second.app.consumer.commit()
        noted = second.progress.written.marks()
        assert {(unread, shorter), (unread, grown), (unread, whole)} == noted.keys()
    await cut_at(own_broker, unread, [shorter, grown], noted[unread, grown].offset)
    await write(settings, unread, grown, WRITTEN)
    for _ in range(2):
        refusing = worker()
        async with refusing.producer:
            await refusing.app.start()
            try:
                async with asyncio.timeout(PATIENCE):
                    await refusing.app._crashed.wait()
                error = str(refusing.app.crash_reason)
                assert isinstance(refusing.app.crash_reason, LostAcknowledgedError)
                assert f"{unread}/{shorter} at " in error and f"{unread}/{grown} at " in error
                assert f"{unread}/{whole}" not in error and "owdd topics reread" in error
                assert not refusing.stage.ready
            finally:
                await refusing.app.stop()
