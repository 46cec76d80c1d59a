"""Produce in batches and know that it arrived.

One record batch per destination and call, handed to aiokafka as a whole: the cost is per batch, not per record. Every
method returns only when the broker has acknowledged; a failure is raised, and the worker ends rather than acknowledge
work whose consequences are not durable.
"""

import asyncio
from collections.abc import Iterable, Sequence
from types import TracebackType
from typing import Self, TypeAlias

from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.settings import Settings

KeyValue: TypeAlias = tuple[bytes | None, bytes | None]
"""Key and value of one record."""

_BATCH_BYTES = 1_000_000


class BatchProducer:
    """An idempotent Kafka producer for whole batches."""

    def __init__(self, settings: Settings) -> None:
        self._producer = client.producer(
            KafkaConfig.of(settings),
            acks="all",
            enable_idempotence=True,
            compression_type=None if settings.compression == "none" else settings.compression,
            max_batch_size=_BATCH_BYTES,
            max_request_size=settings.topic_max_bytes,
            request_timeout_ms=30_000,
        )

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._producer.stop()

    async def send(self, topic: str, partition: int, entries: Iterable[KeyValue]) -> int:
        """Append records in order; the offset of the last one.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge in time, or refused.
        """
        pending: list[asyncio.Future[object]] = []
        batch = self._producer.create_batch()
        for key, value in entries:
            if batch.append(key=key, value=value, timestamp=None) is None:
                pending.append(await self._submit(batch, topic, partition))
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None)
        count = batch.record_count()
        if count:
            pending.append(await self._submit(batch, topic, partition))
        results: Sequence[object] = await asyncio.gather(*pending)
        return int(results[-1].offset) + count - 1 if results else -1  # type: ignore[attr-defined]  # RecordMetadata

    async def send_one(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Append one record, in one batch with others that are sent to the partition meanwhile.

        Raises:
            aiokafka.errors.KafkaError: as :meth:`send`.
        """
        await self._producer.send_and_wait(topic, value=value, key=key, partition=partition, headers=headers)

    async def _submit(self, batch: object, topic: str, partition: int) -> "asyncio.Future[object]":
        future: asyncio.Future[object] = await self._producer.send_batch(batch, topic, partition=partition)
        return future
