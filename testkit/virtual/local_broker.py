"""Dispatch without a broker: topics that arrive a moment after they were appended, a stage over them, and its state.

The stage keeps the rules of :class:`streams.engine.stage.Stage`: records of a partition in order, everything that waits in
one unit, first what is published, then the state, then what is kept in memory. The state is RocksDB, as in a worker.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import count
from pathlib import Path

from streams.core.clock import Clock
from streams.engine.row_index import Lookup
from streams.engine.stage import Handler, Record
from streams.engine.store import Store, StorePosition
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.kafka.producer import KeyValue
from streams.messages.write_control import RUNNING, WriteControl

_HOP = 0.005
"""Seconds from append to acknowledgement, and to consumption."""


class LocalTable:
    """What :class:`streams.engine.table.StateTable` does, in a directory of its own and without a changelog."""

    def __init__(self, directory: Path, partitions: int, lookup: Lookup | None = None) -> None:
        self._partitions = [Store(directory / str(number), lookup) for number in range(partitions)]
        for store in self._partitions:
            for _ in store.make_index():
                """A state that is small enough to wait for."""

    def owned(self) -> set[int]:
        """All partitions."""
        return set(range(len(self._partitions)))

    def assigned(self) -> set[int]:
        """All partitions."""
        return self.owned()

    def get(self, partition: int, key: bytes) -> bytes | None:
        """The value of ``key``."""
        return self._partitions[partition].get(key)

    def scan(self, partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Keys that begin with ``prefix`` and are greater than ``after``, ascending, with their values."""
        return self._partitions[partition].scan(prefix, after)

    def find(self, partition: int, hash_: str) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose term of the lookup has this hash, with their keys."""
        return self._partitions[partition].find(hash_)

    def write(self, partition: int, writes: Mapping[bytes, bytes | None]) -> None:
        """Apply ``writes`` in one batch; None deletes."""
        self._partitions[partition].write(writes, StorePosition())

    def close(self) -> None:
        """Let go of the files."""
        for store in self._partitions:
            store.close()


class LocalBroker:
    """Topics in memory, and what :class:`streams.kafka.producer.BatchProducer` does with them."""

    def __init__(self) -> None:
        self._offsets = count()
        self._arrived: dict[int, list[Record]] = defaultdict(list)
        self._arrival = asyncio.Event()

    def append(self, topic: str, partition: int, entries: Iterable[KeyValue]) -> int:
        """Let records be there now; the offset of the last one."""
        records = [Record(topic, next(self._offsets), key, value) for key, value in entries]
        self._arrived[partition] += records
        self._arrival.set()
        return records[-1].offset if records else -1

    async def send(self, topic: str, partition: int, entries: Iterable[KeyValue]) -> int:
        """Append records in order; the offset of the last one."""
        offset = self.append(topic, partition, entries)
        await asyncio.sleep(_HOP)
        return offset

    async def send_one(
        self, topic: str, partition: int, key: bytes | None, value: bytes | None, _headers: Sequence[tuple[str, bytes]] = ()
    ) -> None:
        """Append one record."""
        await self.send(topic, partition, [(key, value)])

    async def read(self) -> dict[int, list[Record]]:
        """Everything that is not acknowledged, by partition; waits until there is something."""
        while not any(self._arrived.values()):
            self._arrival.clear()
            await self._arrival.wait()
        await asyncio.sleep(_HOP)
        return {partition: list(records) for partition, records in self._arrived.items() if records}

    def acknowledge(self, partition: int, records: int) -> None:
        """The first so many records of a partition are done with."""
        del self._arrived[partition][:records]


class LocalControls:
    """What :class:`streams.dispatch.control_feed.KafkaControlFeed` does: the latest control first, then every later one."""

    def __init__(self) -> None:
        self._control = RUNNING
        self._changed = asyncio.Event()

    def set(self, control: WriteControl) -> None:
        """A person pauses writes, or resumes them."""
        self._control = control
        self._changed.set()

    async def follow(self, apply: Callable[[WriteControl], None], known: Callable[[], None]) -> None:
        """Follow for ever."""
        while True:
            apply(self._control)
            known()
            self._changed.clear()
            await self._changed.wait()


class LocalStage:
    """One handler over one table, fed by the broker with the topics in ``topics``; what goes to others is let go."""

    def __init__(
        self, handler: Handler, table: LocalTable, broker: LocalBroker, topics: frozenset[str], partitions: int, clock: Clock
    ) -> None:
        self._handler = handler
        self._table = table
        self._broker = broker
        self._topics = topics
        self._partitions = partitions
        self._clock = clock

    def recover(self, table: StateTable) -> None:
        """Rebuild what is kept in memory."""
        for partition in sorted(self._table.owned()):
            self._handler.recovered(partition, table)

    async def run(self) -> None:
        """Work for ever."""
        while True:
            for partition, records in (await self._broker.read()).items():
                mine = [record for record in records if record.topic in self._topics]
                unit = UnitOfWork(partition, self._partitions, self._table, self._clock.now_us())
                self._handler.handle(unit, mine)
                for (topic, place), entries in unit.outputs():
                    await self._broker.send(topic, place, entries)
                self._table.write(partition, unit.writes | unit.last_writes)
                for effect in unit.after:
                    effect()
                self._broker.acknowledge(partition, len(records))
