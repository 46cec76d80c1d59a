"""A stage's writes and nothing else: rows to a changelog, what follows from them to an output, and the offset of the input.

``chain``: as we do it, with one producer, the writer's epoch on each row, and the output after the changelog was acknowledged.
``transactions``: a transactional producer for each partition, since aiokafka runs one transaction a producer; changelog, output
and offset are one transaction.
"""

import asyncio
import os
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any

import orjson
import uvloop
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from bench.workload import PARTITIONS
from streams.engine.recovery import EPOCH
from streams.kafka import client
from streams.kafka.producer import BatchProducer, HeadedRecord
from streams.kafka.security import KafkaConfig
from streams.settings import Settings

_ROW_BYTES, _OUTPUT_BYTES = 150, 200
_WARM_UP = 3


async def run(way: str, log: str, out: str, rows: int, cycles: int) -> None:
    """Write ``cycles`` times ``rows`` to every partition, and print CPU, wall clock and the time of each cycle as JSON."""
    settings = Settings(kafka_bootstrap=os.environ["BENCH_BOOTSTRAP"])
    async with AsyncExitStack() as stack:
        if way == "chain":
            shared = await stack.enter_async_context(BatchProducer(settings))
            writers = [_chain(shared, log, out, partition, rows) for partition in range(PARTITIONS)]
        else:
            writers = [await _transactions(stack, settings, log, out, partition, rows) for partition in range(PARTITIONS)]
        await asyncio.gather(*(_times(write, _WARM_UP) for write in writers))
        started, cpu = time.monotonic(), time.process_time()
        taken = await asyncio.gather(*(_times(write, cycles) for write in writers))
        wall, used = time.monotonic() - started, time.process_time() - cpu
    print(orjson.dumps({"wall": wall, "cpu": used, "cycles": [seconds for each in taken for seconds in each]}).decode())


async def _times(write: Callable[[], Awaitable[None]], cycles: int) -> list[float]:
    found = []
    for _ in range(cycles):
        started = time.monotonic()
        await write()
        found.append(time.monotonic() - started)
    return found


def _rows(rows: int, size: int) -> list[tuple[bytes, bytes]]:
    rng = random.Random(1)
    return [(b"~%012d" % rng.randrange(10**9), rng.randbytes(size)) for _ in range(rows)]


def _chain(producer: BatchProducer, log: str, out: str, partition: int, rows: int) -> Callable[[], Awaitable[None]]:
    headers = [(EPOCH, b"1764489600")]
    records: list[HeadedRecord] = [(key, value, headers) for key, value in _rows(rows, _ROW_BYTES)]
    packed: list[HeadedRecord] = [(None, b"".join(value for _, value in _rows(rows, _OUTPUT_BYTES)), headers)]

    async def write() -> None:
        await producer.append(log, partition, records)
        await producer.append(out, partition, packed)

    return write


async def _transactions(
    stack: AsyncExitStack, settings: Settings, log: str, out: str, partition: int, rows: int
) -> Callable[[], Awaitable[None]]:
    options: dict[str, Any] = {"transactional_id": f"{log}-{partition}", "compression_type": "lz4", "max_batch_size": 1_000_000}
    producer = await stack.enter_async_context(client.producer(KafkaConfig.of(settings), **options))
    records, packed = _rows(rows, _ROW_BYTES), b"".join(value for _, value in _rows(rows, _OUTPUT_BYTES))
    place, offset = TopicPartition(f"{log}-input", partition), 0

    async def write() -> None:
        nonlocal offset
        offset += 1
        async with producer.transaction():
            changelog, output = producer.create_batch(), producer.create_batch()
            for key, value in records:
                changelog.append(key=key, value=value, timestamp=None)
            output.append(key=None, value=packed, timestamp=None)
            await producer.send_batch(changelog, log, partition=partition)
            await producer.send_batch(output, out, partition=partition)
            await producer.send_offsets_to_transaction({place: OffsetAndMetadata(offset, "")}, f"{log}-group")

    return write


if __name__ == "__main__":
    uvloop.install()
    way_, log_, out_, rows_, cycles_ = sys.argv[1:]
    asyncio.run(run(way_, log_, out_, int(rows_), int(cycles_)))
