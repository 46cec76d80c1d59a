"""Workers of one stage, in the process of the test and on a real broker."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from streams.core.acknowledged import Acknowledged
from streams.core.clock import SystemClock
from streams.engine.app import create_app
from streams.engine.breaker import Breaker
from streams.engine.opening import Opener
from streams.engine.recovery import EPOCH
from streams.engine.row_index import Lookup
from streams.engine.stage import Record, Stage
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.kafka.producer import BatchProducer, KeyValue
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.messages.audit_log import AuditLog
from streams.observability.lag import ConsumedOffsets
from streams.observability.metrics import Metrics
from streams.settings import Settings
from tests.engine.changelogs import rows
from tests.patience import PATIENCE

PARTITIONS = 4
BY_VALUE = Lookup(b"", lambda _, value: value.decode(), b"k")


class Keeping:
    """A handler that keeps each record as a row."""

    name = "kept"

    def __init__(self) -> None:
        self.in_memory: set[int] = set()

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        assert unit.partition in self.in_memory or not records
        for record in records:
            assert record.key is not None
            unit.put(record.key, record.value)
        return len(records)

    def recovered(self, partition: int, table: StateTable) -> None:
        self.in_memory.add(partition)

    def revoked(self) -> None:
        self.in_memory.clear()


class Worker:
    """One application with one stage in a directory of its own."""

    def __init__(
        self,
        settings: Settings,
        app_id: str,
        directory: Path,
        handler: Keeping | None = None,
        written: Acknowledged | None = None,
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.settings = settings.model_copy(update={"data_dir": directory})
        self.topic = f"{app_id}.source"
        self.app: Any = create_app(app_id, self.settings)
        self.producer = BatchProducer(self.settings, written)
        self.table = StateTable(self.app.conf.tabledir, app_id, Keeping.name, BY_VALUE)
        self.progress = ConsumedOffsets(app_id, [self.topic], written)
        kafka = KafkaConfig.of(self.settings)
        self.metrics = Metrics()
        self.opener = Opener(self.app, kafka, self.producer, SystemClock(), self.progress, self.metrics)
        self.stage = Stage(
            self.app,
            self.opener,
            [self.topic],
            self.table,
            handler or Keeping(),
            self.producer,
            partitions=PARTITIONS,
            dead_letters="dead",
            audit=AuditLog(self.producer, "audit", PARTITIONS, b"k"),
            breaker=Breaker(500, 0.9),
            hash_key=b"k",
            clock=SystemClock(),
            metrics=self.metrics,
            progress=self.progress,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator["Worker"]:
        async with self.producer:
            tasks = [asyncio.create_task(work) for work in (self.stage.run(), self.opener.watch())]
            await self.app.start()
            try:
                await until(lambda: self.app.tables.actives_ready and self.stage.ready)
                yield self
            finally:
                for task in tasks:
                    task.cancel()
                await self.app.stop()

    async def feed(self, *entries: KeyValue, partition: int = 0) -> None:
        await self.producer.send(self.topic, partition, entries)

    def finished(self, partition: int) -> int:
        """The offset up to which the source's partition is acknowledged."""
        return self.progress.next.get(TopicPartition(self.topic, partition), 0)

    def row(self, key: bytes, partition: int = 0) -> bytes | None:
        return self.table.get(partition, key)

    @property
    def rebalances(self) -> float:
        """How often partitions were dealt out to this worker."""
        return float(self.metrics.rebalances.labels(self.app.conf.id)._value.get())

    def found(self, value: str, partition: int = 0) -> list[bytes]:
        """The keys of the rows with this value."""
        return [key for key, _ in self.table.find(partition, BY_VALUE.hash(value))]


async def until(met: Callable[[], bool], seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not met():
            await asyncio.sleep(0.01)


async def logged(worker: Worker, partition: int = 0) -> dict[bytes, bytes]:
    """The last value of every key in the changelog, whoever wrote it."""
    found: dict[bytes, bytes] = {}
    async for record in read_topic(KafkaConfig.of(worker.settings), worker.table.changelog, [partition]):
        if record.value is None:
            found.pop(record.key, None)
        else:
            found[record.key] = record.value
    return found


def held(worker: Worker, partition: int = 0) -> dict[bytes, bytes]:
    return rows(worker.table.store(partition))


async def stranger(worker: Worker, epoch: int, *entries: KeyValue, partition: int = 0) -> None:
    """Another writer's batch in the changelog."""
    headers = [(EPOCH, str(epoch).encode())]
    await worker.producer.append(worker.table.changelog, partition, [(key, value, headers) for key, value in entries])


async def create_topics(settings: Settings, app_id: str) -> None:
    """What a worker reads, and its changelog."""
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    topics = f"{app_id}.source", f"{app_id}-{Keeping.name}-changelog"
    await admin.create_topics([NewTopic(topic, PARTITIONS, 1) for topic in topics])
    await admin.close()
