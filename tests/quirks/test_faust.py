"""What ``streams.engine`` relies on inside Faust 0.15.3, on a real broker. A Faust upgrade that changes one of these fails here."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from aiokafka.errors import KafkaError
from faust.types import TP

from streams.engine.app import create_app
from streams.engine.in_flight import MOST_BYTES, InFlight
from streams.engine.transport import FETCH_WAIT_MS
from streams.kafka.continuity import LostRecordsError
from streams.kafka.fetcher import PromptFetcher, rest_of
from streams.kafka.producer import BatchProducer
from streams.settings import Settings
from testkit.local_services import kafka
from tests.patience import PATIENCE

# Faust and mode are full of deprecated asyncio calls; they are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def settings(broker: Path, tmp_path: Path) -> Settings:
    running = kafka.status(broker).broker
    assert running is not None
    return Settings(kafka_bootstrap=running.bootstrap, data_dir=tmp_path, partitions=1, session_timeout=6)


async def create(settings: Settings, *topics: str, partitions: int = 1) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, partitions, 1) for topic in topics])
    await admin.close()


async def until(met: Callable[[], bool]) -> None:
    while not met():
        await asyncio.sleep(0.01)


class Probe:
    """A Faust application with one agent that only collects events; ``closed`` are partitions whose state is not open."""

    def __init__(self, settings: Settings, app_id: str, *topics: str, closed: Collection[int] = ()) -> None:
        self.app: Any = create_app(app_id, settings)
        self.generations: list[tuple[str, int]] = []
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.stream: Any = None
        source = self.app.topic(*topics, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

        async def collect(stream: Any) -> None:
            self.stream = stream
            async for event in stream.noack().events():
                await self.gate.wait()
                self.events.put_nowait(event)

        async def revoked(*_: Any, **__: Any) -> None:
            self.generations.append(("revoked", self.app.consumer_generation_id))

        async def assigned(_: Any, places: set[TP], **__: Any) -> None:
            self.generations.append(("assigned", self.app.consumer_generation_id))
            self.app.transport.closed = {place for place in places if place.partition in closed}

        self.app.agent(source, name="collect")(collect)
        self.app.on_partitions_revoked.connect(revoked, weak=False)
        self.app.on_partitions_assigned.connect(assigned, weak=False)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.app.start()
        try:
            async with asyncio.timeout(PATIENCE):
                await until(lambda: self.app.tables.actives_ready)
            yield
        finally:
            await self.app.stop()

    async def next(self) -> Any:
        async with asyncio.timeout(PATIENCE):
            return await self.events.get()

    async def done(self) -> bytes:
        """The value of the next record, acknowledged."""
        event = await self.next()
        await self.stream.ack(event)
        value: bytes = event.message.value
        return value


async def committed(settings: Settings, group: str, topic: str) -> int | None:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, group_id=group, enable_auto_commit=False)
    await consumer.start()
    try:
        offset: int | None = await consumer.committed(TopicPartition(topic, 0))
        return offset
    finally:
        await consumer.stop()


async def produce(settings: Settings, topic: str, *values: bytes | None) -> None:
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap)
    await producer.start()
    for value in values:
        await producer.send_and_wait(topic, value, b"k")
    await producer.stop()


@pytest.fixture
def names() -> tuple[str, str]:
    app_id = f"quirk-{uuid4().hex[:8]}"
    return app_id, f"{app_id}.source"


async def test_an_event_that_was_not_acknowledged_is_delivered_again_after_a_stop(
    settings: Settings, names: tuple[str, str]
) -> None:
    app_id, topic = names
    await create(settings, topic)
    await produce(settings, topic, b"one", b"two")
    first = Probe(settings, app_id, topic)
    async with first.running():
        one = await first.next()
        await first.next()
        await first.stream.ack(one)
    assert await committed(settings, app_id, topic) == 1

    second = Probe(settings, app_id, topic)
    async with second.running():
        assert (await second.next()).message.value == b"two"


async def test_a_null_value_arrives_as_none_on_a_raw_topic(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic)
    await produce(settings, topic, None)
    probe = Probe(settings, app_id, topic)
    async with probe.running():
        assert (await probe.next()).message.value is None


async def test_messages_carry_the_generation_that_they_were_fetched_in(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic)
    await produce(settings, topic, b"one")
    probe = Probe(settings, app_id, topic)
    async with probe.running():
        event = await probe.next()
        assert event.message.generation_id == probe.app.consumer_generation_id


async def test_a_crash_of_a_part_is_seen_on_the_application(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic)
    probe = Probe(settings, app_id, topic)
    async with probe.running():
        await probe.app.crash(RuntimeError("broken"))
        async with asyncio.timeout(PATIENCE):
            await probe.app._crashed.wait()


async def test_partitions_of_one_number_go_to_one_worker(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    topics = topic, f"{topic}-more"
    await create(settings, *topics, partitions=4)
    first, second = (Probe(settings, app_id, *topics) for _ in range(2))
    async with first.running(), second.running(), asyncio.timeout(PATIENCE):
        await until(lambda: all(len(probe.app.consumer.assignment()) == 4 for probe in (first, second)))
        for probe in (first, second):
            of_topic = [{place.partition for place in probe.app.consumer.assignment() if place.topic == one} for one in topics]
            assert of_topic[0] == of_topic[1] and len(of_topic[0]) == 2


async def test_partitions_are_revoked_before_the_generation_changes_and_assigned_after(
    settings: Settings, names: tuple[str, str]
) -> None:
    app_id, topic = names
    await create(settings, topic, partitions=2)
    first, second = (Probe(settings, app_id, topic) for _ in range(2))
    async with first.running():
        generation = first.app.consumer_generation_id
        assert first.generations[-1] == ("assigned", generation)
        async with second.running(), asyncio.timeout(PATIENCE):
            await until(lambda: len(first.app.consumer.assignment()) == 1)
            await until(lambda: first.generations[-1][0] == "assigned")
        changes = first.generations[first.generations.index(("assigned", generation)) + 1 :]
        assert changes[:2] == [("revoked", generation), ("assigned", generation + 1)]


async def test_what_is_closed_is_not_delivered_until_it_is_opened_and_everything_else_is(
    settings: Settings, names: tuple[str, str]
) -> None:
    app_id, topic = names
    await create(settings, topic, partitions=2)
    async with BatchProducer(settings) as producer:
        for partition in range(2):
            await producer.send(topic, partition, [(b"k", b"%d" % number) for number in range(3)])
        probe = Probe(settings, app_id, topic, closed={1})
        async with probe.running():
            assert [(await probe.next()).message.partition for _ in range(3)] == [0, 0, 0]
            await producer.send(topic, 1, [(b"k", b"3")])
            await producer.send(topic, 0, [(b"k", b"3")])
            assert (await probe.next()).message.partition == 0
            await probe.app.consumer.open_partitions({TP(topic, 1)})
            assert [(await probe.next()).message.value for _ in range(4)] == [b"0", b"1", b"2", b"3"]


async def test_the_consumer_waits_half_a_second_for_new_records_unless_it_holds_some(
    settings: Settings, names: tuple[str, str]
) -> None:
    app_id, topic = names
    await create(settings, topic)
    probe = Probe(settings, app_id, topic)
    async with probe.running():
        fetcher = probe.app.consumer._thread._consumer._fetcher
        assert isinstance(fetcher, PromptFetcher)
        assert fetcher._longest_wait_ms == FETCH_WAIT_MS


async def test_the_consumer_rests_as_long_as_its_transport_says(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic)
    probe = Probe(settings, app_id, topic)
    probe.app.transport.rest = 0.025
    async with probe.running():
        assert rest_of(probe.app.consumer._thread._consumer) == 0.025


async def test_what_one_fetch_brought_is_waited_for_once(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic)
    async with BatchProducer(settings) as producer:
        await producer.send(topic, 0, [(b"k", b"%d" % number) for number in range(2000)])
    probe = Probe(settings, app_id, topic)
    waits = 0
    original = probe.app.consumer.wait_first

    async def counting(*args: Any, **kwargs: Any) -> Any:
        nonlocal waits
        waits += 1
        return await original(*args, **kwargs)

    probe.app.consumer.wait_first = counting
    async with probe.running():
        values = [(await probe.next()).message.value for _ in range(2000)]
    assert values == [b"%d" % number for number in range(2000)]
    assert 0 < waits < 50


async def test_a_delivery_that_waits_for_room_ends_with_the_worker(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic)
    async with BatchProducer(settings) as producer:
        await producer.send(topic, 0, [(b"k", b"%d" % number) for number in range(10_000)])
    stuck, room = Probe(settings, app_id, topic), 2**20
    stuck.app.transport.in_flight = InFlight(room)
    stuck.gate.clear()
    async with stuck.running(), asyncio.timeout(PATIENCE):
        await until(lambda: stuck.app.transport.in_flight.bytes > room - 3_000)
    assert not await committed(settings, app_id, topic)

    second = Probe(settings, app_id, topic)
    async with second.running():
        assert [await second.done() for _ in range(10_000)] == [b"%d" % number for number in range(10_000)]


async def test_what_is_not_acknowledged_is_bounded_in_bytes(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic)
    large, count = 500_000, 3 * MOST_BYTES // 500_000
    async with BatchProducer(settings) as producer:
        await producer.send(topic, 0, [(b"k", bytes(large)) for _ in range(count)])
    probe = Probe(settings, app_id, topic)
    async with probe.running(), asyncio.timeout(PATIENCE):
        most = MOST_BYTES // large
        await until(lambda: probe.app.transport.in_flight.bytes > MOST_BYTES - 2 * large)
        # Delivery goes on as soon as something is acknowledged, and at no other time.
        for _ in range(count):
            await until(lambda: not probe.events.empty())
            assert probe.events.qsize() <= most
            await probe.done()
        assert probe.app.transport.in_flight.bytes == 0


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last)]


async def test_records_that_a_fetch_jumped_over_are_asked_for_again(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic)
    await produce(settings, topic, *numbers(0, 10))
    probe = Probe(settings, app_id, topic)
    async with probe.running():
        assert [(await probe.next()).message.value for _ in range(10)] == numbers(0, 10)
        # A fetch from before a rebalance may come through after Faust went back to what was committed.
        await probe.app.consumer.seek_wait({TP(topic, 0): 15})
        await produce(settings, topic, *numbers(10, 20))
        events = [await probe.next() for _ in range(10)]
        assert [event.message.value for event in events] == numbers(10, 20)


async def test_nothing_is_delivered_between_going_back_and_resuming(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic)
    await produce(settings, topic, *numbers(0, 10))
    probe = Probe(settings, app_id, topic)
    async with probe.running():
        await probe.next()
        await probe.app.consumer.perform_seek()
        assert not probe.app.consumer.flow_active
        # Faust's "resume" empties the queues of the agents, even of a flow that was never suspended (mode's FlowControlEvent).
        queue = probe.stream.channel.queue
        queue.put_nowait("lost")
        probe.app.flow_control.resume()
        assert queue.empty()


async def test_records_that_expired_unread_end_the_worker(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic)
    await produce(settings, topic, *numbers(0, 10))
    first = Probe(settings, app_id, topic)
    async with first.running():
        for _ in range(10):
            await first.stream.ack(await first.next())
    await produce(settings, topic, *numbers(10, 20))
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    await admin.delete_records({TopicPartition(topic, 0): RecordsToDelete(before_offset=15)})
    await admin.close()
    second = Probe(settings, app_id, topic)
    async with second.running(), asyncio.timeout(PATIENCE):
        await second.app._crashed.wait()
        assert isinstance(second.app.crash_reason, LostRecordsError) and second.events.empty()
    assert await committed(settings, app_id, topic) == 10


async def test_what_a_transaction_took_back_is_not_delivered_and_its_markers_are_finished(
    settings: Settings, names: tuple[str, str]
) -> None:
    app_id, topic = names
    await create(settings, topic)
    probe = Probe(settings, app_id, topic)
    async with probe.running(), asyncio.timeout(PATIENCE):
        for value, holds in ((b"kept", True), (b"taken back", False), (b"kept too", True), (b"taken back", False)):
            await transact(settings, topic, value, holds=holds)
        for value in (b"kept", b"kept too"):
            assert await probe.done() == value
        # Four records, and a marker behind each.
        while await committed(settings, app_id, topic) != 8:
            await asyncio.sleep(0.05)
        await produce(settings, topic, b"plain")
        assert await probe.done() == b"plain"


async def transact(settings: Settings, topic: str, value: bytes, *, holds: bool) -> None:
    """One transaction with one record."""
    producer = AIOKafkaProducer(bootstrap_servers=settings.kafka_bootstrap, transactional_id=f"{topic}-writer")
    async with producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic, value, b"k")
        await (producer.commit_transaction() if holds else producer.abort_transaction())


async def test_a_consumer_whose_coordination_ended_is_noticed(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic)
    probe = Probe(settings, app_id, topic)
    async with probe.running():
        consumer = probe.app.consumer
        consumer.check_membership()
        inner = consumer._thread._consumer
        # What a broker without brokers in its metadata, as one is that has just come back, does to a consumer that looks for it.
        inner._client.get_random_node = lambda: None
        consumer._thread.thread_loop.call_soon_threadsafe(inner._coordinator.coordinator_dead)
        async with asyncio.timeout(PATIENCE):
            with pytest.raises(KafkaError):
                while True:
                    consumer.check_membership()
                    # A fetch that waits gets the error too, and ends the app; then there may be no consumer left to ask.
                    if (reason := probe.app.crash_reason) is not None:
                        raise reason
                    await asyncio.sleep(0.01)


def test_the_version_is_the_one_that_was_examined() -> None:
    assert faust.__version__ == "0.15.3"
