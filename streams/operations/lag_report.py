"""How far each group is behind, asked of the broker alone: also right while no worker runs.

The age is exact: it is that of the record at the committed offset, which is read. So transaction markers at the end of a log
are no lag, and a topic on which nothing happens is not old.
"""

import asyncio
import time
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.structs import ConsumerRecord
from tenacity import retry, retry_if_exception_type, stop_after_delay, wait_fixed

from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import agents_app, dispatch_app, ingest_group
from streams.mapping import Mapping
from streams.messages.protocol import ingested
from streams.messages.topics import Topics
from streams.observability.lag import partition_lags
from streams.settings import Settings

_FIRST_GROUP_SECONDS = 30.0
_LOOK_SECONDS = 10.0
"""A record that waits is fetched at once; what is not here by then is a broker that does not give it."""


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
    topics = Topics.of(settings.app_id)
    agents = [str(topics.orders), str(topics.buyers), str(topics.contacts)]
    if mapping.products is not None:
        agents.append(topics.products)
    return {
        ingest_group(settings): ingested(settings, mapping),
        agents_app(settings): agents,
        dispatch_app(settings): [topics.desired, topics.deliveries],
    }


@retry(
    # A broker on which no group has ever been makes its topic of offsets at the first question.
    retry=retry_if_exception_type(GroupCoordinatorNotAvailableError),
    stop=stop_after_delay(_FIRST_GROUP_SECONDS),
    wait=wait_fixed(0.2),
    reraise=True,
)
async def lag_report(settings: Settings, mapping: Mapping) -> list[TopicLag]:
    """The lag of every group in every topic that it reads, in the order of the pipeline.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    kafka = KafkaConfig.of(settings)
    consumer = client.consumer(kafka, enable_auto_commit=False, isolation_level="read_committed")
    admin = client.admin_client(kafka)
    await consumer.start()
    try:
        await admin.start()
        try:
            wanted = groups(settings, mapping)
            members = await _members(admin, list(wanted))
            found = []
            for group, topics in wanted.items():
                found += await _of_group(group, topics, members[group], consumer, admin)
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


async def _of_group(
    group: str, topics: list[str], members: int, consumer: AIOKafkaConsumer, admin: AIOKafkaAdminClient
) -> list[TopicLag]:
    lags = await partition_lags(group, topics, consumer, admin)
    waiting = {place: max(lag.committed, lag.begin) for place, lag in lags.items() if lag.behind}
    oldest = await _first_records(consumer, waiting, {place: lags[place].end for place in waiting})
    now = time.time()
    found = []
    for topic in dict.fromkeys(place.topic for place in lags):
        places = [place for place in oldest if place.topic == topic]
        records = sum(lags[place].end - oldest[place].offset for place in places)
        seconds = max((now - oldest[place].timestamp / 1000 for place in places), default=0.0)
        found.append(TopicLag(group, members, topic, records, round(max(0.0, seconds), 1), len(places)))
    return found


async def _first_records(
    consumer: AIOKafkaConsumer, starts: dict[TopicPartition, int], ends: dict[TopicPartition, int]
) -> dict[TopicPartition, ConsumerRecord[Any, Any]]:
    """The first record of each partition at its start or behind it; none where only markers are left."""
    found: dict[TopicPartition, ConsumerRecord[Any, Any]] = {}
    looking = set(starts)
    if not looking:
        return found
    consumer.assign(list(looking))
    for place in looking:
        consumer.seek(place, starts[place])
    deadline = asyncio.get_running_loop().time() + _LOOK_SECONDS
    while looking and asyncio.get_running_loop().time() < deadline:
        for place, records in (await consumer.getmany(*looking, timeout_ms=250)).items():
            found[place] = records[0]
        looking -= found.keys()
        looking = {place for place in looking if await consumer.position(place) < ends[place]}
    if looking:
        raise TimeoutError(f"Kafka gives no record of {len(looking)} partitions in which some wait")
    return found
