"""Sends a simulation to Kafka, at a given rate or as fast as the broker takes it."""

import asyncio
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, islice

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

from streams.core.errors import OwddError
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured
from testkit.simulate.envelopes import Event
from testkit.simulate.simulation import Simulation

_CHUNK = 4_000
_TICK_S = 0.005
_DELIVERY_MS = 120_000
_BATCH_BYTES = 1_000_000

Lanes = dict[tuple[str, int], list[Event]]


class TopicMissingError(OwddError):
    """A topic of the captured tables does not exist, and the broker does not make it."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is: acknowledged records, bytes of their keys and values, and seconds since the first."""

    records: int = 0
    bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LastPart:
    """The last commits of a run, sent at a pace of their own once ``begin`` returns: everyday life behind a first load."""

    commits: int
    rate: float
    begin: Callable[[], Awaitable[None]]


class Runner:
    """One simulation on its way to one broker."""

    def __init__(
        self,
        simulation: Simulation,
        *,
        rate: float = 0.0,
        seconds: float | None = None,
        last: LastPart | None = None,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        """``rate`` is in records a second, 0 for no limit; after ``seconds`` no further commit is made."""
        self._simulation = simulation
        self._rate = rate
        self._seconds = seconds
        self._last = last
        self._now = now
        self._partitions: dict[str, list[int]] = {}
        self._partitioner = lru_cache(maxsize=1 << 17)(self._partition)

    async def run(self, kafka: KafkaConfig, progress: Callable[[Progress], None] = lambda _: None) -> Progress:
        """Send every record and return once the broker has acknowledged the last one.

        Records of heartbeat, schema-change and transaction topics are left out where these topics do not exist.

        Raises:
            TopicMissingError: the topic of a captured table does not exist.
            aiokafka.errors.KafkaError: the broker is gone or refuses a record; the truth is then ahead of Kafka.
        """
        # Connect's producer waits for all replicas and keeps one request in flight: the order of a partition is kept.
        # It also goes on through a restart of the broker (its delivery.timeout.ms).
        producer = client.producer(
            kafka, acks="all", max_batch_size=_BATCH_BYTES, max_request_size=16 * 2**20, request_timeout_ms=_DELIVERY_MS
        )
        try:
            await producer.start()
            await self._look_up(producer)
            return await self._send_all(producer, progress)
        finally:
            await producer.stop()

    async def _look_up(self, producer: AIOKafkaProducer) -> None:
        existing = await producer.client.fetch_all_metadata()
        mapping = self._simulation.config.mapping
        prefix = mapping.source.topic_prefix
        wanted = captured(mapping)
        for topic in [*wanted, f"__debezium-heartbeat.{prefix}", prefix, f"{prefix}.transaction"]:
            if topic in existing.topics(exclude_internal_topics=False):
                self._partitions[topic] = sorted(await producer.partitions_for(topic))
        if missing := [topic for topic in wanted if topic not in self._partitions]:
            raise TopicMissingError(f"no such topic: {', '.join(missing)}; create it with 'owdd topics apply --execute'")

    async def _send_all(self, producer: AIOKafkaProducer, progress: Callable[[Progress], None]) -> Progress:
        # The first record opens the shop, which takes a while for a large one: time runs from then on.
        events = self._simulation.events()
        events = chain(list(islice(events, 1)), events)
        start, done = self._now(), Progress()
        paced = 0, start
        flying: asyncio.Future[list[object]] | None = None
        while True:
            lanes, records, size = self._chunk(events, await self._allowance(done.records - paced[0], paced[1]))
            if flying is not None:
                await flying
                progress(done)
            if not records:
                return done
            flying = asyncio.gather(*[future for lane in lanes.items() for future in await self._submit(producer, *lane)])
            done = Progress(done.records + records, done.bytes + size, self._now() - start)
            if self._last is not None and self._reached(self._last):
                await flying
                await self._last.begin()
                self._rate, self._last = self._last.rate, None
                paced = done.records, self._now()
            if self._seconds is not None and done.seconds >= self._seconds:
                self._simulation.stop()

    async def _allowance(self, taken: int, start: float) -> int:
        """How many records may go now; waits until it is at least one."""
        if not self._rate:
            await asyncio.sleep(0)
            return _CHUNK
        while (allowed := int((self._now() - start) * self._rate) - taken) < 1:  # noqa: ASYNC110  # it waits for time
            await asyncio.sleep(_TICK_S)
        return min(allowed, _CHUNK)

    def _chunk(self, events: Iterator[Event], count: int) -> tuple[Lanes, int, int]:
        """Up to ``count`` records by destination, how many were taken, and their bytes."""
        lanes: Lanes = defaultdict(list)
        records = size = 0
        for event in islice(events, count):
            records += 1
            if event.topic in self._partitions:
                lanes[event.topic, self._partitioner(event.topic, event.key)].append(event)
                size += len(event.key) + len(event.value or b"")
            if self._last is not None and self._reached(self._last):
                break
        return lanes, records, size

    def _reached(self, last: LastPart) -> bool:
        return self._simulation.commit > self._simulation.config.commits - last.commits

    def _partition(self, topic: str, key: bytes) -> int:
        partitions = self._partitions[topic]
        return int(DefaultPartitioner()(key, partitions, partitions))

    async def _submit(
        self, producer: AIOKafkaProducer, lane: tuple[str, int], events: list[Event]
    ) -> list[asyncio.Future[object]]:
        topic, partition = lane
        futures: list[asyncio.Future[object]] = []
        batch = producer.create_batch()
        for event in events:
            if batch.append(key=event.key, value=event.value, timestamp=event.ts_ms) is None:
                futures.append(await producer.send_batch(batch, topic, partition=partition))
                batch = producer.create_batch()
                batch.append(key=event.key, value=event.value, timestamp=event.ts_ms)
        futures.append(await producer.send_batch(batch, topic, partition=partition))
        return futures
