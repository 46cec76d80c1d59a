"""An operator's command that dies anywhere: given again, it does the rest, and nothing else."""

from typing import Any

import pytest
from msgspec.structs import replace

from streams.core.clock import ManualClock
from streams.core.errors import RefusedError
from streams.messages.audit_log import AuditLog
from streams.messages.generation_kinds import GenerationOrderChange
from streams.messages.generation_log import KnownGenerations, known_from
from streams.messages.generations import Generation, PartitionReport, generation_key, report_key, write_generations
from streams.messages.topics import Topics
from streams.operations.generations import GenerationOrders, way_back
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


async def after(*way: int) -> KnownGenerations:
    kafka, before = Kafka(), 0
    for generation in way:
        orders = GenerationOrders(SETTINGS, kafka, ManualClock(), "kim")  # type: ignore[arg-type]  # a producer's part of it
        await orders.activate(kafka.known, generation, back=generation < before)
        before = generation
    return kafka.known


@pytest.mark.parametrize(
    ("way", "to", "led"),
    [
        ((1,), None, (0, False)),
        ((1, 0), None, (0, True)),
        ((1, 0), 0, (0, True)),
        ((1, 0), 1, (1, False)),
        # Of the generation that every site begins with no record says when it took effect.
        ((1, 0, 2), None, (0, False)),
        ((1, 0, 2), 1, (1, False)),
        ((1, 2), None, (1, False)),
        ((1, 2, 1), None, (1, True)),
        ((1, 2, 1), 0, (0, False)),
    ],
)
async def test_the_way_back_leads_to_the_one_before_and_stays_there(
    trail: None, way: tuple[int, ...], to: int | None, led: tuple[int, bool]
) -> None:
    assert way_back(await after(*way), SETTINGS.partitions, to) == led


async def test_a_way_back_that_is_under_way_is_not_done(trail: None) -> None:
    known = await after(1, 0)
    known.reports.pop(("switched", 2))
    assert way_back(known, SETTINGS.partitions) == (0, False)
    assert way_back(known, SETTINGS.partitions, 0) == (0, False)


@pytest.mark.parametrize(("way", "to"), [((), None), ((), 1), ((1,), 2), ((1,), 7)])
async def test_no_way_leads_to_what_never_took_effect(trail: None, way: tuple[int, ...], to: int | None) -> None:
    with pytest.raises(RefusedError, match="has ever taken effect"):
        way_back(await after(*way), SETTINGS.partitions, to)


@pytest.mark.parametrize("to", [None, 1])
async def test_no_way_leads_to_what_was_cleaned_away(trail: None, to: int | None) -> None:
    known = await after(1, 2)
    known.generations[1] = replace(known.generations[1], dropped=True)
    with pytest.raises(RefusedError, match="cleaned away"):
        way_back(known, SETTINGS.partitions, to)


async def test_the_activations_of_an_older_release_lead_back_too(trail: None) -> None:
    known = await after(1, 2)
    known.activation = replace(known.activation, former=None)
    assert way_back(known, SETTINGS.partitions) == (1, False)
