"""Routing: which of the due tasks go out in single calls, and which in a bulk import.

The cost model. A single call is answered in a fraction of a second and costs a call of the high tier. An import costs one call
of the low tier whatever is in it, its polls cost nothing, and its rows arrive together after tens of seconds. Costs are
compared as shares of this worker's minute of each tier: of 3,000 single calls 100 cost 3.3 %, of 35 imports one costs 2.9 %.
Times are compared until the last one arrived, waits for the next minutes included.

* urgent: by import only when single calls would take longer than the lane's longest wait, and longer than the import.
* live: by import when single calls would take longer than the lane's longest wait, and an import is cheaper or sooner.
* bulk: by import when that is cheaper or sooner. It waits for a free import, since it has time; the others do not. An import
  that is not full waits for more, too: what falls due later is not known here (:mod:`streams.dispatch.senders.imports`).

An import smaller than ``import_least`` is never worth its row-by-row report.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from math import ceil, inf

from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_task import QueueKey
from streams.dispatch.outbox.tasks import IMPORTABLE, Work
from streams.dispatch.rate_limit.limiter import TierState
from streams.dotdigital.errors import Limit
from streams.dotdigital.tiers import Tier


class How(Enum):
    """The ways to send."""

    SINGLE = "single"
    IMPORT = "import"
    WAIT = "wait"


@dataclass(frozen=True, slots=True)
class Route:
    """Send ``count`` of what is due this way, then ask again."""

    how: How
    count: int


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """What the model reckons with; times in seconds."""

    urgent_longest: float = 1.0
    live_longest: float = 15.0
    calls_per_second: float = 80.0
    import_seconds: float = 30.0
    import_least: int = 20
    import_most: int = 10_000


def routes(
    due: Mapping[QueueKey, int],
    budget: Mapping[Tier, TierState],
    free: Mapping[Limit, int],
    policy: RoutingPolicy,
) -> dict[QueueKey, Route]:
    """How to send what is due now, by lane and kind; ``free`` is how many imports may be started."""
    desk = _Desk(budget[Tier.HIGH], budget[Tier.LOW], dict(free), policy)
    return {
        (lane, work): desk.route(lane, work, due[lane, work]) for lane in Lane for work in IMPORTABLE if due.get((lane, work))
    }


@dataclass(frozen=True, slots=True)
class Forecast:
    """What a backlog costs: single calls, imports, and seconds until the last of it has arrived."""

    calls: int
    imports: int
    seconds: float


def forecast(
    due: Mapping[Work, int],
    calls: int,
    budget: Mapping[Tier, TierState],
    free: Mapping[Limit, int],
    policy: RoutingPolicy,
) -> Forecast:
    """What it costs to send ``due`` in the bulk lane, beside ``calls`` that only go singly, if nothing else is sent."""
    desk, seconds = _Desk(budget[Tier.HIGH], budget[Tier.LOW], dict(free), policy, calls), 0.0
    for work in IMPORTABLE:
        count = due.get(work, 0)
        if desk.prefers_import(Lane.BULK, work, count):
            seconds = max(seconds, desk.import_time(Lane.BULK, work, count))
            desk.imports += desk.imports_of(count)
        else:
            desk.calls += count
    return Forecast(desk.calls, desk.imports, max(seconds, desk.drain(Lane.BULK, 0)))


@dataclass(slots=True)
class _Desk:
    """Routes one kind after the other, the most urgent first, and keeps account of what they use."""

    high: TierState
    low: TierState
    free: dict[Limit, int]
    policy: RoutingPolicy
    calls: int = 0
    imports: int = 0

    def route(self, lane: Lane, work: Work, count: int) -> Route:
        if self.prefers_import(lane, work, count):
            if self.free.get(work.import_limit, 0) > 0 and _spare(self.low, lane, self.imports) >= 1:
                self.free[work.import_limit] -= 1
                self.imports += 1
                return Route(How.IMPORT, min(count, self.policy.import_most))
            if lane is Lane.BULK:
                return Route(How.WAIT, count)
        count = int(min(count, _spare(self.high, lane, self.calls)))
        self.calls += count
        return Route(How.SINGLE, count)

    def prefers_import(self, lane: Lane, work: Work, count: int) -> bool:
        if count < self.policy.import_least:
            return False
        singly = self.drain(lane, count)
        sooner = self.import_time(lane, work, count) < singly
        cheaper = _cost(self.imports_of(count), self.low) < _cost(count, self.high)
        match lane:
            case Lane.URGENT:
                return sooner and singly > self.policy.urgent_longest
            case Lane.LIVE:
                return (sooner or cheaper) and singly > self.policy.live_longest
            case Lane.BULK:
                return sooner or cheaper

    def imports_of(self, count: int) -> int:
        return ceil(count / self.policy.import_most)

    def drain(self, lane: Lane, calls: int) -> float:
        """Seconds until the last of ``calls`` single calls is answered, behind those already routed."""
        return _seconds(self.high, lane, self.calls + calls, self.policy.calls_per_second)

    def import_time(self, lane: Lane, work: Work, count: int) -> float:
        rounds = ceil(self.imports_of(count) / max(1, self.free.get(work.import_limit, 0)))
        start = _seconds(self.low, lane, self.imports + self.imports_of(count), self.policy.calls_per_second)
        return start + rounds * self.policy.import_seconds


def _spare(state: TierState, lane: Lane, used: int) -> float:
    return inf if state.spare is None else max(0, state.spare[lane] - used)


def _cost(calls: int, state: TierState) -> float:
    """The share of this worker's minute; nothing while no limit is known."""
    if state.own is None:
        return 0.0
    return calls / state.own if state.own else inf


def _seconds(state: TierState, lane: Lane, calls: int, calls_per_second: float) -> float:
    """How long ``calls`` take, from what is spare in this minute and then minute by minute."""
    later, least = calls - _spare(state, lane, 0), calls / calls_per_second
    if later <= 0:
        return least
    a_minute = min(state.own or 0, int(60 * calls_per_second))
    if not a_minute:
        return inf
    minutes = ceil(later / a_minute) - 1
    return max(least, state.resets_in + 60 * minutes + (later - minutes * a_minute) / calls_per_second)
