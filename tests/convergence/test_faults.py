"""Convergence while Dotdigital fails and workers die; ``make storms`` plays 20 seeds."""

import asyncio
import os
from pathlib import Path
from random import Random

import httpx
import pytest

from streams.worker import Role
from testkit.demo.stack import LocalStack
from testkit.soak.site import IMPORTS
from tests.convergence.convergence_harness import held, lasting, simulate, stack, verdict, wrongly_held
from tests.patience import PATIENCE

_FAULTS = {
    "lost_reply": 0.02,
    "http_500": 0.01,
    "http_503": 0.01,
    "http_429": 0.01,
    "bad_gateway_html": 0.01,
    "casing": 0.02,
    "extra_members": 0.02,
    "reset_seconds": 1,
    "import_failed": 0.1,
    "import_partial": 0.1,
    "report_partial": 0.1,
    "import_stuck": 0.05,
}
"""6 % of the calls fail, a third of them after they took effect; of imports more than a third."""


@pytest.mark.parametrize("seed", range(int(os.environ.get("OWDD_FAULT_SEEDS", "2"))))
async def test_a_shop_converges_through_replays_faults_and_kills(tmp_path: Path, broker: Path, seed: int) -> None:
    consent = seed % 2 == 1
    options: dict[str, object] = {"consent": True} if consent else {}
    rng = Random(seed)
    erasure, partitions = seed % 3 == 2, 1 + seed % 4
    renames = seed % 4 in (1, 2)
    async with stack(
        tmp_path,
        broker,
        f"faults{seed}",
        consent=consent,
        erasure=erasure,
        partitions=partitions,
        renames=renames,
        **IMPORTS,
    ) as running:
        await faults(running, _FAULTS | {"seed": seed})
        await running.start_worker(*Role, name="worker")
        feeding = asyncio.create_task(
            simulate(
                running, seed=seed, customers=80, orders=400, duplicates=0.1, replays=2, shuffle=True, rate=1500, **options
            )
        )
        refused: set[str] = set()
        for _ in range(2):
            await asyncio.sleep(rng.uniform(1, 4))
            refused |= await clicks(running, rng)
            await running.kill("worker")
        await feeding
        refused |= await clicks(running, rng)
        await running.settled()

        differences, truth, mapping = verdict(running, unsubscribed_there=refused)
        assert lasting(differences) == [], f"seed {seed}"
        assert wrongly_held(await held(running), truth, mapping) == {}, f"seed {seed}"


async def faults(running: LocalStack, wanted: dict[str, float]) -> None:
    """Have the sandbox misbehave."""
    async with httpx.AsyncClient() as http:
        answer = await http.post(f"{running.settings.dotdigital_url}/_sandbox/faults", json=wanted)
        answer.raise_for_status()


async def clicks(running: LocalStack, rng: Random) -> set[str]:
    """A few of those who are subscribed unsubscribe by a click in a mail."""
    sandbox = f"{running.settings.dotdigital_url}/_sandbox"
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        contacts = (await http.get(f"{sandbox}/state")).raise_for_status().json()["contacts"]
        there = sorted(contact["email"] for contact in contacts if contact["status"] == "subscribed" and not contact["binned"])
        chosen = set(rng.sample(there, min(3, len(there))))
        for email in sorted(chosen):
            (await http.post(f"{sandbox}/unsubscribe", json={"email": email})).raise_for_status()
    return chosen
