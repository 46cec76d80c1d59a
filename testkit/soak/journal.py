"""What a run came to, of which commit, and whether a commit has played it already."""

import subprocess
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from testkit.soak.play import Outcome
from testkit.soak.scenario import Run

_CHANGED = "+changes"


class Result(msgspec.Struct, frozen=True):
    """One run that was played: what, when, of which commit, and what came of it (see ``Outcome``)."""

    at: str
    commit: str
    scenario: str
    seed: int
    orders: int
    faults: dict[str, int]
    differences: int | None
    documented: int
    shown: list[dict[str, Any]]
    rows: int
    unlike: int
    seconds: float
    error: str | None = None


def result_of(run: Run, commit: str, outcome: Outcome) -> Result:
    """The result of a run that has just ended."""
    return Result(
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        commit=commit,
        scenario=run.scenario.name,
        seed=run.seed,
        orders=run.orders,
        faults=outcome.faults,
        differences=outcome.differences,
        documented=outcome.documented,
        shown=outcome.shown,
        rows=outcome.rows,
        unlike=outcome.unlike,
        seconds=outcome.seconds,
        error=outcome.error,
    )


def played(results: Iterable[Result], run: Run, commit: str) -> bool:
    """Whether this commit has a result of the run; what has uncommitted changes was never played before."""
    wanted = (commit, run.scenario.name, run.seed, run.orders)
    return not commit.endswith(_CHANGED) and any(
        (result.commit, result.scenario, result.seed, result.orders) == wanted for result in results
    )


def commit_of(directory: Path) -> str:
    """The commit that is checked out there, marked when files that it knows are changed.

    Raises:
        RuntimeError: it is no git repository.
    """

    def git(*arguments: str) -> str:
        done = subprocess.run(["git", "-C", directory, *arguments], capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"git {arguments[0]}: {done.stderr.strip()}")
        return done.stdout.strip()

    # The results themselves are no change of what is tested.
    changed = git("status", "--porcelain", "--untracked-files=no", "--", ":!docs")
    return git("rev-parse", "--short=9", "HEAD") + (_CHANGED if changed else "")
