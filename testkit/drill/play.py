"""One drill: calm, harm, the alert, the repair, calm again."""

import time
from dataclasses import dataclass
from pathlib import Path

from testkit.drill.alerts import ALWAYS, AlertLog, rule, watched
from testkit.drill.cases import Case
from testkit.drill.scene import Scene
from testkit.drill.shorter import seconds

_CALM_SECONDS = 20.0
"""How long nothing may fire before the harm."""
_RESOLVED_SECONDS = 120.0
_LONGEST_WINDOW = 900.0
"""Of the rules that are drilled: an event leaves it after that."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a drill; seconds, None where it did not happen.

    Attributes:
        promise: from the harm to the alert, with the rules as they are.
        fired: from the harm to the alert, as it was seen.
        as_shipped: the same, with the times of Prometheus that were shortened put back.
        resolved: from the repair to the end of the alert, as it was seen.
        others: other alerts that people would have got, consequences left out.
        before: alerts that fired before the harm.
    """

    promise: float
    fired: float | None
    as_shipped: float | None
    resolved: float | None
    others: tuple[str, ...]
    before: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def clean(self) -> bool:
        """Whether the right alert came in time, alone, and went."""
        in_time = self.as_shipped is not None and self.as_shipped <= self.promise
        return in_time and self.resolved is not None and not self.others and not self.before


async def play(case: Case, scene: Scene, program: Path, directory: Path) -> Outcome:
    """Play ``case`` before the Prometheus ``program``; the scene is whole again afterwards, and ``directory`` has the logs."""
    started = time.monotonic()
    waits = seconds(rule(case.alert).get("for", "0s")) + case.window
    put_back = waits - waits / case.speed
    async with watched(program, directory, scene.targets, case.speed) as log:
        before = await _calm(log, _CALM_SECONDS + case.past / case.speed)
        harmed = time.monotonic()
        await case.harm(scene)
        try:
            # A little longer than promised: the result says by how much it was late.
            await log.until(lambda: log.firing(case.alert, case.labels), 1.5 * (case.notice + waits / case.speed))
            fired = time.monotonic() - harmed if log.firing(case.alert, case.labels) else None
        finally:
            await case.mend(scene)
        patience = _RESOLVED_SECONDS + _LONGEST_WINDOW / case.speed
        resolved = await log.until(lambda: not log.firing(case.alert, {}), patience) if fired is not None else None
        others = log.sent - {ALWAYS, case.alert} - case.also - set(before)
    return Outcome(
        promise=case.notice + waits,
        fired=fired,
        as_shipped=None if fired is None else fired + put_back,
        resolved=resolved,
        others=tuple(sorted(others)),
        before=before,
        seconds=time.monotonic() - started,
    )


async def _calm(log: AlertLog, wait: float) -> tuple[str, ...]:
    """Wait until Prometheus evaluates and what came before is over, and ``wait`` seconds; what fires then."""
    if await log.until(lambda: log.firing(ALWAYS, {}), _RESOLVED_SECONDS) is None:
        raise RuntimeError("no alert fires, not even the one that always does")
    await log.until(lambda: False, wait)
    await log.until(lambda: not _besides(log), _RESOLVED_SECONDS)
    log.sent.clear()
    return tuple(sorted(_besides(log)))


def _besides(log: AlertLog) -> set[str]:
    """What fires, without what always does."""
    return {alert.name for alert in log.active.values()} - {ALWAYS}
