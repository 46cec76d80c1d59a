"""What a drill came to, and the table of the newest result of each case."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec

from testkit.drill.cases import CASES
from testkit.drill.play import Outcome
from testkit.marked_block import Block

BLOCK = Block("<!-- drill: written by `owdd drill` -->", "<!-- end of drill -->")
"""Where the table stands in its document."""

_HEAD = (
    "| what is broken | alert | promised within | seen after | with the rules as they are | over after the repair | others |\n"
    "|---|---|---|---|---|---|---|"
)


class Result(msgspec.Struct, frozen=True):
    """One drill: which, when, of which commit, and what came of it."""

    at: str
    commit: str
    case: str
    outcome: Outcome


def result_of(case: str, commit: str, outcome: Outcome) -> Result:
    """The result of a drill that has just ended."""
    return Result(datetime.now(UTC).isoformat(timespec="seconds"), commit, case, outcome)


def render(results: Iterable[Result]) -> str:
    """One line for each case, with its newest result."""
    newest = {result.case: result for result in results}
    known = {name: newest[name] for name in CASES if name in newest}
    lines = [_HEAD, *(_line(name, result.outcome) for name, result in known.items())]
    missing = [name for name in CASES if name not in known]
    return "\n".join([*lines, "", _summary(list(known.values()), missing)])


def _line(name: str, outcome: Outcome) -> str:
    case = CASES[name]
    others = ", ".join(outcome.others + tuple(f"{alert} (before)" for alert in outcome.before)) or "none"
    cells = (
        case.what,
        f"[{case.alert}](runbooks/{case.alert}.md)",
        _shown(outcome.promise),
        _shown(outcome.fired) + ("" if case.speed == 1 else f" (waits × 1/{case.speed})"),
        _shown(outcome.as_shipped),
        _shown(outcome.resolved),
        others,
    )
    return f"| {' | '.join(cells)} |"


def _shown(seconds: float | None) -> str:
    if seconds is None:
        return "**not at all**"
    return f"{seconds:.0f} s" if seconds < 120 else f"{seconds / 60:.1f} min"


def _summary(results: list[Result], missing: list[str]) -> str:
    if not results:
        return "No drill yet."
    first, last = min(results, key=lambda result: result.at), max(results, key=lambda result: result.at)
    wrong = [result.case for result in results if not result.outcome.clean]
    text = f"{len(results)} drills, {first.at[:10]} (`{first.commit}`) to {last.at[:10]} (`{last.commit}`); "
    text += f"not as promised: {', '.join(wrong) or 'none'}."
    return text + (f" Not drilled yet: {', '.join(missing)}." if missing else "")
