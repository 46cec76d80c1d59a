"""What a played trace says of a contender, in numbers."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from streams.core.lanes import Lane
from streams.domain.debounce import Debounce
from streams.mapping import Mapping
from testkit.virtual.account import Terms
from testkit.virtual.backlog import Backlog
from testkit.virtual.network import Call
from testkit.virtual.optimum import Due, Means, Optimum, optimum
from testkit.virtual.trace import START_MS, Trace, collections_of, deliverable_of
from testkit.virtual.world import Played

_MINUTE = 60_000
_THROTTLED = 429


@dataclass(frozen=True, slots=True)
class Measures:
    """One contender on one trace.

    ``calls`` are those that a tier pays for and that arrived, but for ``readings`` of what Dotdigital has; ``polls`` are free;
    ``unanswered`` never arrived. ``useless`` calls say nothing new; ``repeated`` neither, after one that was not answered.
    ``used`` is the share of the account's minute that was used, readings included, in the fullest tier, over all minutes at
    whose every moment some change waited longer than it may; None when there was no such minute. Delays are ms from change to
    request, None when the trace has no such change; ``drain`` is seconds from the trace's relief until everything made before
    it was sent.
    """

    changes: int
    calls: int
    imports: int
    readings: int
    polls: int
    unanswered: int
    useless: int
    repeated: int
    throttled: float
    used: float | None
    urgent_p50: float | None
    urgent_p99: float | None
    live_p99: float | None
    late: int
    drain: float
    undelivered: int
    wrong: int


def measure(played: Played, terms: Terms) -> Measures:
    """The numbers of one run."""
    arrived = [call for call in played.calls if call.status]
    paid = [call for call in arrived if call.tier is not None and not call.reading]
    throttled = sum(call.status == _THROTTLED for call in paid)
    carried, relief = played.carried, START_MS + int(played.trace.relief * 1000)
    urgent, live = carried.delays[Lane.URGENT], carried.delays[Lane.LIVE]
    return Measures(
        changes=played.changes,
        calls=len(paid),
        imports=sum(call.batched for call in paid),
        readings=sum(call.reading for call in arrived),
        polls=sum(call.tier is None for call in arrived),
        unanswered=len(played.calls) - len(arrived),
        useless=sum(call.useless for call in paid),
        repeated=sum(call.repeated for call in paid),
        throttled=throttled / len(paid) if paid else 0.0,
        used=_used(arrived, _pressed(played), terms),
        urgent_p50=percentile(urgent, 0.5),
        urgent_p99=percentile(urgent, 0.99),
        live_p99=percentile(live, 0.99),
        late=len(carried.late),
        drain=max(0, carried.drained - relief) / 1000,
        undelivered=played.undelivered,
        wrong=played.wrong,
    )


def best(trace: Trace, mapping: Mapping, terms: Terms, debounce: Debounce, rows: int) -> Optimum:
    """The offline optimum of a trace, with imports of up to ``rows``."""
    collections = collections_of(mapping)
    ledger = Backlog(collections, debounce)
    for change in trace.before():
        ledger.wanted(change, START_MS)
    known = set(ledger.desired)
    dues: list[Due] = []
    for event in trace.events():
        if ledger.wanted(event.change, START_MS + event.at):
            lane, at = Lane(event.change.lane), _reachable(trace, event.at)
            dues.append(
                Due(deliverable_of(event.change, collections), lane, at, at + int(debounce.window(lane).longest * 1000))
            )
    return optimum(dues, known, Means(terms.high, rows, int(terms.import_seconds * 1000)), debounce)


def _reachable(trace: Trace, at: int) -> int:
    """When the account can first get what happens at ``at``, in milliseconds since the trace began."""
    if trace.outage is None:
        return at
    down, up = (int(seconds * 1000) for seconds in trace.outage)
    return up if down <= at < up else at


def percentile(delays: Sequence[int], share: float) -> float | None:
    """The smallest delay that ``share`` of them do not exceed."""
    if not delays:
        return None
    return float(sorted(delays)[math.ceil(share * len(delays)) - 1])


def _pressed(played: Played) -> set[int]:
    """The minutes at whose every moment something waited longer than it may; those without Dotdigital do not count."""
    minutes: set[int] = set()
    for begin, end in merged((late.deadline, late.sent) for late in played.carried.late):
        minutes.update(range(-(-begin // _MINUTE), end // _MINUTE))
    if played.trace.outage is not None:
        down, up = (START_MS + int(seconds * 1000) for seconds in played.trace.outage)
        minutes -= set(range(down // _MINUTE, -(-up // _MINUTE)))
    return minutes


def merged(spans: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same moments in spans that do not touch."""
    found: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if found and begin <= found[-1][1]:
            found[-1] = found[-1][0], max(found[-1][1], end)
        else:
            found.append((begin, end))
    return found


def _used(arrived: Iterable[Call], minutes: set[int], terms: Terms) -> float | None:
    spent: Counter[tuple[int, str]] = Counter()
    for call in arrived:
        if call.tier is not None and call.status != _THROTTLED:
            spent[call.at // _MINUTE, call.tier] += 1
    shares = [max(spent[minute, tier] / limit for tier, limit in terms.tiers.items()) for minute in minutes]
    return sum(shares) / len(shares) if shares else None
