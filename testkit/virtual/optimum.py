"""The offline optimum: the fewest calls that could have delivered a trace in time, had all of it been known beforehand.

What is counted, exactly:

* A **change** is an event whose content differs from the event before it of the same deliverable; the others cost nothing.
* It is **in time** when a call is made no later than its lane's longest wait after it. One call for a deliverable delivers
  all of its changes so far. What is made while the account cannot be reached counts as made when it can be reached again.
* So every change is an interval, from itself to its deadline, and the calls of one deliverable must stab all of its
  intervals. Stabbing each time at the earliest deadline that is left needs the fewest. The change with that deadline is the
  **witness** of its call; the witnesses of one deliverable do not overlap, hence each needs a call of its own.
* A witness whose lane waits longer than an import takes may ride in an import. One call then carries up to ``rows`` of them,
  of one kind: contacts and each collection apart, and contacts that are new apart from those that exist, because one status
  must not be written to both. A batch leaves at the earliest deadline that is left, with the earliest deadlines that have
  arrived, and is no larger than it may be: no other way needs fewer.
* All other witnesses take a single call each, as long as the account's minute has calls left, urgent ones first. What finds
  no call in time may wait as long as the bulk lane may, and rides in an import too.

Without the last rule this is a lower bound that no client can beat, and what a look-up, a poll, a retry or a creation in two
steps costs is on top of it. A client can use fewer calls only by being late.
"""

import heapq
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from streams.core.lanes import Lane
from streams.domain.debounce import Debounce
from testkit.virtual.trace import CONTACT, Deliverable

_MINUTE = 60_000

Pool: TypeAlias = tuple[str, bool]
"""What may ride in one import: the kind of deliverable, and whether Dotdigital has it already."""


@dataclass(frozen=True, slots=True)
class Due:
    """One change to deliver: made at ``at``, to be sent at ``until`` the latest (milliseconds)."""

    deliverable: Deliverable
    lane: Lane
    at: int
    until: int


@dataclass(frozen=True, slots=True)
class Means:
    """What the account allows: single calls a minute, rows of an import, and how long an import takes (milliseconds)."""

    singles: int
    rows: int
    import_ms: int


@dataclass(frozen=True, slots=True)
class Optimum:
    """The fewest calls; ``late`` are the single calls that the account had no room for in time."""

    singles: int
    imports: int
    late: int

    @property
    def calls(self) -> int:
        """Both kinds together."""
        return self.singles + self.imports


def optimum(changes: Iterable[Due], known: set[Deliverable], means: Means, debounce: Debounce) -> Optimum:
    """The optimum of a trace whose ``changes`` come by time; ``known`` is what Dotdigital has when it begins."""
    patient: list[Due] = []
    hasty: list[Due] = []
    for due in witnesses(changes):
        (patient if due.until - due.at > means.import_ms else hasty).append(due)
    late = [
        Due(due.deliverable, Lane.BULK, due.at, due.at + int(debounce.bulk.longest * 1000))
        for due in too_many(hasty, means.singles)
    ]
    pools: dict[Pool, list[Due]] = defaultdict(list)
    seen = set(known)
    for due in sorted([*patient, *late], key=lambda due: due.until):
        pools[due.deliverable[0], due.deliverable in seen or due.deliverable[0] != CONTACT].append(due)
        seen.add(due.deliverable)
    imports = sum(batches(waiting, means.rows) for waiting in pools.values())
    return Optimum(len(hasty) - len(late), imports, len(late))


def witnesses(changes: Iterable[Due]) -> Iterator[Due]:
    """Of each call that a deliverable needs, the change that needs it."""
    waiting: dict[Deliverable, Due] = {}
    for due in changes:
        first = waiting.get(due.deliverable)
        if first is None or due.at > first.until:
            if first is not None:
                yield first
            waiting[due.deliverable] = due
        elif due.until < first.until:
            waiting[due.deliverable] = due
    yield from waiting.values()


def too_many(hasty: Sequence[Due], per_minute: int) -> list[Due]:
    """Those that find no call in time when every full minute has ``per_minute``; urgent ones choose first."""
    left: dict[int, int] = defaultdict(lambda: per_minute)
    refused: list[Due] = []
    for urgent in (True, False):
        for due in sorted((due for due in hasty if (due.lane is Lane.URGENT) is urgent), key=lambda due: due.until):
            minute = next((m for m in range(due.at // _MINUTE, due.until // _MINUTE + 1) if left[m] > 0), None)
            if minute is None:
                refused.append(due)
            else:
                left[minute] -= 1
    return refused


def batches(waiting: Iterable[Due], rows: int) -> int:
    """The fewest batches of up to ``rows`` deliverables in which everything leaves in time."""
    dues = sorted(waiting, key=lambda due: due.at)
    by_deadline = sorted(range(len(dues)), key=lambda place: (dues[place].until, place))
    arrived: list[tuple[int, int]] = []
    gone: set[int] = set()
    count = come = 0
    for place in by_deadline:
        if place in gone:
            continue
        while come < len(dues) and dues[come].at <= dues[place].until:
            heapq.heappush(arrived, (dues[come].until, come))
            come += 1
        count += 1
        carried: set[Deliverable] = set()
        while arrived and (len(carried) < rows or dues[arrived[0][1]].deliverable in carried):
            _, taken = heapq.heappop(arrived)
            carried.add(dues[taken].deliverable)
            gone.add(taken)
    return count
