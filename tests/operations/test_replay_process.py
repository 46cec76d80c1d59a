"""A replay's process while it asks and while it waits for ingest: alive, steered, and waiting for nobody else."""

import asyncio
from collections.abc import Callable, Coroutine
from itertools import pairwise
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka import TopicPartition
from aiokafka.structs import OffsetAndMetadata

from streams.kafka.topics import replay_group
from streams.messages.protocol import contract_of
from streams.messages.replays import ReplayRun, ReplaySelection, ReplaySteering, read_request, steering_key, write_run
from streams.messages.topics import Topics
from streams.operations.replay_process import ReplayProcess, ReplayTools
from streams.operations.replay_requests import ReplayRequests
from streams.operations.replay_runs import ReplayRuns, SteeringWatch
from streams.operations.replay_scan import PlaceRows, Scan, row_digest
from streams.settings import Settings
from testkit.virtual import event_loop

SETTINGS = Settings(partitions=1)
TOPICS = Topics.of(SETTINGS.app_id)
CAPTURED = TopicPartition("captured", 0)
RUNS = TopicPartition(TOPICS.replay_runs, 0)


class Kafka:
    """The topics that a replay uses, ingest's progress in ``replays``, and what the process writes down."""

    def __init__(self) -> None:
        self.logs: dict[TopicPartition, list[Any]] = {
            CAPTURED: [],
            RUNS: [],
            TopicPartition(TOPICS.replays, 0): [],
        }
        self.committed = 0
        self.saved: list[tuple[float, str]] = []
        self.audited: list[str] = []
        self._positions: dict[TopicPartition, int] = {}
        self._assigned: list[TopicPartition] = []
        self.read_from: list[int] = []

    def append(self, place: TopicPartition, key: bytes, value: bytes) -> int:
        log = self.logs[place]
        log.append(SimpleNamespace(key=key, value=value, offset=len(log)))
        return len(log) - 1

    def steer(self, wanted: Any) -> None:
        self.append(RUNS, steering_key("run"), write_run(ReplaySteering(wanted, "ann", 1)))

    @property
    def requests(self) -> list[Any]:
        return self.logs[TopicPartition(TOPICS.replays, 0)]

    # The producer, the runs and the admin client.
    async def send(self, topic: str, partition: int, entries: list[tuple[bytes, bytes]]) -> int:
        ((key, value),) = entries
        return self.append(TopicPartition(topic, partition), key, value)

    async def save(self, run: ReplayRun) -> None:
        self.saved.append((asyncio.get_running_loop().time(), run.state))

    async def record(self, run: ReplayRun, action: str, by: str) -> None:
        self.audited.append(action)

    async def describe_topics(self, topics: list[str]) -> list[Any]:
        return [{"topic": topic, "partitions": [{"partition": 0}]} for topic in topics]

    async def list_consumer_group_offsets(self, group: str) -> Any:
        assert group == replay_group(SETTINGS)
        return {TopicPartition(TOPICS.replays, 0): OffsetAndMetadata(self.committed, "")}

    # The consumers.
    async def beginning_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return dict.fromkeys(places, 0)

    async def end_offsets(self, places: list[TopicPartition]) -> dict[TopicPartition, int]:
        return {place: len(self.logs[place]) for place in places}

    def assign(self, places: list[TopicPartition]) -> None:
        self._assigned = places

    def pause(self, *places: TopicPartition) -> None:
        self._assigned = [place for place in self._assigned if place not in places]

    def seek(self, place: TopicPartition, offset: int) -> None:
        self.read_from.append(offset)
        self._positions[place] = offset

    async def position(self, place: TopicPartition) -> int:
        return self._positions[place]

    async def getmany(self, *_: TopicPartition, timeout_ms: int) -> dict[TopicPartition, list[Any]]:
        found = {place: self.logs[place][self._positions[place] :] for place in self._assigned}
        self._positions |= {place: len(self.logs[place]) for place in self._assigned}
        return {place: records for place, records in found.items() if records}


class World:
    """A process over selected rows, and what happens at which second."""

    def __init__(self, rows: int = 1, rate: float = 1000.0, **run: Any) -> None:
        self.kafka = Kafka()
        self.watching = Kafka()
        self.watching.logs = self.kafka.logs
        self._rows = rows
        self._run = ReplayRun(id="run", by="kim", began=1, selection=ReplaySelection(), rate=rate, rows=rows, **run)
        self.events: list[tuple[float, Callable[[], object]]] = []
        self.seconds = 0.0
        self.run = self._run
        for number in range(rows):
            self.kafka.append(CAPTURED, b"row%d" % number, b"{}")

    def at(self, second: float, event: Callable[[], object]) -> None:
        self.events.append((second, event))

    def commit(self, offset: int) -> Callable[[], object]:
        return lambda: setattr(self.kafka, "committed", offset)

    def ended_at(self, second: float) -> bool:
        """Within the second after it; the loop fires a timer up to its resolution early."""
        return second - 0.001 < self.seconds < second + 1

    def work(self, patience: float = 300) -> bool:
        async def main(_: object) -> bool:
            loop, kafka = asyncio.get_running_loop(), cast(Any, self.kafka)
            for second, event in self.events:
                loop.call_at(second, event)
            steering = SteeringWatch(SETTINGS, cast(Any, self.watching), "run")
            await steering.begin()
            requests = ReplayRequests(SETTINGS, kafka, kafka, kafka)
            tools = ReplayTools(cast(ReplayRuns, kafka), requests, steering, kafka)
            newest = {row_digest(b"row%d" % number): number for number in range(self._rows)}
            scan = Scan([PlaceRows(CAPTURED, self._rows, newest)], cast(Any, {}), [])
            process = ReplayProcess(tools, self._run, scan, lambda _: None)
            answered = await process.work(patience)
            self.seconds, self.run = loop.time(), process.run
            return answered

        return event_loop.run(cast(Callable[[Any], Coroutine[Any, Any, bool]], main))


def test_a_run_waits_for_its_own_requests_and_not_for_those_of_others() -> None:
    world = World()
    for second in range(1, 200):
        world.at(second, lambda: world.kafka.append(TopicPartition(TOPICS.replays, 0), b"other", b"{}"))
    world.at(60, world.commit(1))
    assert world.work()
    assert (world.run.state, world.kafka.audited) == ("done", ["done"])
    assert world.ended_at(60)


def test_a_run_that_is_taken_up_waits_also_for_what_was_asked_before() -> None:
    world = World(sent=1, done={"captured/0": 1})
    world.kafka.append(TopicPartition(TOPICS.replays, 0), b"run", b"{}")
    world.at(30, world.commit(1))
    assert world.work()
    assert (world.run.state, len(world.kafka.requests)) == ("done", 1)
    assert world.ended_at(30)


@pytest.mark.parametrize(("wanted", "state"), [("pause", "paused"), ("cancel", "cancelled")])
def test_a_run_that_waits_for_ingest_at_its_end_is_steered(wanted: str, state: str) -> None:
    world = World()
    world.at(40, lambda: world.kafka.steer(wanted))
    assert world.work()
    assert (world.run.state, world.kafka.saved[-1][1], world.kafka.audited) == (state, state, [])
    assert world.ended_at(40)


@pytest.mark.parametrize(("wanted", "state"), [("pause", "paused"), ("cancel", "cancelled")])
def test_a_slow_run_is_steered_between_two_rows(wanted: str, state: str) -> None:
    world = World(rows=3, rate=0.1)
    world.at(4, lambda: world.kafka.steer(wanted))
    assert world.work()
    assert (world.run.state, len(world.kafka.requests)) == (state, 1)
    assert world.ended_at(4)


def test_a_run_that_ingest_does_not_answer_is_paused_in_the_end() -> None:
    world = World()
    assert not world.work(patience=100)
    assert (world.run.state, world.kafka.saved[-1][1], world.kafka.audited) == ("paused", "paused", [])
    assert world.ended_at(100)


@pytest.mark.parametrize(
    ("rows", "rate"),
    [
        pytest.param(1, 1000.0, id="waiting for answers"),
        pytest.param(5, 0.05, id="slow"),
        pytest.param(2_000, 20.0, id="waiting for room after 50 requests"),
    ],
)
def test_a_run_is_saved_once_a_second_whatever_it_waits_for(rows: int, rate: float) -> None:
    world = World(rows, rate)
    world.at(100, lambda: world.kafka.steer("pause"))
    assert world.work()
    times = [0.0, *(second for second, _ in world.kafka.saved)]
    apart = [later - earlier for earlier, later in pairwise(times)]
    assert (world.run.state, len(times) > 60) == ("paused", True)
    assert max(apart) < 2, "others would think that it has died"
    assert min(apart[:-1]) > 0.99, "the topic would grow"


def test_what_is_wanted_is_read_from_the_beginning_once() -> None:
    world = World(rows=20, rate=1.0)
    world.kafka.steer("pause")
    world.kafka.steer("run")
    world.at(19, world.commit(20))
    assert world.work()
    assert (world.run.state, world.watching.read_from) == ("done", [0])


def test_a_row_that_changes_meanwhile_is_not_asked_for_in_its_older_version() -> None:
    world = World(rows=3, rate=1.0)
    world.at(0.5, lambda: world.kafka.append(CAPTURED, b"row2", b"{}"))
    world.at(2, world.commit(2))
    assert world.work()
    asked = [read_request(record.value).offsets for record in world.kafka.requests]
    assert (asked, world.run.sent) == ([[0], [1]], 3)


def test_a_segment_of_the_runs_is_closed_in_time_for_compaction() -> None:
    config = contract_of("replay_runs").config
    assert config["cleanup.policy"] == "compact"
    assert int(config["segment.ms"]) <= 3_600_000
