"""Go on after records were lost: behind the loss, and with the captured topics read again from their beginning.

Captured topics are compacted: they hold the last version of every row, and with it all that the joins can compute. A row with
an equal position is applied again, with everything that follows from it, so that what a lost record had said is said again.

What became of calls to Dotdigital is in topic ``deliveries`` alone. Read again in order, it leads the outbox to where it is,
and fills what is missing there: whom we created, what was delivered, which follow-ups were sent.
"""

from collections.abc import Awaitable, Callable, Iterator
from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.structs import OffsetAndMetadata

from streams.core.acknowledged import Acknowledged, join
from streams.kafka import client
from streams.kafka.continuity import committed_at, lost_writes
from streams.kafka.first_group import waits_for_groups
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import agents_app, captured, dispatch_app, ingest_group, replay_group
from streams.mapping import Mapping
from streams.messages.protocol import ingested
from streams.messages.topics import Topics
from streams.operations.rebuild import require_idle
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class Rereading:
    """What is done about one topic of a group.

    ``lost`` records were deleted before the group had read them, or are gone although it had written them; at least as many.
    ``again`` are read once more.
    """

    group: str
    topic: str
    lost: int
    again: int


async def reread(
    settings: Settings,
    mapping: Mapping,
    *,
    execute: bool,
    deliveries: bool = False,
    record: Callable[[], Awaitable[None]] | None = None,
) -> list[Rereading]:
    """Let every group go on behind what it lost, and ingest begin its captured topics again; with ``execute``, do it.

    ``deliveries``: dispatch begins the results of calls again too. May be interrupted and run again at any time. ``record`` is
    called before the first change, if nothing refuses it.

    Raises:
        RefusedError: a worker of the application runs.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    kafka, noted = KafkaConfig.of(settings), Topics.of(settings.app_id, settings.generation).noted
    from_beginning = {*captured(mapping), *([Topics.of(settings.app_id).deliveries] if deliveries else ())}
    admin = client.admin_client(kafka)
    await admin.start()
    try:
        await require_idle(admin, settings.app_id)
        if execute and record is not None:
            await record()
        async with reader(kafka) as consumer:
            found = []
            for group, topics in _groups(settings, mapping):
                offsets, rereadings = await _plan(group, topics, from_beginning, admin, consumer, noted)
                found += rereadings
                if execute and offsets:
                    await _commit(kafka, group, offsets)
            return found
    finally:
        await admin.close()


def _groups(settings: Settings, mapping: Mapping) -> Iterator[tuple[str, list[str]]]:
    names = Topics.of(settings.app_id, settings.generation)
    yield ingest_group(settings), ingested(settings, mapping)
    yield replay_group(settings), [names.replays]
    yield agents_app(settings), [names.orders, names.buyers, names.contacts, names.products, names.frozen_orders]
    yield dispatch_app(settings), [names.desired, names.deliveries]


@waits_for_groups
async def forget_lost_writes(settings: Settings) -> None:
    """Let every group go on although records that it had written are gone on purpose; no worker may run.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    kafka, noted = KafkaConfig.of(settings), Topics.of(settings.app_id, settings.generation).noted
    admin = client.admin_client(kafka)
    await admin.start()
    try:
        async with reader(kafka) as consumer:
            for group in (ingest_group(settings), replay_group(settings), agents_app(settings), dispatch_app(settings)):
                committed = await admin.list_consumer_group_offsets(group)
                if offsets := await _without_lost_notes(committed, consumer, noted, {}):
                    await _commit(kafka, group, offsets)
    finally:
        await admin.close()


async def _plan(
    group: str,
    topics: list[str],
    from_beginning: set[str],
    admin: AIOKafkaAdminClient,
    consumer: AIOKafkaConsumer,
    noted: frozenset[str],
) -> tuple[dict[TopicPartition, tuple[int, str]], list[Rereading]]:
    described = await admin.describe_topics(topics)
    places = [TopicPartition(item["topic"], part["partition"]) for item in described for part in item["partitions"]]
    committed = await admin.list_consumer_group_offsets(group)
    begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
    lost: dict[str, int] = dict.fromkeys(topics, 0)
    again = dict.fromkeys(topics, 0)
    offsets = await _without_lost_notes(committed, consumer, noted, lost)
    for place in places:
        # A group that has committed nothing begins at the beginning anyway.
        if place in committed and (committed[place].offset < begins[place] or place.topic in from_beginning):
            lost[place.topic] += max(0, begins[place] - committed[place].offset)
            again[place.topic] += max(0, min(committed[place].offset, ends[place]) - begins[place])
            offsets[place] = begins[place], ""
    return offsets, [
        Rereading(group, topic, count, again.get(topic, 0)) for topic, count in lost.items() if count or again.get(topic)
    ]


async def _without_lost_notes(
    committed: ReadOnly[TopicPartition, OffsetAndMetadata],
    consumer: AIOKafkaConsumer,
    topics: frozenset[str],
    lost: dict[str, int],
) -> dict[TopicPartition, tuple[int, str]]:
    """What to commit so that no start refuses any more because of what the group had written into ``topics``.

    Adds up in ``lost`` how much that was.
    """
    noted = {place: committed_at(at, topics) for place, at in committed.items() if at.offset >= 0}
    gone = await lost_writes(consumer, [at.written for at in noted.values()])
    if not gone:
        return {}
    ends = await consumer.end_offsets([TopicPartition(*place) for place in gone])
    for (topic, partition), mark in gone.items():
        # One at least, of a log that has grown again.
        lost[topic] = lost.get(topic, 0) + max(1, mark.offset + 1 - ends[TopicPartition(topic, partition)])
    return {place: (at.offset, join(at.bookmark, Acknowledged())) for place, at in noted.items() if at.written}


async def _commit(kafka: KafkaConfig, group: str, offsets: dict[TopicPartition, tuple[int, str]]) -> None:
    async with client.consumer(kafka, group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign(list(offsets))
        await consumer.commit(offsets)
