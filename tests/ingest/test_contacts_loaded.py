"""The barrier behind the contact table's first load, on a real broker: not before ingest has passed on every row that was read."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from streams.core.clock import SystemClock
from streams.ingest import contacts_loaded
from streams.ingest.contacts_loaded import ContactsLoaded
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec, ingest_group
from streams.mapping import load_mapping
from streams.messages.barriers import CONTACTS_LOADED, Barrier
from streams.messages.changes import Change
from streams.messages.topics import Topics
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka
from tests.capture.test_notifications import notification, scanned
from tests.patience import PATIENCE

PARTITIONS = 2


class Site:
    """A captured contact table, its notifications, ingest's group, and the topic behind it."""

    def __init__(self, bootstrap: str) -> None:
        name = f"t{uuid4().hex[:8]}"
        shipped = load_mapping()
        source = shipped.source.model_copy(update={"topic_prefix": name})
        self.mapping = shipped.model_copy(update={"source": source})
        self.settings = Settings(kafka_bootstrap=bootstrap, app_id=name, partitions=PARTITIONS)
        self.table = self.mapping.topic(self.mapping.contact.table)
        self.notifications = CaptureNames.of(self.mapping).notifications
        self.buyers = Topics.of(name).buyers
        self.looks = 0
        self.leading = False

    def leads(self) -> bool:
        self.looks += 1
        return self.leading

    async def looked(self) -> None:
        """Wait until it has begun to look twice more: then one look has ended that began after this."""
        until = self.looks + 2
        while self.looks < until:
            await asyncio.sleep(0.02)

    async def append(self, topic: str, *values: bytes, partition: int = 0) -> None:
        async with AIOKafkaProducer(bootstrap_servers=self.settings.kafka_bootstrap) as producer:
            for value in values:
                await producer.send_and_wait(topic, value, partition=partition)

    async def read_on(self) -> None:
        """Ingest commits that it has passed on everything."""
        places = [TopicPartition(self.table, number) for number in range(PARTITIONS)]
        group, bootstrap = ingest_group(self.settings), self.settings.kafka_bootstrap
        async with AIOKafkaConsumer(bootstrap_servers=bootstrap, group_id=group, enable_auto_commit=False) as consumer:
            consumer.assign(places)
            ends = await consumer.end_offsets(places)
            await consumer.commit({place: end for place, end in ends.items() if end})

    async def barriers(self) -> list[Change]:
        """Every change behind ingest."""
        places = [TopicPartition(self.buyers, number) for number in range(PARTITIONS)]
        found: list[Change] = []
        async with AIOKafkaConsumer(bootstrap_servers=self.settings.kafka_bootstrap) as consumer:
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    for record in records:
                        found += self.buyers.unpack(record.value)
        return found


@asynccontextmanager
async def watching(site: Site) -> AsyncIterator[None]:
    async with BatchProducer(site.settings) as producer:
        loaded = ContactsLoaded(site.settings, site.mapping, producer, SystemClock(), site.leads)
        watch = asyncio.create_task(loaded.run())
        try:
            async with asyncio.timeout(PATIENCE):
                yield
            assert not watch.done() or watch.result() is None
        finally:
            watch.cancel()
            await asyncio.wait([watch])


@pytest.fixture
async def site(broker: Path, monkeypatch: pytest.MonkeyPatch) -> Site:
    running = kafka.status(broker).broker
    assert running is not None
    monkeypatch.setattr(contacts_loaded, "_INTERVAL", 0.05)
    site = Site(running.bootstrap)
    specs = [TopicSpec(name, PARTITIONS, 1, "") for name in (site.table, site.buyers)]
    wanted = [*specs, TopicSpec(site.notifications, 1, 1, "")]
    await apply_topics(KafkaConfig.of(site.settings), wanted, execute=True)
    return site


async def test_the_barrier_stands_behind_every_row_that_was_read(site: Site) -> None:
    table = site.table.partition(".")[2]
    async with watching(site):
        await site.append(site.table, b"1", b"2")
        await site.append(site.notifications, scanned("Orderwise.dbo.order_header", "SUCCEEDED", "2"), b"what?")
        await site.append(site.notifications, scanned(table, "SUCCEEDED", "3"))
        await site.looked()
        assert await site.barriers() == [], "another worker has the lead"
        site.leading = True
        await site.read_on()
        await site.looked()
        assert await site.barriers() == [], "Debezium holds back the last row"
        await site.append(site.table, b"3", partition=1)
        await site.looked()
        assert await site.barriers() == [], "ingest has not passed it on"
        await site.read_on()
        while len(found := await site.barriers()) < PARTITIONS:
            await asyncio.sleep(0.05)
    assert [(change.pk, change.row) for change in found] == [(CONTACTS_LOADED, Barrier("ingest", 0, 1))] * PARTITIONS


async def test_a_connector_that_goes_on_where_it_was_has_loaded_the_table_before(site: Site) -> None:
    site.leading = True
    async with watching(site):
        await site.append(site.table, b"1")
        await site.read_on()
        await site.append(site.notifications, notification("Initial Snapshot", "SKIPPED"))
        while not await site.barriers():
            await asyncio.sleep(0.05)
