"""Replays beside live traffic: whatever is selected, however often, while workers and commands die, nothing becomes wrong."""

import asyncio
import os
from contextlib import suppress
from pathlib import Path
from random import Random
from signal import SIGKILL
from typing import Any

import httpx
import orjson
import pytest

from streams.worker import Role
from testkit.demo.stack import LocalStack
from tests.convergence.convergence_harness import lasting, simulate, stack, verdict
from tests.dlq.commands import start

TABLES = ("order_header", "order_line_item", "customer_contact", "order_header_detail", "order_header_total")


async def replay(running: LocalStack, *arguments: str) -> tuple[int, Any]:
    process = await start(running, "replay", *arguments, "--json")
    out, err = await process.communicate()
    assert out, err.decode()
    return process.returncode or 0, orjson.loads(out)


def selection(rng: Random, prefix: str) -> list[str]:
    """Anything that an operator may select, one way or two of them together."""
    table, row = rng.choice(TABLES), str(rng.randrange(1, 60))
    ways = [
        ["--table", table],
        ["--topic", f"{prefix}.Orderwise.dbo.{table}"],
        ["--partition", str(rng.randrange(3))],
        ["--from-offset", str(rng.randrange(40)), "--to-offset", str(40 + rng.randrange(80))],
        ["--order", row],
        ["--customer", row],
        ["--key", row],
        ["--email", "nobody@example.com"],
        ["--dead-letters"],
        ["--since", "2020-01-01", "--until", "2100-01-01"],
    ]
    chosen = ["--all"] if rng.random() < 0.1 else [word for way in rng.sample(ways, rng.choice([1, 1, 2])) for word in way]
    return [*chosen, "--rate", rng.choice(["300", "20000"]), "--timeout", "120", "--execute"]


def calls_that_write(running: LocalStack) -> list[str]:
    found = httpx.get(f"{running.settings.dotdigital_url}/_sandbox/requests", params={"limit": 1_000_000}).json()
    return [f"{call['method']} {call['path']}" for call in found["requests"] if call["method"] != "GET"]


@pytest.mark.parametrize("seed", range(int(os.environ.get("OWDD_REPLAY_SEEDS", "1"))))
async def test_any_replay_beside_live_traffic_and_kills_leaves_nothing_different(
    tmp_path: Path, broker: Path, seed: int
) -> None:
    rng = Random(seed)
    async with stack(tmp_path, broker, f"replay{seed}", partitions=3) as running:
        for role in Role:
            await running.start_worker(role)
        feeding = asyncio.create_task(simulate(running, seed=70 + seed, customers=40, orders=150, duplicates=0.1, rate=160))
        while not feeding.done():
            # Two at once may name the same rows, and one that is killed has asked for some of its rows already.
            chosen = [selection(rng, f"replay{seed}") for _ in range(rng.choice([1, 2]))]
            replays = [await start(running, "replay", "records", *one, "--json") for one in chosen]
            killed = rng.choice(replays) if rng.random() < 0.3 else None
            if killed is not None:
                await asyncio.sleep(rng.uniform(0.8, 2.0))
                with suppress(ProcessLookupError):  # it may have ended
                    killed.kill()
            elif rng.random() < 0.4:
                await running.kill(rng.choice(list(Role)).value)
            for one, process in zip(chosen, replays, strict=True):
                _, problems = await process.communicate()
                ends = {0, -SIGKILL} if process is killed else {0}
                assert process.returncode in ends, f"seed {seed}: {one}: {problems.decode()}"
        await feeding
        await running.settled()
        differences, *_ = verdict(running)
        assert lasting(differences) == [], f"seed {seed}"

        before = calls_that_write(running)
        code, done = await replay(running, "records", "--all", "--rate", "100000", "--execute", "--operator", "kim")
        assert (code, done["state"]) == (0, "done"), done
        assert done["sent"] == done["rows"] > 300
        await running.settled()
        assert calls_that_write(running)[len(before) :] == [], f"seed {seed}"
        differences, *_ = verdict(running)
        assert lasting(differences) == [], f"seed {seed}"
