"""Opens the state of the partitions that Faust assigns: recovered, checked, announced, and only then given to the stage.

Faust keeps groups, assignment and delivery, and knows no tables: partition N of a table goes with partition N of the topics
that feed its stage. Until the state of a partition is open, nothing of these topics is delivered; partitions that are open
already go on meanwhile.
"""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from typing import Any, Protocol

import faust
import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, KafkaTimeoutError
from faust.types import TP

from streams.core.clock import Clock
from streams.core.errors import ConfigurationError, OwddError
from streams.engine.changelog import Changelog, LogMovedOnError
from streams.engine.recovery import Recovered, changelog_reader, recover
from streams.engine.table import StateTable
from streams.kafka import client
from streams.kafka.continuity import group_offsets
from streams.kafka.producer import BatchProducer
from streams.kafka.security import KafkaConfig
from streams.observability.lag import ConsumedOffsets
from streams.observability.metrics import Metrics

log = structlog.get_logger()

_RETRY_SECONDS = 1.0
_WATCH_SECONDS = 1.0


class Stateful(Protocol):
    """A stage, as far as its state is concerned."""

    topics: Sequence[str]
    table: StateTable

    async def suspend(self) -> None:
        """Partitions may go to another worker: finish the work in hand, and begin none."""

    def resume(self, partitions: set[int]) -> None:
        """Work goes on with those of ``partitions`` that are opened from now on."""

    async def opened(self, partition: int) -> None:
        """The partition's state is whole and nobody else's."""

    async def follow(self, ends: Mapping[int, int], known: Mapping[int, int]) -> None:
        """The broker's ends of the changelogs that are open, and those that this worker ``known`` before it asked."""


class OutdatedWorkerError(OwddError):
    """Another worker has taken this one's partitions; it must end, and write nothing more."""


class Opener:
    """Opens and closes the state of all stages of one Faust application."""

    def __init__(
        self,
        app: faust.App,
        kafka: KafkaConfig,
        producer: BatchProducer,
        clock: Clock,
        progress: ConsumedOffsets,
        metrics: Metrics,
        new_topics: Collection[str] = (),
    ) -> None:
        """``new_topics``: those that workers of the last release do not read."""
        self._new_topics = frozenset(new_topics)
        self._app = app
        self._progress = progress
        app.transport.request, app.transport.passed = progress.commit_request, progress.passed
        self._kafka = kafka
        self._producer = producer
        self._clock = clock
        self._metrics = metrics
        self._stages: list[Stateful] = []
        self._missing: dict[TopicPartition, Stateful] = {}
        self._written: dict[TopicPartition, int] = {}
        self._opening: asyncio.Task[None] | None = None
        self._retention_ms: int | None = None
        app.on_partitions_revoked.connect(self._on_revoked, weak=False)
        app.on_partitions_assigned.connect(self._on_assigned, weak=False)
        app.on_before_shutdown.connect(self._on_shutdown, weak=False)

    @property
    def ready(self) -> bool:
        """Whether all that is assigned is open."""
        return not self._missing

    def add(self, stage: Stateful) -> None:
        """Open the state of ``stage`` too."""
        self._stages.append(stage)

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        await self._interrupt()
        for stage in self._stages:
            await stage.suspend()

    async def _on_shutdown(self, *_: Any, **__: Any) -> None:
        await self._on_revoked()
        for stage in self._stages:
            await stage.table.assign(())

    async def _on_assigned(self, _: Any, assigned: set[TP], **__: Any) -> None:
        await self._interrupt()
        self._metrics.rebalances.labels(self._app.conf.id).inc()
        self._app.transport.closed = set(assigned)
        self._app.transport.moved = {}
        for stage in self._stages:
            by_topic = [{place.partition for place in assigned if place.topic == topic} for topic in stage.topics]
            # While workers of a release that does not read a topic are in the group, it is dealt by itself. Of its partitions
            # those stay closed whose state another worker has.
            together = [found for topic, found in zip(stage.topics, by_topic, strict=True) if topic not in self._new_topics]
            if any(partitions != by_topic[0] for partitions in together):
                raise ConfigurationError(f"{', '.join(stage.topics)} differ in their partitions: see owdd topics plan")
            await stage.table.assign(by_topic[0])
            stage.resume(by_topic[0])
            self._missing |= {TopicPartition(stage.table.changelog, partition): stage for partition in by_topic[0]}
        self._opening = asyncio.create_task(self._open_or_crash(), name=f"{self._app.conf.id} recovery")

    def reopen(self, stage: Stateful) -> None:
        """Somebody else wrote to one of the stage's changelogs: read on, and be the only writer again, or end."""
        for partition in stage.table.assigned():
            place = TopicPartition(stage.table.changelog, partition)
            self._missing[place] = stage
            if partition in stage.table.owned():
                self._written.setdefault(place, stage.table.log(partition).epoch)
        if self._opening is None or self._opening.done():
            self._opening = asyncio.create_task(self._open_or_crash(), name=f"{self._app.conf.id} recovery")

    async def watch(self) -> None:
        """Look every second whether this worker takes part in its group, and the changelogs end where it left them.

        Raises:
            aiokafka.errors.KafkaError: it takes part no more, or the broker cannot be reached at the start.
        """
        async with changelog_reader(self._kafka) as reader:
            while True:
                await asyncio.sleep(_WATCH_SECONDS)
                self._app.consumer.check_membership()
                # While the broker is away nobody else writes either.
                with suppress(KafkaError):
                    await self._look(reader)

    async def _look(self, reader: AIOKafkaConsumer) -> None:
        known = {
            TopicPartition(stage.table.changelog, partition): stage.table.log(partition).end
            for stage in self._stages
            for partition in stage.table.owned()
        }
        ends = await reader.end_offsets(list(known)) if known else {}
        for stage in self._stages:
            mine = [place for place in known if place.topic == stage.table.changelog]
            if any(ends[place] != known[place] for place in mine):
                await stage.follow(
                    {place.partition: ends[place] for place in mine}, {place.partition: known[place] for place in mine}
                )

    async def _interrupt(self) -> None:
        for place, stage in self._missing.items():
            self._metrics.recovery_left.labels(stage.table.name, str(place.partition)).set(0)
        self._missing.clear()
        self._written.clear()
        if self._opening is not None:
            self._opening.cancel()
            with suppress(asyncio.CancelledError):
                await self._opening
            self._opening = None

    async def _open_or_crash(self) -> None:
        try:
            await self._open()
        except Exception as error:
            log.exception("state cannot be opened", app=self._app.conf.id)
            await self._app.crash(error)

    async def _open(self) -> None:
        """Open everything that is missing, however long the broker is away."""
        while self._missing:
            try:
                await self._find_group_offsets()
                await self._recover()
            except KafkaError as error:
                if not error.retriable and not isinstance(error, KafkaTimeoutError):
                    raise
                log.warning("recovery is interrupted and goes on", app=self._app.conf.id, error=type(error).__name__)
                await asyncio.sleep(_RETRY_SECONDS)

    async def _find_group_offsets(self) -> None:
        """Where the topics of the stages go on: where the group stopped, or earlier if their logs do not hold that any more."""
        inputs = {TP(topic, place.partition) for place, stage in self._missing.items() for topic in stage.topics}
        places = [TopicPartition(*place) for place in inputs & self._app.transport.closed]
        wrote = self._progress.written.topics
        for place, at in (await group_offsets(self._kafka, self._app.conf.id, places, wrote)).items():
            self._progress.begin(place, at.offset, at.bookmark)
            self._progress.written.learn(at.written)
            if at.cut:
                self._app.consumer.go_on_at(TP(*place), at.offset)

    async def _recover(self) -> None:
        if self._retention_ms is None:
            self._retention_ms = await self._tombstones_kept_ms()
        log.info("recovering state", app=self._app.conf.id, partitions=len(self._missing))
        async with changelog_reader(self._kafka) as reader:
            # Partitions that stayed with this worker wait for nobody: there is next to nothing to read.
            stayed = [place for place, stage in self._missing.items() if place.partition in stage.table.owned()]
            for places in (stayed, [place for place in self._missing if place not in stayed]):
                stores = {}
                for place in places:
                    stores[place] = self._missing[place].table.store(place.partition)
                    # RocksDB reads and syncs files; the partitions that are open already go on meanwhile.
                    await asyncio.sleep(0)
                async with aclosing(recover(reader, stores, self._clock, self._retention_ms, self._note_progress)) as found:
                    async for recovered in found:
                        await self._take(recovered)

    def _note_progress(self, place: TopicPartition, read: int, left: int) -> None:
        labels = self._missing[place].table.name, str(place.partition)
        self._metrics.recovery_read.labels(*labels).set(read)
        self._metrics.recovery_left.labels(*labels).set(left)

    async def _take(self, recovered: Recovered) -> None:
        """Become the writer of a partition whose state is whole, and give it to its stage."""
        place, stage = recovered.place, self._missing[recovered.place]
        store = stage.table.store(place.partition)
        if (epoch := self._written.get(place)) is not None and store.note.epoch > epoch:
            raise OutdatedWorkerError(f"{place.topic}/{place.partition}: another worker took over while this one was stopped")
        for _ in store.make_index():
            await asyncio.sleep(0)
        changelog = Changelog(self._producer, place.topic, place.partition, store, recovered.end, self._clock)
        try:
            await changelog.announce()
        except LogMovedOnError:
            log.warning("somebody else wrote to the changelog, reading on", at=f"{place.topic}/{place.partition}")
            if place in self._written:
                self._written[place] = changelog.epoch
            return
        stage.table.open(place.partition, changelog)
        await stage.opened(place.partition)
        del self._missing[place]
        self._written.pop(place, None)
        log.info("state opened", at=f"{place.topic}/{place.partition}", end=recovered.end, records=recovered.records)
        await self._app.consumer.open_partitions({TP(topic, place.partition) for topic in stage.topics})

    async def _tombstones_kept_ms(self) -> int:
        """The shortest ``delete.retention.ms`` among the changelogs.

        Raises:
            ConfigurationError: one of them does not exist.
        """
        topics = sorted({stage.table.changelog for stage in self._stages})
        admin = client.admin_client(self._kafka)
        await admin.start()
        try:
            if missing := set(topics) - set(await admin.list_topics()):
                raise ConfigurationError(f"{', '.join(sorted(missing))}: no such topic. Run owdd topics apply --execute")
            answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic) for topic in topics])
        finally:
            await admin.close()
        entries = [entry for answer in answers for resource in answer.resources for entry in resource[4]]
        return min(int(entry[1]) for entry in entries if entry[0] == "delete.retention.ms")
