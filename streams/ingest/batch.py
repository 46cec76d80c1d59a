"""What some captured records amount to, and how it becomes durable."""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field
from typing import TypeAlias

import structlog

from streams.core.clock import Clock
from streams.domain.digester import Digester
from streams.engine.unit_of_work import packed
from streams.kafka.producer import BatchProducer
from streams.messages.changes import Change
from streams.messages.dead_letters import DeadLetter
from streams.messages.erasure_requests import ErasureRequest, ErasureRequests
from streams.messages.generation_log import known_generations
from streams.messages.kinds import ErasureChange
from streams.messages.topics import ChangeTopic, Topics
from streams.observability.metrics import Metrics
from streams.settings import Settings

OutputPartition: TypeAlias = tuple[ChangeTopic, int]  # type: ignore[type-arg]
"""A topic between stages and a partition of it."""

log = structlog.get_logger()


@dataclass
class Batch:
    """Changes by destination, dead letters, and the people whose erasure the ERP requests: the erasures, and the digests."""

    changes: dict[OutputPartition, list[Change]] = field(default_factory=lambda: defaultdict(list))
    letters: list[DeadLetter] = field(default_factory=list)
    digests: list[bytes] = field(default_factory=list)
    erasures: list[ErasureChange] = field(default_factory=list)


class Publisher:
    """Appends batches."""

    def __init__(self, settings: Settings, producer: BatchProducer, metrics: Metrics, clock: Clock) -> None:
        self._settings = settings
        self._producer = producer
        self._metrics = metrics
        self._clock = clock
        self._partitions = settings.partitions
        self._hash_key = settings.hash_key.get_secret_value().encode()
        topics = Topics.of(settings.app_id, settings.generation)
        self._dead_letters = topics.dead_letters
        self._key_id = Digester(*settings.erasure_keys).key_id
        self._erasures = ErasureRequests(producer, topics, settings.partitions)

    async def publish(self, batch: Batch) -> None:
        """Return when everything in ``batch`` is durable.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge.
        """
        sends = [
            self._producer.send(topic, partition, packed(topic, changes))
            for (topic, partition), changes in batch.changes.items()
        ]
        await asyncio.gather(*sends, *map(self._dead_letter, batch.letters))
        if batch.erasures:
            # Every generation: whoever else reads the flag after this takes the person for erased.
            working = (await known_generations(self._settings)).working
            await asyncio.gather(
                *(self._erasures.start(change, {*working, self._settings.generation}) for change in batch.erasures)
            )
        # The digest last, after the erasure itself was acknowledged: once a digest is known, the same flag starts no erasure,
        # so a crash between the two must leave it unknown.
        now = self._clock.now_ms()
        await asyncio.gather(
            *(self._erasures.remember(digest, ErasureRequest(now, "erp", self._key_id)) for digest in batch.digests)
        )

    async def _dead_letter(self, letter: DeadLetter) -> None:
        partition = letter.at.partition % self._partitions
        headers = letter.headers(self._hash_key)
        await self._producer.send_one(self._dead_letters, partition, letter.key, letter.value, headers)
        self._metrics.dead_letters.labels("ingest", letter.error.code).inc()
        log.error(
            "record dead-lettered",
            stage="ingest",
            code=letter.error.code,
            detail=letter.error.detail,
            at=str(letter.at),
        )
