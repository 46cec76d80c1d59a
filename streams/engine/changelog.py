"""The writing end of one changelog partition, which notices every other writer.

A worker that was stopped past its session and wakes up goes on writing what it had in hand, and no broker keeps it from that.
So a writer knows where the log ends: it announces itself with an epoch above all others, every record carries that epoch, and
every write must land where the one before ended. If one does not, what lies between is read before anything else is done:

* a higher epoch: this worker is outdated. It ends, and what it wrote since is skipped by everybody who reads the log.
* a lower epoch: another worker is outdated. What it wrote is superseded by the rows that state holds.
* its own epoch: the broker had the batch already, and aiokafka did not learn where.
* none: a worker of an older version. Its rows hold, with an error in the log.
"""

from collections.abc import Mapping

from streams.core.clock import Clock
from streams.engine.recovery import EPOCH
from streams.engine.store import ENGINE, Store, StorePosition
from streams.kafka.producer import BatchProducer, Headers

_OPENED = ENGINE + b"opened"
"""The key of the row with which a writer announces its epoch."""

_SOME = 1000
"""Rows written again at a time."""


class LogMovedOnError(Exception):
    """A write did not land where the log was known to end: what lies between must be read."""

    def __init__(self, partition: int) -> None:
        super().__init__(f"partition {partition}")
        self.partition = partition


class Changelog:
    """One changelog partition, from ``end`` on, and the store that follows it.

    ``end`` is the next offset, ``epoch`` that of this writer.
    """

    def __init__(self, producer: BatchProducer, topic: str, partition: int, store: Store, end: int, clock: Clock) -> None:
        self._producer = producer
        self.topic = topic
        self.partition = partition
        self._clock = clock
        self.store = store
        self.end = end
        # A clock beside the count: a changelog that an operator made anew must not begin below what the next stage has seen.
        self.epoch = max(store.note.epoch + 1, clock.now_ms() // 1000)
        self._headers: Headers = [(EPOCH, str(self.epoch).encode())]

    async def announce(self) -> None:
        """Be the writer from here on, and supersede what outdated writers left.

        Raises:
            LogMovedOnError: somebody wrote since the log was read; read on, and try again with a higher epoch.
            aiokafka.errors.KafkaError: the broker did not acknowledge.
        """
        await self._write({_OPENED: str(self.epoch).encode()})
        stale = self.store.stale()
        for start in range(0, len(stale), _SOME):
            keys = stale[start : start + _SOME]
            await self._write({key: self.store.get(key) for key in keys})
            self.store.superseded(keys)

    async def _write(self, rows: Mapping[bytes, bytes | None]) -> None:
        await self.store.write_in_turn(rows, await self.append(rows))

    async def append(self, writes: Mapping[bytes, bytes | None]) -> StorePosition:
        """Append ``writes``; what the store is to note when it applies them.

        Raises:
            LogMovedOnError: somebody else wrote in between.
            aiokafka.errors.KafkaError: the broker did not acknowledge.
        """
        entries = ((key, value, self._headers) for key, value in writes.items())
        for batch in await self._producer.append(self.topic, self.partition, entries):
            if batch.base != self.end:
                raise LogMovedOnError(self.partition)
            self.end += batch.count
        return StorePosition(self.end - 1, self.epoch, self.epoch, self._clock.now_ms())
