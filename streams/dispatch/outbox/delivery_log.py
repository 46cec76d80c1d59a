"""The delivery log: writes delivery events to the topic ``deliveries``, from which the outbox reads them."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable

from streams.core.lanes import Lane
from streams.dispatch.outbox.tasks import owner_of
from streams.domain.contact_state import ContactDeliveryState
from streams.engine.unit_of_work import packed
from streams.kafka.producer import BatchProducer
from streams.messages.changes import CarriedRefusal, partition_of
from streams.messages.deliveries import (
    DeliveryEvent,
    ImportEnded,
    ImportIdVoid,
    ImportStarted,
    PartitionResumed,
    write_event,
)
from streams.messages.kinds import CarriedRefusalChange
from streams.messages.moves import MovedRecord, MovedRecordChange
from streams.messages.topics import Topics


class DeliveryLog:
    """Writes delivery events. Every method returns when Kafka has them.

    Raises:
        aiokafka.errors.KafkaError: from every method; the worker must end, what was not written down is sent again.
    """

    def __init__(self, producer: BatchProducer, topics: Topics, partitions: int) -> None:
        self._producer = producer
        self._topics = topics
        self._partitions = partitions

    async def write(self, partition: int, event: DeliveryEvent) -> None:
        """Append one event, in one batch with those of other calls."""
        await self._producer.send_one(self._topics.deliveries, partition, _key(event), write_event(event))

    async def write_all(self, events: Iterable[tuple[int, DeliveryEvent]]) -> None:
        """Append many events, each with its partition, in order."""
        by_partition: dict[int, list[tuple[bytes | None, bytes | None]]] = defaultdict(list)
        for partition, event in events:
            by_partition[partition].append((_key(event), write_event(event)))
        sends = [self._producer.send(self._topics.deliveries, place, entries) for place, entries in by_partition.items()]
        await asyncio.gather(*sends)

    async def carry_refusal(self, email: str, row: ContactDeliveryState) -> None:
        """Emit to the person's next address that a refusal at this one, whose row is ``row``, applies there too."""
        change = CarriedRefusalChange(email, 0, row.position, Lane.URGENT, row.caused_at, CarriedRefusal())
        topic = self._topics.desired
        await self._producer.send(topic, partition_of(email, self._partitions), [(None, topic.pack([change]))])

    async def move_records(self, email: str, row: ContactDeliveryState, records: Iterable[tuple[str, int]]) -> None:
        """Emit to the address that a contact has now which records came along: key and order; ``row`` is its former row."""
        lane, caused_at, topic = Lane(row.lane), row.caused_at, self._topics.desired
        changes = [MovedRecordChange(email, key, b"", lane, caused_at, MovedRecord(source)) for key, source in records]
        if entries := packed(topic, changes):
            await self._producer.send(topic, partition_of(email, self._partitions), entries)


def _key(event: DeliveryEvent) -> bytes:
    match event:
        case ImportStarted() | ImportEnded() | ImportIdVoid():
            return event.import_id.encode()
        case PartitionResumed():
            return event.fence.encode()
        case _:
            return owner_of(event.task).encode()
