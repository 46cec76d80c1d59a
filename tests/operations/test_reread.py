"""``owdd topics reread`` lets the groups go on behind what they lost, and ingest begin anew; on a real broker."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from streams.core.acknowledged import Acknowledged, join
from streams.core.errors import RefusedError
from streams.kafka import client
from streams.kafka.continuity import LostAcknowledgedError, group_offsets
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec, agents_app, dispatch_app, ingest_group
from streams.mapping import load_mapping
from streams.messages.protocol import specs
from streams.messages.topics import Topics
from streams.operations.reread import Rereading, reread
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka

PREFIX = f"reread{uuid4().hex[:8]}"
MAPPING = load_mapping()
MAPPING = MAPPING.model_copy(update={"source": MAPPING.source.model_copy(update={"topic_prefix": PREFIX})})
CONTACTS = MAPPING.topic(MAPPING.contact.table)


@pytest.fixture
def settings(broker: Path) -> Settings:
    running = kafka.status(broker).broker
    assert running is not None
    return Settings(kafka_bootstrap=running.bootstrap, app_id=PREFIX, partitions=1)


async def committed(settings: Settings, group: str, topic: str) -> int:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    try:
        return int((await admin.list_consumer_group_offsets(group))[TopicPartition(topic, 0)].offset)
    finally:
        await admin.close()


async def commit(settings: Settings, group: str, topic: str, offset: int, metadata: str = "") -> None:
    async with client.consumer(KafkaConfig.of(settings), group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.commit({TopicPartition(topic, 0): (offset, metadata)})


async def test_groups_go_on_behind_the_loss_and_ingest_begins_anew(settings: Settings) -> None:
    config, topics = KafkaConfig.of(settings), Topics.of(settings.app_id)
    wanted: list[TopicSpec] = list(specs(settings, MAPPING))
    await apply_topics(config, wanted, execute=True)
    read = {
        ingest_group(settings): CONTACTS,
        agents_app(settings): str(topics.buyers),
        dispatch_app(settings): topics.deliveries,
    }
    async with BatchProducer(settings) as producer:
        for group, topic in read.items():
            await producer.send(topic, 0, [(b"%d" % number, b"x") for number in range(40)])
            await commit(settings, group, topic, 10)
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(topics.deliveries, 0): RecordsToDelete(30)})
    await admin.close()

    expected = [
        Rereading(ingest_group(settings), CONTACTS, lost=0, again=10),
        Rereading(dispatch_app(settings), topics.deliveries, lost=20, again=0),
    ]

    async def record() -> None:
        recorded.append([await committed(settings, group, topic) for group, topic in read.items()])

    recorded: list[list[int]] = []
    assert await reread(settings, MAPPING, execute=False, record=record) == expected
    assert [await committed(settings, group, topic) for group, topic in read.items()] == [10, 10, 10]
    assert await reread(settings, MAPPING, execute=True, record=record) == expected
    assert recorded == [[10, 10, 10]], "the audit trail gets it before the first change"
    assert [await committed(settings, group, topic) for group, topic in read.items()] == [0, 10, 30]
    assert await reread(settings, MAPPING, execute=True) == []
    results = Rereading(dispatch_app(settings), topics.deliveries, lost=0, again=0)
    await commit(settings, dispatch_app(settings), topics.deliveries, 40)
    assert await reread(settings, MAPPING, execute=True, deliveries=True) == [replace(results, again=10)]
    assert await committed(settings, dispatch_app(settings), topics.deliveries) == 30

    async with client.consumer(config, str(topics.buyers), group_id=agents_app(settings)) as working:
        await working.getmany(timeout_ms=1000)
        with pytest.raises(RefusedError):
            await reread(settings, MAPPING, execute=True, record=record)
    assert len(recorded) == 1, "what is refused is not recorded"


async def test_groups_go_on_that_refuse_because_what_they_wrote_is_lost(settings: Settings) -> None:
    config, topics = KafkaConfig.of(settings), Topics.of(settings.app_id)
    await apply_topics(config, list(specs(settings, MAPPING)), execute=True)
    inputs, written = Acknowledged([topics.retries, topics.orders]), Acknowledged([topics.desired, topics.products])
    for acknowledged in (inputs, written):
        async with BatchProducer(settings, acknowledged) as producer:
            for topic in acknowledged.topics:
                await producer.send(topic, 0, [(b"%d" % number, b"x") for number in range(10)])
    desired = written.marks()[topics.desired, 0]
    cut_off, overwritten = replace(desired, offset=desired.offset + 5), replace(desired, timestamp_ms=desired.timestamp_ms + 1)
    lost = {
        (ingest_group(settings), topics.retries): cut_off,
        (agents_app(settings), str(topics.orders)): overwritten,
    }
    for (group, topic), mark in lost.items():
        noting = Acknowledged()
        noting.learn(written.marks() | {(topics.desired, 0): mark})
        read = inputs.marks()[topic, 0]
        await commit(settings, group, topic, read.offset + 1, join(read, noting))
        with pytest.raises(LostAcknowledgedError, match=f"{topics.desired}/0 at {mark.offset}"):
            await group_offsets(config, group, [TopicPartition(topic, 0)], topics.noted)
    await commit(settings, ingest_group(settings), CONTACTS, 0)
    await commit(settings, dispatch_app(settings), topics.desired, desired.offset + 1, join(desired, written))

    found = await reread(settings, MAPPING, execute=True)
    assert [(item.group, item.topic, item.lost) for item in found] == [
        (ingest_group(settings), str(topics.desired), 5),
        (agents_app(settings), str(topics.desired), 1),
    ]
    assert await reread(settings, MAPPING, execute=True) == []
    for group, topic in lost:
        (at,) = (await group_offsets(config, group, [TopicPartition(topic, 0)], topics.noted)).values()
        assert (at.offset, at.bookmark, at.written) == (inputs.marks()[topic, 0].offset + 1, inputs.marks()[topic, 0], {})
    (whole,) = (await group_offsets(config, dispatch_app(settings), [TopicPartition(topics.desired, 0)], topics.noted)).values()
    assert whole.written == written.marks(), "nothing is lost there, and it is known what was written"
