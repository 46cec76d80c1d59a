"""Reads dead letters and parked deliveries, with their outcomes from the audit topic and from the outbox."""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any, TypeAlias

import msgspec
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.core.errors import OwddError
from streams.dispatch.outbox.parked import Parked, read_parked
from streams.kafka.reader import committed_reader, offsets_since, read_span
from streams.kafka.security import KafkaConfig
from streams.messages.audit import OperatorAction, read_audit
from streams.messages.changes import partition_of
from streams.messages.topics import Topics
from streams.operations.audited_actions import CLOCKS_APART_MS, first_actions
from streams.operations.dlq_entry import (
    KINDS,
    DeadLetterEntry,
    EntryKind,
    Position,
    dead_letter_entry,
    names_in,
    parked_entry,
)
from streams.operations.dlq_filter import Filter
from streams.operations.offset_chunks import chunks
from streams.settings import Settings

_Span: TypeAlias = tuple[TopicPartition, int, int]
"""A partition, and its offsets from the first to before the second."""

_MOST_APART = 500
"""Entries that are further apart are read one by one, and not with what stands between them."""
_MOST_TOGETHER = 1_000
_FETCH_BYTES = 64 * 2**10
"""Of a place: an entry is small, and a fetch has whatever stands behind it too."""


class DeadLetterStore:
    """The entries of one application.

    Both topics are read by offsets and times, not from end to end, and of the audit topic only what can be about entries that
    are still there.
    """

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
        async with committed_reader(self._kafka) as consumer:
            spans = {kind: await self._spans(consumer, kind, selection) for kind in KINDS if selection.kind in (None, kind)}
            # After the ends are known: an action is not missed that is about one of these.
            done = await self._done(consumer, [place for found in spans.values() for place, *_ in found], selection)
            chosen = _Chosen(done, closed=closed)
            for span in spans.get("ingest", ()):
                await self._choose_dead(consumer, span, selection, chosen)
            for entry in await self._parked(consumer, spans.get("delivery", ()), selection):
                chosen.add(entry)
        return sorted(chosen.entries, key=lambda entry: entry.at)[: selection.limit]

    async def records(self, places: Iterable[Position]) -> AsyncIterator[tuple[Position, Any]]:
        """The records at ``places``, by kind, partition and offset; those that retention has removed are left out.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        wanted = sorted(place for place in set(places) if place.partition in self._partitions)
        async with committed_reader(self._kafka, fetch_bytes=_FETCH_BYTES) as consumer:
            for (kind, partition), found in groupby(wanted, key=lambda place: (place.kind, place.partition)):
                place = TopicPartition(self._topic[kind], partition)
                end = (await consumer.end_offsets([place]))[place]
                offsets = {position.offset for position in found if position.offset < end}
                for chunk in chunks(sorted(offsets), _MOST_TOGETHER, _MOST_APART):
                    async for record in read_span(consumer, place, chunk[0], chunk[-1] + 1):
                        if record.offset in offsets:
                            yield Position(kind, partition, record.offset), record

    async def record(self, place: Position) -> tuple[DeadLetterEntry, Any]:
        """One entry, with its record.

        Raises:
            OwddError: there is none at ``place``.
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        found = [record async for _, record in self.records([place])]
        if not found:
            raise OwddError(f"there is no entry at {place}: entries are kept for 30 days")
        (record,) = found
        entry = dead_letter_entry(record) if place.kind == "ingest" else parked_entry(record, read_parked(record.value))
        async with committed_reader(self._kafka) as consumer:
            topic = TopicPartition(self._topic[place.kind], place.partition)
            done = await self._done(consumer, [topic], Filter(code=entry.code, since=entry.at))
        return replace(entry, outcome=done.get(str(place))), record

    async def _spans(self, consumer: AIOKafkaConsumer, kind: EntryKind, selection: Filter) -> list[_Span]:
        """What to read of each partition; a parked delivery may be cleared, or parked again, at any time behind it."""
        places = [TopicPartition(self._topic[kind], partition) for partition in self._partitions]
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        if selection.since is not None:
            begins = await offsets_since(consumer, places, selection.since - CLOCKS_APART_MS)
        if selection.until is not None and kind == "ingest":
            ends = await offsets_since(consumer, places, selection.until + CLOCKS_APART_MS)
        return [(place, begins[place], ends[place]) for place in places if begins[place] < ends[place]]

    async def _done(self, consumer: AIOKafkaConsumer, entries: Sequence[TopicPartition], selection: Filter) -> dict[str, str]:
        """What was done with the entries in ``entries`` that ``selection`` may select, by their place."""
        of_code = selection.code is not None
        partitions = (partition_of(selection.code or "", len(self._partitions)),) if of_code else self._partitions
        audit = [TopicPartition(self._audit, partition) for partition in partitions]
        begins = await first_actions(consumer, entries, audit, selection.since or 0)
        ends = await consumer.end_offsets(audit)
        done: dict[str, str] = {}
        for place in audit:
            async for record in read_span(consumer, place, begins[place], ends[place]):
                try:
                    entry = read_audit(record.value or b"")
                except msgspec.MsgspecError:
                    # Written by another release or program: what it says of other entries is not lost with it.
                    continue
                if isinstance(entry, OperatorAction):
                    done.update(dict.fromkeys(entry.places, entry.action))
        return done

    async def _choose_dead(self, consumer: AIOKafkaConsumer, span: _Span, selection: Filter, chosen: "_Chosen") -> None:
        """The oldest of one partition: behind as many as are wanted nothing is read."""
        count = 0
        async with aclosing(read_span(consumer, *span)) as records:  # type: ignore[type-var]  # a generator has aclose
            async for record in records:
                entry = dead_letter_entry(record)
                if selection.matches(entry) and selection.names(names_in(record.key, record.value), self._hash_key):
                    count += chosen.add(entry)
                if count == selection.limit:
                    return

    async def _parked(self, consumer: AIOKafkaConsumer, spans: Iterable[_Span], selection: Filter) -> list[DeadLetterEntry]:
        tasks: dict[tuple[str, str], tuple[DeadLetterEntry, Parked]] = {}
        for span in spans:
            async for record in read_span(consumer, *span):
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


@dataclass(slots=True)
class _Chosen:
    """The entries that are found; ``closed``: also those that are done with, by ``done`` or by themselves."""

    done: dict[str, str]
    closed: bool
    entries: list[DeadLetterEntry] = field(default_factory=list)

    def add(self, entry: DeadLetterEntry) -> bool:
        """Take an entry, unless it is closed and such are not wanted."""
        found = replace(entry, outcome=entry.outcome or self.done.get(str(entry.position)))
        wanted = self.closed or found.outcome is None
        if wanted:
            self.entries.append(found)
        return wanted


def _readable(value: bytes | None) -> Parked | None:
    try:
        return read_parked(value or b"")
    except msgspec.MsgspecError:
        # Written by another release or program: the outbox still knows which tasks it has parked.
        return None
