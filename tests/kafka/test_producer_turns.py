"""Many that append to one partition at once wait in turn: aiokafka gives up on the last of them within seconds otherwise."""

import asyncio
from collections import Counter
from typing import Any

from aiokafka.structs import RecordMetadata, TopicPartition

from streams.kafka.producer import BatchProducer
from streams.settings import Settings


class Accumulating:
    """Takes batches as aiokafka does: a partition's next one when the one before was sent."""

    def __init__(self) -> None:
        self.waiting: Counter[int] = Counter()
        self.most: Counter[int] = Counter()
        self.taken: list[bytes] = []

    def create_batch(self) -> Any:
        return Batch()

    async def send_batch(self, batch: "Batch", topic: str, partition: int) -> "asyncio.Future[RecordMetadata]":
        self.waiting[partition] += 1
        self.most[partition] = max(self.most[partition], self.waiting[partition])
        await asyncio.sleep(0)
        self.waiting[partition] -= 1
        self.taken.append(batch.values[0])
        done: asyncio.Future[RecordMetadata] = asyncio.get_running_loop().create_future()
        done.set_result(RecordMetadata(topic, partition, TopicPartition(topic, partition), 0, 0, 0, 0))
        return done


class Batch:
    def __init__(self) -> None:
        self.values: list[bytes] = []

    def append(self, *, value: bytes, **_: object) -> object:
        self.values.append(value)
        return object()

    def close(self) -> None:
        pass

    def record_count(self) -> int:
        return len(self.values)


async def test_one_at_a_time_waits_for_a_partition_and_in_order() -> None:
    producer, accumulating = BatchProducer(Settings()), Accumulating()
    await producer._producer.stop()
    producer._producer = accumulating
    await asyncio.gather(*(producer.send("topic", number % 2, [(b"key", b"%d" % number)]) for number in range(20)))
    assert accumulating.most == {0: 1, 1: 1}
    for partition in range(2):
        assert [int(value) for value in accumulating.taken if int(value) % 2 == partition] == list(range(partition, 20, 2))
