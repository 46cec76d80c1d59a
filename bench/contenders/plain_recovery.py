"""The least that reads changelogs into RocksDB: one consumer, and one write batch for each partition and fetch."""

import asyncio
import os
import sys
import time
from pathlib import Path

import orjson
import rocksdict
import uvloop
from aiokafka import TopicPartition

from bench.workload import PARTITIONS
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.settings import Settings

_FETCH = 4 * 2**20


async def run(topics: list[str]) -> None:
    """Read ``topics`` to their ends, and print records, wall clock and CPU seconds as JSON."""
    places = [TopicPartition(topic, number) for topic in topics for number in range(PARTITIONS)]
    options = rocksdict.Options(raw_mode=True)
    options.create_if_missing(True)
    data = Path(os.environ["BENCH_DATA"])
    stores = {place: rocksdict.Rdict(str(data / f"{place.topic}-{place.partition}"), options) for place in places}
    kafka = KafkaConfig.of(Settings(kafka_bootstrap=os.environ["BENCH_BOOTSTRAP"]))
    consumer = client.consumer(kafka, enable_auto_commit=False, max_partition_fetch_bytes=_FETCH)
    await consumer.start()
    try:
        ends = await consumer.end_offsets(places)
        started, cpu, records = time.monotonic(), time.process_time(), 0
        consumer.assign(places)
        for place in places:
            consumer.seek(place, 0)
        left = {place for place in places if ends[place]}
        while left:
            for place, found in (await consumer.getmany(timeout_ms=500)).items():
                batch = rocksdict.WriteBatch(raw_mode=True)
                for record in found:
                    if record.value is None:
                        batch.delete(record.key)
                    else:
                        batch.put(record.key, record.value)
                batch.put(b"offset", str(found[-1].offset).encode())
                stores[place].write(batch)
                records += len(found)
                if found[-1].offset + 1 >= ends[place]:
                    left.discard(place)
        took = {"records": records, "wall": time.monotonic() - started, "cpu": time.process_time() - cpu}
    finally:
        await consumer.stop()
    print(orjson.dumps(took).decode())


if __name__ == "__main__":
    uvloop.install()
    asyncio.run(run(sys.argv[1:]))
