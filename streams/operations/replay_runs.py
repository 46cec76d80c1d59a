"""Replays as topic ``replay_runs`` has them: what each is, how far it is, and what an operator wants of it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from msgspec.structs import replace

from streams.core.clock import Clock
from streams.core.errors import OwddError, RefusedError
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import read_to_end, read_topic
from streams.kafka.security import KafkaConfig
from streams.messages.audit import ReplaySteered
from streams.messages.audit_log import AuditLog
from streams.messages.replays import (
    RUNS_PARTITION,
    ReplayRun,
    ReplaySteering,
    Steering,
    is_steering,
    read_run,
    read_steering,
    run_key,
    steering_key,
    write_run,
)
from streams.messages.topics import Topics
from streams.settings import Settings

ALIVE_MS = 30_000
"""A running run whose process has written nothing for so long has none any more."""
_KEPT_MS = 90 * 86_400_000


@dataclass(frozen=True, slots=True)
class KnownRun:
    """A run with what is wanted of it; ``written`` is when its process wrote last (epoch ms)."""

    run: ReplayRun
    wanted: Steering
    written: int

    def is_alive(self, now_ms: int) -> bool:
        """Whether a process works on it."""
        return self.run.state == "running" and now_ms - self.written < ALIVE_MS


async def known_runs(settings: Settings) -> dict[str, KnownRun]:
    """Every run by its id, the oldest first.

    Raises:
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    runs: dict[str, tuple[ReplayRun, int]] = {}
    wanted: dict[str, ReplaySteering] = {}
    topic = Topics.of(settings.app_id).replay_runs
    async for record in read_topic(KafkaConfig.of(settings), topic, [RUNS_PARTITION]):
        name = record.key.decode().partition("/")[0]
        if record.value is None:
            runs.pop(name, None)
        elif is_steering(record.key):
            wanted[name] = read_steering(record.value)
        else:
            runs[name] = read_run(record.value), record.timestamp
    found = {}
    for name, (run, written) in runs.items():
        asked: Steering = wanted[name].wanted if name in wanted else "run"
        # For good, also where no process is left that could write it down.
        known = replace(run, state="cancelled") if asked == "cancel" and run.state != "done" else run
        found[name] = KnownRun(known, asked, written)
    return dict(sorted(found.items(), key=lambda item: item[1].run.began))


async def known_run(settings: Settings, run: str) -> KnownRun:
    """One run.

    Raises:
        OwddError: there is none of this id.
        aiokafka.errors.KafkaError: the broker does not answer.
    """
    runs = await known_runs(settings)
    if run not in runs:
        remedy = "See 'owdd replay status'; a generation pauses with its workers, and 'owdd replay clean' cancels it"
        raise OwddError(f"there is no replay {run}", remedy=remedy)
    return runs[run]


class SteeringWatch:
    """What an operator wants of one run: the topic is read once, and then only what is appended to it."""

    def __init__(self, settings: Settings, consumer: AIOKafkaConsumer, run: str) -> None:
        self._place = TopicPartition(Topics.of(settings.app_id).replay_runs, RUNS_PARTITION)
        self._key = steering_key(run)
        self._consumer = consumer
        self._wanted: Steering = "run"

    async def begin(self) -> None:
        """Read what was asked for until now; the consumer is this watch's own.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        async for record in read_to_end(self._consumer, [self._place]):
            self._look(record)

    async def wanted(self) -> Steering:
        """What was asked for last, as far as the consumer has fetched it by now; it waits for nothing.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer.
        """
        for record in (await self._consumer.getmany(timeout_ms=0)).get(self._place, ()):
            self._look(record)
        return self._wanted

    def _look(self, record: Any) -> None:
        if record.key == self._key and record.value is not None:
            self._wanted = read_steering(record.value).wanted


class ReplayRuns:
    """Writes runs down."""

    def __init__(self, settings: Settings, producer: BatchProducer, clock: Clock) -> None:
        self._topic = Topics.of(settings.app_id).replay_runs
        self._settings = settings
        self._producer = producer
        self._audit = AuditLog.of(settings, producer)
        self._clock = clock

    async def save(self, run: ReplayRun) -> None:
        """Remember how far a run is.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge.
        """
        await self._producer.send_one(self._topic, RUNS_PARTITION, run_key(run.id), write_run(run))

    async def steer(self, run: ReplayRun, wanted: Steering, by: str) -> None:
        """Have the run go on, pause or end, whichever process works on it; the audit trail gets it first.

        Raises:
            RefusedError: the run has ended.
            aiokafka.errors.KafkaError: the broker did not acknowledge; it may be repeated.
        """
        if run.state in ("done", "cancelled"):
            raise RefusedError(f"the replay {run.id} is {run.state}")
        await self.record(run, "resume" if wanted == "run" else wanted, by)
        steering = ReplaySteering(wanted, by, self._clock.now_ms())
        await self._producer.send_one(self._topic, RUNS_PARTITION, steering_key(run.id), write_run(steering))

    async def record(self, run: ReplayRun, action: str, by: str) -> None:
        """Write an entry of the audit trail.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge.
        """
        entry = ReplaySteered(self._clock.now_ms(), by, action, run.id, run.rows, run.sent)  # type: ignore[arg-type]
        await self._audit.write(entry, run_key(run.id))

    async def forget_old(self, runs: Sequence[KnownRun]) -> None:
        """Delete runs that ended three months ago: the topic must not grow for ever.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge.
        """
        for known in runs:
            if known.run.state in ("done", "cancelled") and self._clock.now_ms() - known.written > _KEPT_MS:
                for key in (steering_key(known.run.id), run_key(known.run.id)):
                    await self._producer.send_one(self._topic, RUNS_PARTITION, key, None)
