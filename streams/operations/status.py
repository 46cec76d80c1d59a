"""The state of the whole pipeline on one screen: asked of the broker, and of the workers' ports where they are named."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import get_args

import msgspec

from streams.connect.heartbeats import OVERDUE_SECONDS, read_heartbeats
from streams.core.text import age
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.reader import read_last, reader
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import agents_app, dispatch_app, ingest_group
from streams.mapping import Mapping
from streams.messages.deliveries import (
    Checkpoint,
    ImportEnded,
    ImportIdVoid,
    ImportStarted,
    PartitionResumed,
    TaskParked,
    read_event,
)
from streams.messages.topics import Topics
from streams.messages.write_control import WriteControl
from streams.operations.held_documents import held_documents
from streams.operations.lag_report import TopicLag, lag_report
from streams.operations.set_aside import SetAside as Counted
from streams.operations.set_aside import SetAsideFeed, SetAsideKind
from streams.operations.worker_ports import WorkerMetrics, worker_metrics
from streams.operations.write_pause import current_control
from streams.settings import Settings

LATE_SECONDS = 300.0
"""A record that has waited for longer than any debounce: something holds it up."""

_LAST_EVENTS = 50
_NO_DELIVERY = (ImportStarted, ImportEnded, ImportIdVoid, PartitionResumed, TaskParked, *get_args(Checkpoint))


@dataclass(frozen=True, slots=True)
class Part:
    """One role: how many workers run it, how many records wait for it, and the age of the oldest in seconds."""

    role: str
    workers: int
    records: int
    oldest: float


@dataclass(frozen=True, slots=True)
class SetAside:
    """What waits for a person, or for something that is missing: numbers by code, removals by kind."""

    dead_letters: dict[str, int] = field(default_factory=dict)
    parked: dict[str, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)
    frozen: dict[str, int] = field(default_factory=dict)
    removals: dict[str, int] = field(default_factory=dict)

    @property
    def total(self) -> int:
        """Everything together."""
        return sum(sum(getattr(self, name).values()) for name in self.__dataclass_fields__)


@dataclass(frozen=True, slots=True)
class FromWorkers:
    """What only workers know; empty where none has said it.

    Attributes:
        answered: whether at least one port was named, and all of them answered.
        unreachable: ports that did not answer.
        pending: deliveries that wait, by lane.
        budget: by tier the limit of calls a minute, and how many are left in this minute.
    """

    answered: bool = False
    unreachable: tuple[str, ...] = ()
    pending: dict[str, int] = field(default_factory=dict)
    budget: dict[str, tuple[int, int]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Capture:
    """Ages in seconds of the newest heartbeats: the database's own row, and the connector's; None: there is none in Kafka."""

    row: float | None = None
    connector: float | None = None

    @property
    def remarks(self) -> list[str]:
        """Of which heartbeat it is not known that it goes on; empty: both do."""
        beats = (("database", self.row), ("connector", self.connector))
        return [f"{_beat(name, seconds)}: see 'owdd connectors status'." for name, seconds in beats if _late(seconds)]


@dataclass(frozen=True, slots=True)
class Status:
    """Everything on the screen. Times are epoch milliseconds, ages seconds; ``last_delivery`` None: none was found."""

    at: int
    parts: list[Part]
    lag: list[TopicLag]
    oldest_undelivered: float
    set_aside: SetAside
    workers: FromWorkers
    capture: Capture
    writes: WriteControl
    last_delivery: int | None

    @property
    def stopped(self) -> list[str]:
        """Roles that nobody runs."""
        return [part.role for part in self.parts if not part.workers]

    @property
    def remarks(self) -> list[str]:
        """What a person should look at, each with the command that shows more; empty: all is well."""
        return list(self._remarks())

    def _remarks(self) -> Iterator[str]:
        for role in self.stopped:
            yield f"No worker runs {role}: start one with 'owdd run --only {role}'."
        if self.writes.paused:
            yield f"Writes to Dotdigital are paused by {self.writes.by}: see 'owdd resume'."
        if self.oldest_undelivered > LATE_SECONDS:
            yield f"The oldest waiting change is {age(self.oldest_undelivered)} old: see 'owdd lag'."
        yield from self.capture.remarks
        if self.workers.unreachable:
            yield f"Workers that do not answer: {', '.join(self.workers.unreachable)}. Their part of the numbers is missing."
        for name, text in _REMARKS.items():
            if count := sum(getattr(self.set_aside, name).values()):
                yield text.format(f"{count:,}")


def _late(seconds: float | None) -> bool:
    # Retention empties the topics a week after capture stopped: none is no better than an old one.
    return seconds is None or seconds > OVERDUE_SECONDS


def _beat(name: str, seconds: float | None) -> str:
    return f"Kafka has no heartbeat of the {name}" if seconds is None else f"The {name}'s heartbeat is {age(seconds)} old"


_REMARKS = {
    "dead_letters": "Changes that could not be read: {}. See 'owdd dlq list --kind ingest'.",
    "parked": "Deliveries that Dotdigital refused: {}. See 'owdd dlq list --kind delivery'.",
    "held": "Documents that wait for something: {}. See 'owdd state held'.",
    "frozen": "Documents that keep an old state: {}. See 'owdd state held --frozen'.",
    "removals": "Removals that are held back: {}. See 'owdd removals show'.",
}


async def read_status(
    settings: Settings, mapping: Mapping, *, changelogs: bool = True, counts: list[Counted] | None = None
) -> Status:
    """Ask the broker, and the workers that ``OWDD_WORKERS`` names.

    ``changelogs``: where not all workers answer, held documents are counted in the changelogs, which are read whole; without
    it they are left out then. ``counts``: what is set aside in topics, of a caller who follows them; None: they are read.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    lag, metrics, capture, writes, last = await asyncio.gather(
        lag_report(settings, mapping),
        worker_metrics(settings),
        _capture(settings, mapping),
        current_control(settings),
        last_delivery(settings),
    )
    workers = _from_workers(metrics)
    return Status(
        at=time.time_ns() // 1_000_000,
        parts=_parts(settings, lag),
        lag=lag,
        oldest_undelivered=max((item.seconds for item in lag), default=0.0),
        set_aside=await _set_aside(
            settings,
            metrics if workers.answered else None,
            await _counts(settings) if counts is None else counts,
            changelogs=changelogs,
        ),
        workers=workers,
        capture=capture,
        writes=writes,
        last_delivery=last,
    )


def _parts(settings: Settings, lag: list[TopicLag]) -> list[Part]:
    roles = {ingest_group(settings): "ingest", agents_app(settings): "agents", dispatch_app(settings): "dispatch"}
    found = []
    for group, role in roles.items():
        of_group = [item for item in lag if item.group == group]
        workers = max((item.members for item in of_group), default=0)
        oldest = max((item.seconds for item in of_group), default=0.0)
        found.append(Part(role, workers, sum(item.records for item in of_group), oldest))
    return found


def _from_workers(metrics: WorkerMetrics | None) -> FromWorkers:
    if metrics is None:
        return FromWorkers()
    # They are of the whole account, and every worker shows them; within a minute the newest reading is the lowest.
    left = {tier: metrics.least("owdd_budget_remaining", tier=tier) for tier in metrics.summed("owdd_budget_limit", "tier")}
    limits = {tier: metrics.most("owdd_budget_limit", tier=tier) for tier in left}
    return FromWorkers(
        answered=not metrics.unreachable,
        unreachable=metrics.unreachable,
        pending={lane: int(count) for lane, count in metrics.summed("owdd_pending", "lane").items()},
        budget={tier: (int(limits[tier] or 0), int(left[tier] or 0)) for tier in left if limits[tier]},
    )


async def _capture(settings: Settings, mapping: Mapping) -> Capture:
    beats = await read_heartbeats(KafkaConfig.of(settings), CaptureNames.of(mapping, settings.source_kind))
    now = time.time()
    row, connector = (None if at is None else max(0.0, now - at / 1000) for at in (beats.row, beats.connector))
    return Capture(row, connector)


async def _counts(settings: Settings) -> list[Counted]:
    async with reader(KafkaConfig.of(settings)) as consumer:
        feed = SetAsideFeed(settings, consumer)
        await feed.refresh()
        return list(feed.counts())


async def _set_aside(settings: Settings, metrics: WorkerMetrics | None, found: list[Counted], *, changelogs: bool) -> SetAside:
    if metrics is not None:
        held, frozen = (_counted(metrics.summed(name, "kind")) for name in ("owdd_held", "owdd_frozen"))
    else:
        documents = await held_documents(settings) if changelogs else []
        held, frozen = (dict(Counter(one.code for one in documents if one.frozen is state)) for state in (False, True))
    letters, parked, removals = (
        {one.cause: one.count for one in found if one.kind is kind}
        for kind in (SetAsideKind.DEAD_LETTER, SetAsideKind.PARKED, SetAsideKind.REMOVALS)
    )
    return SetAside(letters, parked, held, frozen, removals)


def _counted(found: dict[str, float]) -> dict[str, int]:
    return {code: int(count) for code, count in found.items() if count}


async def last_delivery(settings: Settings) -> int | None:
    """When Dotdigital last took something (epoch ms); None: the newest events of each partition show no delivery.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    newest: int | None = None
    topic = Topics.of(settings.app_id).deliveries
    async for record in read_last(KafkaConfig.of(settings), topic, range(settings.partitions), _LAST_EVENTS):
        with suppress(msgspec.MsgspecError):  # written by another release; the newest that can be read counts
            event = read_event(record.value or b"")
            if not isinstance(event, _NO_DELIVERY):
                newest = max(event.at, newest or 0)
    return newest
