"""Results of soaks add up over calls and commits, and stand in the document as a table."""

from dataclasses import replace
from pathlib import Path

import pytest

from testkit.soak.journal import played, result_of
from testkit.soak.play import Outcome
from testkit.soak.scenario import SCENARIOS, Fault, Run, runs
from testkit.soak.table import BLOCK, render

CLEAN = Outcome({"KILL:agents": 3, "KILL:ingest": 2}, 0, 1, [], 1000, 0, 30.0)
WRONG = replace(CLEAN, faults={"PAUSE:agents": 1, "KILL:agents": 1}, differences=4, unlike=2)
FAILED = replace(CLEAN, faults={"PARTITION:dispatch": 1}, differences=None, error="TimeoutError: still on its way")
KILLS = Run(SCENARIOS["kills"], 1)


def test_a_run_that_a_commit_has_a_result_of_is_not_played_again() -> None:
    results = [result_of(KILLS, "abc", CLEAN)]
    assert not played([], KILLS, "abc")
    assert played(results, KILLS, "abc")
    assert not played(results, KILLS, "abd")
    assert not played(results, replace(KILLS, seed=2), "abc")
    assert not played(results, replace(KILLS, orders=5), "abc")
    assert not played(results, Run(SCENARIOS["pauses"], 1), "abc")


def test_changes_that_are_not_committed_are_always_played() -> None:
    assert not played([result_of(KILLS, "abc+changes", CLEAN)], KILLS, "abc+changes")


def test_the_table_adds_up_by_kind_of_fault() -> None:
    lines = render(result_of(KILLS, "abc", outcome) for outcome in (CLEAN, WRONG, FAILED)).splitlines()
    assert f"| {Fault.KILL} | 6 (agents 4, ingest 2) | 2 | 4 | 2 | 0 |" in lines
    assert f"| {Fault.PAUSE} | 1 | 1 | 4 | 2 | 0 |" in lines
    assert f"| {Fault.PARTITION} | 1 | 1 | 0 | 0 | 1 |" in lines
    assert f"| {Fault.BROKER_KILL} | 0 | 0 | 0 | 0 | 0 |" in lines
    assert lines[-1].startswith("3 runs, ")
    assert "2 of them with something wrong" in lines[-1]
    assert lines[-1].endswith("allow: 3.")


def test_a_run_that_went_wrong_stands_until_it_is_right_with_the_same_seed() -> None:
    others = [result_of(replace(KILLS, seed=2), "abd", CLEAN), result_of(Run(SCENARIOS["pauses"], 1), "abd", CLEAN)]
    wrong = result_of(KILLS, "abc", WRONG)
    lines = render([wrong, *others]).splitlines()
    assert f"| {Fault.PAUSE} | 1 | 1 | 4 | 2 | 0 |" in lines
    lines = render([wrong, *others, result_of(KILLS, "abd", CLEAN)]).splitlines()
    assert f"| {Fault.PAUSE} | 0 | 0 | 0 | 0 | 0 |" in lines
    assert "0 of them with something wrong; 1 more went wrong" in lines[-1]


def test_the_table_replaces_the_marked_block_and_nothing_else(tmp_path: Path) -> None:
    document = tmp_path / "guarantees.md"
    document.write_text("before\n<!-- soak: written by `owdd soak` -->\nold\n<!-- end of soak -->\nafter\n")
    BLOCK.write(document, render([]))
    text = document.read_text()
    assert text.startswith("before\n<!-- soak")
    assert text.endswith("No run yet.\n<!-- end of soak -->\nafter\n")
    assert "old" not in text


def test_a_document_without_marks_is_left_alone(tmp_path: Path) -> None:
    document = tmp_path / "guarantees.md"
    document.write_text("nothing")
    with pytest.raises(ValueError, match="no block"):
        BLOCK.write(document, "table")
    assert document.read_text() == "nothing"


def test_the_guarantees_have_the_block() -> None:
    document = Path(__file__).parents[3] / "docs" / "guarantees.md"
    assert "<!-- soak: written by `owdd soak` -->" in document.read_text("utf-8")


def test_an_early_end_has_played_every_scenario() -> None:
    order = [(run.seed, run.scenario.name) for run in runs([SCENARIOS["kills"], SCENARIOS["pauses"]], 3, 2, 500)]
    assert order == [(3, "kills"), (3, "pauses"), (4, "kills"), (4, "pauses")]
