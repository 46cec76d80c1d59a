"""The short form of ``make soak``: one small shop under every kind of fault; and the comparison that it relies on."""

from dataclasses import replace
from pathlib import Path

import pytest
import rocksdict

from streams.worker import Role
from testkit.soak.play import ground, play
from testkit.soak.scenario import SCENARIOS, Fault, Run
from testkit.soak.site import Site, open_site, simulate
from testkit.soak.state_rows import compare_state

SHORT = Run(SCENARIOS["mixed"], seed=3, customers=80, orders=400, rate=200)


@pytest.mark.timeout(600)
async def test_a_shop_under_every_kind_of_fault_ends_right(tmp_path: Path) -> None:
    async with ground(tmp_path / "kafka") as on:
        outcome = await play(SHORT, on, _made(tmp_path / "run"))
    assert {name.partition(":")[0] for name in outcome.faults} >= {fault.name for fault in SHORT.scenario.faults}
    assert outcome.clean, replace(outcome, shown=outcome.shown[:5])
    assert outcome.rows > 500


async def test_rows_of_state_that_are_not_those_of_the_changelog_are_counted(tmp_path: Path, broker: Path) -> None:
    async with open_site(tmp_path, broker, Site("soak-rows", partitions=1)) as running:
        await running.start_worker(*Role, name="worker")
        await simulate(running, seed=5, customers=40, orders=100, rate=0)
        await running.settled()
        process = running.workers["worker"].process
        process.terminate()
        process.wait(10)
        state = tmp_path / "state"
        equal = await compare_state(running.settings, state)
        assert {item.table for item in equal} == {"orders", "buyers", "contacts", "products", "outbox"}
        assert all(item.rows for item in equal if item.table != "products")
        assert [item.unlike for item in equal] == [0] * 5

        (path,) = state.glob("**/orders-0.db")
        _damage(path)
        damaged = {item.table: item.unlike for item in await compare_state(running.settings, state)}
        assert damaged == {"orders": 3, "buyers": 0, "contacts": 0, "products": 0, "outbox": 0}


def _damage(path: Path) -> None:
    """One row missing, one different, one too many."""
    db = rocksdict.Rdict(str(path), rocksdict.Options(raw_mode=True))
    keys = [key for key in db.keys() if not key.startswith(b"__faust")]  # noqa: SIM118  # a store is no dictionary
    db.delete(keys[0])
    db[keys[1]] = b"another"
    db[b"nobody"] = b"one too many"
    db.close()


def _made(directory: Path) -> Path:
    directory.mkdir()
    return directory


def test_every_fault_is_played_by_some_scenario() -> None:
    played = {fault for scenario in SCENARIOS.values() for fault in scenario.faults}
    assert played == set(Fault) - {Fault.STARVED}
    assert any(scenario.starved for scenario in SCENARIOS.values())
