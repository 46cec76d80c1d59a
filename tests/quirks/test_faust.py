"""What ``streams.engine`` relies on inside Faust 0.15.3, on a real broker. A Faust upgrade that changes one of these fails here."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import faust
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic, RecordsToDelete
from faust.types import TP

from streams.engine.app import create_app
from streams.engine.table import StateTable
from streams.engine.transport import FETCH_WAIT_MS
from streams.kafka.producer import BatchProducer
from streams.settings import Settings
from testkit.local_services import kafka

# Faust and mode are full of deprecated asyncio calls; they are not ours to mend.
pytestmark = pytest.mark.filterwarnings("default")


@pytest.fixture
def settings(broker: Path, tmp_path: Path) -> Settings:
    running = kafka.status(broker).broker
    assert running is not None
    return Settings(kafka_bootstrap=running.bootstrap, data_dir=tmp_path, partitions=1, session_timeout=6)


async def create(settings: Settings, *topics: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    await admin.start()
    await admin.create_topics([NewTopic(topic, 1, 1) for topic in topics])
    await admin.close()


async def until(met: Callable[[], bool]) -> None:
    while not met():
        await asyncio.sleep(0.01)


class Probe:
    """A Faust application with one table and one agent that only collects events."""

    def __init__(self, settings: Settings, app_id: str, topic: str) -> None:
        self.app: Any = create_app(app_id, settings)
        self.table = StateTable(self.app, "state", 1)
        self.events: asyncio.Queue[Any] = asyncio.Queue()
        self.gate = asyncio.Event()
        self.gate.set()
        self.recovered = asyncio.Event()
        self.stream: Any = None
        source = self.app.topic(topic, key_type=bytes, value_type=bytes, key_serializer="raw", value_serializer="raw")

        async def collect(stream: Any) -> None:
            self.stream = stream
            async for event in stream.noack().events():
                await self.gate.wait()
                self.events.put_nowait(event)

        async def note() -> None:
            self.recovered.set()

        self.app.agent(source, name="collect")(collect)
        self.table.faust.on_recover(note)

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        await self.app.start()
        try:
            async with asyncio.timeout(60):
                await self.recovered.wait()
            yield
        finally:
            await self.app.stop()

    async def next(self) -> Any:
        async with asyncio.timeout(30):
            return await self.events.get()


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
    await create(settings, topic, f"{app_id}-state-changelog")
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
    await create(settings, topic, f"{app_id}-state-changelog")
    await produce(settings, topic, None)
    probe = Probe(settings, app_id, topic)
    async with probe.running():
        assert (await probe.next()).message.value is None


async def test_messages_carry_the_generation_that_they_were_fetched_in(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic, f"{app_id}-state-changelog")
    await produce(settings, topic, b"one")
    probe = Probe(settings, app_id, topic)
    async with probe.running():
        event = await probe.next()
        assert event.message.generation_id == probe.app.consumer_generation_id


async def test_recovery_goes_on_behind_the_offset_that_we_write_and_restores_what_local_state_lacks(
    settings: Settings, names: tuple[str, str]
) -> None:
    app_id, topic = names
    changelog = f"{app_id}-state-changelog"
    await create(settings, topic, changelog)
    async with BatchProducer(settings) as producer:
        first = Probe(settings, app_id, topic)
        async with first.running():
            writes: dict[bytes, bytes | None] = {b"a": b"1", b"b": b"2", b"c": b"3"}
            end = await producer.send(changelog, 0, writes.items())
            assert end == 2
            first.table.write(0, writes, end)
            assert first.table.faust.data.persisted_offset(TP(changelog, 0)) == 2
            # A crash after the changelog was acknowledged and before the local write: only the log has it.
            await producer.send(changelog, 0, [(b"b", None), (b"d", b"4")])

        second = Probe(settings, app_id, topic)
        async with second.running():
            rows = {key: value for key, value in second.table.scan(0, b"") if not key.startswith(b"__faust")}
            assert rows == {b"a": b"1", b"c": b"3", b"d": b"4"}
            assert second.table.get(0, b"b") is None


async def test_a_worker_without_its_data_directory_recovers_everything_from_the_changelog(
    settings: Settings, names: tuple[str, str], tmp_path: Path
) -> None:
    app_id, topic = names
    changelog = f"{app_id}-state-changelog"
    await create(settings, topic, changelog)
    async with BatchProducer(settings) as producer:
        await producer.send(changelog, 0, [(b"%d" % number, b"x") for number in range(5000)])
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    probe = Probe(settings.model_copy(update={"data_dir": elsewhere}), app_id, topic)
    async with probe.running():
        assert sum(not key.startswith(b"__faust") for key, _ in probe.table.scan(0, b"")) == 5000


async def test_a_crash_of_a_part_is_seen_on_the_application(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic, f"{app_id}-state-changelog")
    probe = Probe(settings, app_id, topic)
    async with probe.running():
        await probe.app.crash(RuntimeError("broken"))
        async with asyncio.timeout(5):
            await probe.app._crashed.wait()


async def test_the_partition_of_a_table_is_open_only_while_it_is_assigned(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic, f"{app_id}-state-changelog")
    probe = Probe(settings, app_id, topic)
    async with probe.running():
        assert probe.table.owned() == {0}
    assert probe.table.owned() == set()


async def test_the_consumer_asks_for_new_records_every_few_milliseconds(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic, f"{app_id}-state-changelog")
    probe = Probe(settings, app_id, topic)
    async with probe.running():
        assert probe.app.consumer._thread._consumer._fetcher._fetch_max_wait_ms == FETCH_WAIT_MS


async def test_what_one_fetch_brought_is_waited_for_once(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic, f"{app_id}-state-changelog")
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


async def test_a_delivery_that_waits_for_a_full_stream_ends_with_the_worker(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic, f"{app_id}-state-changelog")
    async with BatchProducer(settings) as producer:
        await producer.send(topic, 0, [(b"k", b"%d" % number) for number in range(10_000)])
    stuck = Probe(settings, app_id, topic)
    stuck.gate.clear()
    async with stuck.running(), asyncio.timeout(30):
        await until(lambda: stuck.stream is not None and stuck.stream.channel.queue.full())
    assert not await committed(settings, app_id, topic)

    second = Probe(settings, app_id, topic)
    async with second.running():
        assert [(await second.next()).message.value for _ in range(10_000)] == [b"%d" % number for number in range(10_000)]


def numbers(first: int, last: int) -> list[bytes]:
    return [b"%d" % number for number in range(first, last)]


async def test_records_that_a_fetch_jumped_over_are_asked_for_again(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic, f"{app_id}-state-changelog")
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
    await create(settings, topic, f"{app_id}-state-changelog")
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


async def test_records_that_expired_unread_do_not_hold_up_the_commit(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    await create(settings, topic, f"{app_id}-state-changelog")
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
    async with second.running():
        for number in range(15, 20):
            event = await second.next()
            assert event.message.offset == number
            await second.stream.ack(event)
    assert await committed(settings, app_id, topic) == 20


async def test_changelog_records_of_another_table_are_not_applied(settings: Settings, names: tuple[str, str]) -> None:
    app_id, topic = names
    changelog = f"{app_id}-state-changelog"
    await create(settings, topic, changelog)
    probe = Probe(settings, app_id, topic)
    async with probe.running():

        def event(where: str, offset: int) -> Any:
            place = TP(where, 0)
            message = SimpleNamespace(topic=where, partition=0, tp=place, offset=offset, key=b"%d" % offset, value=b"x")
            return SimpleNamespace(message=message, key=message.key, value=message.value)

        probe.table.faust.apply_changelog_batch([event(changelog, 7), event(f"{app_id}-other-changelog", 99)])
        assert (probe.table.get(0, b"7"), probe.table.get(0, b"99")) == (b"x", None)
        assert probe.table.faust.data.persisted_offset(TP(changelog, 0)) == 7


def test_the_version_is_the_one_that_was_examined() -> None:
    assert faust.__version__ == "0.15.3"
