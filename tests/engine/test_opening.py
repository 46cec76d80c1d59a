"""State follows its partition from worker to worker, and has one writer; on a real broker."""

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from prometheus_client import Gauge

from streams.engine.opening import OutdatedWorkerError
from streams.engine.store import Store
from streams.kafka.producer import Appended
from streams.settings import Settings
from testkit.local_services import kafka
from tests.engine.changelogs import Log
from tests.engine.workers import PARTITIONS, Keeping, Worker, create_topics, held, logged, stranger, until
from tests.patience import PATIENCE

# Faust and mode are full of deprecated asyncio calls; they are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def settings(broker: Path, tmp_path: Path) -> Settings:
    running = kafka.status(broker).broker
    assert running is not None
    return Settings(kafka_bootstrap=running.bootstrap, data_dir=tmp_path, partitions=PARTITIONS, session_timeout=6)


@pytest.fixture
async def app_id(settings: Settings) -> str:
    made = f"opening-{uuid4().hex[:8]}"
    await create_topics(settings, made)
    return made


async def test_state_follows_its_partition_from_worker_to_worker(settings: Settings, app_id: str, tmp_path: Path) -> None:
    first, second = (Worker(settings, app_id, tmp_path / name) for name in ("first", "second"))
    async with first.running():
        assert first.table.owned() == set(range(PARTITIONS))
        for partition in range(PARTITIONS):
            await first.feed((b"a", b"1"), (b"b", b"1"), partition=partition)
        await until(lambda: all(first.row(b"b", partition) for partition in range(PARTITIONS)))
        assert first.rebalances == 1
        async with second.running():
            await until(lambda: first.stage.ready and len(first.table.owned()) == PARTITIONS // 2)
            assert first.rebalances > 1 <= second.rebalances
            assert first.table.owned() | second.table.owned() == set(range(PARTITIONS))
            for worker in (first, second):
                for partition in worker.table.owned():
                    await worker.feed((b"a", b"2"), (b"b", None), partition=partition)
            await until(lambda: all(w.row(b"a", p) == b"2" for w in (first, second) for p in w.table.owned()))
        await until(lambda: first.stage.ready and first.table.owned() == set(range(PARTITIONS)))
        for partition in range(PARTITIONS):
            assert (first.row(b"a", partition), first.row(b"b", partition)) == (b"2", None)
            assert (first.found("2", partition), first.found("1", partition)) == ([b"a"], [])
            assert held(first, partition) == await logged(first, partition)
    assert first.table.owned() == set()


def recovery_gauges(worker: Worker) -> tuple[Gauge, Gauge]:
    return worker.metrics.recovery_read, worker.metrics.recovery_left


async def test_a_lost_directory_is_read_again(settings: Settings, app_id: str, tmp_path: Path) -> None:
    async with Worker(settings, app_id, tmp_path / "a").running() as worker:
        await worker.feed(*((b"%d" % number, b"x") for number in range(5000)))
        await until(lambda: worker.row(b"4999") is not None)
    async with Worker(settings, app_id, tmp_path / "b").running() as worker:
        assert sum(key.isdigit() for key in held(worker)) == 5000
        assert len(worker.found("x")) == 5000
        read, left = (gauge.labels("kept", "0")._value.get() for gauge in recovery_gauges(worker))
        assert (read >= 5000, left) == (True, 0)


async def test_a_damaged_store_is_read_again(settings: Settings, app_id: str, tmp_path: Path) -> None:
    worker = Worker(settings, app_id, tmp_path)
    async with worker.running():
        await worker.feed(*((b"%d" % number, b"x") for number in range(5000)))
        await until(lambda: worker.row(b"4999") is not None)
        path = Path(worker.app.conf.tabledir) / f"{Keeping.name}-0.db"
    (path / "CURRENT").write_bytes(b"")
    async with Worker(settings, app_id, tmp_path).running() as worker:
        assert sum(key.isdigit() for key in held(worker)) == 5000
        assert held(worker) == await logged(worker)


@pytest.mark.parametrize("idle", [True, False])
async def test_what_an_outdated_worker_wrote_is_superseded(
    settings: Settings, app_id: str, tmp_path: Path, *, idle: bool
) -> None:
    async with Worker(settings, app_id, tmp_path).running() as worker:
        await worker.feed((b"a", b"new"), (b"b", b"new"))
        await until(lambda: worker.row(b"b") == b"new")
        await stranger(worker, 5, (b"a", b"old"), (b"c", b"old"))
        if not idle:
            await worker.feed((b"d", b"new"))
            await until(lambda: worker.row(b"d") == b"new")
        async with asyncio.timeout(PATIENCE):
            while await logged(worker) != held(worker):
                await asyncio.sleep(0.05)
        assert [worker.row(key) for key in (b"a", b"b", b"c")] == [b"new", b"new", None]
        await worker.feed((b"e", b"new"))
        await until(lambda: worker.row(b"e") == b"new")
        assert held(worker) == await logged(worker)


async def test_a_worker_that_was_replaced_ends_and_writes_nothing(settings: Settings, app_id: str, tmp_path: Path) -> None:
    worker = Worker(settings, app_id, tmp_path)
    async with worker.running():
        await worker.feed((b"a", b"old"))
        await until(lambda: worker.row(b"a") == b"old")
        await stranger(worker, worker.table.log(0).epoch + 1, (b"a", b"new"))
        await worker.feed((b"a", b"outdated"))
        async with asyncio.timeout(PATIENCE):
            await worker.app._crashed.wait()
        assert isinstance(worker.app.crash_reason, OutdatedWorkerError)
    store = Store(tmp_path / "fresh.db")
    log = Log(settings, worker.producer, PARTITIONS)
    log.rename(worker.table.changelog)
    await log.recover(store)
    assert store.get(b"a") == b"new"
    store.close()


async def test_a_batch_that_the_broker_had_already_is_found_in_the_log(
    settings: Settings, app_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Worker(settings, app_id, tmp_path).running() as worker:
        append, answers = worker.producer.append, iter([-1])

        async def forgetful(topic: str, partition: int, entries: Any) -> list[Appended]:
            found = await append(topic, partition, entries)
            if topic == worker.table.changelog and found and next(answers, None):
                return [replace(batch, base=-1) for batch in found]
            return found

        monkeypatch.setattr(worker.producer, "append", forgetful)
        await worker.feed((b"a", b"1"))
        await until(lambda: worker.row(b"a") == b"1")
        await worker.feed((b"a", b"2"))
        await until(lambda: worker.row(b"a") == b"2")
        assert held(worker) == await logged(worker)


async def test_rows_that_the_log_lost_are_written_again(settings: Settings, app_id: str, tmp_path: Path) -> None:
    async with Worker(settings, app_id, tmp_path).running() as worker:
        await worker.feed((b"a", b"1"), (b"b", b"1"))
        await until(lambda: worker.finished(0) == 2)
        path = Path(worker.app.conf.tabledir) / f"{Keeping.name}-0.db"
    store = Store(path)
    # Four records more were acknowledged, and the broker lost them in a power failure.
    store.write({b"a": b"2", b"b": None, b"c": b"2"}, replace(store.note, offset=store.note.offset + 4))
    store.close()
    async with Worker(settings, app_id, tmp_path).running() as worker:
        assert [worker.row(key) for key in (b"a", b"b", b"c")] == [b"2", None, b"2"]
        assert held(worker) == await logged(worker)


async def test_a_missing_changelog_is_named(settings: Settings, tmp_path: Path) -> None:
    app_id = f"opening-{uuid4().hex[:8]}"
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(f"{app_id}.source", PARTITIONS, 1)])
    await admin.close()
    worker = Worker(settings, app_id, tmp_path)
    async with worker.producer:
        await worker.app.start()
        try:
            async with asyncio.timeout(PATIENCE):
                await worker.app._crashed.wait()
            assert "owdd topics apply" in str(worker.app.crash_reason)
        finally:
            await worker.app.stop()
