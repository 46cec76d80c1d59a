"""The results of all runs as a table, in a marked block of a document."""

from collections import Counter
from collections.abc import Iterable

from testkit.marked_block import Block
from testkit.soak.journal import Result
from testkit.soak.scenario import Fault

BLOCK = Block("<!-- soak: written by `owdd soak` -->", "<!-- end of soak -->")
"""Where the table stands in its document."""

_HEAD = (
    "| fault | how often | runs | differences | rows unlike their changelog | runs without a result |\n"
    "|---|---|---|---|---|---|"
)


def render(results: Iterable[Result]) -> str:
    """One line for each kind of fault, with the runs in which it happened; a mixed run counts in several lines.

    A run that went wrong stands until it is played again, with the same seed, and nothing is wrong.
    """
    played = list(results)
    right = {_run(result): number for number, result in enumerate(played) if not _wrong(result)}
    kept = [result for number, result in enumerate(played) if not _wrong(result) or right.get(_run(result), -1) < number]
    lines = [_HEAD]
    for fault in Fault:
        met = [result for result in kept if _times(result, fault)]
        times = sum((_times(result, fault) for result in met), Counter[str]())
        differences = sum(result.differences or 0 for result in met)
        unlike = sum(result.unlike for result in met)
        failed = sum(result.error is not None for result in met)
        lines.append(f"| {fault} | {_counted(times)} | {len(met):,} | {differences:,} | {unlike:,} | {failed:,} |")
    return "\n".join([*lines, "", _summary(kept, len(played) - len(kept))])


def _run(result: Result) -> tuple[str, int, int]:
    return result.scenario, result.seed, result.orders


def _wrong(result: Result) -> bool:
    return bool(result.differences or result.unlike or result.error)


def _times(result: Result, fault: Fault) -> Counter[str]:
    """How often the fault was done in a run, by victim."""
    counts = {name.partition(":"): times for name, times in result.faults.items()}
    return Counter({victim: times for (name, _, victim), times in counts.items() if name == fault.name})


def _counted(times: Counter[str]) -> str:
    """The sum, and its parts where there are several victims."""
    parts = ", ".join(f"{victim} {count:,}" for victim, count in sorted(times.items()))
    return f"{times.total():,} ({parts})" if len(times) > 1 else f"{times.total():,}"


def _summary(results: list[Result], repaired: int) -> str:
    if not results:
        return "No run yet."
    rows, documented = sum(result.rows for result in results), sum(result.documented for result in results)
    first, last = min(results, key=lambda result: result.at), max(results, key=lambda result: result.at)
    wrong = sum(_wrong(result) for result in results)
    return (
        f"{len(results):,} runs, {first.at[:10]} (`{first.commit}`) to {last.at[:10]} (`{last.commit}`), {wrong:,} of them "
        f"with something wrong; {repaired:,} more went wrong, and were right when they were played again after a repair. "
        f"{rows:,} rows of state compared with their changelogs. Credit notes that a crash sent twice, as the limits of "
        f"delivery allow: {documented:,}."
    )
