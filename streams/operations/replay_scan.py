"""Which rows a replay selects: the captured topics are read once, and of each selected row the newest record is kept.

A row is selected if one of its records is. Of its records only the newest counts: the state holds it, or something newer.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.core.errors import ConfigurationError, RefusedError
from streams.kafka.reader import committed_reader, offsets_since, partitions_of, read_span
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured
from streams.mapping import Mapping
from streams.messages.replays import ReplaySelection
from streams.operations.dlq_entry import INGEST_STAGE
from streams.operations.dlq_filter import Filter
from streams.operations.dlq_store import DeadLetterStore
from streams.operations.replay_matcher import ReplayMatcher
from streams.settings import Settings

MOST_ROWS = 1_000_000
"""Of these a replay keeps the places in memory, about 200 bytes each; for more, everything is read again in another way."""

Scanned: TypeAlias = Callable[[int, int], None]
"""Called with the number of records that were read, and of those that are to be."""

_REPORTED_AFTER = 1_000


def row_digest(key: bytes) -> bytes:
    """Stands for a row's key: of equal length, and no personal data."""
    return blake2b(key, digest_size=16).digest()


@dataclass
class PlaceRows:
    """Selected rows of one captured partition: the newest offset of each, known up to ``until``."""

    place: TopicPartition
    until: int
    newest: dict[bytes, int] = field(default_factory=dict)

    def offsets(self, since: int = 0) -> list[int]:
        """The places of the rows from ``since`` on, in rising order."""
        return sorted(offset for offset in self.newest.values() if offset >= since)


@dataclass
class Scan:
    """What a selection amounts to: rows by partition, matching records by topic, and the first of those."""

    places: list[PlaceRows]
    records: Counter[str]
    examples: list[Any]

    @property
    def rows(self) -> int:
        """How many rows."""
        return sum(len(place.newest) for place in self.places)


class Scanner:
    """Looks for the rows of one selection."""

    def __init__(self, settings: Settings, mapping: Mapping, selection: ReplaySelection, examples: int = 0) -> None:
        self._settings = settings
        self._matcher = ReplayMatcher(settings, mapping, selection)
        self._selection = selection
        self._topics = selected_topics(mapping, selection)
        self._scan = Scan([], Counter(), [])
        self._most_examples = examples
        self._rows = 0
        self._letters: set[tuple[str, int, int]] | None = None

    async def run(self, report: Scanned) -> Scan:
        """The rows, as the topics are now.

        Raises:
            RefusedError: there are more rows than a replay takes.
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        if self._selection.dead_letters is not None:
            self._letters = await self._dead_letters(self._selection.dead_letters)
        async with committed_reader(KafkaConfig.of(self._settings)) as consumer:
            spans = [span async for span in self._spans(consumer)]
            total, read = sum(end - begin for _, begin, end in spans), 0
            for place, begin, end in spans:
                rows = PlaceRows(place, end)
                self._scan.places.append(rows)
                async for record in read_span(consumer, place, begin, end):
                    self._look(rows, record)
                    if (record.offset - begin) % _REPORTED_AFTER == 0:
                        report(read + record.offset - begin, total)
                read += end - begin
                report(read, total)
        return self._scan

    async def _spans(self, consumer: AIOKafkaConsumer) -> AsyncIterator[tuple[TopicPartition, int, int]]:
        """What to read of each partition: from the first record that may match to the end, where newer versions are."""
        for topic, numbers in (await partitions_of(KafkaConfig.of(self._settings), self._topics)).items():
            places = [TopicPartition(topic, number) for number in numbers if self._selection.partition in (None, number)]
            if not places:
                continue
            begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
            young = await self._young(consumer, places)
            for place in places:
                first = max(begins[place], self._selection.first or 0, young.get(place, 0))
                yield place, min(first, ends[place]), ends[place]

    async def _young(self, consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        if self._selection.since is None or self._letters is not None:
            return {}
        return await offsets_since(consumer, places, self._selection.since)

    def _look(self, rows: PlaceRows, record: Any) -> None:
        if record.value is None or record.key is None:
            return
        row = row_digest(record.key)
        matches = self._is_dead_letter(record) and self._matcher.matches(record)
        if matches:
            self._scan.records[record.topic] += 1
            if len(self._scan.examples) < self._most_examples:
                self._scan.examples.append(record)
        if not (matches or row in rows.newest):
            return
        if row not in rows.newest and self._rows >= MOST_ROWS:
            remedy = "Narrow it, or read everything again with 'owdd topics reread'"
            raise RefusedError(f"more than {MOST_ROWS:,} rows are selected", where="owdd replay records", remedy=remedy)
        self._rows += row not in rows.newest
        rows.newest[row] = record.offset

    def _is_dead_letter(self, record: Any) -> bool:
        return self._letters is None or (record.topic, record.partition, record.offset) in self._letters

    async def _dead_letters(self, codes: tuple[str, ...]) -> set[tuple[str, int, int]]:
        entries = await DeadLetterStore(self._settings).entries(Filter(kind="ingest", stage=INGEST_STAGE))
        return {
            (entry.origin.topic, entry.origin.partition, entry.origin.offset)
            for entry in entries
            if entry.origin is not None and (not codes or entry.code in codes)
        }


def selected_topics(mapping: Mapping, selection: ReplaySelection) -> list[str]:
    """The captured topics in which the selection looks.

    Raises:
        ConfigurationError: a table or topic is none that the mapping captures.
    """
    by_table = {table.casefold(): mapping.topic(table) for table in mapping.tables}
    known = set(captured(mapping))
    for name in selection.tables:
        if name.casefold() not in by_table:
            raise ConfigurationError(f"the mapping has no table {name}", where="--table", remedy=_one_of(by_table))
    if selection.topic is not None and selection.topic not in known:
        raise ConfigurationError(f"{selection.topic} is no captured topic", where="--topic", remedy=_one_of(known))
    wanted = {by_table[name.casefold()] for name in selection.tables} or known
    return sorted(topic for topic in wanted if selection.topic in (None, topic))


def _one_of(names: Any) -> str:
    return f"It must be one of {', '.join(sorted(names))}"
