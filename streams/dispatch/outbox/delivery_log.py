"""Answers: what Dotdigital said, written down in the ``deliveries`` topic, from where the outbox learns it."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

import msgspec

from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.dispatch.outbox.tasks import owner_of
from streams.domain.contact_state import ContactDeliveryState
from streams.kafka.producer import BatchProducer
from streams.messages.changes import CarriedRefusal, partition_of
from streams.messages.deliveries import Delivery
from streams.messages.kinds import CarriedRefusalChange
from streams.messages.topics import Topics

_encode = msgspec.json.Encoder().encode


class DeliveryLog:
    """Writes answers. Every method returns when Kafka has them.

    Raises:
        aiokafka.errors.KafkaError: from every method; the worker must end, what was not written down is sent again.
    """

    def __init__(self, producer: BatchProducer, topics: Topics, clock: Clock, partitions: int) -> None:
        self._producer = producer
        self._topics = topics
        self._clock = clock
        self._partitions = partitions

    def now_ms(self) -> int:
        """The time to write on an answer."""
        return self._clock.now_ms()

    async def write(self, partition: int, delivery: Delivery) -> None:
        """Append one answer, in one batch with those of other calls."""
        await self._producer.send_one(self._topics.deliveries, partition, self._key(delivery), _encode(delivery))

    async def write_all(self, deliveries: Iterable[tuple[int, Delivery]]) -> None:
        """Append many answers, each with its partition, in order."""
        by_partition: dict[int, list[tuple[bytes | None, bytes | None]]] = defaultdict(list)
        for partition, delivery in deliveries:
            by_partition[partition].append((self._key(delivery), _encode(delivery)))
        sends = [self._producer.send(self._topics.deliveries, place, entries) for place, entries in by_partition.items()]
        await asyncio.gather(*sends)

    async def carry(self, email: str, row: ContactDeliveryState) -> None:
        """Tell the person's next address of a refusal at this one, whose row is ``row``."""
        change = CarriedRefusalChange(email, 0, row.position, Lane.URGENT, row.caused_at, CarriedRefusal())
        topic = self._topics.desired
        await self._producer.send(topic, partition_of(email, self._partitions), [(None, topic.pack([change]))])

    @staticmethod
    def _key(delivery: Delivery) -> bytes:
        no_task = delivery.outcome in ("importing", "imported", "resumed")
        return (delivery.task if no_task else owner_of(delivery.task)).encode()
