"""Appends to the audit topic: the one way in, so that every entry has its place in its writer's chain."""

import asyncio
from collections.abc import Sequence
from typing import Self

from streams.kafka.producer import BatchProducer, KeyValue
from streams.messages.audit import Entry, write_audit
from streams.messages.audit_chain import AuditChain
from streams.messages.changes import partition_of
from streams.messages.topics import Topics
from streams.settings import Settings


class AuditLog:
    """The audit topic for one writer; ``key`` is the key of the chain's digests."""

    def __init__(self, producer: BatchProducer, topic: str, partitions: int, key: bytes) -> None:
        self.topic = topic
        self._producer = producer
        self._partitions = partitions
        self._key = key
        self._chain = AuditChain(key)
        self._one_at_a_time = asyncio.Lock()

    @classmethod
    def of(cls, settings: Settings, producer: BatchProducer) -> Self:
        """The audit topic that ``settings`` name."""
        return cls(producer, Topics.of(settings.app_id).audit, settings.partitions, settings.erasure_keys[-1])

    async def write(self, entry: Entry, key: bytes) -> None:
        """Append one entry, to the partition of its ``key``.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge; it may be written again.
        """
        await self.append(partition_of(key.decode(), self._partitions), [(key, write_audit(entry))])

    async def append(self, partition: int, entries: Sequence[KeyValue]) -> None:
        """Append entries in order.

        Raises:
            aiokafka.errors.KafkaError: as :meth:`write`.
        """
        async with self._one_at_a_time:
            try:
                linked = [(key, value, self._chain.next(key, value).headers()) for key, value in entries]
                await self._producer.append(self.topic, partition, linked)
            except BaseException:
                # Nobody knows whether they were appended: what comes next must follow neither from them nor from those before.
                self._chain = AuditChain(self._key)
                raise
