"""Convergence while workers and the broker end and come back: nothing is lost or stale.

Workers that are killed again and again, and those that lose their data directories: ``make soak-short``.
"""

import asyncio
from pathlib import Path
from time import monotonic

from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.local_services import kafka
from tests.convergence.convergence_harness import lasting, revived, simulate, stack, verdict

_KILLED_AFTER = 10.0
"""Seconds that a container runtime gives a worker that it stops."""


async def test_a_killed_worker_that_is_started_again_does_not_wait_for_the_end_of_its_session(
    tmp_path: Path, broker: Path
) -> None:
    async with stack(tmp_path, broker, "again", OWDD_SESSION_TIMEOUT="1800") as running:
        await running.start_worker(*Role, name="worker")
        await running.kill("worker")
        await running.ready(running.workers["worker"])
        # Ingest is ready without partitions, too; only what it reads shows that it has them.
        await simulate(running, seed=15, customers=5, orders=10)
        await running.settled()


async def test_two_workers_share_the_partitions_and_one_may_die_for_good(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "share") as running:
        await running.start_worker(Role.INGEST)
        for number in (1, 2):
            await running.start_worker(Role.AGENTS, name=f"agents-{number}", wait=False)
            await running.start_worker(Role.DISPATCH, name=f"dispatch-{number}", wait=False)
        feeding = asyncio.create_task(simulate(running, seed=12, customers=200, orders=1000, rate=600))
        await flowing(running, 800)
        assert not feeding.done()
        for name in ("agents-2", "dispatch-1"):
            lost = running.workers.pop(name)
            lost.process.kill()
            await asyncio.to_thread(lost.process.wait)
        await feeding
        await running.settled()

        differences, *_ = verdict(running)
        assert lasting(differences) == []


async def flowing(running: LocalStack, records: int) -> None:
    """Wait until the workers have read so many captured records."""
    while True:
        samples = await running.scrape()
        if sum(value for (name, _), value in samples.items() if name == "owdd_records_total") >= records:
            return
        await asyncio.sleep(0.05)


async def test_a_broker_that_dies_and_returns_loses_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "kafka"
    async with kafka.embedded_broker(directory, short_lived=True), stack(tmp_path, directory, "outage") as running:
        for role in Role:
            await running.start_worker(role)
        feeding = asyncio.create_task(simulate(running, seed=13, customers=100, orders=500, rate=400))
        await flowing(running, 200)
        assert not feeding.done()
        await asyncio.to_thread(kafka.kill, directory)
        await asyncio.to_thread(kafka.start, directory, short_lived=True)
        await feeding
        # Crash-only: a worker that could not write ends, perhaps late.
        await revived(running)
        await running.settled()

        differences, *_ = verdict(running)
        assert lasting(differences) == []
        for worker in running.workers.values():
            assert worker.log.read_bytes().count(b"\n") < 300, "the libraries' attempts to reach it drown what matters"


async def test_a_stopped_worker_goes_within_five_seconds_and_leaves_nothing_undone(tmp_path: Path, broker: Path) -> None:
    async with stack(tmp_path, broker, "stops") as running:
        await running.start_worker(*Role, name="worker")
        feeding = asyncio.create_task(simulate(running, seed=14, customers=100, orders=600, rate=500))
        taken = []
        for _ in range(3):
            await asyncio.sleep(2)
            process = running.workers["worker"].process
            began = monotonic()
            process.terminate()
            assert await asyncio.to_thread(process.wait, _KILLED_AFTER) == 0
            taken.append(monotonic() - began)
            await running.start_worker(*Role, name="worker")
        assert min(taken) <= 5, "other tests on the machine slow single stops down, not all"
        await feeding
        await running.settled()

        differences, *_ = verdict(running)
        assert lasting(differences) == []
