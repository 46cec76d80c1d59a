"""How far a generation of the joins is: what its ingest has read, and which partitions of the outbox are complete."""

from dataclasses import dataclass
from typing import Self

from aiokafka import TopicPartition

from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import ingest_group
from streams.messages.generation_log import KnownGenerations
from streams.messages.generations import Generation
from streams.operations.generations import of_generation
from streams.settings import Settings


@dataclass(frozen=True, slots=True)
class BuildProgress:
    """Captured records that were ``read`` of those that there were when it began, and what the outbox has of it."""

    read: int
    total: int
    complete: int
    partitions: int

    @classmethod
    def of_first(cls, settings: Settings) -> Self:
        """That of the generation which every site begins with: it was never built beside another."""
        return cls(0, 0, settings.partitions, settings.partitions)

    @property
    def done(self) -> bool:
        """Whether the outbox has everything that the generation wants."""
        return self.complete == self.partitions

    def seconds_left(self, elapsed: float, read_before: int) -> float | None:
        """How long the rest takes at the pace of the last ``elapsed`` seconds; None: nothing was read meanwhile."""
        pace = (self.read - read_before) / elapsed if elapsed > 0 else 0.0
        return None if pace <= 0 else (self.total - self.read) / pace


async def build_progress(settings: Settings, known: KnownGenerations, generation: Generation) -> BuildProgress:
    """How far it is now.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    ends = {TopicPartition(topic, one): end for topic, found in generation.ends.items() for one, end in enumerate(found)}
    kafka, group = KafkaConfig.of(settings), ingest_group(of_generation(settings, generation.number))
    admin = client.admin_client(kafka)
    await admin.start()
    try:
        committed = await admin.list_consumer_group_offsets(group)
    finally:
        await admin.close()
    async with client.consumer(kafka) as consumer:
        begins = await consumer.beginning_offsets(list(ends)) if ends else {}
    read = sum(
        min(end, max(committed[place].offset, 0) if place in committed else 0) - min(end, begins[place])
        for place, end in ends.items()
        if place in committed and committed[place].offset > begins[place]
    )
    total = sum(end - min(end, begins[place]) for place, end in ends.items())
    complete = known.reported("complete", generation.number)
    return BuildProgress(read, total, complete, settings.partitions)
