"""What another mapping would change, of a sample of persons: the captured topics are read, and both mappings' joins work here.

All that the joins need of a sampled person is in the sample: the accounts with the address, their orders and credit notes, the
accounts of orders that have it on them. Products and lookup tables are whole. A link between two people's orders beyond
that (a credit note that gives back lines of an order of somebody else) may be missing, under both mappings alike.
"""

from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec.structs import replace
from prometheus_client import Counter as Metric

from streams.capture.envelope import RowEvent, decode
from streams.core.clock import Clock
from streams.core.errors import ConfigurationError, RecordError
from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.tasks import Family, family_of, owner_of
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.digester import Digester
from streams.domain.record_state import RecordDeliveryState
from streams.ingest.erased_addresses import ErasureFeed
from streams.ingest.erasing import without_erased
from streams.ingest.router import Routed, Router
from streams.kafka.reader import committed_reader, partitions_of, read_span
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured
from streams.mapping import Mapping as SiteMapping
from streams.messages.changes import Change
from streams.messages.topics import Topics
from streams.operations.generation_diff import Differences, Examples, RecentBuyers, task_difference
from streams.operations.replay_scan import Scanned
from streams.operations.sampled_joins import SampledJoins
from streams.operations.sampled_persons import SampledPersons
from streams.settings import Settings

_TOGETHER = 2_000
"""Captured records between two times at which the joins work: what waits for them is in memory."""


@dataclass(frozen=True, slots=True)
class SampleResult:
    """What differs in the sample.

    Attributes:
        found: the differences; ``compared`` counts deliveries of the sample.
        persons: addresses in the sample.
        factor: for how many persons each stands; catalogue records stand for themselves.
        unreadable: captured records that the running and the new mapping cannot read, by code; of all of them.
        missing: topics of the new mapping that nothing is captured into.
    """

    found: Differences
    persons: int
    factor: float
    unreadable: tuple[Mapping[str, int], Mapping[str, int]]
    missing: list[str]

    @property
    def factors(self) -> dict[Family, float]:
        """For how many each delivery of a family stands."""
        return {family: 1.0 if family is Family.CATALOGUE else self.factor for family in Family}


@dataclass
class _Side:
    """One mapping: how it reads rows, and its joins."""

    mapping: SiteMapping
    router: Router
    joins: SampledJoins
    unreadable: Counter[str] = field(default_factory=Counter)

    @cached_property
    def topics(self) -> frozenset[str]:
        """The captured topics that it reads."""
        return frozenset(captured(self.mapping))

    def routed(self, record: Any, erased: ErasureFeed, emptied: Metric) -> list[Routed]:
        """What ingest would emit for a record.

        Raises:
            RecordError: the row cannot be read.
        """
        event = decode(record.key, record.value, self.mapping.source.epoch)
        if not isinstance(event, RowEvent):
            return []
        routed = list(self.router.route(event, record.timestamp))
        return list(without_erased(routed, erased, emptied)) if erased else routed


class MappingSample:
    """Compares the mapping that is in force (``now``) with a ``new`` one."""

    def __init__(self, settings: Settings, now: SiteMapping, new: SiteMapping, most: int, clock: Clock) -> None:
        self._settings = settings
        self._mappings = (now, new)
        self._clock = clock
        self._topics = Topics.of(settings.app_id, settings.generation)
        self._kafka = KafkaConfig.of(settings)
        self._emptied = Metric("emptied", "Changes without erased persons.", registry=None)
        self._persons = SampledPersons(most, settings.hash_key.get_secret_value().encode(), self._topics)

    async def run(self, lists: RecentBuyers, examples: Examples, report: Scanned) -> SampleResult:
        """Read, work out, compare.

        Raises:
            ConfigurationError: nothing is captured of what the mapping in force reads.
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        digest = Digester(*self._settings.erasure_keys)
        feed = ErasureFeed(self._kafka, self._topics.erasures, self._settings.partitions, digest)
        with self._sides() as sides:
            async with feed as erased, committed_reader(self._kafka) as consumer:
                passes = _Passes(consumer, await self._spans(consumer), report)
                missing = sorted(set(captured(self._mappings[1])) - passes.topics)
                await self._find(passes, sides, erased)
                await self._work(passes, sides, erased)
            found = self._compared(sides, lists, examples)
        unreadable = (sides[0].unreadable, sides[1].unreadable)
        return SampleResult(found, len(self._persons.addresses), self._persons.factor, unreadable, missing)

    @contextmanager
    def _sides(self) -> Iterator[tuple[_Side, _Side]]:
        with TemporaryDirectory(prefix="owdd-plan-") as directory:
            now, new = (
                _Side(mapping, Router(mapping, self._topics), self._joins(mapping, Path(directory) / name))
                for name, mapping in zip(("now", "new"), self._mappings, strict=True)
            )
            try:
                yield now, new
            finally:
                now.joins.close()
                new.joins.close()

    def _joins(self, mapping: SiteMapping, directory: Path) -> SampledJoins:
        directory.mkdir()
        return SampledJoins(self._settings, mapping, directory, self._clock)

    async def _spans(self, consumer: AIOKafkaConsumer) -> dict[TopicPartition, tuple[int, int]]:
        """What to read of each partition: as far as the topics go now, so that each pass sees the same."""
        topics = {topic for mapping in self._mappings for topic in captured(mapping)}
        found = await partitions_of(self._kafka, sorted(topics))
        places = [TopicPartition(topic, number) for topic, numbers in found.items() for number in numbers]
        if not places:
            raise ConfigurationError("nothing is captured", where="owdd plan", remedy="See 'owdd connectors status'")
        begins, ends = await consumer.beginning_offsets(places), await consumer.end_offsets(places)
        return {place: (begins[place], ends[place]) for place in places}

    async def _find(self, passes: "_Passes", sides: Iterable[_Side], erased: ErasureFeed) -> None:
        """Which persons the sample holds, and which rows are theirs."""
        addressed = {m.topic(table) for m in self._mappings for table in (m.customer.table, m.contact.table)}
        details = {m.topic(m.order.detail.table) for m in self._mappings}
        headers = {m.topic(m.order.header.table) for m in self._mappings}
        passes.plan(addressed | details, headers, details, passes.topics)
        await self._look(passes, sides, erased, self._persons.find_person)
        self._persons.choose()
        await self._look(passes, sides, erased, self._persons.find_order)
        await self._look(passes, sides, erased, self._persons.find_stranger)

    async def _look(
        self, passes: "_Passes", sides: Iterable[_Side], erased: ErasureFeed, find: Callable[[Change], None]
    ) -> None:
        async for record in passes.next():
            for side in sides:
                try:
                    routed = side.routed(record, erased, self._emptied)
                except RecordError:
                    # Counted when it is read for the joins.
                    continue
                for _, change in routed:
                    find(change)

    async def _work(self, passes: "_Passes", sides: Iterable[_Side], erased: ErasureFeed) -> None:
        """Let both mappings' joins have their rows, and what is kept of frozen orders."""
        count = 0
        async for record in passes.next():
            for side in sides:
                self._feed(side, record, erased)
            if (count := count + 1) % _TOGETHER == 0:
                for side in sides:
                    side.joins.work()
        for number in range(self._settings.partitions):
            async for record in passes.whole(TopicPartition(self._topics.frozen_orders, number)):
                if record.key is not None and self._persons.wants_order(record.key.decode(errors="replace")):
                    for side in sides:
                        side.joins.feed_frozen(record.key, record.value)
        for side in sides:
            side.joins.work()

    def _feed(self, side: _Side, record: Any, erased: ErasureFeed) -> None:
        try:
            routed = side.routed(record, erased, self._emptied)
        except RecordError as error:
            # Of a table that only the other mapping has nothing is expected.
            if record.topic in side.topics:
                side.unreadable[error.code] += 1
            return
        for topic, change in routed:
            if self._persons.wants(topic, change):
                side.joins.feed(topic, change)

    def _compared(self, sides: tuple[_Side, _Side], lists: RecentBuyers, examples: Examples) -> Differences:
        now, new = sides[0].joins, sides[1].joins
        held, persons, found = new.held_orders(), self._persons.addresses, Differences()
        for task in sorted(now.desired.keys() | new.desired.keys()):
            family = family_of(task)
            if family is not Family.CATALOGUE and owner_of(task) not in persons:
                continue
            found.compared += 1
            before = now.desired.get(task) or CODECS[family].kind()
            is_held = isinstance(before, RecordDeliveryState) and before.source in held
            difference = task_difference(task, _as_delivered(before), new.desired.get(task), lists, held=is_held)
            if difference is not None:
                found.add(difference, examples)
        return found


def _as_delivered(row: Any) -> Any:
    """A row as if what is wanted were there: nobody has asked the ledger of deliveries about the sample."""
    if isinstance(row, ContactDeliveryState) and row.fields is not None:
        return replace(row, contact=0)
    return row


class _Passes:
    """Readings of the captured topics, one after the other; each up to the ends that were known at the beginning."""

    def __init__(self, consumer: AIOKafkaConsumer, spans: Mapping[TopicPartition, tuple[int, int]], report: Scanned) -> None:
        self._consumer = consumer
        self._spans = spans
        self._report = report
        self._planned: list[set[str]] = []
        self._read = self._total = 0
        self.topics = {place.topic for place in spans}

    def plan(self, *passes: set[str]) -> None:
        """The topics of each pass."""
        self._planned = list(passes)
        sizes = Counter[str]()
        for place, (begin, end) in self._spans.items():
            sizes[place.topic] += end - begin
        self._total = sum(sizes[topic] for topics in passes for topic in topics)

    async def next(self) -> AsyncIterator[Any]:
        """The records of the next pass, without tombstones.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        topics = self._planned.pop(0)
        for place, (begin, end) in sorted(self._spans.items()):
            if place.topic not in topics:
                continue
            async for record in read_span(self._consumer, place, begin, end):
                if (record.offset - begin) % _TOGETHER == 0:
                    self._report(self._read + record.offset - begin, self._total)
                if record.key is not None and record.value is not None:
                    yield record
            self._read += end - begin
            self._report(self._read, self._total)

    async def whole(self, place: TopicPartition) -> AsyncIterator[Any]:
        """The records of one more partition.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        end = (await self._consumer.end_offsets([place]))[place]
        async for record in read_span(self._consumer, place, 0, end):
            yield record
