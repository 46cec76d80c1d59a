"""The newest heartbeats: only they distinguish an idle shop from dead capture.

SQL Server's capture job can stop while the connector is RUNNING and its own heartbeats continue. So the connector writes to a
table of ours (``heartbeat.action.query``), and only the row that comes back through CDC proves that the whole path works.
"""

import asyncio
from dataclasses import dataclass
from typing import Final

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition

from streams.capture.envelope import Control, RowEvent, decode
from streams.core.errors import RecordError
from streams.kafka import client
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.security import KafkaConfig

OVERDUE_SECONDS: Final = 60.0
"""The age from which a heartbeat row shows that capture has stopped.

A healthy row is at most some 20 s old: 10 s between heartbeats, 5 s between scans of SQL Server's capture job, and delivery.
"""

# Seconds. A consumer without a group has no timeout of its own while the broker is away.
_PATIENCE: Final = 10.0
# The last offset may be a transaction marker, and a deleted or unreadable record may follow a good one.
_LOOK_BACK: Final = 20


@dataclass(frozen=True, slots=True)
class Heartbeats:
    """When the newest heartbeat of each kind was written, in epoch milliseconds; None: Kafka has none.

    ``row`` is the source's time of the newest heartbeat row that came back, ``connector`` that of the connector's own.
    """

    row: int | None = None
    connector: int | None = None


async def read_heartbeats(kafka: KafkaConfig, names: CaptureNames) -> Heartbeats:
    """The newest heartbeats in Kafka, read without a consumer group.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
        TimeoutError: the broker does not answer in time.
    """
    consumer = client.consumer(kafka, enable_auto_commit=False)
    async with asyncio.timeout(_PATIENCE):
        try:
            await consumer.start()
            newest = await _newest(consumer, await consumer.topics() & {names.heartbeat_rows, names.heartbeats})
        finally:
            await consumer.stop()
    return Heartbeats(newest.get(names.heartbeat_rows), newest.get(names.heartbeats))


async def _newest(consumer: AIOKafkaConsumer, topics: set[str]) -> dict[str, int]:
    # Debezium writes its heartbeats to partition 0, and the heartbeat table has one row, so one key and one partition.
    places = [TopicPartition(topic, 0) for topic in topics]
    if not places:
        return {}
    consumer.assign(places)
    begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    for place in places:
        consumer.seek(place, max(begins[place], ends[place] - _LOOK_BACK))
    newest: dict[str, int] = {}
    while any([await consumer.position(place) < ends[place] for place in places]):
        for place, records in (await consumer.getmany(timeout_ms=250)).items():
            for record in records:
                if (at := heartbeat_time(record)) is not None:
                    newest[place.topic] = max(at, newest.get(place.topic, 0))
    return newest


def heartbeat_time(record: ConsumerRecord) -> int | None:
    """When the heartbeat in ``record`` was written; None if it is not a heartbeat.

    The source's clock, not the time of arrival: a row that CDC delivers an hour late is an hour old.
    """
    try:
        found = decode(record.key, record.value)
    except RecordError:
        return None
    return found.at or None if isinstance(found, RowEvent | Control) else None
