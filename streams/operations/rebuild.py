"""Empty the topics between the stages: before a rebuild, because a new version reads them from the beginning.

Results of the old mapping in them would stay for ever wherever the new mapping produces nothing in their place, as for orders
whose type is ignored now. Captured rows bring back everything except erasures and unsubscribes: these are appended again before
the rest is deleted.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete
from msgspec.structs import replace

from streams.core.errors import RecordError, RefusedError
from streams.kafka import client
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_to_end, read_topic, reader
from streams.kafka.security import KafkaConfig
from streams.messages.change_heads import split
from streams.messages.changes import ChangeKind
from streams.messages.generations import PARTITION as GENERATIONS_PARTITION
from streams.messages.generations import is_generation, read_generation, write_generations
from streams.messages.topics import ChangeTopic, Topics
from streams.settings import Settings

_KEPT = (ChangeKind.ERASURE, ChangeKind.CARRIED_REFUSAL)
AT_REST = ("Empty", "Dead")
"""States of a consumer group without members."""


@dataclass(frozen=True, slots=True)
class Clearing:
    """The content of one topic: ``going`` changes and unreadable records are deleted, ``kept`` changes stay."""

    topic: str
    going: int
    kept: int


async def purge(settings: Settings, *, execute: bool, record: Callable[[], Awaitable[None]] | None = None) -> list[Clearing]:
    """Count the deleted and kept changes of each topic between the stages; with ``execute``, delete.

    May be interrupted and run again at any time. ``record`` is called before the first change, if nothing refuses it.

    Raises:
        RefusedError: a worker of any version of the application runs; its group would read over the gap.
        aiokafka.errors.KafkaError: the broker does not answer, or refuses.
    """
    admin = client.admin_client(KafkaConfig.of(settings))
    await admin.start()
    try:
        await require_idle(admin, settings.app_id)
        topics = Topics.of(settings.app_id, settings.generation).between_stages
        async with BatchProducer(settings) as producer:
            if execute:
                if record is not None:
                    await record()
                await _forget_generations(settings, producer)
            return [await _clear(settings, topic, admin, producer if execute else None) for topic in topics]
    finally:
        await admin.close()


async def _forget_generations(settings: Settings, producer: BatchProducer) -> None:
    """The new outbox obeys the first generation: which one the old outbox obeyed, and how far others were, is nothing to it."""
    topic = Topics.of(settings.app_id).generations
    records = read_topic(KafkaConfig.of(settings), topic, [GENERATIONS_PARTITION])
    for key, value in {record.key: record.value async for record in records}.items():
        await producer.send_one(topic, GENERATIONS_PARTITION, key, _forgotten(key, value))


def _forgotten(key: bytes, value: bytes | None) -> bytes | None:
    """Nothing, but that the number is taken: a barrier of that generation may stand in topic ``frozen-orders`` still."""
    generation = read_generation(value) if value is not None and is_generation(key) else None
    return write_generations(replace(generation, dropped=True)) if generation is not None and generation.number else None


async def _clear(
    settings: Settings, topic: ChangeTopic[Any], admin: AIOKafkaAdminClient, producer: BatchProducer | None
) -> Clearing:
    places = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
    # By what it says, once: an interrupted run has appended it already.
    kept: dict[TopicPartition, dict[bytes, None]] = {place: {} for place in places}
    going = 0
    async with reader(KafkaConfig.of(settings)) as consumer:
        async for record in read_to_end(consumer, places):
            for change in _classify(topic, record.value):
                if change is None:
                    going += 1
                else:
                    kept[TopicPartition(topic, record.partition)][change] = None
        ends = {place: RecordsToDelete(await consumer.position(place)) for place in places}
    # Where nothing goes nothing is appended either, or each run would append the same changes once more.
    if producer is not None and going:
        # Appended before the rest is deleted: interrupted between the two, a run leaves the kept ones twice, never not at all.
        for place, changes in kept.items():
            await producer.send(topic, place.partition, [(None, change) for change in changes])
        await admin.delete_records(ends)
    return Clearing(topic, going, sum(map(len, kept.values())))


def _classify(topic: ChangeTopic[Any], value: bytes | None) -> Iterator[bytes | None]:
    """Each change of a record, packed by itself if it stays, None if it is deleted; what no stage can read is deleted too."""
    try:
        changes = split(value or b"")
    except msgspec.MsgspecError:
        yield None
        return
    yield from (change if _stays(topic, change) else None for change in changes)


def _stays(topic: ChangeTopic[Any], value: bytes) -> bool:
    try:
        return any(change.kind in _KEPT for change in topic.unpack(value))
    except (msgspec.MsgspecError, RecordError):
        return False


async def require_idle(admin: AIOKafkaAdminClient, app_id: str) -> None:
    """See that no worker runs.

    Raises:
        RefusedError: a worker of any version of the application runs.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    ours = tuple(f"{app_id}-{role}-v" for role in ("ingest", "agents", "dispatch"))
    groups = [group for group, *_ in await admin.list_consumer_groups() if group.startswith(ours)]
    # One question a group: of a broker's answer about several, aiokafka 0.14 misreads all but the first.
    answers = [answer for group in groups for answer in await admin.describe_consumer_groups([group])]
    states = [(group, state) for answer in answers for _, group, state, *_ in answer.groups]
    if working := sorted(group for group, state in states if state not in AT_REST):
        raise RefusedError(
            f"{', '.join(working)}: workers are running. Stop them; a killed worker leaves its group after the session timeout"
        )
