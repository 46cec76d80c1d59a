"""The capture guard inside real ingest workers."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from streams.core.clock import SystemClock
from streams.ingest.worker import Ingest
from streams.kafka.producer import BatchProducer
from streams.kafka.topics import captured, ingest_group
from streams.mapping import DEFAULT
from streams.observability.lag import ConsumedOffsets
from streams.observability.metrics import Metrics
from streams.worker import Role
from testkit.demo.stack import LocalStack, Samples
from tests.connect.conftest import MAPPING, Site
from tests.patience import PATIENCE

NAME = "orderwise-postgres"


@contextlib.asynccontextmanager
async def stack(site: Site, broker: Path, directory: Path, **environment: str) -> AsyncIterator[LocalStack]:
    overrides = site.environment | {"OWDD_APP_ID": directory.name} | environment
    async with LocalStack(directory, DEFAULT, overrides, broker=broker) as made:
        yield made


def value(samples: Samples, metric: str, **labels: str) -> float | None:
    return samples.get((metric, tuple(sorted({"connector": NAME, **labels}.items()))))


async def until(stack: LocalStack, condition: Callable[[Samples], bool]) -> Samples:
    async with asyncio.timeout(PATIENCE):
        while not condition(samples := await stack.scrape()):
            await asyncio.sleep(0.2)
    return samples


async def test_an_ingest_worker_watches_capture(site: Site, broker: Path, tmp_path: Path) -> None:
    async with stack(site, broker, tmp_path) as made:
        assert (await asyncio.to_thread(site.owdd, "apply", "--execute")).data["parts"][1]["state"] == "RUNNING"
        await made.start_worker(Role.INGEST)
        samples = await until(made, lambda found: value(found, "owdd_connector_running", part="task 0") == 1)
        assert value(samples, "owdd_connect_up") == 1
        await until(made, lambda found: (value(found, "owdd_capture_heartbeat_age_seconds", sign="connector") or 99) < 20)


async def test_a_worker_whose_kafka_connect_is_away_works_on(site: Site, broker: Path, tmp_path: Path) -> None:
    async with stack(site, broker, tmp_path, OWDD_CONNECT_URL="http://127.0.0.1:1") as made:
        worker = await made.start_worker(Role.INGEST)
        samples = await until(made, lambda found: value(found, "owdd_connect_up") == 0)
        failures = value(samples, "owdd_capture_guard_failures_total", what="connector")
        assert failures is not None and failures >= 1, "on a busy machine it may have looked again"
        await made.ready(worker)


async def test_without_an_address_there_is_no_guard(site: Site, broker: Path, tmp_path: Path) -> None:
    async with stack(site, broker, tmp_path, OWDD_CONNECT_URL="") as made:
        await made.start_worker(Role.INGEST)
        samples = await until(made, lambda found: any(name == "owdd_consumer_lag_records" for name, _ in found))
        assert not [name for name, _ in samples if name.startswith(("owdd_connect", "owdd_capture_"))]


async def test_of_two_ingest_workers_one_leads_and_the_other_takes_over(site: Site, broker: Path, tmp_path: Path) -> None:
    async with stack(site, broker, tmp_path) as made:
        settings = made.settings
        progress = ConsumedOffsets(ingest_group(settings), captured(MAPPING))
        async with BatchProducer(settings) as producer:
            both = [Ingest(settings, MAPPING, producer, Metrics(), SystemClock(), progress) for _ in range(2)]
            running = [asyncio.create_task(ingest.run()) for ingest in both]

            async def leaders(wanted: int) -> list[Ingest]:
                async with asyncio.timeout(PATIENCE):
                    while len(found := [ingest for ingest in both if ingest.leads()]) != wanted or not found[0].ready:
                        await asyncio.sleep(0.05)
                return found

            assert not any(ingest.leads() for ingest in both)
            [leader] = await leaders(1)
            leader.stop()
            await running[both.index(leader)]
            both.remove(leader)
            assert await leaders(1) == both
            both[0].stop()
            await asyncio.gather(*running)
