"""An operator's command that dies anywhere: given again, it does the rest, and nothing else."""

from typing import Any

import pytest

from streams.core.clock import ManualClock
from streams.messages.audit_log import AuditLog
from streams.messages.generation_kinds import GenerationOrderChange
from streams.messages.generation_log import KnownGenerations, known_from
from streams.messages.generations import Generation, PartitionReport, generation_key, report_key, write_generations
from streams.messages.topics import Topics
from streams.operations.generations import GenerationOrders
from streams.settings import Settings

SETTINGS = Settings(partitions=2)
TOPICS = Topics.of(SETTINGS.app_id)


class Killed(Exception):
    """The process has ended here."""


class Kafka:
    """Topic ``generations`` with two complete generations, and an outbox that carries out the orders that it gets."""

    def __init__(self) -> None:
        self.records: dict[bytes, bytes | None] = {}
        self.obeyed: list[tuple[int, int]] = [(0, 0)] * SETTINGS.partitions
        self.left: int | None = None
        for number in (1, 2):
            self.records[generation_key(number)] = write_generations(Generation(number=number, by="kim", began=1, ends={}))
            for partition in range(SETTINGS.partitions):
                self._report(PartitionReport("complete", number, partition, 1))

    @property
    def known(self) -> KnownGenerations:
        return known_from(self.records)

    async def send_one(self, topic: str, partition: int, key: bytes | None, value: bytes | None) -> None:
        if self.left == 0:
            raise Killed
        self.left = None if self.left is None else self.left - 1
        if topic == TOPICS.generations:
            assert key is not None
            self.records[key] = value
            return
        assert topic == TOPICS.desired
        (change,) = TOPICS.desired.unpack(value or b"")
        assert isinstance(change, GenerationOrderChange)
        if change.row.number > self.obeyed[partition][0]:
            self.obeyed[partition] = (change.row.number, change.row.generation)
        self._report(PartitionReport("switched", change.row.number, partition, 1))

    def _report(self, report: PartitionReport) -> None:
        self.records[report_key(report)] = write_generations(report)


@pytest.fixture
def trail(monkeypatch: pytest.MonkeyPatch) -> None:
    async def write(*_: Any) -> None:
        """The trail has its own tests."""

    monkeypatch.setattr(AuditLog, "of", lambda *_: type("Trail", (), {"write": write}))


async def switched(kafka: Kafka, generation: int) -> None:
    """What a command does to let a generation take effect."""
    orders = GenerationOrders(SETTINGS, kafka, ManualClock(), "kim")  # type: ignore[arg-type]  # a producer's part of it
    await orders.repeat(kafka.known)
    await orders.activate(kafka.known, generation, back=not generation)


@pytest.mark.parametrize("way", [(1,), (1, 0), (1, 0, 1), (1, 2)])
async def test_a_switch_that_died_anywhere_is_finished_by_the_next_call(trail: None, way: tuple[int, ...]) -> None:
    *before, last = way
    whole = Kafka()
    for generation in way:
        await switched(whole, generation)
    deaths = 0
    while True:
        kafka = Kafka()
        for generation in before:
            await switched(kafka, generation)
        kafka.left = deaths
        try:
            await switched(kafka, last)
        except Killed:
            kafka.left = None
        else:
            break
        await switched(kafka, last)
        assert not kafka.known.is_switching(SETTINGS.partitions)
        assert (kafka.known, kafka.obeyed) == (whole.known, whole.obeyed), f"killed after {deaths} records"
        deaths += 1
    assert deaths > SETTINGS.partitions
