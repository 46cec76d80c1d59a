"""A stage works with its handler's memory, or not at all."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from faust.types import TP

from streams.clock import ManualClock
from streams.engine.app import create_app
from streams.engine.producer import BatchProducer
from streams.engine.stage import Record, Stage
from streams.engine.table import StateTable
from streams.engine.unit import Unit
from streams.observability.lag import Progress
from streams.observability.metrics import Metrics
from streams.settings import Settings

pytestmark = pytest.mark.filterwarnings("default")


class Memory:
    """A handler that notes what it was given, and whether it remembered anything then."""

    name = "memory"

    def __init__(self) -> None:
        self.whole = False
        self.handled: list[bool] = []

    def handle(self, unit: Unit, records: Sequence[Record]) -> int:
        self.handled += [self.whole for _ in records]
        return len(records)

    def recovered(self, partition: int, table: StateTable) -> None:
        """There is nothing to read."""

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
            ["in"],
            StateTable(self.app, "memory", 1),
            self.memory,
            cast(BatchProducer, self),
            partitions=1,
            dead_letters="letters",
            hash_key=b"k",
            clock=ManualClock(),
            metrics=Metrics(),
            progress=Progress("group", []),
        )
        self.stage._stream = SimpleNamespace(ack=self._ack)

    async def send(self, _topic: str, _partition: int, _entries: object) -> int:
        """Stands in for the producer."""
        return 0

    async def _ack(self, _event: Any) -> None:
        self.acked += 1

    async def assign(self) -> None:
        await self.stage._on_recover()
        self.memory.whole = True

    async def work(self) -> None:
        """A record of the generation that Faust believes itself in."""
        place, generation = TP("in", 0), self.app.consumer_generation_id
        message = SimpleNamespace(
            topic="in",
            partition=0,
            offset=0,
            key=None,
            value=b"",
            headers=None,
            timestamp=0.0,
            tp=place,
            generation_id=generation,
        )
        await self.stage._cycle([SimpleNamespace(message=message)])


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


async def test_what_is_in_hand_when_partitions_are_revoked_is_left_to_be_read_again(bench: Bench) -> None:
    await bench.assign()
    await bench.work()
    await bench.stage._on_revoked()
    # Faust's generation is still the old one here: it changes when the group has been joined again.
    await bench.work()
    assert (bench.memory.handled, bench.acked) == ([True], 1)
    await bench.assign()
    await bench.work()
    assert (bench.memory.handled, bench.acked) == ([True, True], 2)


async def test_nothing_is_done_before_the_memory_was_read(bench: Bench) -> None:
    await bench.work()
    assert not bench.memory.handled and not bench.stage.ready
