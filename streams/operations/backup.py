"""Backup and restore of what cannot be computed again from Orderwise.

That is the outbox (what was delivered, created by us, followed up) and which generation of the joins it obeys, who was erased,
the audit trail, what is set aside, and what state was built with. Joins and topics between the stages are left out: a new
snapshot brings them back.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Final

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from streams.core.clock import Clock
from streams.core.errors import ConfigurationError, OwddError, RefusedError
from streams.domain.digester import Digester
from streams.kafka import client
from streams.kafka.continuity import group_offsets
from streams.kafka.producer import BatchProducer, HeadedRecord
from streams.kafka.reader import read_to_end, reader, require_topics
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import dispatch_app, ingest_group, tables
from streams.messages.contracts import Participant
from streams.messages.site_setup import FORMATS
from streams.messages.topics import Topics
from streams.operations.backup_files import (
    FORMAT,
    BackupRecord,
    BackupTopic,
    Manifest,
    new_record_file,
    problems,
    read_records,
    sha256_of,
    write_manifest,
)
from streams.operations.rebuild import require_idle
from streams.operations.reread import forget_lost_writes
from streams.operations.site_setup import check_erasure_key
from streams.settings import Settings

_SAME_OFFSETS: Final = ("audit", "dead_letters", "parked")
"""Audit entries name dead letters, and seals name entries, by their offsets: these must be the same again."""
_SETUP: Final = "setup"
_LATEST: Final = ("erasures", _SETUP, "controls", "removals", "frozen_orders", "generations", Participant.OUTBOX.value)
_UNREAD: Final = ("deliveries", "retries")
"""Of these only what was not read yet."""
_BATCH_RECORDS, _BATCH_BYTES = 1000, 4 * 2**20
_FILLER: HeadedRecord = (None, None, [])

Progress = Callable[[str], None]
"""Called with the topic that is being read or written."""


async def write_backup(settings: Settings, directory: Path, clock: Clock, progress: Progress) -> Manifest:
    """Write a backup into the new ``directory``; workers may run.

    Raises:
        ConfigurationError: the directory exists, or cannot be made; a topic does not exist; the site's erasures are made with
            another key.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    # The key is noted, and demanded when the backup is restored: it must be the site's.
    await check_erasure_key(settings)
    names, written = _topic_names(settings), dict[str, BackupTopic]()
    async with reader(KafkaConfig.of(settings)) as consumer:
        await require_topics(consumer, *names.values())
    try:
        directory.mkdir(mode=0o700, parents=True)
    except OSError as error:
        remedy = "Name a new directory"
        raise ConfigurationError(f"cannot be made: {error.strerror}", where=str(directory), remedy=remedy) from None
    # First what was not read: results that are read meanwhile are then in the outbox too, and may be read twice.
    for topic in (*_UNREAD, *_LATEST, *_SAME_OFFSETS):
        progress(topic)
        group = {"deliveries": dispatch_app(settings), "retries": ingest_group(settings)}.get(topic)
        written[topic] = await _write(settings, directory, topic, names[topic], group)
    manifest = Manifest(
        format=FORMAT,
        at=clock.now_ms(),
        release=version("owdd"),
        app_id=settings.app_id,
        app_version=settings.app_version,
        partitions=settings.partitions,
        formats=FORMATS,
        key_id=Digester(*settings.erasure_keys).key_id,
        topics=written,
    )
    write_manifest(directory, manifest)
    return manifest


async def restore_backup(settings: Settings, directory: Path, manifest: Manifest, progress: Progress) -> None:
    """Write a backup into topics that are there and empty.

    Raises:
        ConfigurationError: it is of another application, version, partition count or erasure key.
        RefusedError: a file is damaged, workers run, the topics are not empty, or another release wrote it.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    _check(settings, manifest)
    if damaged := problems(directory, manifest):
        raise RefusedError(f"the backup is damaged: {damaged}", where=str(directory), remedy="Restore another one")
    kafka, names = KafkaConfig.of(settings), _topic_names(settings)
    admin = client.admin_client(kafka)
    await admin.start()
    try:
        await require_idle(admin, settings.app_id)
        await _require_empty(settings, [names[topic] for topic in manifest.topics])
        # On the same broker the groups remember what they had written into the topics that were deleted.
        await forget_lost_writes(settings)
        async with BatchProducer(settings) as producer:
            for topic in restore_order(manifest.topics):
                progress(topic)
                restoring = _Restoring(producer, admin, names[topic], manifest.topics[topic])
                await restoring.run(read_records(directory, topic), same_offsets=topic in _SAME_OFFSETS)
    finally:
        await admin.close()


def restore_order(topics: Iterable[str]) -> list[str]:
    """The outbox first, and the set-up last: in between a worker refuses the rows, so no half backup is ever built upon."""
    return sorted(topics, key=lambda topic: (topic == _SETUP, topic != Participant.OUTBOX))


def _topic_names(settings: Settings) -> dict[str, str]:
    topics = Topics.of(settings.app_id, settings.generation)
    own = {name: str(getattr(topics, name)) for name in (*_SAME_OFFSETS, *_LATEST, *_UNREAD) if name != Participant.OUTBOX}
    return own | {Participant.OUTBOX.value: tables(settings)[Participant.OUTBOX]}


async def _write(settings: Settings, directory: Path, topic: str, name: str, group: str | None) -> BackupTopic:
    places = [TopicPartition(name, partition) for partition in range(settings.partitions)]
    kafka = KafkaConfig.of(settings)
    # The group has read, and acted on, everything before these.
    read = {} if group is None else {place: at.offset for place, at in (await group_offsets(kafka, group, places)).items()}
    with new_record_file(directory, topic) as file:
        async with reader(kafka) as consumer:
            begins = await consumer.beginning_offsets(places)
            async for record in read_to_end(consumer, places):
                if record.offset >= read.get(TopicPartition(name, record.partition), 0):
                    headers = list(record.headers)
                    file.append(BackupRecord(record.partition, record.offset, record.key, record.value, headers))
    return BackupTopic(file.records, sha256_of(directory, topic), {place.partition: at for place, at in begins.items()})


def _check(settings: Settings, manifest: Manifest) -> None:
    expected = {
        "OWDD_APP_ID": manifest.app_id,
        "OWDD_APP_VERSION": manifest.app_version,
        "OWDD_PARTITIONS": manifest.partitions,
    }
    given = {"OWDD_APP_ID": settings.app_id, "OWDD_APP_VERSION": settings.app_version, "OWDD_PARTITIONS": settings.partitions}
    for name, value in expected.items():
        if given[name] != value:
            raise ConfigurationError(f"is {given[name]}, and the backup's is {value}", where=name, remedy=f"Set it to {value}")
    Digester(*settings.erasure_keys).age(manifest.key_id)
    if manifest.formats != FORMATS:
        remedy = f"Restore it with owdd {manifest.release}, then upgrade"
        raise RefusedError(f"was written by owdd {manifest.release}, in another format", where="the backup", remedy=remedy)


async def _require_empty(settings: Settings, names: list[str]) -> None:
    places = [TopicPartition(name, partition) for name in names for partition in range(settings.partitions)]
    async with reader(KafkaConfig.of(settings)) as consumer:
        used = sorted({place.topic for place, end in (await _ends(consumer, places)).items() if end})
    if used:
        remedy = "Restore into new topics: delete these, then 'owdd topics apply --execute'"
        raise RefusedError(f"topics are not empty: {', '.join(used)}", where="Kafka", remedy=remedy)


async def _ends(consumer: AIOKafkaConsumer, places: list[TopicPartition]) -> Mapping[TopicPartition, int]:
    ends: Mapping[TopicPartition, int] = await consumer.end_offsets(places)
    return ends


@dataclass(frozen=True, slots=True)
class _Restoring:
    """One topic on its way back."""

    producer: BatchProducer
    admin: AIOKafkaAdminClient
    name: str
    expected: BackupTopic

    async def run(self, records: Iterator[BackupRecord], *, same_offsets: bool) -> None:
        if same_offsets:
            await self._begin()
        for partition, batch in _batches(records):
            entries = [(record.key, record.value, record.headers) for record in batch]
            (first, *_) = await self.producer.append(self.name, partition, entries)
            if same_offsets and first.base != batch[0].offset:
                where = f"{self.name}/{partition}"
                raise OwddError(f"a record of offset {batch[0].offset} is at {first.base} now", where=where, remedy=_AGAIN)

    async def _begin(self) -> None:
        """Let the logs begin where they began: records before that, which retention had deleted, are written and deleted."""
        begins = {partition: begin for partition, begin in self.expected.begins.items() if begin}
        for partition, begin in begins.items():
            for start in range(0, begin, _BATCH_RECORDS):
                await self.producer.append(self.name, partition, [_FILLER] * min(_BATCH_RECORDS, begin - start))
        if begins:
            await self.admin.delete_records(
                {TopicPartition(self.name, partition): RecordsToDelete(begin) for partition, begin in begins.items()}
            )


_AGAIN = "Somebody writes to the topic: stop everything, delete the topics, and begin again"


def _batches(records: Iterator[BackupRecord]) -> Iterator[tuple[int, list[BackupRecord]]]:
    """Runs of records of one partition, bounded in number and bytes."""
    batch: list[BackupRecord] = []
    size = 0
    for record in records:
        if batch and (record.partition != batch[0].partition or len(batch) >= _BATCH_RECORDS or size >= _BATCH_BYTES):
            yield batch[0].partition, batch
            batch, size = [], 0
        batch.append(record)
        size += len(record.key or b"") + len(record.value or b"")
    if batch:
        yield batch[0].partition, batch
