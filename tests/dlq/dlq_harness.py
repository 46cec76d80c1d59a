"""Letters of every kind on a real broker, and the topics that they come from and go to."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from streams.core.clock import ManualClock
from streams.core.errors import RecordError
from streams.dispatch.outbox.parked import Parked, parked_record
from streams.domain.digester import Digester
from streams.ingest.erased_addresses import ErasureFeed
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import tables
from streams.mapping import load_mapping
from streams.messages.changes import partition_of
from streams.messages.dead_letters import Coordinates, DeadLetter
from streams.messages.protocol import specs
from streams.messages.topics import Topics
from streams.operations.dlq_actions import Action, DeadLetterActions
from streams.operations.dlq_entry import DeadLetterEntry
from streams.operations.dlq_filter import Filter
from streams.operations.dlq_store import DeadLetterStore
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings
from testkit.local_services import kafka

PARTITIONS = 2
MAPPING = load_mapping()
CAPTURED = MAPPING.topic(MAPPING.contact.table)


@dataclass
class LetterBox:
    """One application's topics, and what an operator may do there."""

    settings: Settings
    producer: BatchProducer
    clock: ManualClock

    @property
    def topics(self) -> Topics:
        return Topics.of(self.settings.app_id)

    @property
    def hash_key(self) -> bytes:
        return self.settings.hash_key.get_secret_value().encode()

    async def dead_letter(
        self, key: bytes | None, value: bytes | None, code: str = "bad_text", stage: str = "ingest", topic: str = CAPTURED
    ) -> None:
        entry = DeadLetter(Coordinates(topic, 1, 981), key, value, RecordError(code, "a column"), stage)
        await self.producer.send_one(self.topics.dead_letters, 1, key, value, entry.headers(self.hash_key))

    async def park(self, parked: Parked) -> None:
        key, value = parked_record(parked, self.hash_key)
        await self.producer.send_one(self.topics.parked, partition_of(parked.key, PARTITIONS), key, value)

    async def listed(self, *, closed: bool = False, **filters: Any) -> list[DeadLetterEntry]:
        return await DeadLetterStore(self.settings).entries(Filter(**filters), closed=closed)

    async def act(self, action: Action, entries: Sequence[DeadLetterEntry], rate: float = 1000.0) -> int:
        digest = Digester(*self.settings.erasure_keys)
        erased = ErasureFeed(KafkaConfig.of(self.settings), self.topics.erasures, PARTITIONS, digest)
        actions = DeadLetterActions(
            self.settings, DeadLetterStore(self.settings), self.producer, erased, operator="ops", clock=self.clock
        )
        return await actions.act(action, entries, rate=rate, progress=lambda _: None)

    async def held(self, topic: str) -> list[Any]:
        return [record async for record in read_topic(KafkaConfig.of(self.settings), topic, range(PARTITIONS))]


@asynccontextmanager
async def letter_box(broker: Path, name: str, **kept: str) -> AsyncIterator[LetterBox]:
    """``kept``: how topics are kept here, in place of the shipped settings, underscores for dots."""
    running = kafka.status(broker).broker
    assert running is not None
    settings = Settings(kafka_bootstrap=running.bootstrap, app_id=name, partitions=PARTITIONS)
    names = {*asdict(Topics.of(name)).values(), *tables(settings).values(), CAPTURED}
    own = {key.replace("_", "."): value for key, value in kept.items()}
    wanted = [replace(spec, config={**spec.config, **own}) for spec in specs(settings, MAPPING) if spec.name in names]
    await apply_topics(KafkaConfig(running.bootstrap), wanted, execute=True)
    async with BatchProducer(settings) as producer:
        yield LetterBox(settings, producer, ManualClock())
