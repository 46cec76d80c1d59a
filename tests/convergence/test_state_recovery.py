"""Lost state is read again from its changelogs while workers come and go, and comes back whole."""

import asyncio
import os
import shutil
import signal
from pathlib import Path
from random import Random

import pytest
from aiokafka import AIOKafkaConsumer
from aiokafka.admin import AIOKafkaAdminClient

from streams.core.clock import SystemClock
from streams.kafka.producer import BatchProducer
from streams.kafka.topics import agents_app, tables
from streams.mapping import load_mapping
from streams.messages.topics import Topics
from streams.observability.lag import partition_lags
from streams.operations.site_setup import accept_mapping
from streams.operations.state_check import Compared, check_state
from streams.worker import Role
from testkit.demo.stack import LocalStack
from tests.convergence.convergence_harness import simulate, stack
from tests.patience import PATIENCE

_TABLES = ("orders", "buyers", "contacts")
_KEYS, _VERSIONS, _PARTITIONS = 10_000, 4, 4


@pytest.mark.parametrize("seed", range(int(os.environ.get("OWDD_STATE_SEEDS", "1"))))
async def test_a_lost_state_comes_back_whole_while_another_worker_joins_and_leaves(
    seed: int, tmp_path: Path, broker: Path
) -> None:
    rng = Random(seed)
    async with stack(tmp_path, broker, f"storm{seed}", partitions=_PARTITIONS) as running:
        # As a worker that had built this state would have noted.
        await accept_mapping(running.settings, load_mapping(running.mapping), SystemClock())
        await fill(running)
        await running.start_worker(Role.INGEST)
        await running.start_worker(Role.AGENTS, name="lost", wait=False)
        feeding = asyncio.create_task(simulate(running, seed=21 + seed, customers=100, orders=600, rate=150))
        for number, ending in enumerate([signal.SIGTERM, signal.SIGKILL] * 3):
            other = await running.start_worker(Role.AGENTS, name="other", wait=False)
            await asyncio.sleep(rng.uniform(2.5, 5))
            other.process.send_signal(ending)
            await asyncio.to_thread(other.process.wait)
            await asyncio.to_thread(shutil.rmtree, tmp_path / "state" / "other", ignore_errors=True)
            if number == 2:
                await lose(running, "lost")
        del running.workers["other"]
        await feeding
        await running.ready(running.workers["lost"])
        await caught_up(running)
        worker = running.workers["lost"].process
        worker.terminate()
        assert await asyncio.to_thread(worker.wait) == 0

        found = await compared(running, "lost")
        assert {(item.table, item.partition) for item in found} >= {(t, p) for t in _TABLES for p in range(_PARTITIONS)}
        assert sum(item.rows for item in found) > len(_TABLES) * _PARTITIONS * _KEYS
        assert [item for item in found if not item.equal] == []
        assert not any(item.behind for item in found), "a worker that stopped in good order has all of its changelogs"


async def fill(running: LocalStack) -> None:
    """Rows that no handler looks at, so many that a recovery is interrupted in its middle."""
    changelogs = tables(running.settings)
    async with BatchProducer(running.settings) as producer:
        for version in range(_VERSIONS):
            rows = [(b"~%08d" % number, b"%d:" % version + bytes(100)) for number in range(_KEYS)]
            for table in _TABLES:
                for partition in range(_PARTITIONS):
                    await producer.send(changelogs[table], partition, rows)


async def lose(running: LocalStack, name: str) -> None:
    """Kill a worker and start it without its data directory."""
    worker = running.workers[name]
    worker.process.kill()
    await asyncio.to_thread(worker.process.wait)
    # On a busy machine it may be killed before it has made its directory.
    await asyncio.to_thread(shutil.rmtree, running.directory / "state" / name, ignore_errors=True)
    await running.start_worker(*worker.roles, name=name, wait=False)


async def caught_up(running: LocalStack) -> None:
    """Wait until the agents have read everything."""
    settings, names = running.settings, Topics.of(running.settings.app_id)
    topics: list[str] = [names.orders, names.buyers, names.contacts, names.products]
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.kafka_bootstrap)
    async with AIOKafkaConsumer(bootstrap_servers=settings.kafka_bootstrap) as consumer, asyncio.timeout(PATIENCE):
        await admin.start()
        while any(item.behind for item in (await partition_lags(agents_app(settings), topics, consumer, admin)).values()):
            await asyncio.sleep(0.2)
        await admin.close()


async def compared(running: LocalStack, name: str) -> list[Compared]:
    """What the check of a worker's state finds."""
    settings = running.settings.model_copy(update={"data_dir": running.directory / "state" / name})
    return [item async for item in check_state(settings, SystemClock())]
