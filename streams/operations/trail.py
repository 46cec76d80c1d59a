"""The audit trail: every entry of the audit topic with its place in its writer's chain, checked together, sealed and cut.

A *checkpoint* seals what was read: the entries from ``begins`` to ``ends`` are these and no others, says one keyed digest over
their links. So the oldest part may be deleted: the chains need not begin with their first entries then, but with sealed ones.
The topic itself has no retention: without a checkpoint nothing of it goes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from aiokafka import TopicPartition
from aiokafka.admin import RecordsToDelete

from streams.kafka import client
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_to_end, reader, require_topics
from streams.kafka.security import KafkaConfig
from streams.messages.audit import Entry, TrailCheckpoint, read_audit
from streams.messages.audit_chain import FIRST, Link, keyed_digest, link_digest, link_of
from streams.messages.audit_log import AuditLog
from streams.messages.topics import Topics
from streams.settings import Settings

CHECKPOINT_KEY = b"checkpoint"


@dataclass(frozen=True, slots=True)
class TrailRecord:
    """One record of the audit topic; ``entry`` is None if it cannot be read."""

    partition: int
    offset: int
    at: int
    key: bytes | None
    value: bytes | None
    link: Link | None
    entry: Entry | None

    @property
    def place(self) -> str:
        """Partition and offset, as ``3@981``."""
        return f"{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class TrailProblem:
    """What is wrong with the trail, and at which place; the codes are explained in ``docs/audit-trail.md``."""

    code: str
    place: str
    writer: str = ""
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Trail:
    """The audit topic as it was read; ``begins`` and ``ends`` are offsets by partition."""

    records: tuple[TrailRecord, ...]
    begins: Mapping[int, int]
    ends: Mapping[int, int]


async def read_trail(settings: Settings) -> Trail:
    """The whole audit topic, the oldest entry first.

    Raises:
        ConfigurationError: the topic does not exist.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    topic = Topics.of(settings.app_id).audit
    places = [TopicPartition(topic, partition) for partition in range(settings.partitions)]
    async with reader(KafkaConfig.of(settings)) as consumer:
        await require_topics(consumer, topic)
        begins = await consumer.beginning_offsets(places)
        records = [_record(record) async for record in read_to_end(consumer, places)]
    after = {place.partition: begin for place, begin in begins.items()}
    ends = after | {record.partition: record.offset + 1 for record in sorted(records, key=lambda record: record.offset)}
    return Trail(tuple(sorted(records, key=lambda record: (record.at, record.partition, record.offset))), after, ends)


async def verify_trail(settings: Settings) -> tuple[Trail, list[TrailProblem]]:
    """The trail and its problems.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    trail = await read_trail(settings)
    found = problems(trail, settings.erasure_keys)
    if found:
        # Partitions are not read in one moment: of entries that are written meanwhile, a later one may come without an earlier
        # one. Such a gap is closed at the second look.
        trail, before = await read_trail(settings), set(found)
        found = [problem for problem in problems(trail, settings.erasure_keys) if problem in before]
    return trail, found


def _record(record: Any) -> TrailRecord:
    try:
        entry = read_audit(record.value or b"")
    except msgspec.MsgspecError:
        entry = None
    return TrailRecord(
        record.partition, record.offset, record.timestamp, record.key, record.value, link_of(record.headers), entry
    )


def problems(trail: Trail, keys: Sequence[bytes]) -> list[TrailProblem]:
    """Everything that is wrong with the trail; nothing, if it is whole. ``keys``: the one in use and those before it."""
    sound = {record.place for record in trail.records if record.link is not None and _is_genuine(record, record.link, keys)}
    sealed = _newest_checkpoint(trail, sound)
    begins = trail.begins if sealed is None else sealed.begins
    kept = [record for record in trail.records if record.offset >= begins.get(record.partition, 0)]
    found = [*_of_records(kept, sound)]
    if sealed is not None:
        found += _of_checkpoint(trail, sealed, keys)
    found += _of_chains([record for record in kept if record.place in sound], sealed)
    return found


def _is_genuine(record: TrailRecord, link: Link, keys: Sequence[bytes]) -> bool:
    place = (link.writer, link.sequence, link.previous)
    return any(link.digest == link_digest(key, place, record.key, record.value) for key in keys)


def _of_records(records: Sequence[TrailRecord], sound: set[str]) -> Iterator[TrailProblem]:
    for record in records:
        if record.link is None:
            yield TrailProblem("no_link", record.place)
        elif record.place not in sound:
            yield TrailProblem("altered", record.place, record.link.writer, record.link.sequence)
        elif record.entry is None:
            yield TrailProblem("unreadable", record.place, record.link.writer, record.link.sequence)


def _newest_checkpoint(trail: Trail, sound: set[str]) -> TrailCheckpoint | None:
    """Only a genuine one counts: anybody can append a record that looks like one."""
    found = [record.entry for record in trail.records if isinstance(record.entry, TrailCheckpoint) and record.place in sound]
    return max(found, key=lambda entry: (sum(entry.ends.values()), sum(entry.begins.values())), default=None)


def _is_sealed(record: TrailRecord, sealed: TrailCheckpoint | None) -> bool:
    if sealed is None:
        return False
    begin, end = sealed.begins.get(record.partition, 0), sealed.ends.get(record.partition, 0)
    return begin <= record.offset < end


def _of_checkpoint(trail: Trail, sealed: TrailCheckpoint, keys: Sequence[bytes]) -> Iterator[TrailProblem]:
    for partition, begin in sorted(trail.begins.items()):
        if begin > sealed.begins.get(partition, 0):
            yield TrailProblem("cut_without_checkpoint", f"{partition}@{begin}")
    if (sealed.count, sealed.digest) not in (seal_of(trail, sealed.begins, sealed.ends, key) for key in keys):
        yield TrailProblem("sealed_part_changed", "")


def _of_chains(records: Sequence[TrailRecord], sealed: TrailCheckpoint | None) -> Iterator[TrailProblem]:
    """Each entry follows the one before it; of sealed entries the checkpoint says it."""
    links = [(record, record.link) for record in records if record.link is not None]
    numbered = sorted(links, key=lambda item: (item[1].writer, item[1].sequence, item[0].at))
    before: Link | None = None
    for record, link in numbered:
        expected = before if before is not None and before.writer == link.writer else None
        before = link
        if _is_sealed(record, sealed):
            continue
        last, digest = (0, FIRST) if expected is None else (expected.sequence, expected.digest)
        code = _fault(link, last, digest)
        if code is not None:
            yield TrailProblem(code, record.place, link.writer, link.sequence)


def _fault(link: Link, last: int, digest: str) -> str | None:
    if link.sequence == last:
        return "repeated"
    if link.sequence != last + 1:
        return "entries_missing"
    return None if link.previous == digest else "other_predecessor"


def seal_of(trail: Trail, begins: Mapping[int, int], ends: Mapping[int, int], key: bytes) -> tuple[int, str]:
    """The number of entries between ``begins`` and ``ends``, and the keyed digest of their links in the order of the topic."""
    inside = [
        record
        for record in sorted(trail.records, key=lambda record: (record.partition, record.offset))
        if begins.get(record.partition, 0) <= record.offset < ends.get(record.partition, 0)
    ]
    named = [(record.place, "" if record.link is None else record.link.digest) for record in inside]
    return len(inside), keyed_digest(key, msgspec.msgpack.encode(named))


def cut_before(trail: Trail, before_ms: int) -> dict[int, int]:
    """By partition the offset of the first entry that was appended at ``before_ms`` (epoch ms) or later."""
    begins = dict(trail.ends)
    for record in trail.records:
        if record.at >= before_ms:
            begins[record.partition] = min(begins[record.partition], record.offset)
    return begins


@dataclass(frozen=True, slots=True)
class Checkpoints:
    """Seals the trail for the person ``operator``."""

    settings: Settings
    producer: BatchProducer
    operator: str

    async def seal(
        self, trail: Trail, begins: Mapping[int, int], at: int, found: Sequence[TrailProblem] = ()
    ) -> TrailCheckpoint:
        """Seal everything from ``begins`` on, and delete what lies before it; ``found`` problems are accepted with it.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge; it may be repeated.
        """
        count, digest = seal_of(trail, begins, trail.ends, self.settings.erasure_keys[-1])
        entry = TrailCheckpoint(at, self.operator, dict(begins), dict(trail.ends), count, digest, len(found))
        # First the seal, then the cut: a trail that is cut without one cannot be told from one that somebody has shortened.
        await AuditLog.of(self.settings, self.producer).write(entry, CHECKPOINT_KEY)
        await self._delete(trail, begins)
        return entry

    async def _delete(self, trail: Trail, begins: Mapping[int, int]) -> None:
        topic = Topics.of(self.settings.app_id).audit
        going = {
            TopicPartition(topic, partition): RecordsToDelete(begin)
            for partition, begin in begins.items()
            if begin > trail.begins[partition]
        }
        if not going:
            return
        admin = client.admin_client(KafkaConfig.of(self.settings))
        await admin.start()
        try:
            await admin.delete_records(going)
        finally:
            await admin.close()
