"""An agents worker is stopped past its session while another takes over, and then goes on where it was."""

import asyncio
import os
import signal
from pathlib import Path
from random import Random

import pytest

from streams.worker import Role
from testkit.demo.stack import LocalStack
from tests.convergence.convergence_harness import lasting, revived, simulate, stack, verdict
from tests.convergence.test_state_recovery import caught_up, compared

_PAUSES = int(os.environ.get("OWDD_PAUSES", "2"))
"""Each of two workers as often; ``make storms`` pauses them four times."""


@pytest.mark.parametrize("seed", range(int(os.environ.get("OWDD_PAUSE_SEEDS", "1"))))
async def test_a_worker_that_wakes_up_after_it_was_replaced_changes_nothing(tmp_path: Path, broker: Path, seed: int) -> None:
    rng = Random(seed)
    async with stack(tmp_path, broker, f"paused{seed}") as running:
        await running.start_worker(Role.INGEST, Role.DISPATCH, name="rest")
        for name in ("one", "two"):
            await running.start_worker(Role.AGENTS, name=name, wait=False)
        for name in ("one", "two"):
            await running.ready(running.workers[name])
        feeding = asyncio.create_task(simulate(running, seed=31 + seed, customers=50 * _PAUSES, orders=400 * _PAUSES, rate=250))
        for number in range(_PAUSES):
            await asyncio.sleep(rng.uniform(1.0, 3.0))
            await pause(running, ("one", "two")[number % 2], 8 + rng.uniform(0, 3))
        await feeding
        await revived(running)
        await running.settled()

        differences, *_ = verdict(running)
        assert lasting(differences) == []
        await caught_up(running)
        for name in ("one", "two"):
            process = running.workers[name].process
            process.terminate()
            await asyncio.to_thread(process.wait)
        unlike = [item for name in ("one", "two") for item in await compared(running, name) if not item.equal]
        assert unlike == []


async def pause(running: LocalStack, name: str, seconds: float) -> None:
    """Stop a worker for longer than its session, so that the other takes its partitions, and let it go on."""
    process = running.workers[name].process
    process.send_signal(signal.SIGSTOP)
    await asyncio.sleep(seconds)
    process.send_signal(signal.SIGCONT)
    await revived(running)
