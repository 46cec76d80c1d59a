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
from typing import Any, Self, TypeAlias

from streams.core.acknowledged import Acknowledged
from streams.core.bookmark import Bookmark
from streams.kafka import client
from streams.kafka.continuity import LostAcknowledgedError
from streams.kafka.security import KafkaConfig
from streams.settings import Settings

KeyValue: TypeAlias = tuple[bytes | None, bytes | None]
"""Key and value of one record."""
Headers: TypeAlias = list[tuple[str, bytes]]
"""aiokafka takes nothing but a list."""
HeadedRecord: TypeAlias = tuple[bytes | None, bytes | None, Headers]

_NO_HEADERS: Headers = []

_BROKERS_TIME = 1
"""Type of a timestamp: when the broker appended the record."""
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
    """An idempotent Kafka producer for whole batches, which notes in ``acknowledged`` what arrived in the topics that it names.

    Raises:
        LostAcknowledgedError: from every method: a topic lost a record that the broker had acknowledged. The worker must end.
    """

    def __init__(self, settings: Settings, acknowledged: Acknowledged | None = None) -> None:
        self._acknowledged = acknowledged or Acknowledged()
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
        last: KeyValue = None, None
        for key, value, headers in entries:
            if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                # The batch is full and has not taken the record. A fresh one takes any record, and the broker judges it.
                pending.append((batch.record_count(), await self._submit(batch, topic, partition, last)))
                batch = self._producer.create_batch()
                batch.append(key=key, value=value, timestamp=None, headers=headers)
            last = key, value
        if count := batch.record_count():
            pending.append((count, await self._submit(batch, topic, partition, last)))
        # Waited for together: the batches of a partition keep their order, also when the producer repeats one.
        results: Sequence[object] = await asyncio.gather(*(future for _, future in pending))
        self._refuse_lost()
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
        future: asyncio.Future[object] = await self._producer.send(
            topic, value=value, key=key, partition=partition, headers=headers
        )
        self._note(future, 1, (key, value), topic)
        await future
        self._refuse_lost()

    async def _submit(self, batch: Any, topic: str, partition: int, last: KeyValue) -> "asyncio.Future[object]":
        # Closed, or aiokafka adds a record of send_one to it while it waits, and answers for that one first.
        batch.close()
        # One at a time: aiokafka wakes all that wait for a partition whenever a batch of it is sent, and at each waking takes
        # the time since their call off what is left (0.14.0, MessageAccumulator.add_batch). Among many, the last would give
        # up, and the worker end, within seconds.
        async with self._turns[topic, partition]:
            future: asyncio.Future[object] = await self._producer.send_batch(batch, topic, partition=partition)
        self._note(future, batch.record_count(), last, topic)
        return future

    def _note(self, future: "asyncio.Future[object]", count: int, last: KeyValue, topic: str) -> None:
        """Note the last of ``count`` records once they are acknowledged."""
        if topic in self._acknowledged.topics:
            # A callback, because those who wait may go on in another order than the broker answered in.
            future.add_done_callback(lambda done: self._arrived(done, count, last))

    def _arrived(self, future: "asyncio.Future[Any]", count: int, last: KeyValue) -> None:
        if future.cancelled() or future.exception() is not None:
            return
        found = future.result()
        # Without the broker's time: the broker had the batch already, and nobody knows where.
        if found.timestamp_type == _BROKERS_TIME:
            mark = Bookmark.at(found.offset + count - 1, found.timestamp, *last)
            self._acknowledged.note((found.topic, found.partition), mark)

    def _refuse_lost(self) -> None:
        if self._acknowledged.overtaken:
            raise LostAcknowledgedError(self._acknowledged.overtaken)
