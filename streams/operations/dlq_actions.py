"""Retry or drop entries: every action at a limited rate, acknowledged by Kafka, and written to the audit topic.

A captured record goes to the topic ``retries``, never back to its own: there it would be the newest record of its key, and
compaction would keep it instead of the row's real state. The position inside it keeps the row from going backwards. A stage's
record goes back to the stage, without the people who were erased: ingest does not see it, and a rebuilt stage may not know
them. For a parked delivery the outbox is asked to unpark it.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

import msgspec

from streams.core.clock import Clock
from streams.core.errors import RecordError
from streams.core.lanes import Lane
from streams.dispatch.outbox.parked import read_parked
from streams.domain.erasure import scrubbed
from streams.ingest.erased_addresses import ErasureFeed
from streams.kafka.producer import BatchProducer
from streams.messages.audit import OperatorAction
from streams.messages.audit_log import AuditLog
from streams.messages.changes import Change, ChangeKind, partition_of
from streams.messages.dead_letters import origin_headers
from streams.messages.kinds import UnparkChange
from streams.messages.topics import Topics
from streams.operations.dlq_entry import INGEST_STAGE, DeadLetterEntry
from streams.operations.dlq_store import DeadLetterStore
from streams.settings import Settings

Action: TypeAlias = Literal["retry", "drop"]
ProgressCallback: TypeAlias = Callable[[int], None]
"""Called with the number that are done."""

_AUDITED_AT_ONCE = 100
"""A command that is killed leaves at most so many entries done that the audit topic does not name: they are offered again."""


class DeadLetterActions:
    """Retries or drops entries for an operator."""

    def __init__(
        self,
        settings: Settings,
        store: DeadLetterStore,
        producer: BatchProducer,
        erased: ErasureFeed,
        *,
        operator: str,
        clock: Clock,
    ) -> None:
        self._store = store
        self._producer = producer
        self._audit = AuditLog.of(settings, producer)
        self._erased = erased
        self._topics = Topics.of(settings.app_id, settings.generation)
        self._partitions = settings.partitions
        self._operator = operator
        self._clock = clock
        self._done: dict[str, list[str]] = defaultdict(list)

    async def act(self, action: Action, entries: Sequence[DeadLetterEntry], *, rate: float, progress: ProgressCallback) -> int:
        """Apply ``action`` to every entry, at most ``rate`` a second; return the number of entries done.

        Entries that retention has removed meanwhile are skipped. A retry also skips entries of unknown origin, and unreadable
        ones that may name an erased person. If it is interrupted, the audit topic still gets the entries that were done.

        Raises:
            aiokafka.errors.KafkaError: the broker did not acknowledge.
        """
        by_place = {entry.position: entry for entry in entries}
        loop, count = asyncio.get_running_loop(), 0
        began = loop.time()
        try:
            async for place, record in self._store.records(by_place):
                if (early := began + count / rate - loop.time()) > 0:
                    await asyncio.sleep(early)
                entry = by_place[place]
                if action == "retry" and not await self._retry(entry, record):
                    continue
                self._done[entry.code].append(str(place))
                count += 1
                progress(count)
                if count % _AUDITED_AT_ONCE == 0:
                    await self._record(action)
        finally:
            await self._record(action)
        return count

    async def _retry(self, entry: DeadLetterEntry, record: Any) -> bool:
        if entry.position.kind == "delivery":
            parked = read_parked(record.value)
            change = UnparkChange(parked.key, parked.task_key, b"", Lane.LIVE, self._clock.now_ms(), None)
            place = partition_of(parked.key, self._partitions)
            await self._producer.send_one(self._topics.desired, place, None, self._topics.desired.pack([change]))
            return True
        target = self._target(entry)
        if target is None or entry.origin is None:
            return False
        value = record.value
        if self._erased and (topic := self._topics.between(target[0])) is not None:
            try:
                published = topic.unpack(value)
            except (msgspec.MsgspecError, RecordError):
                # Another release's: nobody can say whom it names, and the stage could not read it either.
                return False
            remains = [change for change in (self._without_erased(topic, change) for change in published) if change is not None]
            if not remains:
                return True
            value = topic.pack(remains)
        headers = origin_headers(entry.origin, entry.attempts)
        await self._producer.send_one(*target, record.key, value, headers)
        return True

    def _without_erased(self, topic: str, change: Change) -> Change | None:
        """The change without erased people; None if it is about an erased person."""
        if change.kind is ChangeKind.ERASURE:
            return change
        by_address = topic in (self._topics.contacts, self._topics.desired)
        return None if by_address and self._erased.erased(change.key) else scrubbed(change, self._erased.erased)

    def _target(self, entry: DeadLetterEntry) -> tuple[str, int] | None:
        """Where a dead letter's record must go: the topic of retries for a captured one, its own for a stage's."""
        if entry.stage == INGEST_STAGE:
            return self._topics.retries, entry.position.partition
        origin, own = entry.origin, {*self._topics.between_stages, self._topics.deliveries}
        known = origin is not None and origin.topic in own and origin.partition < self._partitions
        return (origin.topic, origin.partition) if origin is not None and known else None

    async def _record(self, action: Action) -> None:
        for code, places in self._done.items():
            entry = OperatorAction(self._clock.now_ms(), self._operator, action, code, len(places), places)
            await self._audit.write(entry, code.encode())
        self._done.clear()
