"""Convergence: whatever the shop does and however its events are repeated and shuffled, Dotdigital equals the oracle.

One shop with consent and one with erasure, on four and three partitions; ``make storms`` plays 20, and ``make soak-short`` the
same with both choices and with none, three times as large.
"""

import os
from pathlib import Path

import pytest

from streams.worker import Role
from tests.convergence.convergence_harness import held, simulate, stack, verdict, wrongly_held


@pytest.mark.parametrize("seed", range(2, 2 + int(os.environ.get("OWDD_SHOP_SEEDS", "2"))))
async def test_a_shop_with_duplicates_replays_and_reordering_converges(tmp_path: Path, broker: Path, seed: int) -> None:
    consent, erasure = seed % 2 == 1, seed % 3 == 2
    options: dict[str, object] = {"consent": True} if consent else {}
    name, partitions = f"seed{seed}", 1 + seed % 4
    async with stack(tmp_path, broker, name, consent=consent, erasure=erasure, partitions=partitions) as running:
        await running.start_worker(*Role)
        await simulate(running, seed=seed, customers=80, orders=400, duplicates=0.1, replays=2, shuffle=True, rate=0, **options)
        await running.settled()

        differences, truth, mapping = verdict(running)
        assert differences == [], f"seed {seed}"
        assert wrongly_held(await held(running), truth, mapping) == {}, f"seed {seed}"
