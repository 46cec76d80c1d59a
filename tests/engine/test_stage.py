"""A stage works with its handler's memory, or not at all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.events import Event
from faust.types import TP

from streams.core.clock import ManualClock
from streams.core.errors import CircuitOpenError
from streams.engine.app import create_app
from streams.engine.breaker import Breaker
from streams.engine.linger import MANY
from streams.engine.opening import Opener
from streams.engine.stage import Record, Stage
from streams.engine.store import StorePosition
from streams.engine.store_errors import StoreError
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.kafka.producer import BatchProducer
from streams.messages.audit_log import AuditLog
from streams.messages.dead_letters import Coordinates, origin_headers
from streams.observability.lag import ConsumedOffsets
from streams.observability.metrics import Metrics
from streams.settings import Settings
from tests.patience import PATIENCE

pytestmark = pytest.mark.filterwarnings("default")


class Memory:
    """A handler that notes what it was given, how much of it at a time, and whether it remembered anything then."""

    name = "memory"

    def __init__(self) -> None:
        self.whole = False
        self.handled: list[bool] = []
        self.together: list[int] = []
        self.failure: Exception | None = None

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        if records and self.failure is not None:
            raise self.failure
        self.handled += [self.whole for _ in records]
        self.together.append(len(records))
        return len(records)

    def recovered(self, partition: int, table: StateTable) -> None:
        self.whole = True

    def revoked(self) -> None:
        self.whole = False


def message(value: bytes, offset: int = 0, generation: int = 0, headers: Any = None) -> SimpleNamespace:
    """A record of the one partition, as Faust hands it over."""
    return SimpleNamespace(
        topic="in",
        partition=0,
        offset=offset,
        key=None,
        value=value,
        headers=headers,
        timestamp=0.0,
        tp=TP("in", 0),
        generation_id=generation,
    )


class Bench:
    """A stage whose assignments the test decides."""

    running: "asyncio.Task[None]"

    def __init__(self, directory: Path) -> None:
        settings = Settings(data_dir=directory, partitions=1)
        self.app: Any = create_app("stage", settings)
        self.memory, self.acked = Memory(), 0
        self.letters: list[str] = []
        self.stage = Stage(
            self.app,
            cast(Opener, SimpleNamespace(add=lambda _: None)),
            ["in"],
            StateTable(directory, "stage", "memory"),
            self.memory,
            cast(BatchProducer, self),
            partitions=1,
            dead_letters="letters",
            audit=AuditLog(cast(BatchProducer, self), "audit", 1, b"k"),
            breaker=Breaker(10, 0.9),
            hash_key=b"k",
            clock=ManualClock(),
            metrics=Metrics(),
            progress=ConsumedOffsets("group", []),
        )
        self.stage._stream = SimpleNamespace(ack=self._ack)

    async def send_one(self, topic: str, *_: Any) -> None:
        """What the stage does with a dead letter."""
        self.letters.append(topic)

    async def _ack(self, _event: Any) -> None:
        self.acked += 1

    async def assign(self) -> None:
        self.stage.resume({0})
        await self.stage.opened(0)

    async def arrive(self, *, generation: int = 0, headers: Any = None) -> None:
        """A record that was read ``generation`` generations ago; done as far as it can be done."""
        read_in = self.app.consumer_generation_id - generation
        await self.stage._inbox.put(SimpleNamespace(message=message(b"", generation=read_in, headers=headers)))
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    made.running = asyncio.create_task(made.stage.run())
    yield made
    made.running.cancel()


async def test_what_is_in_hand_when_partitions_are_revoked_waits_for_the_memory(bench: Bench) -> None:
    await bench.assign()
    await bench.arrive()
    await bench.stage.suspend()
    # Faust's generation is still the old one here: it changes when the group has been joined again.
    await bench.arrive()
    assert (bench.memory.handled, bench.acked) == ([True], 1)
    await bench.assign()
    await bench.arrive()
    assert (bench.memory.handled, bench.acked) == ([True, True, True], 3), "dropped, it would be committed over"


async def test_what_an_older_generation_read_is_left_to_be_read_again(bench: Bench) -> None:
    await bench.assign()
    await bench.arrive(generation=1)
    assert not bench.memory.handled and not bench.acked


async def test_nothing_is_done_before_the_memory_was_read(bench: Bench) -> None:
    await bench.arrive()
    assert not bench.memory.handled and not bench.stage.ready


async def test_partitions_that_come_back_while_the_last_batch_is_written_keep_their_memory(bench: Bench) -> None:
    await bench.assign()
    async with bench.stage._busy:
        revoking = asyncio.create_task(bench.stage.suspend())
        await asyncio.sleep(0)
        assigning = asyncio.create_task(bench.assign())
        await asyncio.sleep(0)
    await asyncio.gather(revoking, assigning)
    await bench.arrive()
    assert bench.memory.handled == [True]


async def test_what_one_fetch_delivered_is_one_cycle(bench: Bench) -> None:
    await bench.assign()
    bench.app.flow_control.resume()
    stream = bench.app.stream(bench.app.channel())
    stream.ack = bench._ack
    # Fewer than those that a stage gathers for a while: an even pace, at which nothing is waited for.
    delivered = [Event(bench.app, None, b"", None, message(b"", offset)) for offset in range(MANY - 1)]
    collecting = asyncio.create_task(bench.stage._collect(stream))
    try:
        for event in delivered:
            stream.channel.queue.put_nowait(event)
        async with asyncio.timeout(PATIENCE):
            while bench.acked < len(delivered):
                await asyncio.sleep(0)
        assert bench.memory.together == [len(delivered)]
    finally:
        collecting.cancel()


class Growing:
    """A handler with one row that takes up whatever it is given."""

    name = "growing"

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        unit.put(b"r", (unit.get(b"r") or b"") + b"".join(record.value or b"" for record in records))
        return len(records)

    def recovered(self, partition: int, table: StateTable) -> None:
        """It remembers nothing."""

    def revoked(self) -> None:
        """It remembers nothing."""


async def test_a_change_that_makes_a_row_too_large_is_dead_lettered_and_its_neighbours_are_applied(tmp_path: Path) -> None:
    rows: dict[bytes, bytes | None] = {}
    letters: list[tuple[bytes | None, dict[str, bytes]]] = []
    acked: list[int] = []

    async def append(_partition: int, writes: dict[bytes, bytes | None]) -> StorePosition | None:
        return StorePosition() if writes else None

    async def ack(event: Any) -> None:
        acked.append(event.message.offset)

    async def send_one(_topic: str, _partition: int, _key: bytes | None, value: bytes | None, headers: Any) -> None:
        letters.append((value, dict(headers)))

    async def write(_partition: int, writes: dict[bytes, bytes | None], _note: StorePosition) -> None:
        rows.update(writes)

    table = SimpleNamespace(append=append, get=lambda _, key: rows.get(key), write=write, log=lambda _: None)
    app: Any = create_app("stage", Settings(data_dir=tmp_path, partitions=1))
    stage = Stage(
        app,
        cast(Opener, SimpleNamespace(add=lambda _: None)),
        ["in"],
        cast(StateTable, table),
        Growing(),
        cast(BatchProducer, SimpleNamespace(send_one=send_one)),
        partitions=1,
        dead_letters="letters",
        audit=AuditLog(cast(BatchProducer, None), "audit", 1, b"k"),
        breaker=Breaker(10, 0.9),
        hash_key=b"k",
        clock=ManualClock(),
        metrics=Metrics(),
        progress=ConsumedOffsets("group", []),
    )
    stage._stream = SimpleNamespace(ack=ack)
    stage.resume({0})
    await stage.opened(0)
    values = [b"a" * 400_000, b"b" * 700_000, b"c" * 500_000]
    await stage._cycle([SimpleNamespace(message=message(value, offset)) for offset, value in enumerate(values)])
    assert rows[b"r"] == values[0] + values[2] and acked == [0, 1, 2]
    assert [(value, headers["code"]) for value, headers in letters] == [(values[1], b"row_too_large")]

    # A placeholder in the ERP comes in great number, and is no reason for the circuit breaker to end the worker.
    for offset in range(3, 43):
        await stage._cycle([SimpleNamespace(message=message(values[1], offset))])
    assert len(letters) == len(acked) - 2 == 41


@pytest.mark.parametrize("failure", [StoreError("corrupt"), OSError(24, "Too many open files"), MemoryError()])
async def test_a_failing_disk_or_machine_ends_the_worker_and_blames_no_record(bench: Bench, failure: Exception) -> None:
    await bench.assign()
    bench.memory.failure = failure
    await bench.arrive()
    assert (bench.letters, bench.acked) == ([], 0)
    with pytest.raises(type(failure)):
        await bench.running


async def test_a_stage_that_fails_nearly_every_record_stops(bench: Bench) -> None:
    await bench.assign()
    bench.memory.failure = KeyError("a bad release")
    for _ in range(10):
        await bench.arrive()
    assert (bench.letters, bench.acked) == (["letters"] * 9, 9)
    with pytest.raises(CircuitOpenError):
        await bench.running


async def test_a_record_that_is_tried_again_says_nothing_of_the_stream(bench: Bench) -> None:
    await bench.assign()
    bench.memory.failure = KeyError("still bad")
    for offset in range(20):
        await bench.arrive(headers=origin_headers(Coordinates("in", 0, offset), 1))
    assert (len(bench.letters), bench.acked, bench.running.done()) == (20, 20, False)
