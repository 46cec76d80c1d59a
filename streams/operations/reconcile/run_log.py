"""Topic ``reconciliations``: how a person or the schedule asks a worker for a run, and where it writes what it found."""

from dataclasses import dataclass, field
from typing import Literal, Protocol, TypeAlias

from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.core.clock import Clock
from streams.core.errors import OwddError, RefusedError
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_topic
from streams.kafka.security import KafkaConfig
from streams.messages.audit import ReconcileSteered
from streams.messages.audit_log import AuditLog
from streams.messages.reconciliations import (
    RECONCILIATIONS_PARTITION,
    SCHEDULE,
    CancelAsked,
    ReconcileRun,
    ScheduleBegun,
    cancel_key,
    cancelled_run,
    read_reconciliation,
    read_schedule,
    run_key,
    write_reconciliation,
)
from streams.messages.topics import Topics
from streams.settings import Settings

Action: TypeAlias = Literal["start", "cancel", "done", "failed"]
"""What becomes of a run, in the audit trail."""

_KEPT = 100
"""Runs that are kept; the oldest that are over go first."""


@dataclass(slots=True)
class KnownRuns:
    """What the topic says: runs by id, which of them should end, and since when there is a schedule (epoch ms)."""

    runs: dict[str, ReconcileRun] = field(default_factory=dict)
    cancelled: set[str] = field(default_factory=set)
    since: int | None = None

    def apply(self, key: bytes, value: bytes | None) -> None:
        """Take one record."""
        if (cancelled := cancelled_run(key)) is not None:
            self.cancelled.add(cancelled)
        elif key == SCHEDULE.encode():
            self.since = None if value is None else read_schedule(value).at
        elif value is None:
            self.runs.pop(key.decode(), None)
        else:
            self.runs[key.decode()] = read_reconciliation(value)

    @property
    def in_order(self) -> list[ReconcileRun]:
        """The runs, the oldest first."""
        return sorted(self.runs.values(), key=lambda run: (run.asked, run.id))

    @property
    def last_complete(self) -> ReconcileRun | None:
        """The newest run that compared everything."""
        return max((run for run in self.runs.values() if run.complete), key=lambda run: run.ended, default=None)

    @property
    def outdated(self) -> list[str]:
        """Runs that are over, and too old to be kept."""
        over = [run.id for run in self.in_order if run.over]
        last = self.last_complete
        return [run for run in over[:-_KEPT] if last is None or run != last.id]


class RunLog(Protocol):
    """The runs, as the worker that works on them sees them."""

    async def known(self) -> KnownRuns:
        """What was asked for and found until now."""

    async def save(self, run: ReconcileRun) -> None:
        """Write a run down."""

    async def begin_schedule(self, at: int) -> None:
        """From now on there is a schedule (epoch ms)."""

    async def forget(self, run: str) -> None:
        """Delete a run."""

    async def record(self, run: ReconcileRun, action: Action, by: str) -> None:
        """Write an entry of the audit trail."""


class RunFeed:
    """Follows the topic of one application, over a consumer that is started, and this object's own."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer) -> None:
        self._place = TopicPartition(Topics.of(settings.app_id).reconciliations, RECONCILIATIONS_PARTITION)
        self._consumer = consumer
        self._known = KnownRuns()

    async def known(self) -> KnownRuns:
        """What the topic says now; the consumer is assigned by the first call.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        if not self._consumer.assignment():
            self._consumer.assign([self._place])
            begins = await self._consumer.beginning_offsets([self._place])
            self._consumer.seek(self._place, begins[self._place])
        end = (await self._consumer.end_offsets([self._place]))[self._place]
        self._consumer.resume(self._place)
        while await self._consumer.position(self._place) < end:
            for records in (await self._consumer.getmany(timeout_ms=250)).values():
                for record in records:
                    self._known.apply(record.key, record.value)
        # Or it would be fetched on until the next look, and hold up its question.
        self._consumer.pause(self._place)
        return self._known


class KafkaRunLog:
    """The log of one application, over a consumer that is started, and this object's own."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer, producer: BatchProducer, clock: Clock) -> None:
        self._topic = Topics.of(settings.app_id).reconciliations
        self._feed = RunFeed(settings, consumer)
        self._producer = producer
        self._audit = AuditLog.of(settings, producer)
        self._clock = clock

    async def known(self) -> KnownRuns:
        """As the protocol says.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        return await self._feed.known()

    async def save(self, run: ReconcileRun) -> None:
        """As the protocol says.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge.
        """
        await self._append(run_key(run.id), write_reconciliation(run))

    async def begin_schedule(self, at: int) -> None:
        """As the protocol says, with the same errors as :meth:`save`."""
        await self._append(SCHEDULE.encode(), write_reconciliation(ScheduleBegun(at)))

    async def forget(self, run: str) -> None:
        """As the protocol says, with the same errors as :meth:`save`."""
        await self._append(cancel_key(run), None)
        await self._append(run_key(run), None)

    async def record(self, run: ReconcileRun, action: Action, by: str) -> None:
        """As the protocol says, with the same errors as :meth:`save`."""
        numbers = sum(run.drift.values()), run.healed
        entry = ReconcileSteered(self._clock.now_ms(), by, action, run.id, run.scope, run.execute, *numbers)
        await self._audit.write(entry, run_key(run.id))

    async def cancel(self, run: str, by: str) -> None:
        """Have a run end, whichever worker works on it; the audit trail gets it first.

        Raises:
            OwddError: there is none of this id.
            RefusedError: the run has ended.
            aiokafka.errors.KafkaError: the broker did not acknowledge; it may be repeated.
        """
        known = await self.known()
        if run not in known.runs:
            raise OwddError(f"there is no comparison {run}", remedy="See 'owdd reconcile --show'")
        if known.runs[run].over:
            raise RefusedError(f"the comparison {run} is {known.runs[run].state}")
        await self.record(known.runs[run], "cancel", by)
        await self._append(cancel_key(run), write_reconciliation(CancelAsked(by, self._clock.now_ms())))

    async def _append(self, key: bytes, value: bytes | None) -> None:
        await self._producer.send_one(self._topic, RECONCILIATIONS_PARTITION, key, value)


async def known_runs(settings: Settings) -> KnownRuns:
    """What the topic says now.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    found = KnownRuns()
    topic = Topics.of(settings.app_id).reconciliations
    async for record in read_topic(KafkaConfig.of(settings), topic, [RECONCILIATIONS_PARTITION]):
        found.apply(record.key, record.value)
    return found
