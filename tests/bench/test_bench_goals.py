"""What is met and what is missed, and that a run of all benchmarks goes on where it ended."""

from pathlib import Path

import pytest

from bench import goals
from bench.errors import BenchError
from bench.goals import Step
from bench.results import Circumstances, Goal, Result


def test_a_goal_is_met_at_its_bar() -> None:
    assert Goal("cost", 10.0, 10.0, "ms").met
    assert not Goal("cost", 10.1, 10.0, "ms").met
    assert Goal("pace", 150_000, 150_000, at_least=True).met
    assert not Goal("pace", 149_999, 150_000, at_least=True).met


def test_what_is_missed_is_shown_with_its_bar_and_unit() -> None:
    result = Result(
        "one", "a workload", [], goals=[Goal("cost", 0.0623, 0.05, "cores"), Goal("pace", 2, 1)], failed=["none stayed"]
    )
    assert result.missed == ["cost: 0.062 cores, the goal is ≤ 0.05 cores", "pace: 2, the goal is ≤ 1", "none stayed"]


class Played:
    """Two steps, of which the second can fail; and what was played."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self.fails = True

    def steps(self) -> tuple[Step, Step]:
        return Step("first", self._first, 1), Step("second", self._second, 1)

    async def _first(self, quick: bool) -> tuple[Result, str | None]:
        self.names.append("first")
        return Result("first", "work", ["what"], [["row"]], goals=[Goal("cost", 1, 2, "s")]), None

    async def _second(self, quick: bool) -> tuple[Result, str | None]:
        self.names.append("second")
        if self.fails:
            raise BenchError("it died")
        return Result("second", "work", ["what"], goals=[Goal("pace", 1, 2, at_least=True)]), "4.3.0"


def shown(result: Result, around: Circumstances) -> None:
    """Nothing."""


def test_what_files_without_a_commit_did_is_played_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, played = tmp_path / "goals.jsonl", Played()
    played.fails = False
    monkeypatch.setattr(goals, "STEPS", played.steps())
    monkeypatch.setattr(goals, "commit", lambda: "")
    for _ in range(2):
        lines = goals.play(file, shown, print, quick=True, again=False)
    assert played.names == ["first", "second"] * 2
    assert [goals.missed(line) for line in lines] == [False, True]


def test_a_run_that_failed_goes_on_where_it_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file, played = tmp_path / "results" / "goals.jsonl", Played()
    monkeypatch.setattr(goals, "STEPS", played.steps())
    monkeypatch.setattr(goals, "commit", lambda: "0123abc")
    with pytest.raises(BenchError):
        goals.play(file, shown, print, quick=True, again=False)
    played.fails = False
    lines = goals.play(file, shown, print, quick=True, again=False)
    assert played.names == ["first", "second", "second"]
    assert goals.table(lines).splitlines()[2:] == ["| cost | ≤ 2 s | 1 s | met |", "| pace | ≥ 2 | 1 | **missed** |"]
    # Another size is another measurement, and so is every step if all are wanted again.
    goals.play(file, shown, print, quick=False, again=False)
    goals.play(file, shown, print, quick=True, again=True)
    assert played.names[3:] == ["first", "second"] * 2
