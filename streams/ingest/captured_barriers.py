"""Ingest of a new generation says when it has read a captured partition as far as it was when the generation began."""

import asyncio
from contextlib import suppress

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError

from streams.core.clock import Clock
from streams.kafka.producer import BatchProducer
from streams.mapping import Mapping
from streams.messages.barriers import Barrier, joins_of, of_generation, round_of
from streams.messages.generation_log import known_generations
from streams.messages.generations import Generation
from streams.messages.topics import Topics
from streams.settings import Settings


class CapturedBarriers:
    """Barriers of round 0, one for each captured partition, behind everything that was in it; in the first generation none."""

    def __init__(self, settings: Settings, mapping: Mapping, producer: BatchProducer, clock: Clock) -> None:
        self._settings = settings
        self._joins = joins_of(mapping)
        self._producer = producer
        self._clock = clock
        self._known: Generation | None = None
        self._ends: dict[TopicPartition, int] = {}

    async def begin(self) -> None:
        """Find out how far the generation must read.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        if not self._settings.generation:
            return
        known = self._known = (await known_generations(self._settings)).generations.get(self._settings.generation)
        if known is not None:
            places = ((topic, partition, end) for topic, ends in known.ends.items() for partition, end in enumerate(ends))
            self._ends = {TopicPartition(topic, partition): end for topic, partition, end in places}

    async def look(self, consumer: AIOKafkaConsumer) -> None:
        """To be called when everything that was polled is durable: write the barriers of partitions that were read so far.

        Whoever takes a partition over later writes its barrier once more, which is nothing new to those who have it.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge.
        """
        for place in [place for place in self._ends if place in consumer.assignment()]:
            with suppress(IllegalStateError):  # it has gone to another worker
                if await consumer.position(place) >= self._ends[place]:
                    await self._write(place)
                    del self._ends[place]

    async def _write(self, place: TopicPartition) -> None:
        assert self._known is not None
        partitions = len(self._known.ends[place.topic])
        barrier = Barrier(place.topic, place.partition, partitions, 0, self._known.senders, self._joins)
        change = round_of(of_generation(self._known.number), barrier, self._clock.now_ms())
        topics = Topics.of(self._settings.app_id, self._known.number)
        await asyncio.gather(
            *(
                self._producer.send(topic, partition, [(None, topic.pack([change]))])
                for topic in (getattr(topics, stage) for stage in self._joins)
                for partition in range(self._settings.partitions)
            )
        )
