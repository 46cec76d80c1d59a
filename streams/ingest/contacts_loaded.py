"""Says when the contact table's first load is over: the connector notifies, ingest reads on, and the stages get a barrier.

The notification alone says too little. Debezium holds back a table's last row until the next table begins, and its producer
writes each partition by itself, so rows may come behind it: it counts once as many records were appended as rows were read.
Then the barrier waits until ingest has committed everything that stood in the table's topic.
"""

import asyncio
from collections.abc import Callable

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from streams.capture.notifications import loaded
from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.kafka import client
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_span, reader
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import ingest_group
from streams.mapping import Mapping
from streams.messages.barriers import CONTACTS_LOADED, Barrier, BarrierChange
from streams.messages.changes import EVERYWHERE
from streams.messages.contracts import Participant
from streams.messages.topics import Topics
from streams.settings import Settings

log = structlog.get_logger()

_INTERVAL = 5.0
_PATIENCE = 30.0


class ContactsLoaded:
    """Sends the barrier :data:`~streams.messages.barriers.CONTACTS_LOADED`, from the worker for which ``leads()`` is true.

    Once by each process that leads; a stage passes on the first.
    """

    def __init__(
        self, settings: Settings, mapping: Mapping, producer: BatchProducer, clock: Clock, leads: Callable[[], bool]
    ) -> None:
        self._kafka = KafkaConfig.of(settings)
        self._notifications = CaptureNames.of(mapping, settings.source_kind).notifications
        self._table = mapping.topic(mapping.contact.table)
        self._group = ingest_group(settings)
        self._partitions = settings.partitions
        self._topic = Topics.of(settings.app_id, settings.generation).buyers
        self._producer = producer
        self._clock = clock
        self._leads = leads
        self._next = 0
        self._rows: int | None = None

    async def run(self) -> None:
        """Wait for the end of the first load, send the barrier, and rest.

        Raises:
            aiokafka.errors.KafkaError: the broker cannot be reached at the start, or the barrier could not be written.
        """
        admin = client.admin_client(self._kafka)
        await admin.start()
        try:
            async with reader(self._kafka) as consumer:
                # Not an event: what is waited for happens in the broker.
                while not await self._is_over(admin, consumer):  # noqa: ASYNC110
                    await asyncio.sleep(_INTERVAL)
        finally:
            await admin.close()
        await self._send()
        await asyncio.Event().wait()

    async def _is_over(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> bool:
        if not self._leads():
            return False
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._read_notifications(admin, consumer)
                return self._rows is not None and await self._has_read(admin, consumer, self._rows)
        except (KafkaError, TimeoutError) as error:
            log.warning("the connector's notifications cannot be read", error=type(error).__name__)
            return False

    async def _read_notifications(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer) -> None:
        """Read the notifications that came since."""
        for place in await _places(admin, self._notifications):
            end = (await consumer.end_offsets([place]))[place]
            async for record in read_span(consumer, place, self._next, end):
                said = loaded(record.value)
                if said is not None and said.is_of(self._table):
                    self._rows = max(said.rows, self._rows or 0)
            self._next = end

    async def _has_read(self, admin: AIOKafkaAdminClient, consumer: AIOKafkaConsumer, rows: int) -> bool:
        """Whether the rows that were read are in the table's topic, and everything there was passed on."""
        places = await _places(admin, self._table)
        ends = await consumer.end_offsets(places)
        if not places or sum(ends.values()) < rows:
            return False
        committed = await admin.list_consumer_group_offsets(self._group, partitions=places)
        return all(end == 0 or committed[place].offset >= end for place, end in ends.items())

    async def _send(self) -> None:
        log.info("the contact table's first load is over", topic=self._table)
        row = Barrier(Participant.INGEST, 0, 1)
        change = BarrierChange(EVERYWHERE, CONTACTS_LOADED, b"", Lane.BULK, self._clock.now_ms(), row)
        value = self._topic.pack([change])
        sends = [self._producer.send_one(self._topic, place, None, value) for place in range(self._partitions)]
        await asyncio.gather(*sends)


async def _places(admin: AIOKafkaAdminClient, topic: str) -> list[TopicPartition]:
    described = await admin.describe_topics([topic])
    return [TopicPartition(item["topic"], part["partition"]) for item in described for part in item["partitions"]]
