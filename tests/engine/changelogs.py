"""Changelogs on a real broker, and stores that follow them."""

from collections.abc import Iterable
from contextlib import aclosing
from typing import Any
from uuid import uuid4

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete

from streams.core.clock import SystemClock
from streams.engine.recovery import EPOCH, Progress, Recovered, changelog_reader, recover
from streams.engine.store import Store
from streams.kafka.producer import BatchProducer, KeyValue
from streams.kafka.security import KafkaConfig
from streams.settings import Settings

DAY_MS = 86_400_000


class Log:
    """One changelog topic of its own."""

    def __init__(self, settings: Settings, producer: BatchProducer, partitions: int = 1) -> None:
        self.settings = settings
        self.producer = producer
        self.partitions = partitions
        self.rename(f"log-{uuid4().hex[:8]}")

    def rename(self, topic: str) -> None:
        """Another topic."""
        self.topic = topic
        self.places = [TopicPartition(topic, number) for number in range(self.partitions)]

    async def create(self, **config: str) -> "Log":
        configs = {"cleanup.policy": "compact"} | {name.replace("_", "."): value for name, value in config.items()}
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap)
        await admin.start()
        await admin.create_topics([NewTopic(self.topic, len(self.places), 1, topic_configs=configs)])
        await admin.close()
        return self

    async def append(self, entries: Iterable[KeyValue], *, epoch: int = 1, partition: int = 0) -> int:
        """The offset of the last record."""
        headers = [(EPOCH, str(epoch).encode())]
        batches = await self.producer.append(self.topic, partition, [(key, value, headers) for key, value in entries])
        return batches[-1].base + batches[-1].count - 1

    async def delete_before(self, offset: int) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=self.settings.kafka_bootstrap)
        await admin.start()
        await admin.delete_records({self.places[0]: RecordsToDelete(before_offset=offset)})
        await admin.close()

    async def recover(
        self,
        *stores: Store,
        retention_ms: int = DAY_MS,
        reader: Any = None,
        clock: Any = None,
        progress: Progress = lambda *_: None,
    ) -> list[Recovered]:
        """Bring the stores of the first partitions up to the log."""
        async with reader or changelog_reader(KafkaConfig.of(self.settings)) as open_reader:
            by_place = dict(zip(self.places, stores, strict=False))
            async with aclosing(recover(open_reader, by_place, clock or SystemClock(), retention_ms, progress)) as found:
                return [one async for one in found]


def rows(store: Store) -> dict[bytes, bytes]:
    """All rows of a store."""
    return dict(store.scan(b""))


def numbered(first: int, last: int, value: bytes = b"x") -> list[KeyValue]:
    """Entries with the keys ``first`` up to, and without, ``last``."""
    return [(b"%06d" % number, value) for number in range(first, last)]
