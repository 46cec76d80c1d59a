"""How far each group is behind, asked of the broker alone: also right while no worker runs."""

import time
from dataclasses import dataclass

from aiokafka.admin import AIOKafkaAdminClient

from streams.kafka import client
from streams.kafka.first_group import waits_for_groups
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import agents_app, dispatch_app, ingest_group, replay_group
from streams.mapping import Mapping
from streams.messages.protocol import ingested
from streams.messages.topics import Topics
from streams.observability.backlog import BACKLOG_CONSUMER, BacklogReader
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class TopicLag:
    """One group in one topic.

    Attributes:
        group: the consumer group.
        members: workers in the group; 0: nobody reads.
        topic: the topic.
        records: records not yet processed.
        seconds: age of the oldest of them; 0 if there is none.
        partitions: number of partitions in which some wait.
    """

    group: str
    members: int
    topic: str
    records: int
    seconds: float
    partitions: int


def groups(settings: Settings, mapping: Mapping) -> dict[str, list[str]]:
    """Every group that should run, and what it reads."""
    topics = Topics.of(settings.app_id, settings.generation)
    agents = [str(topics.orders), topics.frozen_orders, str(topics.buyers), str(topics.contacts)]
    if mapping.products is not None:
        agents.append(topics.products)
    return {
        ingest_group(settings): ingested(settings, mapping),
        replay_group(settings): [topics.replays],
        agents_app(settings): agents,
        dispatch_app(settings): [topics.desired, topics.deliveries],
    }


@waits_for_groups
async def lag_report(settings: Settings, mapping: Mapping) -> list[TopicLag]:
    """The lag of every group in every topic that it reads, in the order of the pipeline.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    kafka = KafkaConfig.of(settings)
    consumer = client.consumer(kafka, **BACKLOG_CONSUMER)
    admin = client.admin_client(kafka)
    await consumer.start()
    try:
        await admin.start()
        try:
            wanted = groups(settings, mapping)
            reader = BacklogReader(consumer, admin)
            members = await _members(admin, list(wanted))
            found = []
            for group, topics in wanted.items():
                found += await _of_group(group, topics, members[group], reader)
            return found
        finally:
            await admin.close()
    finally:
        await consumer.stop()


async def _members(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    counts = dict.fromkeys(names, 0)
    for name in names:  # one by one: aiokafka 0.14 cannot read a response with several groups
        for response in await admin.describe_consumer_groups([name]):
            for _error, group, _state, _type, _protocol, members, *_ in response.groups:
                counts[group] = len(members)
    return counts


async def _of_group(group: str, topics: list[str], members: int, reader: BacklogReader) -> list[TopicLag]:
    backlogs = await reader.measure(group, topics)
    now = time.time()
    found = []
    for topic in dict.fromkeys(place.topic for place in backlogs):
        waiting = [backlog for place, backlog in backlogs.items() if place.topic == topic and backlog.records]
        records = sum(backlog.records for backlog in waiting)
        seconds = max((backlog.seconds(now) for backlog in waiting), default=0.0)
        found.append(TopicLag(group, members, topic, records, round(seconds, 1), len(waiting)))
    return found
