"""Reads dead letters and parked deliveries, with their outcomes from the audit topic and from the outbox."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

import msgspec

from streams.core.errors import OwddError
from streams.dispatch.outbox.parked import Parked, read_parked
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.messages.audit import OperatorAction, read_audit
from streams.messages.topics import Topics
from streams.operations.dlq_entry import DeadLetterEntry, EntryKind, Position, dead_letter_entry, names_in, parked_entry
from streams.operations.dlq_filter import Filter
from streams.settings import Settings


class DeadLetterStore:
    """The entries of one application."""

    def __init__(self, settings: Settings) -> None:
        topics = Topics.of(settings.app_id, settings.generation)
        self._kafka = KafkaConfig.of(settings)
        self._partitions = range(settings.partitions)
        self._audit = topics.audit
        self._topic: dict[EntryKind, str] = {"ingest": topics.dead_letters, "delivery": topics.parked}
        self._hash_key = settings.hash_key.get_secret_value().encode()

    async def entries(self, selection: Filter, *, closed: bool = False) -> list[DeadLetterEntry]:
        """The entries that ``selection`` selects, oldest first; with ``closed`` also closed ones.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        done = await self._done()
        found = [entry async for entry in self._dead(selection)] if selection.kind != "delivery" else []
        found += await self._parked(selection) if selection.kind != "ingest" else []
        published = (replace(entry, outcome=entry.outcome or done.get(str(entry.position))) for entry in found)
        chosen = sorted((entry for entry in published if closed or entry.outcome is None), key=lambda entry: entry.at)
        return list(islice(chosen, selection.limit))

    async def records(self, places: Iterable[Position]) -> AsyncIterator[tuple[Position, Any]]:
        """The records at ``places``, by kind, partition and offset; those that retention has removed are left out.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        wanted = set(places)
        for kind, topic in self._topic.items():
            partitions = sorted({place.partition for place in wanted if place.kind == kind} & {*self._partitions})
            for partition in partitions:
                async for record in read_topic(self._kafka, topic, [partition]):
                    place = Position(kind, partition, record.offset)
                    if place in wanted:
                        yield place, record

    async def record(self, place: Position) -> tuple[DeadLetterEntry, Any]:
        """One entry, with its record.

        Raises:
            OwddError: there is none at ``place``.
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        async for _, record in self.records([place]):
            entry = dead_letter_entry(record) if place.kind == "ingest" else parked_entry(record, read_parked(record.value))
            return replace(entry, outcome=(await self._done()).get(str(place))), record
        raise OwddError(f"there is no entry at {place}: entries are kept for 30 days")

    async def _done(self) -> dict[str, str]:
        done: dict[str, str] = {}
        async for record in read_topic(self._kafka, self._audit, self._partitions):
            try:
                entry = read_audit(record.value or b"")
            except msgspec.MsgspecError:
                # Written by another release or program: what it says of other entries is not lost with it.
                continue
            if isinstance(entry, OperatorAction):
                done.update(dict.fromkeys(entry.places, entry.action))
        return done

    async def _dead(self, selection: Filter) -> AsyncIterator[DeadLetterEntry]:
        async for record in read_topic(self._kafka, self._topic["ingest"], self._partitions):
            entry = dead_letter_entry(record)
            if selection.matches(entry) and selection.names(names_in(record.key, record.value), self._hash_key):
                yield entry

    async def _parked(self, selection: Filter) -> list[DeadLetterEntry]:
        tasks: dict[tuple[str, str], tuple[DeadLetterEntry, Parked]] = {}
        async for record in read_topic(self._kafka, self._topic["delivery"], self._partitions):
            parked = _readable(record.value)
            if parked is None:
                continue
            name, entry = (parked.key, parked.task_key), parked_entry(record, parked)
            if parked.state == "parked":
                tasks[name] = (entry, parked)
            elif name in tasks:
                tasks[name] = (replace(tasks[name][0], outcome="cleared"), parked)
        return [
            entry
            for entry, parked in tasks.values()
            if selection.matches(entry) and selection.names([parked.key.encode(), parked.task_key.encode()], self._hash_key)
        ]


def _readable(value: bytes | None) -> Parked | None:
    try:
        return read_parked(value or b"")
    except msgspec.MsgspecError:
        # Written by another release or program: the outbox still knows which tasks it has parked.
        return None
