"""``python -m bench delivery``: every contender on every trace, once per seed, each in a virtual world of its own."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from math import ceil
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import structlog

from bench.delivery.baselines import EveryQuarter, OneByOne
from bench.errors import WrongResult
from bench.results import Goal, Result, Spread
from streams.dispatch.policies import debounce_policy
from streams.domain.debounce import Debounce
from streams.mapping import Mapping, load_mapping
from testkit.virtual import event_loop
from testkit.virtual.account import Terms
from testkit.virtual.contender import Contender, Surroundings
from testkit.virtual.event_loop import VirtualClock
from testkit.virtual.measures import Measures, best, measure
from testkit.virtual.optimum import Optimum
from testkit.virtual.pipeline import SETTINGS, Pipeline
from testkit.virtual.trace import Trace
from testkit.virtual.traces import BACKFILL, PLOTS, Scale
from testkit.virtual.world import Played, World

QUICK = Scale(orders=150, backfill=5_000)
PATIENCE = 2 * 3600.0
"""Seconds of virtual time after a trace within which it must be delivered."""
OURS = "owdd"
IMPORTS_A_MILLION, READINGS_A_MILLION = 110, 300
"""What the load of a million contacts may take: imports, and calls that read back what our own imports changed."""
CONTENDERS: dict[str, Callable[[Surroundings], Contender]] = {
    OURS: Pipeline,
    "per change": OneByOne,
    "15 minutes": EveryQuarter,
}
COLUMNS = [
    "trace",
    "calls",
    "imports",
    "per change",
    "× optimum",
    "no-op",
    "429s",
    "wrong",
    "budget used",
    "p50 urgent, s",
    "p99 urgent, s",
    "p99 live, s",
    "drain, s",
]
_NOTES = [
    "medians over the seeds; their values one by one go to the file of --json",
    "calls: those that arrived and that a tier of the account pays for: look-ups and failed ones too, polls of imports not",
    "readings of who unsubscribed are apart: three calls of the medium tier every five minutes, whatever is delivered",
    "× optimum: against the fewest calls that deliver the whole trace in time, known beforehand (testkit/virtual/optimum.py)",
    "per change: a call for every change, as it comes; 15 minutes: what changed goes by import every quarter of an hour",
    "no-op: calls that carry nothing but what Dotdigital held at that moment, and not after one that was never answered",
    "wrong: what Dotdigital holds otherwise than it was wanted last, in the end",
    "budget used: of the fullest tier's minute, over minutes at whose every moment something waited longer than its lane may",
    "p50, p99: from change to request in virtual time, debounce and 5 ms of Kafka included",
    "drain: from the end of the wave or the outage until everything made before it is sent; > means not within two hours",
]


@dataclass(frozen=True, slots=True)
class Run:
    """One contender on one trace of one seed, with the optimum of that trace."""

    measures: Measures
    least: Optimum

    @property
    def ratio(self) -> float:
        """Calls against the optimum's."""
        return self.measures.calls / max(1, self.least.calls)


def run(*, quick: bool, seeds: int, backfill: int, only: str | None = None, alone: bool = False) -> Result:
    """Play every trace, or only the one of that name; ``alone``: without the other contenders.

    Raises:
        UndeliveredError: a contender cannot deliver what was before a trace.
        WrongResult: ours did not deliver everything, or not rightly.
    """
    # What a worker says of an outage is no part of the result.
    structlog.configure(processors=[_drop])
    mapping, terms, debounce = load_mapping(), Terms(), debounce_policy(SETTINGS)
    scale = QUICK if quick else Scale(backfill=backfill)
    result = Result("delivery", _workload(scale, seeds, terms), COLUMNS, notes=list(_NOTES))
    for plot in PLOTS:
        if only not in (None, plot.name):
            continue
        contenders = {OURS: CONTENDERS[OURS]} if alone else CONTENDERS
        runs: dict[str, list[Run]] = {name: [] for name in contenders}
        played = [plot.trace(mapping, seed, scale) for seed in range(1, seeds + 1)]
        for trace in played:
            least = best(trace, mapping, terms, debounce, SETTINGS.import_most)
            for name, make in contenders.items():
                runs[name].append(Run(measure(_play(trace, make, mapping, terms, debounce), terms), least))
        _add(result, played, runs)
        if plot.name == BACKFILL:
            result.goals += _goals(runs[OURS], scale.backfill)
    return result


def _goals(ours: Sequence[Run], contacts: int) -> Iterator[Goal]:
    for what, bar, measured in (
        ("imports", IMPORTS_A_MILLION, [run.measures.imports for run in ours]),
        ("calls that read them back", READINGS_A_MILLION, [run.measures.readings for run in ours]),
    ):
        yield Goal(f"load of {contacts:,} contacts: {what}", max(measured), ceil(bar * contacts / 1_000_000))


def _play(
    trace: Trace, make: Callable[[Surroundings], Contender], mapping: Mapping, terms: Terms, debounce: Debounce
) -> Played:
    async def main(clock: VirtualClock) -> Played:
        with TemporaryDirectory() as directory:
            return await World(mapping, terms, debounce, clock, Path(directory)).play(trace, make, patience=PATIENCE)

    return event_loop.run(main)


def _workload(scale: Scale, seeds: int, terms: Terms) -> str:
    tiers = f"{terms.low} / {terms.medium} / {terms.high} calls a minute (low / medium / high)"
    times = f"a reply takes {terms.reply_seconds} s, an import {terms.import_seconds:.0f} s"
    return f"{scale.orders:,} orders a day, {scale.backfill:,} contacts to load; {tiers}; {times}; seeds 1 to {seeds}"


def _add(result: Result, played: Sequence[Trace], runs: dict[str, list[Run]]) -> None:
    trace, ours = played[0], runs[OURS]
    least = median(run.least.calls for run in ours)
    changes = median(run.measures.changes for run in ours)
    result.rows.append([trace.name, *[""] * (len(COLUMNS) - 1)])
    result.rows.append(["  changes", f"{changes:,.0f}", *[""] * (len(COLUMNS) - 2)])
    result.rows.append(["  optimum", f"{least:,.0f}", *[""] * (len(COLUMNS) - 2)])
    for name, found in runs.items():
        result.rows.append([f"  {name}", *_cells(found)])
    result.data[trace.name] = {
        "about": trace.about,
        "checksums": [one.checksum() for one in played],
        "optimum": [asdict(run.least) for run in ours],
        "contenders": {
            name: [asdict(run.measures) | {"times_optimum": run.ratio} for run in found] for name, found in runs.items()
        },
    }
    result.failed += [f"{trace.name}: {text}" for text in _missed(trace.name, ours)]
    if any(run.measures.undelivered or run.measures.wrong for run in ours):
        raise WrongResult(f"{trace.name}: {[(run.measures.undelivered, run.measures.wrong) for run in ours]}")


def _cells(found: Sequence[Run]) -> list[str]:
    measured = [run.measures for run in found]

    def of(values: Iterable[float | None], digits: int = 2, scale: float = 1) -> str:
        there = [value * scale for value in values if value is not None]
        return f"{median(there):,.{digits}f}" if there else "–"

    late = any(one.undelivered for one in measured)
    return [
        of((one.calls for one in measured), 0),
        of((one.imports for one in measured), 0),
        of(one.calls / one.changes for one in measured),
        Spread.of([run.ratio for run in found]).text(),
        of((one.useless for one in measured), 0),
        of((one.throttled for one in measured), 2, 100) + " %",
        of((one.wrong for one in measured), 0),
        of((one.used for one in measured), 0, 100) + " %",
        of((one.urgent_p50 for one in measured), 2, 0.001),
        of((one.urgent_p99 for one in measured), 2, 0.001),
        of((one.live_p99 for one in measured), 1, 0.001),
        (">" if late else "") + of((one.drain for one in measured), 0),
    ]


def _missed(name: str, ours: Sequence[Run]) -> Iterator[str]:
    """The bars that a trace misses, in its worst run."""
    measured = [run.measures for run in ours]
    ratio, throttled = max(run.ratio for run in ours), max(one.throttled for one in measured)
    used = min((one.used for one in measured if one.used is not None), default=1.0)
    urgent = max((one.urgent_p99 for one in measured if one.urgent_p99 is not None), default=0.0)
    if ratio > 1.05:
        yield f"{ratio:.2f} × the optimum, the bar is 1.05"
    if useless := max(one.useless for one in measured):
        yield f"{useless} calls changed nothing, the bar is 0"
    if throttled >= 0.001:
        yield f"{throttled:.2%} of calls were throttled, the bar is 0.1 %"
    if used < 0.95:
        yield f"{used:.0%} of the budget used under backlog, the bar is 95 %"
    if name == BACKFILL and urgent > 250:
        yield f"urgent p99 {urgent:.0f} ms, the bar is 250"


def _drop(*_: Any) -> Any:
    raise structlog.DropEvent
