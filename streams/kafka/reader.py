"""Read whole topics, outside every consumer group."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import aclosing
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.core.errors import ConfigurationError
from streams.kafka.client import admin_client
from streams.kafka.client import consumer as new_consumer
from streams.kafka.security import KafkaConfig

_IDLE_MS = 250
_FOLLOW_MS = 1_000
_SHORT_WAIT_MS = 20
_LONG_WAIT_MS = 5_000
_LARGEST_FETCH = 4 * 2**20
"""Bytes for each partition and fetch; four times aiokafka's default, because whole topics are read."""
_LOOKS, _LOOK_SECONDS = 3, 1.0
"""A broker that has just started may not know all of its topics at once."""


def reader(kafka: KafkaConfig) -> AIOKafkaConsumer:
    """A consumer that belongs to no group and commits nothing."""
    return new_consumer(kafka, enable_auto_commit=False, max_partition_fetch_bytes=_LARGEST_FETCH)


def follower(kafka: KafkaConfig) -> AIOKafkaConsumer:
    """As :func:`reader`, for topics that change rarely: what is appended arrives at once; else it hardly asks."""
    return new_consumer(kafka, enable_auto_commit=False, fetch_max_wait_ms=_LONG_WAIT_MS)


def committed_reader(kafka: KafkaConfig, *, fetch_bytes: int = _LARGEST_FETCH) -> AIOKafkaConsumer:
    """As :func:`reader`, without the records of transactions that are open or were aborted.

    ``fetch_bytes``: of each partition at a time; a small number where single records are wanted, for a fetch is not cut.
    """
    return new_consumer(
        kafka,
        enable_auto_commit=False,
        isolation_level="read_committed",
        max_partition_fetch_bytes=fetch_bytes,
        # It reads spans, which end before the log does; a question about offsets waits behind a fetch that waits.
        fetch_max_wait_ms=_SHORT_WAIT_MS,
    )


async def read_span(consumer: AIOKafkaConsumer, place: TopicPartition, begin: int, end: int) -> AsyncIterator[Any]:
    """The records of ``place`` at offsets from ``begin`` to before ``end``, those that the log still has.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    if begin >= end:
        return
    begins = await consumer.beginning_offsets([place])
    consumer.assign([place])
    consumer.seek(place, max(begin, begins[place]))
    while await consumer.position(place) < end:
        for records in (await consumer.getmany(timeout_ms=_IDLE_MS)).values():
            for record in records:
                if record.offset < end:
                    yield record
    # Or it would be fetched on, and hold up the next question.
    consumer.pause(place)


async def offsets_since(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], since_ms: int
) -> dict[TopicPartition, int]:
    """The first offset of each place at which a record was appended at that time (epoch ms) or later; the end if there is none.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    if not places:
        return {}
    found = await consumer.offsets_for_times(dict.fromkeys(places, max(0, since_ms)))
    ends = await consumer.end_offsets(places)
    return {place: ends[place] if (at := found.get(place)) is None else at.offset for place in places}


async def partitions_of(kafka: KafkaConfig, topics: Iterable[str]) -> dict[str, list[int]]:
    """The partitions of each topic; none of one that does not exist.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    admin = admin_client(kafka)
    await admin.start()
    try:
        described = await admin.describe_topics(list(topics))
    finally:
        await admin.close()
    return {item["topic"]: sorted(part["partition"] for part in item["partitions"]) for item in described}


async def read_to_end(
    consumer: AIOKafkaConsumer, places: Sequence[TopicPartition], *, last: int | None = None
) -> AsyncIterator[Any]:
    """The records of ``places`` from their beginning to where they end now; the consumer goes on from there.

    ``last``: only so many offsets before each end; with transaction markers or compacted records there are fewer records.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    # Before anything is assigned: else the consumer's own reset goes to the end, and a fetch there holds up the next question.
    begins, ends = await consumer.beginning_offsets(list(places)), await consumer.end_offsets(list(places))
    consumer.assign(list(places))
    for place in places:
        consumer.seek(place, begins[place] if last is None else max(begins[place], ends[place] - last))
    waiting = set(places)
    # By position, not by the last record: compaction and markers of transactions leave the last offsets without a record.
    while waiting := {place for place in waiting if await consumer.position(place) < ends[place]}:
        for records in (await consumer.getmany(*waiting, timeout_ms=_IDLE_MS)).values():
            for record in records:
                yield record


async def require_topics(consumer: AIOKafkaConsumer, *topics: str) -> None:
    """See that the topics exist: aiokafka would ask for them until its patience ends, and blame the broker.

    Raises:
        ConfigurationError: one of them does not.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    missing = set(topics)
    for look in range(_LOOKS):
        if look:
            await asyncio.sleep(_LOOK_SECONDS)
        if not (missing := missing - await consumer.topics()):
            return
    remedy = "Run 'owdd topics apply --execute'; or is OWDD_APP_ID another site's?"
    raise ConfigurationError(f"no such topic: {', '.join(sorted(missing))}", remedy=remedy)


async def read_topic(kafka: KafkaConfig, topic: str, partitions: Iterable[int]) -> AsyncIterator[Any]:
    """The records that ``topic`` holds now, partition by partition in order.

    Raises:
        ConfigurationError: the topic does not exist.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    async with reader(kafka) as consumer:
        await require_topics(consumer, topic)
        places = [TopicPartition(topic, partition) for partition in partitions]
        async with aclosing(read_to_end(consumer, places)) as records:  # type: ignore[type-var]  # a generator has aclose
            async for record in records:
                yield record


async def read_last(kafka: KafkaConfig, topic: str, partitions: Iterable[int], most: int) -> AsyncIterator[Any]:
    """The records of the last ``most`` offsets of each partition.

    Raises:
        ConfigurationError: the topic does not exist.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    async with reader(kafka) as consumer:
        await require_topics(consumer, topic)
        places = [TopicPartition(topic, partition) for partition in partitions]
        async with aclosing(read_to_end(consumer, places, last=most)) as records:  # type: ignore[type-var]  # as above
            async for record in records:
                yield record


async def follow(kafka: KafkaConfig, place: TopicPartition, apply: Callable[[Any], None], known: Callable[[], None]) -> None:
    """Apply the records of ``place`` from its beginning, call ``known`` once these are all there is, and go on for ever.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer at the start.
    """
    async with follower(kafka) as consumer:
        async with aclosing(read_to_end(consumer, [place])) as records:  # type: ignore[type-var]  # as above
            async for record in records:
                apply(record)
        known()
        while True:
            for records in (await consumer.getmany(timeout_ms=_FOLLOW_MS)).values():
                for record in records:
                    apply(record)
