"""Sweeps: a change that reaches many rows is worked off in slices, so that urgent changes of the partition need not wait.

What a slice leaves is a record that the stage writes to its own topic, behind everything that came meanwhile. A row is
projected from what is known when its slice comes, so the order of the changes of one key is kept; rows that change in the
meantime are projected with the new value anyway. After a crash the record is read again, and its slice is done again.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import TypeVar

from streams.core.lanes import FEW
from streams.messages.changes import HERE, Change, ChangeKind, Sweep
from streams.messages.kinds import SweepChange

T = TypeVar("T")

MOST_REACHED = 100
"""Rows that the sweeps of one unit reach: each is loaded, projected and written."""
MOST_LOOKED_AT = 2_000
"""Rows that the sweeps of one unit look at, to see whether they are reached."""
MOST_THINGS = 500
"""Things in one sweep; what is left of it is written again with every slice."""


@dataclass(slots=True)
class Slice:
    """What the sweeps of one unit may still do: rows that they may ``reach``, and rows that they may ``look`` at."""

    reach: int = field(default_factory=lambda: MOST_REACHED)
    look: int = field(default_factory=lambda: MOST_LOOKED_AT)

    @property
    def spent(self) -> bool:
        """Whether the rest waits for the next unit. As many as may be urgent are reached together, or bulk is taken for few."""
        return self.reach <= FEW or self.look <= 0

    def take(self, found: Iterator[T]) -> tuple[list[T], bool]:
        """As many of ``found`` as may still be reached, and whether there are more."""
        some = list(islice(found, self.reach))
        self.reach -= len(some)
        self.look -= 1 + len(some)
        return some, next(found, None) is not None


@dataclass(slots=True)
class Sweeps:
    """The sweeps of one unit: ``open`` are those that it begins or goes on with."""

    open: list[SweepChange] = field(default_factory=list)
    _begun: dict[tuple[ChangeKind, int], SweepChange] = field(default_factory=dict)

    def begin(self, change: Change, lane: int) -> None:
        """What ``change`` wrote reaches any number of rows, in ``lane`` if they are few."""
        begun = self._begun.get((change.kind, lane))
        if begun is None or len(begun.row.things) >= MOST_THINGS:
            begun = SweepChange(HERE, change.kind.value, b"", lane, change.caused_at, Sweep(()))
            self._begun[change.kind, lane] = begun
            self.open.append(begun)
        begun.row = Sweep((*begun.row.things, int(change.pk)))
        begun.caused_at = min(begun.caused_at, change.caused_at)


def one_by_one(
    sweep: SweepChange,
    slice_: Slice,
    rows_of: Callable[[int, str], Iterator[str]],
    reach: Callable[[str, int], None],
) -> Sweep | None:
    """Sweep thing after thing; what is left of it, None when it is done.

    Args:
        sweep: what is left of the change.
        slice_: what may be done in this unit.
        rows_of: the rows that name a thing, behind the given one, in their order.
        reach: called with each row, and how many rows that thing has reached by then, at least.
    """
    things, after, reached = sweep.row.things, sweep.row.after, sweep.row.reached
    while things:
        if slice_.spent:
            return Sweep(things, after, reached)
        found, more = slice_.take(rows_of(things[0], after))
        reached += len(found)
        for row in found:
            reach(row, reached)
        if more:
            return Sweep(things, found[-1], reached)
        things, after, reached = things[1:], "", 0
    return None
