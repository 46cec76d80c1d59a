"""Records that were deleted before they were read stop their reader; those that were read are deleted by it. On a real broker."""

import asyncio
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from streams.core.clock import ManualClock, SystemClock
from streams.kafka.continuity import LostRecordsError
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.kafka.trimming import Trimmer
from streams.settings import Settings
from testkit.local_services import kafka
from tests.engine.workers import PARTITIONS, Worker, create_topics, held, until
from tests.patience import PATIENCE

# Faust and mode are full of deprecated asyncio calls; they are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")

DAY_MS = 86_400_000


@pytest.fixture
def settings(broker: Path, tmp_path: Path) -> Settings:
    running = kafka.status(broker).broker
    assert running is not None
    return Settings(kafka_bootstrap=running.bootstrap, data_dir=tmp_path, partitions=PARTITIONS, session_timeout=6)


@pytest.fixture
async def app_id(settings: Settings) -> str:
    made = f"lost-{uuid4().hex[:8]}"
    await create_topics(settings, made)
    return made


async def feed(worker: Worker, first: int, last: int) -> None:
    await worker.feed(*((b"%d" % number, b"x") for number in range(first, last)))


async def test_a_stage_does_not_go_on_behind_records_that_nobody_has_read(
    settings: Settings, app_id: str, tmp_path: Path
) -> None:
    async with Worker(settings, app_id, tmp_path).running() as worker:
        await feed(worker, 0, 10)
        await until(lambda: worker.finished(0) == 10)
    worker = Worker(settings, app_id, tmp_path)
    async with worker.producer:
        await feed(worker, 10, 30)
        admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
        await admin.start()
        await admin.delete_records({TopicPartition(worker.topic, 0): RecordsToDelete(25)})
        await admin.close()
        await worker.app.start()
        try:
            async with asyncio.timeout(PATIENCE):
                await worker.app._crashed.wait()
            assert isinstance(worker.app.crash_reason, LostRecordsError)
            assert f"{worker.topic}/0" in str(worker.app.crash_reason)
            assert "15 records" in str(worker.app.crash_reason) and "owdd topics reread" in str(worker.app.crash_reason)
            assert not worker.stage.ready
        finally:
            await worker.app.stop()


async def test_what_is_read_and_old_is_deleted_and_nothing_else(settings: Settings, app_id: str, tmp_path: Path) -> None:
    async with Worker(settings, app_id, tmp_path).running() as worker:
        await feed(worker, 0, 20)
        await until(lambda: worker.finished(0) == 20)
        clock, kept = ManualClock(SystemClock().now_ms()), {worker.topic: 7 * DAY_MS}
        trimmer = Trimmer(KafkaConfig.of(settings), worker.progress, kept, clock)

        async def begin_after_trimming() -> int:
            await trimmer.trim()
            async with reader(KafkaConfig.of(settings)) as consumer:
                place = TopicPartition(worker.topic, 0)
                return int((await consumer.beginning_offsets([place]))[place])

        await worker.app.consumer.commit()
        assert await begin_after_trimming() == 0, "it is young"
        clock.advance(8 * 86_400)
        assert await begin_after_trimming() == 19, "the record before the committed offset is compared with its bookmark"
    unread = Worker(settings, app_id, tmp_path)
    async with unread.producer:
        await feed(unread, 20, 30)
    async with Worker(settings, app_id, tmp_path).running() as worker:
        await until(lambda: worker.finished(0) == 30)
        assert sum(key.isdigit() for key in held(worker)) == 30
