"""Generations of the joins, for operators: begin one beside the active one, let another take effect, forget one.

Each is a record in topic ``generations`` and an order to every partition of the outbox, the record first. Whoever dies in
between does it once more: an order that was given already changes nothing.
"""

from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from msgspec.structs import replace

from streams.core.clock import Clock
from streams.core.errors import RefusedError
from streams.core.lanes import Lane
from streams.kafka import client
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import partitions_of
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import TopicSpec, agents_app, captured, ingest_group, replay_group, tables
from streams.mapping import Mapping
from streams.messages.audit import GenerationSteered
from streams.messages.audit_log import AuditLog
from streams.messages.barriers import Barrier, joins_of, round_of
from streams.messages.barriers import of_generation as about_generation
from streams.messages.changes import EVERYWHERE
from streams.messages.frozen_orders import BARRIER_KEY
from streams.messages.generation_kinds import GenerationOrderChange
from streams.messages.generation_log import KnownGenerations
from streams.messages.generations import (
    ACTIVATION_KEY,
    FROZEN_ORDERS,
    PARTITION,
    Activation,
    Generation,
    GenerationOrder,
    GenerationStep,
    generation_key,
    write_generations,
)
from streams.messages.protocol import specs
from streams.messages.topics import Topics
from streams.operations.rebuild import AT_REST
from streams.operations.topic_admin import apply_topics
from streams.settings import Settings


def of_generation(settings: Settings, generation: int) -> Settings:
    """The settings of workers of that generation."""
    return settings.model_copy(update={"generation": generation})


def own_topics(settings: Settings, generation: int, mapping: Mapping) -> list[TopicSpec]:
    """The topics that a generation has for itself: those between its joins, and their changelogs."""
    its = of_generation(settings, generation)
    names = _own_names(its)
    return [spec for spec in specs(its, mapping) if spec.name in names]


class GenerationOrders:
    """Gives orders, and writes down who gave them."""

    def __init__(self, settings: Settings, producer: BatchProducer, clock: Clock, by: str) -> None:
        self._settings = settings
        self._topics = Topics.of(settings.app_id)
        self._producer = producer
        self._audit = AuditLog.of(settings, producer)
        self._clock = clock
        self._by = by

    async def begin(self, known: KnownGenerations, mapping: Mapping) -> Generation:
        """The generation that is being built beside the active one; a new one, unless there is one.

        Raises:
            RefusedError: a topic that it needs is there with other settings.
            aiokafka.errors.KafkaError: the broker does not answer; it may be repeated.
        """
        generation = newest_beside(known)
        if generation is None:
            number = await self._unused_number(max(known.generations, default=0) + 1)
            ends = await captured_ends(self._settings, mapping)
            generation = Generation(number=number, by=self._by, began=self._clock.now_ms(), ends=ends)
            await self._record("begin", number, known.activation.number)
            await self._save(generation_key(number), generation)
        await apply_topics(KafkaConfig.of(self._settings), own_topics(self._settings, generation.number, mapping), execute=True)
        # Before any worker of it can run: what it wants is kept from the first word on.
        joins = joins_of(mapping)
        await self._order(GenerationOrder("begin", generation.number, senders=generation.senders, joins=joins))
        await self._mark_frozen_orders(generation, joins)
        return generation

    async def _mark_frozen_orders(self, generation: Generation, joins: tuple[str, ...]) -> None:
        """Write barriers behind what the topic holds now. Offsets would not do: compaction may leave the last ones empty."""
        for partition in range(self._settings.partitions):
            barrier = Barrier(FROZEN_ORDERS, partition, self._settings.partitions, 0, generation.senders, joins)
            value = self._topics.orders.pack([round_of(about_generation(generation.number), barrier, self._clock.now_ms())])
            await self._producer.send_one(self._topics.frozen_orders, partition, BARRIER_KEY, value)

    async def _unused_number(self, number: int) -> int:
        """The first number from there on of which no topic is left: another outbox may have had generations of that number."""
        admin = client.admin_client(KafkaConfig.of(self._settings))
        await admin.start()
        try:
            there = {*await admin.list_topics()}
        finally:
            await admin.close()
        while there.intersection(_own_names(of_generation(self._settings, number))):
            number += 1
        return number

    async def activate(self, known: KnownGenerations, generation: int, *, back: bool = False) -> Activation:
        """Let a generation take effect, perhaps one that did before (``back``); given again, the order is repeated.

        Raises:
            RefusedError: it is not complete.
            aiokafka.errors.KafkaError: the broker does not answer; it may be repeated.
        """
        if generation and known.reported("complete", generation) < self._settings.partitions:
            raise RefusedError(f"generation {generation} is not complete", remedy="See 'owdd replay status'")
        activation = known.activation
        if activation.generation != generation:
            former, now = activation.generation, self._clock.now_ms()
            activation = Activation(activation.number + 1, generation, self._by, now, back, former)
            await self._record("activate", generation, activation.number)
            await self._save(ACTIVATION_KEY, activation)
        await self._carry_out(known, activation)
        return activation

    async def _carry_out(self, known: KnownGenerations, activation: Activation) -> None:
        """What follows from an activation that is written down."""
        record = known.generations.get(activation.generation)
        if record is not None and record.activated != activation.number:
            await self._save(generation_key(record.number), replace(record, activated=activation.number))
        await self._order(GenerationOrder("activate", activation.generation, activation.number))

    async def repeat(self, known: KnownGenerations) -> None:
        """Give the newest activation's order again, unless every partition has switched: whoever gave it may have died.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer; it may be repeated.
        """
        if known.is_switching(self._settings.partitions):
            await self._carry_out(known, known.activation)

    async def drop(self, known: KnownGenerations, generation: int) -> None:
        """Forget a generation that does not take effect: what it wants, and its topics.

        Raises:
            RefusedError: workers of it run.
            aiokafka.errors.KafkaError: the broker does not answer; it may be repeated.
        """
        its = of_generation(self._settings, generation)
        admin = client.admin_client(KafkaConfig.of(self._settings))
        await admin.start()
        try:
            await _require_idle(admin, its)
            record = known.generations.get(generation) or Generation(number=generation, by=self._by, began=0, ends={})
            await self._record("drop", generation, known.activation.number)
            await self._save(generation_key(generation), replace(record, dropped=True))
            await self._order(GenerationOrder("drop", generation))
            there = await admin.list_topics()
            if own := [topic for topic in _own_names(its) if topic in there]:
                await admin.delete_topics(own)
        finally:
            await admin.close()

    async def _order(self, order: GenerationOrder) -> None:
        change = GenerationOrderChange(EVERYWHERE, order.generation, b"", Lane.URGENT, self._clock.now_ms(), order)
        value = self._topics.desired.pack([change])
        for partition in range(self._settings.partitions):
            await self._producer.send_one(self._topics.desired, partition, None, value)

    async def _save(self, key: bytes, record: Generation | Activation) -> None:
        await self._producer.send_one(self._topics.generations, PARTITION, key, write_generations(record))

    async def _record(self, action: GenerationStep, generation: int, number: int) -> None:
        entry = GenerationSteered(self._clock.now_ms(), self._by, action, generation, number)
        await self._audit.write(entry, generation_key(generation))


def newest_beside(known: KnownGenerations) -> Generation | None:
    """The newest generation, if it works and has never taken effect."""
    found = known.generations.get(max(known.generations, default=0))
    return None if found is None or found.dropped or found.activated else found


def way_back(known: KnownGenerations, partitions: int, to: int | None = None) -> tuple[int, bool]:
    """The generation that a way back leads to, perhaps one that is named (``to``); and whether it has led there already.

    Raises:
        RefusedError: there is none.
    """
    active, switched = known.activation, not known.is_switching(partitions)
    if to == active.generation or (to is None and active.back):
        return active.generation, switched
    wanted = known.former if to is None else to
    if wanted not in known.returnable:
        which = "no other generation" if to is None else f"generation {to}"
        raise RefusedError(f"{which} has ever taken effect, or it was cleaned away", remedy="See 'owdd replay status'")
    return wanted, False


async def captured_ends(settings: Settings, mapping: Mapping) -> dict[str, list[int]]:
    """The end of every captured partition now, by topic.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    kafka = KafkaConfig.of(settings)
    partitions = await partitions_of(kafka, captured(mapping))
    async with client.consumer(kafka) as consumer:
        places = {topic: [TopicPartition(topic, one) for one in found] for topic, found in partitions.items()}
        ends = await consumer.end_offsets([place for found in places.values() for place in found])
    return {topic: [ends[place] for place in found] for topic, found in places.items()}


def _own_names(its: Settings) -> list[str]:
    agents = agents_app(its)
    logs = [log for log in tables(its).values() if log.startswith(f"{agents}-")]
    return [*map(str, Topics.of(its.app_id, its.generation).of_joins), *logs]


async def _require_idle(admin: AIOKafkaAdminClient, its: Settings) -> None:
    for group in (ingest_group(its), agents_app(its), replay_group(its)):
        for answer in await admin.describe_consumer_groups([group]):
            if any(state not in AT_REST for _, _, state, *_ in answer.groups):
                raise RefusedError(f"{group}: workers of generation {its.generation} are running", remedy="Stop them")
