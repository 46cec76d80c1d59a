"""A simulated shop that writes SQL, real capture in front of the workers, and the oracle behind them."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import yaml
from aiokafka import AIOKafkaConsumer, TopicPartition

from streams.capture.envelope import RowEvent, decode
from streams.connect.signals import send, snapshot_signal
from streams.kafka.capture_topics import CaptureNames
from streams.kafka.reader import committed_reader
from streams.kafka.security import KafkaConfig
from streams.kafka.topics import captured
from streams.mapping import DEFAULT, Mapping, load_mapping
from streams.operations.missed_deletes import MissedDeletes, TableComparison
from streams.worker import Role
from testkit.demo.capture import CaptureStack
from testkit.oracle import Difference, compare, expectation
from testkit.oracle.sandbox import read_account
from testkit.simulate import Simulation, SimulationConfig
from testkit.simulate.sql_runner import SqlRunner
from tests.convergence.convergence_harness import QUICK
from tests.patience import PATIENCE

WORKER = "worker"


@dataclass
class Shop:
    """One shop for many scenarios: each goes on where the one before it ended."""

    stack: CaptureStack
    simulation: Simulation
    runner: SqlRunner

    @property
    def mapping(self) -> Mapping:
        return self.simulation.config.mapping

    def trade(self, commits: int, rate: float = 0) -> asyncio.Task[Any]:
        """The next commits, made while the caller does something else."""
        self.runner._rate = rate
        return asyncio.create_task(asyncio.to_thread(self.runner.live, commits))

    async def differences(self) -> list[Difference]:
        """What the oracle finds once everything has settled."""
        await self.stack.settled()
        truth = self.simulation.truth()
        expected = expectation(truth.tables, self.mapping, at=datetime.now(UTC), history=truth.history)
        assert expected.contacts, "the shop has no contacts: nothing was tested"
        account = await asyncio.to_thread(read_account, self.stack.settings.dotdigital_url)
        return compare(expected, account, self.mapping, opted_in_ever=truth.opted_in_ever, preexisting=())

    async def compared(self) -> list[TableComparison]:
        """Every captured topic against the newest snapshot of its table."""
        settings = self.stack.settings
        async with committed_reader(KafkaConfig.of(settings)) as consumer:
            return [table async for table in MissedDeletes(settings, self.mapping, consumer).compare()]

    async def metric(self, name: str, **labels: str) -> float:
        """The sum of a metric's samples that have these labels."""
        samples = await self.stack.scrape()
        return sum(
            value for (found, pairs), value in samples.items() if found == name and labels.items() <= dict(pairs).items()
        )

    async def flowing(self, topic: str, records: int) -> None:
        """Wait until so many more records of a captured topic have come through."""
        wanted = await self.metric("owdd_records_total", topic=topic) + records
        while await self.metric("owdd_records_total", topic=topic) < wanted:
            await asyncio.sleep(0.02)

    @asynccontextmanager
    async def supervised(self) -> AsyncIterator[None]:
        """Start the worker again whenever it ends, as its supervisor does: without its broker it does not live on."""

        async def supervise() -> None:
            while True:
                if self.stack.workers[WORKER].process.poll() is not None:
                    await self.stack.start_worker(*Role, name=WORKER, wait=False)
                await asyncio.sleep(0.1)

        supervising = asyncio.create_task(supervise())
        try:
            yield
        finally:
            supervising.cancel()

    async def events(self) -> dict[tuple[str, bytes], list[RowEvent]]:
        """Every captured row event by topic and key, in the order of arrival."""
        found: dict[tuple[str, bytes], list[RowEvent]] = defaultdict(list)
        settings = self.stack.settings
        places = [TopicPartition(topic, number) for topic in captured(self.mapping) for number in range(settings.partitions)]
        async with AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap) as consumer:
            consumer.assign(places)
            await consumer.seek_to_beginning(*places)
            ends = await consumer.end_offsets(places)
            while any([await consumer.position(place) < end for place, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    for record in records:
                        event = decode(record.key, record.value)
                        if isinstance(event, RowEvent):
                            found[record.topic, record.key].append(event)
        return found

    async def read_again(self, signal_id: str) -> None:
        """Have the connector read all tables again, and return once it says that it has."""
        settings = self.stack.settings
        names = CaptureNames.of(self.mapping, "postgres")
        async with AIOKafkaConsumer(names.notifications, bootstrap_servers=settings.kafka_bootstrap) as notifications:
            await notifications.seek_to_end()
            async with self.stack.client() as client:
                running = await client.config(self.stack.connector)
            await send(KafkaConfig.of(settings), snapshot_signal(running, self.mapping, self.mapping.tables, signal_id))
            async with asyncio.timeout(PATIENCE):
                async for record in notifications:
                    said = orjson.loads(record.value)
                    if (said["aggregate_type"], said["type"]) == ("Incremental Snapshot", "COMPLETED"):
                        return


@asynccontextmanager
async def open_shop(directory: Path) -> AsyncIterator[Shop]:
    """A shop whose opening rows are in the database, with a connector that reads them and one worker behind it."""
    data = yaml.safe_load(DEFAULT.read_text("utf-8"))
    data["house_accounts"] = [1]
    data["consent"] = {"mode": "column", "column": "cc_marketing_opt_in"}
    mapping = directory / "mapping.yaml"
    mapping.write_text(yaml.safe_dump(data), "utf-8")
    async with CaptureStack(directory, mapping, QUICK | {"OWDD_PARTITIONS": "4", "OWDD_CONSENT_WAIT": "86400"}) as stack:
        assert stack.database is not None
        config = SimulationConfig(
            mapping=load_mapping(mapping),
            customers=120,
            orders=700,
            live=2500,
            consent=True,
            seed=8,
            ending=datetime.now(UTC),
        )
        simulation = Simulation(config)
        runner = SqlRunner(simulation, stack.database_url, stack.database.password)
        await asyncio.to_thread(runner.opening)
        await stack.capture()
        await stack.start_worker(*Role, name=WORKER)
        yield Shop(stack, simulation, runner)
