"""What is set aside now: dead letters, parked deliveries, removals that are held back, held and frozen documents.

Counted from the topics in which it stands, so the numbers are those of ``owdd dlq list``, ``owdd removals show`` and ``owdd
state held``, and the same right after a restart. :func:`set_aside_now` counts once, from any machine that reaches the broker;
:class:`SetAsideFeed` goes on, for the gauges of a worker.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.core.errors import OwddError
from streams.dispatch.outbox.parked import read_parked
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.messages.audit import OperatorAction, read_audit
from streams.messages.removals import BRAKE_PARTITION, HeldRemovals, RemovalKind, read_held
from streams.messages.topics import Topics
from streams.operations import trouble_class
from streams.operations.audited_actions import first_actions
from streams.operations.dlq_entry import Position, dead_letter_entry
from streams.operations.held_documents import held_documents
from streams.operations.open_entries import Causes, OpenEntries
from streams.operations.trouble_class import TroubleClass
from streams.settings import Settings

_IDLE_MS = 250


class SetAsideKind(StrEnum):
    """What can be set aside."""

    DEAD_LETTER = "dead_letter"
    PARKED = "parked"
    REMOVALS = "removals"
    HELD = "held"
    FROZEN = "frozen"


@dataclass(frozen=True, slots=True, order=True)
class SetAside:
    """Some things of one kind that are set aside for one cause: a code, a reason, or a kind of removal."""

    kind: SetAsideKind
    cause: str
    trouble: TroubleClass
    count: int


async def set_aside_now(settings: Settings) -> list[SetAside]:
    """Everything that is set aside now, by kind and cause.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    async with reader(KafkaConfig.of(settings)) as consumer:
        feed = SetAsideFeed(settings, consumer)
        await feed.refresh()
    held: Counter[tuple[SetAsideKind, str]] = Counter()
    for document in await held_documents(settings):
        held[SetAsideKind.FROZEN if document.frozen else SetAsideKind.HELD, document.code] += 1
    documents = (SetAside(kind, code, trouble_class.of_held(code), count) for (kind, code), count in held.items())
    return sorted([*feed.counts(), *documents])


class SetAsideFeed:
    """Follows the topics of dead letters, parked deliveries and held removals, and what operators did with them."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer) -> None:
        topics, partitions = Topics.of(settings.app_id, settings.generation), range(settings.partitions)
        self._consumer = consumer
        self._letters = {TopicPartition(topics.dead_letters, partition): partition for partition in partitions}
        self._parked = {TopicPartition(topics.parked, partition): partition for partition in partitions}
        self._removals = TopicPartition(topics.removals, BRAKE_PARTITION)
        self._audit = [TopicPartition(topics.audit, partition) for partition in partitions]
        self._reset()

    def _reset(self) -> None:
        causes = Causes()
        self._open = {place: OpenEntries(causes) for place in (*self._letters, *self._parked)}
        self._tasks: dict[TopicPartition, dict[tuple[str, str], int]] = {place: {} for place in self._parked}
        self._held: dict[RemovalKind, HeldRemovals] = {}
        self._next: dict[TopicPartition, int] = {}
        self._begins: dict[TopicPartition, int] = {}

    async def refresh(self) -> bool:
        """Read what was appended since; whether that, or what retention has removed, is anything. The first time it is.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        # In this order: an operator's action is never seen before the entry that it is about.
        actions = await self._consumer.end_offsets(self._audit)
        entries = await self._consumer.end_offsets([*self._open, self._removals])
        if any(end < self._next.get(place, 0) for place, end in (actions | entries).items()):
            # A topic was made anew.
            self._reset()
        begins = dict(await self._consumer.beginning_offsets([*actions, *entries]))
        if not self._next.keys() & actions.keys():
            begins |= await first_actions(self._consumer, [*self._open], self._audit)
        for place, open_entries in self._open.items():
            open_entries.forget_before(begins[place])
        for place, tasks in self._tasks.items():
            for task in [task for task, offset in tasks.items() if offset < begins[place]]:
                del tasks[task]
        read, before = dict(self._next), self._begins
        await self._read(entries, begins)
        await self._read(actions, begins)
        self._begins = begins
        return (self._next, begins) != (read, before)

    def counts(self) -> Iterator[SetAside]:
        """What is set aside, by kind and cause."""
        letters = self._sum(self._letters)
        parked = self._sum(self._parked)
        for code, count in letters.items():
            yield SetAside(SetAsideKind.DEAD_LETTER, code, trouble_class.of_dead_letter(code), count)
        for code, count in parked.items():
            yield SetAside(SetAsideKind.PARKED, code, trouble_class.of_parked(code), count)
        for kind, held in self._held.items():
            if held.count:
                yield SetAside(SetAsideKind.REMOVALS, kind, TroubleClass.DATA, held.count)

    def _sum(self, places: Iterable[TopicPartition]) -> Counter[str]:
        return sum((self._open[place].counts() for place in places), Counter[str]())

    async def _read(self, ends: Mapping[TopicPartition, int], begins: Mapping[TopicPartition, int]) -> None:
        starts = {place: max(self._next.get(place, 0), begins[place]) for place in ends}
        behind = {place for place, end in ends.items() if starts[place] < end}
        if not behind:
            return
        consumer = self._consumer
        consumer.assign(list(behind))
        try:
            for place in behind:
                consumer.seek(place, starts[place])
            while behind := {place for place in behind if await consumer.position(place) < ends[place]}:
                for place, records in (await consumer.getmany(*behind, timeout_ms=_IDLE_MS)).items():
                    for record in records:
                        self._note(place, record)
                    self._next[place] = records[-1].offset + 1
        finally:
            # Or it goes on fetching what nobody takes.
            consumer.unsubscribe()

    def _note(self, place: TopicPartition, record: Any) -> None:
        if place in self._letters:
            self._open[place].open(record.offset, dead_letter_entry(record).code)
            return
        try:
            if place in self._parked:
                self._note_parked(place, record)
            elif place == self._removals:
                held = read_held(record.value or b"")
                self._held[held.kind] = held
            else:
                self._note_action(record)
        except (msgspec.MsgspecError, OwddError):
            # Written by another release or program: the commands leave it out too.
            return

    def _note_parked(self, place: TopicPartition, record: Any) -> None:
        parked = read_parked(record.value or b"")
        task, tasks, open_entries = (parked.key, parked.task_key), self._tasks[place], self._open[place]
        if (before := tasks.pop(task, None)) is not None:
            open_entries.close(before)
        if parked.state == "parked":
            tasks[task] = record.offset
            open_entries.open(record.offset, parked.code)

    def _note_action(self, record: Any) -> None:
        entry = read_audit(record.value or b"")
        if isinstance(entry, OperatorAction):
            for text in entry.places:
                place = Position.parse(text)
                topics = self._letters if place.kind == "ingest" else self._parked
                for where, partition in topics.items():
                    if partition == place.partition:
                        self._open[where].close(place.offset)
