"""``owdd topics reread`` lets the groups go on behind what they lost, and ingest begin anew; on a real broker."""

from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from streams.core.errors import RefusedError
from streams.kafka import client
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


async def commit(settings: Settings, group: str, topic: str, offset: int) -> None:
    async with client.consumer(KafkaConfig.of(settings), group_id=group, enable_auto_commit=False) as consumer:
        consumer.assign([TopicPartition(topic, 0)])
        await consumer.commit({TopicPartition(topic, 0): offset})


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
    assert await reread(settings, MAPPING, execute=False) == expected
    assert [await committed(settings, group, topic) for group, topic in read.items()] == [10, 10, 10]
    assert await reread(settings, MAPPING, execute=True) == expected
    assert [await committed(settings, group, topic) for group, topic in read.items()] == [0, 10, 30]
    assert await reread(settings, MAPPING, execute=True) == []
    results = Rereading(dispatch_app(settings), topics.deliveries, lost=0, again=0)
    await commit(settings, dispatch_app(settings), topics.deliveries, 40)
    assert await reread(settings, MAPPING, execute=True, deliveries=True) == [replace(results, again=10)]
    assert await committed(settings, dispatch_app(settings), topics.deliveries) == 30

    async with client.consumer(config, str(topics.buyers), group_id=agents_app(settings)) as working:
        await working.getmany(timeout_ms=1000)
        with pytest.raises(RefusedError):
            await reread(settings, MAPPING, execute=True)
