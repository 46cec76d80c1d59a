"""The short form of ``make soak``: one small shop under every kind of fault."""

from dataclasses import replace
from pathlib import Path

import pytest

from testkit.soak.play import ground, play
from testkit.soak.scenario import SCENARIOS, Fault, Run

SHORT = Run(SCENARIOS["mixed"], seed=3, customers=80, orders=400, rate=200)


@pytest.mark.timeout(600)
async def test_a_shop_under_every_kind_of_fault_ends_right(tmp_path: Path) -> None:
    async with ground(tmp_path / "kafka") as on:
        outcome = await play(SHORT, on, _made(tmp_path / "run"))
    assert {name.partition(":")[0] for name in outcome.faults} >= {fault.name for fault in SHORT.scenario.faults}
    assert outcome.clean, replace(outcome, shown=outcome.shown[:5])
    assert outcome.rows > 500


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_every_fault_is_played_by_some_scenario() -> None:
    played = {fault for scenario in SCENARIOS.values() for fault in scenario.faults}
    assert played == set(Fault) - {Fault.STARVED, Fault.SHUFFLED}
    assert any(scenario.starved for scenario in SCENARIOS.values())
    assert any(scenario.shuffled for scenario in SCENARIOS.values())
