"""Faust's Kafka transport, with a shorter fetch wait, whole fetches delivered at once, and every record delivered.

Faust hard-codes ``fetch_max_wait_ms=1500``: as long may a fetch of the partitions that stayed keep back those that a rebalance
brought, or that were opened. While records wait to be consumed it is shorter still (``streams.kafka.fetcher``).

Faust delivers message by message, and makes four tasks to wait for each. Beside stages that hold the loop for milliseconds
that let about 250 records a second through, whatever the backlog (both measured: docs/performance.md).

Faust loses records around a rebalance: it empties the queues of its agents when it resumes the flow, after it went back to
what was committed, and holds what is missing for compacted. Here nothing is delivered in between, and each partition of a
stage must go on where it stopped: what looks like a hole is asked for again (docs/measured.md). Nor is anything delivered while
nobody knows where partitions stopped: a search that a new rebalance overtook does not end that one, and a search that Faust
gave up ends the worker.

Faust commits what is done behind a hole if nothing was committed before, or if the hole is one record wide. Here a commit goes
on where the one before it ended, or not at all.

Faust never asks whether its consumer still belongs to the group. aiokafka's coordination ends with some errors, and waits for
somebody to take note of others; the worker would go on for ever, and none of its commits would be accepted. Here it ends.

Faust bounds its queues in records. Here what is delivered and not acknowledged is bounded in bytes
(:mod:`streams.engine.in_flight`).
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, ClassVar, TypeAlias

import faust
import structlog
from aiokafka.errors import IllegalStateError, KafkaTimeoutError
from faust.transport.drivers import aiokafka as driver

from streams.engine.in_flight import InFlight
from streams.kafka.continuity import LostRecordsError
from streams.kafka.fetcher import pace

log = structlog.get_logger()

CommitRequest: TypeAlias = Callable[[Mapping[Any, int]], dict[Any, tuple[int, str]]]

FETCH_WAIT_MS = 500
_YIELD_EVERY = 100


def _without_notes(offsets: Mapping[Any, int]) -> dict[Any, tuple[int, str]]:
    return {place: (offset, "") for place, offset in offsets.items()}


class _Thread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]  # Faust is untyped
    def _create_worker_consumer(self, transport: Any) -> Any:
        consumer = super()._create_worker_consumer(transport)
        consumer._fetch_max_wait_ms = FETCH_WAIT_MS
        consumer._isolation_level = "read_committed"
        commit = consumer.commit

        async def commit_with_bookmarks(offsets: dict[Any, Any]) -> None:
            await commit(transport.request({place: offset for place, (offset, _) in offsets.items()}))

        consumer.commit = commit_with_bookmarks
        return pace(consumer, transport.rest)

    async def positions(self, places: list[Any]) -> dict[Any, int]:
        """The next offset that is asked for, of those of ``places`` that are assigned."""
        return dict(await self.call_thread(self._positions, places))

    async def _positions(self, places: list[Any]) -> dict[Any, int]:
        consumer = self._ensure_consumer()
        return {place: await consumer.position(place) for place in places if place in consumer.assignment()}


class _Consumer(driver.Consumer):  # type: ignore[misc]  # as above
    """Delivers what follows, of partitions whose state is open.

    ``_next`` is the offset that a partition goes on with, ``_holes`` what it went on with instead when it was last asked.
    ``_commit_from`` is the offset at which its next commit goes on. ``_revocations`` counts rebalances, ``_found_after`` is
    their number when :meth:`perform_seek` last found where all partitions stopped.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._next: dict[Any, int] = {}
        self._holes: dict[Any, tuple[int, int]] = {}
        self._commit_from: dict[Any, int] = {}
        self._revocations = self._found_after = 0
        self._rebalancing = False

    def _new_consumer_thread(self) -> Any:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    @property
    def member(self) -> str:
        """The id of the group's member that this consumer is."""
        return str(self._thread._consumer._coordinator.member_id)

    def check_membership(self) -> None:
        """Whether the consumer still takes part in its group.

        Raises:
            aiokafka.errors.KafkaError: it does not, and will not again.
        """
        coordinator = getattr(self._thread._consumer, "_coordinator", None)
        if coordinator is None:
            return
        if coordinator._coordination_task.done() and not coordinator._closing.done():
            coordinator._coordination_task.result()
        if coordinator._pending_exception is not None:
            raise coordinator._pending_exception

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Look for no partition that is quiet: Faust's look takes those without a new record for stuck.

        It goes by the times of answers, in which a fetch session leaves out what has nothing new, and of its own streams. Lag
        is measured at the broker, and alarmed.
        """

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """A rebalance begins."""
        self._revocations += 1
        self._rebalancing = True
        await super().on_partitions_revoked(revoked)

    async def on_partitions_assigned(self, assigned: Any, generation_id: int = 0) -> None:
        """A rebalance gave this worker its partitions; Faust looks where they stopped, and resumes the flow."""
        await super().on_partitions_assigned(assigned, generation_id)
        self._rebalancing = False

    def resume_flow(self) -> None:
        """Deliver again, if it is known where each partition goes on.

        Raises:
            KafkaTimeoutError: it is not known, and Faust has given up asking.
        """
        if self._found_after == self._revocations or not self.assignment():
            super().resume_flow()
        elif not self._rebalancing:
            raise KafkaTimeoutError(f"{self.app.conf.id}: the broker did not say where its group stopped")

    async def perform_seek(self) -> None:
        """Go back to what was committed, or else to the beginning; nothing is delivered until Faust resumes the flow."""
        revocations = self._revocations
        self.stop_flow()
        await super().perform_seek()
        places = {place for place in self.assignment() if not self._is_changelog_tp(place)}
        moved = {place: offset for place, offset in self.transport.moved.items() if place in places}
        self._committed_offset.update({place: offset or None for place, offset in moved.items()})
        fresh = [place for place in places if self._committed_offset[place] is None]
        begin = await self.earliest_offsets(*fresh) if fresh else {}
        # aiokafka stays where it is if nothing was committed yet.
        await self.seek_wait(moved | begin)
        self._next = {place: self._committed_offset[place] or begin[place] for place in places}
        self._commit_from = dict(self._next)
        self._holes.clear()
        self.transport.in_flight.forget()
        self.pause_partitions(places & self.transport.closed)
        self._found_after = revocations

    def go_on_at(self, place: Any, offset: int) -> None:
        """Deliver from ``offset`` on once the partition is opened, although more was committed: its log was cut."""
        self.transport.moved[place] = offset
        self._committed_offset[place] = offset or None
        self._next[place] = self._commit_from[place] = offset

    async def open_partitions(self, places: set[Any]) -> None:
        """Deliver what ``places`` hold: the state that it changes is there."""
        places = places & self.transport.closed
        self.transport.closed -= places
        # What a fetch brought meanwhile was dropped.
        await self.seek_wait({place: self._next[place] for place in places if place in self._next})
        self.resume_partitions(places)

    async def _drain_messages(self, fetcher: Any) -> None:
        """Read and deliver until the end, as the method that this replaces; a rebalance ends a delivery in the same way."""
        try:
            while not (self.should_stop or fetcher.should_stop):
                messages = [message async for _, message in self.getmany(timeout=1.0)]
                # A fetch that was ready must not keep the loop from others.
                await asyncio.sleep(0)
                if messages and not self.should_stop:
                    await self.wait_first(self._deliver(messages), self.suspend_flow.wait())
                elif self.flow_active and not self.transport.in_flight.bytes:
                    await self.wait_first(self._pass_over(), self.suspend_flow.wait())
        except self.consumer_stopped_errors:
            if not self.app.should_stop:
                raise

    async def _deliver(self, messages: list[Any]) -> None:
        waiting = set()
        for count, message in enumerate(messages, 1):
            if not self.flow_active or message.generation_id != self.app.consumer_generation_id:
                return
            place, offset = message.tp, message.offset
            if place in self.transport.closed:
                continue
            first = self._next.get(place, self._read_offset[place])
            if place in waiting or (first is not None and offset < first):
                continue
            if offset > self._next.get(place, offset) and not await self._is_gone(place, offset):
                waiting.add(place)
                continue
            await self.transport.in_flight.take(message)
            if place in self._next:
                self._next[place] = offset + 1
            await self.callback(message)
            self._read_offset[place] = offset
            if count % _YIELD_EVERY == 0:
                await asyncio.sleep(0)

    def ack(self, message: Any) -> bool:
        """The stage is done with ``message``."""
        self.transport.in_flight.release(message)
        return bool(super().ack(message))

    def _new_offset(self, place: Any) -> int | None:
        """Up to where everything is done; None if that is not further than what was done before."""
        first = self._commit_from.get(place)
        if first is None or not (first in self._acked_index[place] or self._gap[place].overlaps(first)):
            return None
        offset: int | None = super()._new_offset(place)
        if offset is not None:
            self._commit_from[place] = max(first, offset)
        return offset

    async def _pass_over(self) -> None:
        """Nothing came, and nothing is under way: what the consumer has passed holds nothing for us, and is finished.

        Markers of transactions would else count as lag for ever. As with a hole, it is asked for twice.
        """
        passed = {}
        for place, position in (await self._thread.positions([*self._next.keys() - self.transport.closed])).items():
            hole = self._next[place], position
            if position <= hole[0]:
                continue
            if self._holes.get(place) != hole:
                self._holes[place] = hole
                await self.seek_wait({place: hole[0]})
            # aiokafka goes to where a log begins now, and may be there before it has fetched a record.
            elif not await self._has_lost(place, hole[0]):
                passed[place] = position
        if passed:
            self._next |= passed
            self._commit_from |= passed
            self._committed_offset.update(passed)
            self.transport.passed(passed)
            await self._commit(passed)

    async def _is_gone(self, place: Any, offset: int) -> bool:
        """Whether the log has no records before ``offset`` any more; asks for them again if it was not asked before."""
        hole = self._next[place], offset
        if self._holes.get(place) != hole:
            self._holes[place] = hole
            with suppress(IllegalStateError):  # the partition has gone to another worker
                await self.seek_wait({place: hole[0]})
            return False
        if await self._has_lost(place, hole[0]):
            return False
        # The log's own: markers of transactions, or what they took back.
        # Not by Faust's method, which leaves out the first of them.
        self._gap[place].addi(hole[0], offset)
        self._gap[place].merge_overlaps()
        return True

    async def _has_lost(self, place: Any, first: int) -> bool:
        """Whether the log begins behind ``first``, which nobody has read; the application then crashes."""
        begin = (await self.earliest_offsets(place))[place]
        if begin > first:
            await self.app.crash(LostRecordsError({place: begin - first}))
        return bool(begin > first)


class StageTransport(driver.Transport):  # type: ignore[misc]  # as above
    """The aiokafka transport, with the consumer of this module.

    ``closed`` are the assigned partitions whose state is not open yet, ``moved`` those that go on elsewhere than was committed,
    ``in_flight`` what was delivered and is not done. ``rest`` are the seconds that the consumer rests after a few records
    (:func:`streams.kafka.fetcher.pace`), to be set before it starts. ``request`` is what to commit for some offsets,
    ``passed`` is called with the offsets at which partitions go on behind records that hold nothing for us.
    """

    Consumer: ClassVar[Any] = _Consumer

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.closed: set[Any] = set()
        self.in_flight = InFlight()
        self.rest = 0.0
        self.moved: dict[Any, int] = {}
        self.request: CommitRequest = _without_notes
        self.passed: Callable[[dict[Any, int]], None] = lambda _: None


def install(app: faust.App) -> None:
    """Make ``app`` consume through :class:`StageTransport`."""
    app.transport = StageTransport(app.conf.broker_consumer, app)
