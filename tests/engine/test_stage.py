"""A stage works with its handler's memory, or not at all."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from streams.core.clock import ManualClock
from streams.engine.app import create_app
from streams.engine.opening import Opener
from streams.engine.stage import Record, Stage
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.kafka.producer import BatchProducer
from streams.observability.lag import ConsumedOffsets
from streams.observability.metrics import Metrics
from streams.settings import Settings

pytestmark = pytest.mark.filterwarnings("default")


class Memory:
    """A handler that notes what it was given, and whether it remembered anything then."""

    name = "memory"

    def __init__(self) -> None:
        self.whole = False
        self.handled: list[bool] = []

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        self.handled += [self.whole for _ in records]
        return len(records)

    def recovered(self, partition: int, table: StateTable) -> None:
        self.whole = True

    def revoked(self) -> None:
        self.whole = False


class Bench:
    """A stage whose assignments the test decides."""

    def __init__(self, directory: Path) -> None:
        settings = Settings(data_dir=directory, partitions=1)
        self.app: Any = create_app("stage", settings)
        self.memory, self.acked = Memory(), 0
        self.stage = Stage(
            self.app,
            cast(Opener, SimpleNamespace(add=lambda _: None)),
            ["in"],
            StateTable(directory, "stage", "memory"),
            self.memory,
            cast(BatchProducer, self),
            partitions=1,
            dead_letters="letters",
            hash_key=b"k",
            clock=ManualClock(),
            metrics=Metrics(),
            progress=ConsumedOffsets("group", []),
        )
        self.stage._stream = SimpleNamespace(ack=self._ack)

    async def _ack(self, _event: Any) -> None:
        self.acked += 1

    async def assign(self) -> None:
        self.stage.resume({0})
        await self.stage.opened(0)

    async def arrive(self, *, generation: int = 0) -> None:
        """A record that was read ``generation`` generations ago; done as far as it can be done."""
        read_in = self.app.consumer_generation_id - generation
        message = SimpleNamespace(
            topic="in",
            partition=0,
            offset=0,
            key=None,
            value=b"",
            headers=None,
            timestamp=0.0,
            tp=TP("in", 0),
            generation_id=read_in,
        )
        await self.stage._inbox.put(SimpleNamespace(message=message))
        for _ in range(20):
            await asyncio.sleep(0)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    made = Bench(tmp_path)
    running = asyncio.create_task(made.stage.run())
    yield made
    running.cancel()


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
