"""Sending a simulation: by key to one partition, in order, complete, at the asked rate, and stoppable."""

import asyncio
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from streams.cli import app
from streams.kafka import client
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured
from streams.mapping import Mapping, load_mapping
from testkit.simulate import Simulation, SimulationConfig, read_truth
from testkit.simulate.runner import LastPart, Progress, Runner, TopicMissingError

PARTITIONS = 4
Record = tuple[bytes, bytes | None, int]


@dataclass
class Batch:
    """A record batch of at most 100 records."""

    records: list[Record] = field(default_factory=list)

    def append(self, *, key: bytes, value: bytes | None, timestamp: int) -> object | None:
        if len(self.records) == 100:
            return None
        self.records.append((key, value, timestamp))
        return self


@dataclass
class Broker:
    """Stands for Kafka and its client: topics with records by partition."""

    topics: set[str]
    log: dict[tuple[str, int], list[Record]] = field(default_factory=lambda: defaultdict(list))
    running: bool = False

    def __call__(self, **_options: Any) -> "Broker":
        return self

    async def start(self) -> None:
        self.running = True

    async def stop(self) -> None:
        self.running = False

    @property
    def client(self) -> "Broker":
        return self

    async def fetch_all_metadata(self) -> Any:
        return type("Cluster", (), {"topics": lambda _, exclude_internal_topics: self.topics})()

    async def partitions_for(self, topic: str) -> set[int]:
        assert topic in self.topics
        return set(range(PARTITIONS))

    def create_batch(self) -> Batch:
        return Batch()

    async def send_batch(self, batch: Batch, topic: str, *, partition: int) -> asyncio.Future[None]:
        self.log[topic, partition] += batch.records
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        return done

    def records(self) -> Iterator[tuple[str, Record]]:
        return ((topic, record) for (topic, _), records in self.log.items() for record in records)


def site() -> Mapping:
    return load_mapping().model_copy(update={"house_accounts": frozenset({1})})


@pytest.fixture
def broker(monkeypatch: pytest.MonkeyPatch) -> Broker:
    made = Broker(set(captured(site())))
    monkeypatch.setattr(client, "producer", lambda _, **options: made(**options))
    return made


def config(**changes: Any) -> SimulationConfig:
    values: dict[str, Any] = {"mapping": site(), "customers": 40, "orders": 200}
    return SimulationConfig(**(values | changes))


async def test_every_record_arrives_in_the_order_of_its_key(broker: Broker) -> None:
    seen: list[Progress] = []
    done = await Runner(Simulation(config(duplicates=0.1))).run(KafkaConfig("broker:9092"), seen.append)
    expected: dict[tuple[str, bytes], list[bytes | None]] = defaultdict(list)
    for event in Simulation(config(duplicates=0.1)).events():
        if not event.topic.startswith("__"):
            expected[event.topic, event.key].append(_without_time(event.value))
    arrived: dict[tuple[str, bytes], list[bytes | None]] = defaultdict(list)
    places: dict[tuple[str, bytes], set[int]] = defaultdict(set)
    for (topic, partition), records in broker.log.items():
        for key, value, _ in records:
            arrived[topic, key].append(_without_time(value))
            places[topic, key].add(partition)
    assert arrived == expected
    assert all(len(partitions) == 1 for partitions in places.values())
    assert {partition for _, partition in broker.log} == set(range(PARTITIONS))
    assert seen[-1] == done
    assert done.bytes == sum(len(key) + len(value or b"") for _, (key, value, _) in broker.records())
    assert not broker.running


def _without_time(value: bytes | None) -> bytes | None:
    return None if value is None else value.rpartition(b',"ts_ms":')[0]


async def test_records_carry_the_time_of_sending(broker: Broker) -> None:
    await Runner(Simulation(config(live=0), lambda: 1_790_000_000_123_456_789)).run(KafkaConfig("broker:9092"))
    assert {stamp for _, (_, _, stamp) in broker.records()} == {1_790_000_000_123}


async def test_topics_that_nobody_needs_may_be_missing_or_not(broker: Broker) -> None:
    broker.topics |= {"__debezium-heartbeat.ow", "ow.transaction"}
    await Runner(Simulation(config(meta=True))).run(KafkaConfig("broker:9092"))
    assert {topic for topic, _ in broker.log} == broker.topics


async def test_a_missing_table_topic_is_named(broker: Broker) -> None:
    broker.topics.discard("ow.Orderwise.dbo.order_status")
    with pytest.raises(TopicMissingError, match=r"ow\.Orderwise\.dbo\.order_status"):
        await Runner(Simulation(config())).run(KafkaConfig("broker:9092"))
    assert not broker.running


async def test_the_rate_is_kept(broker: Broker) -> None:
    clock = iter(range(10**9))
    done = await Runner(Simulation(config()), rate=50, now=lambda: next(clock)).run(KafkaConfig("broker:9092"))
    # The clock goes on by one second each time it is read.
    assert done.records / done.seconds == pytest.approx(50, rel=0.1)


async def test_after_its_time_the_shop_makes_no_new_commit(broker: Broker) -> None:
    simulation = Simulation(config(orders=2_500, live=2_500))
    await Runner(simulation, seconds=0.0).run(KafkaConfig("broker:9092"))
    assert 4_000 < sum(1 for _ in broker.records()) < 14_000
    assert simulation.phenomena["order_placed"] < 500


async def test_the_last_commits_wait_and_then_go_at_their_own_rate(broker: Broker) -> None:
    begun: list[tuple[int, int]] = []
    clock = iter(range(10**9))
    simulation = Simulation(config())

    async def begin() -> None:
        begun.append((simulation.commit, sum(1 for _ in broker.records())))

    last = LastPart(40, rate=10, begin=begin)
    seen: list[Progress] = []
    done = await Runner(simulation, last=last, now=lambda: next(clock)).run(KafkaConfig("broker:9092"), seen.append)
    ((commit, records),) = begun
    assert commit == 161, "the first of the last 40 of 200 commits has begun"
    assert 0 < records < done.records
    first = next(progress for progress in seen if progress.records >= records)
    assert (done.records - first.records) / (done.seconds - first.seconds) == pytest.approx(10, rel=0.2)


def run(*options: str) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["simulate", *options, "--bootstrap", "broker:9092"])
    return result.exit_code, result.output


@pytest.fixture
def mapping_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    usual = Path(import_module("streams.mapping").DEFAULT).read_text()
    file = tmp_path / "mapping.yaml"
    file.write_text(usual.replace("house_accounts: []", "house_accounts: [1]"))
    monkeypatch.setenv("OWDD_MAPPING", str(file))
    return file


def test_the_command_sends_writes_the_truth_and_sums_up(broker: Broker, mapping_file: Path, tmp_path: Path) -> None:
    truth = tmp_path / "truth.json"
    code, output = run("--customers", "20", "--orders", "100", "--seed", "5", "--truth", str(truth), "--json")
    summary = json.loads(output)
    assert (code, summary["seed"]) == (0, 5)
    assert summary["rows"]["order_header"] == len(read_truth(truth).tables["order_header"])
    assert summary["records"] >= sum(1 for _ in broker.records()) > 500
    code, output = run("--customers", "20", "--orders", "100")
    assert code == 0
    assert "order_header" in output


@pytest.mark.usefixtures("broker")
def test_the_command_explains_what_does_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OWDD_MAPPING", raising=False)
    code, output = run("--house-share", "0.3")
    assert code == 3
    assert "house_accounts" in output


@pytest.mark.usefixtures("broker")
def test_a_mapping_without_house_accounts_gets_a_shop_without_them(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OWDD_MAPPING", raising=False)
    assert run("--customers", "5", "--orders", "10")[0] == 0


@pytest.mark.parametrize(("ending", "code"), [("now", 0), ("2031-07-01T12:00:00Z", 0), ("2031-07-01T12:00:00", 3), ("soon", 3)])
@pytest.mark.usefixtures("broker", "mapping_file")
def test_the_command_takes_the_end_of_the_shops_days(ending: str, code: int) -> None:
    assert run("--customers", "5", "--orders", "10", "--ending", ending)[0] == code


def test_the_command_fails_when_it_cannot_send(broker: Broker, mapping_file: Path, tmp_path: Path) -> None:
    assert run("--orders", "10", "--truth", str(tmp_path))[0] != 0
    broker.topics.clear()
    code, output = run("--orders", "10")
    assert (code, "no such topic" in output) == (1, True)
