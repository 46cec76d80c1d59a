"""Produce in batches and know that it arrived.

One record batch per destination and call, handed to aiokafka as a whole: the cost is per batch, not per record. Every
method returns only when the broker has acknowledged; a failure is raised, and the worker ends rather than acknowledge
work whose consequences are not durable.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeAlias

from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.settings import Settings

KeyValue: TypeAlias = tuple[bytes | None, bytes | None]
"""Key and value of one record."""
Headers: TypeAlias = list[tuple[str, bytes]]
"""aiokafka takes nothing but a list."""
HeadedRecord: TypeAlias = tuple[bytes | None, bytes | None, Headers]

_NO_HEADERS: Headers = []

_BATCH_BYTES = 1_000_000
"""Below ``message.max.bytes`` of a broker that is left as it comes (1,048,588), headers of the batch included."""


@dataclass(frozen=True, slots=True)
class Appended:
    """A record batch in the log: the offset of its first record, and their number.

    ``base`` is -1 if the broker had the batch already: aiokafka takes that for success, and does not know where it is.
    """

    base: int
    count: int


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
        self._turns: defaultdict[tuple[str, int], asyncio.Lock] = defaultdict(asyncio.Lock)

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
        batches = await self.append(topic, partition, ((key, value, _NO_HEADERS) for key, value in entries))
        return batches[-1].base + batches[-1].count - 1 if batches else -1

    async def append(self, topic: str, partition: int, entries: Iterable[HeadedRecord]) -> list[Appended]:
        """Append records in order; where the broker put each batch of them.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge in time, or refused.
        """
        pending: list[tuple[int, asyncio.Future[object]]] = []
        batch = self._producer.create_batch()
        for key, value, headers in entries:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                # The batch is full and has not taken the record. A fresh one takes any record, and the broker judges it.
                pending.append((batch.record_count(), await self._submit(batch, topic, partition)))
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
        if count := batch.record_count():
            pending.append((count, await self._submit(batch, topic, partition)))
        # Waited for together: the batches of a partition keep their order, also when the producer repeats one.
        results: Sequence[object] = await asyncio.gather(*(future for _, future in pending))
        return [
            Appended(int(result.offset), count)  # type: ignore[attr-defined]  # RecordMetadata
            for (count, _), result in zip(pending, results, strict=True)
        ]

    async def send_one(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Append one record, in one batch with others that are sent to the partition meanwhile.

        Raises:
            aiokafka.errors.KafkaError: as :meth:`send`.
        """
        await self._producer.send_and_wait(topic, value=value, key=key, partition=partition, headers=headers)

    async def _submit(self, batch: object, topic: str, partition: int) -> "asyncio.Future[object]":
        # One at a time: aiokafka wakes all that wait for a partition whenever a batch of it is sent, and at each waking takes
        # the time since their call off what is left (0.14.0, MessageAccumulator.add_batch). Among many, the last would give
        # up, and the worker end, within seconds.
        async with self._turns[topic, partition]:
            future: asyncio.Future[object] = await self._producer.send_batch(batch, topic, partition=partition)
        return future
