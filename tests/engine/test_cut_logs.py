"""Logs that lost their tails, or were made anew: nothing that comes afterwards is skipped. On a broker that may be killed."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient

from streams.core.bookmark import Bookmark
from streams.kafka.continuity import LogCutError, LogWatch
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec
from streams.observability.lag import ConsumedOffsets
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka
from tests.cut_logs import cut
from tests.engine.workers import PARTITIONS, Worker, create_topics, held, logged, until
from tests.patience import PATIENCE

# Faust and mode are full of deprecated asyncio calls; they are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

READ = 50
LEFT = 27


@pytest.fixture
def settings(settings_of_own_broker: Settings) -> Settings:
    return settings_of_own_broker


@pytest.fixture
async def app_id(settings: Settings) -> str:
    made = f"cut-{uuid4().hex[:8]}"
    await create_topics(settings, made)
    return made


async def feed(worker: Worker, partition: int, name: str, first: int, last: int) -> None:
    for number in range(first, last):
        await worker.feed((b"%s%d" % (name.encode(), number), b"x"), partition=partition)


async def test_what_comes_after_a_lost_tail_is_read(own_broker: Path, settings: Settings, app_id: str, tmp_path: Path) -> None:
    grown, shorter, whole, changelog = range(PARTITIONS)
    async with Worker(settings, app_id, tmp_path).running() as worker:
        await asyncio.gather(*(feed(worker, partition, "old", 0, READ) for partition in range(PARTITIONS)))
        await until(lambda: all(worker.finished(partition) == READ for partition in range(PARTITIONS)))
        logs_end = worker.table.log(changelog).end
    kafka.kill(own_broker)
    cut(own_broker, worker.topic, grown, LEFT)
    cut(own_broker, worker.topic, shorter, LEFT)
    cut(own_broker, worker.table.changelog, changelog, logs_end - 2)
    await asyncio.to_thread(kafka.start, own_broker, short_lived=True)
    sent = {grown: READ, shorter: 10, whole: 10, changelog: 10}
    worker = Worker(settings, app_id, tmp_path)
    async with worker.producer:
        for partition, count in sent.items():
            await feed(worker, partition, "new", 0, count)
    async with Worker(settings, app_id, tmp_path).running() as worker:
        await until(lambda: all(worker.row(b"new%d" % (count - 1), partition) for partition, count in sent.items()))
        for partition, count in sent.items():
            found = [key for key in held(worker, partition) if key.startswith(b"new")]
            assert len(found) == count, f"partition {partition} skipped {count - len(found)} records"
            assert held(worker, partition) == await logged(worker, partition)


async def test_a_log_that_is_cut_or_made_anew_under_a_worker_is_noticed_within_seconds(
    own_broker: Path, settings: Settings
) -> None:
    anew, grown, whole = (f"{name}-{uuid4().hex[:8]}" for name in ("anew", "grown", "whole"))
    config = KafkaConfig.of(settings)
    specs = {name: TopicSpec(name, 1, 1, "watched") for name in (anew, grown, whole)}
    await apply_topics(config, list(specs.values()), execute=True)
    for name in specs:
        await produce(settings, name, READ)
    async with watching(settings, Watched(whole)) as unharmed:
        async with watching(settings, Watched(anew)) as watch:
            await delete(settings, anew)
            await apply_topics(config, [specs[anew]], execute=True)
            with pytest.raises(LogCutError, match=f"{anew}/0.*Start this worker again"):
                await watch
        async with watching(settings, Watched(grown)) as watch:
            kafka.kill(own_broker)
            cut(own_broker, grown, 0, LEFT)
            await asyncio.to_thread(kafka.start, own_broker, short_lived=True)
            # Before the watch can look: its end says nothing any more.
            await produce(settings, grown, READ)
            with pytest.raises(LogCutError, match=f"{grown}/0"):
                await watch
        assert not unharmed.done()


@pytest.mark.parametrize("more", [0, 5], ids=["as many records", "more records"])
@pytest.mark.parametrize("read_on", [False, True], ids=["at rest", "reading on"])
async def test_a_log_that_is_made_anew_between_two_looks_is_noticed(settings: Settings, more: int, read_on: bool) -> None:
    anew, config = f"anew-{uuid4().hex[:8]}", KafkaConfig.of(settings)
    spec = TopicSpec(anew, 1, 1, "watched")
    await apply_topics(config, [spec], execute=True)
    await produce(settings, anew, READ)
    progress = Watched(anew)
    async with watching(settings, progress) as watch:
        await delete(settings, anew)
        await apply_topics(config, [spec], execute=True)
        async with BatchProducer(settings) as producer:
            await producer.send(anew, 0, [(b"%d" % number, b"new") for number in range(READ + more)])
        if read_on:
            # The last record that is finished is one of the new log.
            await progress.finish(config)
        with pytest.raises(LogCutError, match=f"{anew}/0"):
            await watch


class Watched(ConsumedOffsets):
    """Progress in one topic, that knows when it was looked at."""

    def __init__(self, topic: str) -> None:
        super().__init__(topic, [topic])
        self.looked_at = asyncio.Event()

    async def finish(self, config: KafkaConfig) -> None:
        """Everything in its topic is done."""
        async for record in read_topic(config, self.group, [0]):
            self.done(record, Bookmark.at(record.offset, record.timestamp, record.key, record.value))

    def bookmark(self, place: TopicPartition) -> Bookmark | None:
        self.looked_at.set()
        return super().bookmark(place)


@asynccontextmanager
async def watching(settings: Settings, progress: Watched) -> AsyncIterator["asyncio.Task[None]"]:
    """The watch of a worker that has finished all of a topic."""
    config = KafkaConfig.of(settings)
    await progress.finish(config)
    watch = asyncio.create_task(LogWatch(config, progress).run())
    try:
        async with asyncio.timeout(PATIENCE):
            await progress.looked_at.wait()
            yield watch
    finally:
        watch.cancel()
        await asyncio.wait([watch])


async def produce(settings: Settings, topic: str, records: int) -> None:
    """One batch for each, as they come one after another."""
    async with BatchProducer(settings) as producer:
        for number in range(records):
            await producer.send(topic, 0, [(b"%d" % number, uuid4().bytes)])


async def delete(settings: Settings, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    await admin.delete_topics([topic])
    await admin.close()
