"""What the producer, the fetcher and the event loop rely on inside aiokafka, on a real broker."""

import asyncio
from pathlib import Path
from uuid import uuid4

import cramjam
import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.conn import create_conn
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest
from aiokafka.record.default_records import DefaultRecordBatchBuilder

from streams.kafka import client
from streams.kafka.event_loop import new_event_loop
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.settings import Settings
from testkit.local_services import kafka
from tests.patience import PATIENCE
from tests.quirks.test_faust import create


@pytest.fixture
def settings(broker: Path, tmp_path: Path) -> Settings:
    running = kafka.status(broker).broker
    assert running is not None
    return Settings(kafka_bootstrap=running.bootstrap, data_dir=tmp_path, partitions=1)


async def test_records_beyond_one_batch_arrive_in_order_and_the_last_offset_is_returned(settings: Settings) -> None:
    topic = f"quirk-{uuid4().hex[:8]}"
    await create(settings, topic)
    entries: list[tuple[bytes | None, bytes | None]] = [(b"%d" % number, bytes(9_000)) for number in range(300)]
    async with BatchProducer(settings.model_copy(update={"compression": "none"})) as producer:
        assert await producer.send(topic, 0, entries) == 299
        assert await producer.send(topic, 0, [(b"last", None)]) == 300
    assert await keys(settings, topic) == [key for key, _ in entries] + [b"last"]


async def test_a_record_larger_than_the_batch_size_is_sent_alone(settings: Settings) -> None:
    topic = f"quirk-{uuid4().hex[:8]}"
    await create(settings, topic)
    async with BatchProducer(settings) as producer:
        assert await producer.send(topic, 0, [(b"a", b"x"), (b"big", bytes(3_000_000)), (b"c", b"y")]) == 2
    assert await keys(settings, topic) == [b"a", b"big", b"c"]


async def test_nothing_to_send_is_no_offset(settings: Settings) -> None:
    async with BatchProducer(settings) as producer:
        assert await producer.send("anywhere", 0, []) == -1


def test_a_batch_is_compressed_at_the_fast_level_of_lz4() -> None:
    header, lz4, payload = 61, 3, b"".join(b"row %d; " % number for number in range(5_000))
    builder = DefaultRecordBatchBuilder(2, lz4, 0, -1, -1, -1, 1_000_000)
    builder.append(0, timestamp=0, key=None, value=payload, headers=[])
    found = bytes(builder.build())[header:]
    fast, dear = (cramjam.lz4.Compressor(level=level, content_checksum=False, block_linked=False) for level in (1, 9))
    for compressor in (fast, dear):
        compressor.compress(bytes(cramjam.lz4.decompress(found)))
    assert found == bytes(fast.finish()) != bytes(dear.finish())


def test_a_write_to_a_closed_connection_is_an_error_that_aiokafka_retries(settings: Settings) -> None:
    async def write_after_close() -> None:
        host, port = settings.kafka_bootstrap.split(":")
        connection = await create_conn(host, int(port))
        # The reader would close the connection in good order; a write may come before it notices.
        connection._read_task.cancel()
        transport = connection._writer.transport
        transport.abort()
        while "closed=True" not in repr(transport):
            await asyncio.sleep(0)
        # The metadata task knows this error; a RuntimeError would end it for good.
        with pytest.raises(KafkaConnectionError):
            await connection.send(MetadataRequest([]))
        assert connection._writer is None

    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(write_after_close())


async def test_a_partition_that_a_fetch_left_out_is_asked_again_soon(settings: Settings) -> None:
    topic, place, other = f"quirk-{uuid4().hex[:8]}", 0, 1
    await create(settings, topic, partitions=2)
    places = [TopicPartition(topic, place), TopicPartition(topic, other)]
    async with (
        BatchProducer(settings) as producer,
        client.consumer(KafkaConfig.of(settings), fetch_max_wait_ms=30_000, auto_offset_reset="earliest") as consumer,
    ):
        consumer.assign(places)
        fetcher = consumer._fetcher
        assert fetcher._fetch_max_wait_ms == 30_000, "while nothing is held"
        await producer.send(topic, place, [(b"first", None)])
        async with asyncio.timeout(PATIENCE):
            # Fetched and not consumed, with a fetch under way that leaves it out.
            while not (fetcher._records and fetcher._in_flight):
                await asyncio.sleep(0.01)
        assert len((await consumer.getmany(places[0], timeout_ms=0))[places[0]]) == 1
        await producer.send(topic, place, [(b"second", None)])
        # Sooner than the fetch under way ends by itself.
        found = await consumer.getmany(places[0], timeout_ms=20_000)
        assert [record.key for record in found[places[0]]] == [b"second"]


async def keys(settings: Settings, topic: str) -> list[bytes | None]:
    consumer = AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap, auto_offset_reset="earliest")
    await consumer.start()
    try:
        place = TopicPartition(topic, 0)
        consumer.assign([place])
        await consumer.seek_to_beginning(place)
        end = (await consumer.end_offsets([place]))[place]
        found: list[bytes | None] = []
        while len(found) < end:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                found += [record.key for record in records]
        return found
    finally:
        await consumer.stop()
