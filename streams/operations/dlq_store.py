"""Read what was set aside, and fold into it what became of it: the audit topic, and the outbox's own word."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import replace
from itertools import islice
from typing import Any

import msgspec

from streams.core.errors import OwddError
from streams.dispatch.outbox.parked import Parked, read_parked
from streams.kafka.reader import records_of
from streams.kafka.topics import Topics
from streams.messages.audit import Acted, read_audit
from streams.operations.dlq_entry import Kind, Letter, Place, dead_letter, names_in, parked_letter
from streams.operations.dlq_filter import Selection
from streams.settings import Settings


class Box:
    """The letters of one application."""

    def __init__(self, settings: Settings) -> None:
        topics = Topics.of(settings.app_id)
        self._bootstrap = settings.kafka_bootstrap
        self._partitions = range(settings.partitions)
        self._audit = topics.audit
        self._topic: dict[Kind, str] = {"ingest": topics.dead_letters, "delivery": topics.parked}
        self._hash_key = settings.hash_key.get_secret_value().encode()

    async def letters(self, selection: Selection, *, closed: bool = False) -> list[Letter]:
        """The letters that ``selection`` means, oldest first; with ``closed`` also those that are done with.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        done = await self._done()
        found = [letter async for letter in self._dead(selection)] if selection.kind != "delivery" else []
        found += await self._parked(selection) if selection.kind != "ingest" else []
        told = (replace(letter, outcome=letter.outcome or done.get(str(letter.place))) for letter in found)
        chosen = sorted((letter for letter in told if closed or letter.outcome is None), key=lambda letter: letter.at)
        return list(islice(chosen, selection.limit))

    async def records(self, places: Iterable[Place]) -> AsyncIterator[tuple[Place, Any]]:
        """The records at ``places``, by kind, partition and offset; those that retention has removed are left out.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        wanted = set(places)
        for kind, topic in self._topic.items():
            partitions = sorted({place.partition for place in wanted if place.kind == kind} & {*self._partitions})
            for partition in partitions:
                async for record in records_of(self._bootstrap, topic, [partition]):
                    place = Place(kind, partition, record.offset)
                    if place in wanted:
                        yield place, record

    async def record(self, place: Place) -> tuple[Letter, Any]:
        """One letter, with its record.

        Raises:
            OwddError: there is none at ``place``.
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        async for _, record in self.records([place]):
            letter = dead_letter(record) if place.kind == "ingest" else parked_letter(record, read_parked(record.value))
            return replace(letter, outcome=(await self._done()).get(str(place))), record
        raise OwddError(f"nothing is at {place}: letters are kept for 30 days")

    async def _done(self) -> dict[str, str]:
        done: dict[str, str] = {}
        async for record in records_of(self._bootstrap, self._audit, self._partitions):
            entry = read_audit(record.value)
            if isinstance(entry, Acted):
                done.update(dict.fromkeys(entry.places, entry.action))
        return done

    async def _dead(self, selection: Selection) -> AsyncIterator[Letter]:
        async for record in records_of(self._bootstrap, self._topic["ingest"], self._partitions):
            letter = dead_letter(record)
            if selection.takes(letter) and selection.names(names_in(record.key, record.value), self._hash_key):
                yield letter

    async def _parked(self, selection: Selection) -> list[Letter]:
        tasks: dict[tuple[str, str], tuple[Letter, Parked]] = {}
        async for record in records_of(self._bootstrap, self._topic["delivery"], self._partitions):
            parked = _readable(record.value)
            if parked is None:
                continue
            name, letter = (parked.key, parked.task_key), parked_letter(record, parked)
            if parked.state == "parked":
                tasks[name] = (letter, parked)
            elif name in tasks:
                tasks[name] = (replace(tasks[name][0], outcome="cleared"), parked)
        return [
            letter
            for letter, parked in tasks.values()
            if selection.takes(letter) and selection.names([parked.key.encode(), parked.task_key.encode()], self._hash_key)
        ]


def _readable(value: bytes | None) -> Parked | None:
    try:
        return read_parked(value or b"")
    except msgspec.MsgspecError:
        # Another release's, or nobody's: the outbox still knows what it has parked.
        return None
