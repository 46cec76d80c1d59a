"""Sender: takes due contacts from the schedule, delivers them, and writes every answer to the ``deliveries`` topic."""

import asyncio
from functools import partial
from random import Random
from typing import Any

import msgspec
import structlog

from streams.capture.rows import Lane
from streams.clock import Clock
from streams.dead_letters import keyed_hash
from streams.dispatch.deliver import Answer, deliver
from streams.dispatch.outbox import OUTBOX
from streams.dispatch.schedule import Entry, Schedule
from streams.domain.changes import Change, Consent, Kind, pack, partition_of
from streams.domain.delivery import Created, Delivery, OutboxRow
from streams.domain.retry import RetryPolicy
from streams.dotdigital.client import DotdigitalClient
from streams.dotdigital.errors import AccessError, ConnectivityError, DataError, ThrottledError
from streams.engine.producer import BatchProducer
from streams.engine.table import StateTable
from streams.observability.metrics import Metrics
from streams.topics import Topics

log = structlog.get_logger()

_encode = msgspec.json.Encoder().encode


class Sender:
    """A pool of senders over one schedule."""

    def __init__(
        self,
        schedule: Schedule,
        table: StateTable,
        client: DotdigitalClient,
        producer: BatchProducer,
        topics: Topics,
        *,
        partitions: int,
        cleared: bytes,
        hash_key: bytes,
        clock: Clock,
        metrics: Metrics,
        retry: RetryPolicy | None = None,
        rng: Random | None = None,
    ) -> None:
        self._schedule = schedule
        self._table = table
        self._client = client
        self._producer = producer
        self._topics = topics
        self._partitions = partitions
        self._cleared = cleared
        self._hash_key = hash_key
        self._clock = clock
        self._metrics = metrics
        self._retry = retry or RetryPolicy()
        self._rng = rng or Random()  # jitter, not a secret
        self._failures = 0
        self.stopping = False

    async def run(self, connections: int) -> None:
        """Send for ever over ``connections`` connections.

        Raises:
            aiokafka.errors.KafkaError: an answer could not be written down; the worker must end.
        """
        async with asyncio.TaskGroup() as group:
            for _ in range(connections):
                group.create_task(self._work())

    async def _work(self) -> None:
        while not self.stopping:
            entry = await self._schedule.take()
            self._metrics.in_flight.inc()
            try:
                await self._send(entry)
            finally:
                self._metrics.in_flight.dec()

    async def _send(self, entry: Entry) -> None:
        row = self._row(entry)
        if row is None or not row.dirty or row.hash is None:
            self._schedule.answered(entry.email, None, entry.lane)
            return
        try:
            answer = await deliver(self._client, entry.email, row, self._cleared, partial(self._note, entry, row))
        except DataError as error:
            self._metrics.parked.labels(error.code).inc()
            # The trace would end in the HTTP call; the code says it all.
            log.error("contact parked", code=error.code, operation=error.operation, contact=self._hashed(entry.email))  # noqa: TRY400
            await self._write(entry, row, None, error.code)
        except (ConnectivityError, ThrottledError, AccessError) as error:
            self._again(entry, error)
        else:
            self._failures = 0
            self._observe(row, answer)
            await self._write(entry, row, answer, None)

    def _row(self, entry: Entry) -> OutboxRow | None:
        if entry.partition not in self._table.owned():
            return None
        value = self._table.get(entry.partition, OUTBOX.key(entry.email))
        return None if value is None else OUTBOX.decode(value)

    async def _write(self, entry: Entry, row: OutboxRow, answer: Answer | None, code: str | None) -> None:
        delivery = Delivery(
            email=entry.email,
            outcome=answer.outcome if answer else "parked",
            hash=(row.hash or b"").hex(),
            position=row.position.hex(),
            at=self._clock.now_ms(),
            lane=row.lane,
            code=code,
            contact=answer.contact if answer else row.contact,
            created=answer.created if answer else row.created,
            told_out=answer.told_out if answer else row.told_out,
            tight=answer.tight if answer else False,
        )
        await self._append(entry, delivery)

    async def _note(self, entry: Entry, row: OutboxRow, created: Created, tight: bool) -> None:
        """Write down what must be known even if the call that follows is never answered."""
        if tight and row.moved_to is not None:
            await self._carry(row.moved_to, row)
        at = self._clock.now_ms()
        await self._append(
            entry, Delivery(entry.email, "noted", "", row.position.hex(), at, row.lane, created=created, tight=tight)
        )

    async def _append(self, entry: Entry, delivery: Delivery) -> None:
        await self._producer.send_one(self._topics.deliveries, entry.partition, entry.email.encode(), _encode(delivery))

    async def _carry(self, email: str, row: OutboxRow) -> None:
        change = Change(Kind.CONSENT, email, 0, b"", Lane.URGENT, row.born, Consent())
        place = partition_of(email, self._partitions)
        await self._producer.send(self._topics.desired, place, [(None, pack([change]))])

    def _again(self, entry: Entry, error: ConnectivityError | ThrottledError | AccessError) -> None:
        self._failures += 1
        now = self._clock.now_ms()
        wait = int(self._retry.delay(self._failures, self._rng) * 1000)
        match error:
            case ThrottledError(reset_at=float(reset)):
                wait, reason = max(0, int(reset * 1000) - now) + self._rng.randrange(250), "throttled"
                self._schedule.pause(now + wait)
            case ThrottledError():
                reason = "throttled"
                self._schedule.pause(now + wait)
            case AccessError():
                wait, reason = 30_000, "access"
                self._schedule.pause(now + wait)
                log.critical("Dotdigital refuses access; nothing is delivered until this is mended", error=str(error))
            case ConnectivityError():
                reason = error.reason
                if self._failures >= 5:
                    # One failed call says little; several in a row say that everybody should wait.
                    self._schedule.pause(now + wait)
        self._metrics.retries.labels(reason).inc()
        self._schedule.retry(entry, now + wait)

    def _observe(self, row: OutboxRow, answer: Answer) -> None:
        self._metrics.delivered.labels(answer.outcome).inc()
        lane = Lane(row.lane).name.lower()
        self._metrics.latency.labels(lane).observe(max(0, self._clock.now_ms() - row.born) / 1000)

    def _hashed(self, email: str) -> Any:
        return keyed_hash(email.encode(), self._hash_key)
