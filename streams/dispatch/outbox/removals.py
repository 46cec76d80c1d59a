"""Removals of one partition: which tasks are removals, how many there are, and which of them may go.

A removal takes something from Dotdigital because Orderwise no longer gives it. It waits until the account's brake grants it
(:mod:`streams.dispatch.outbox.removal_brake`); an erasure, a move and the end of a recent buyer's time are none. Each has a
number in its task, and what is counted stands in one row of the partition, under the key ``n``.
"""

from collections import Counter
from collections.abc import Iterable
from functools import partial
from typing import Any

import msgspec

from streams.dispatch.outbox.blockers import Grant
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import DeliveryTask, Removal
from streams.dispatch.outbox.removal_kinds import present_in, removal_kind
from streams.domain import brake
from streams.domain.contact_state import ContactDeliveryState
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import Change, ChangeKind
from streams.messages.deliveries import (
    ContactAbsent,
    ContactCleared,
    ContactDeleted,
    ContactOptedOut,
    ListLeft,
    RecordRemoved,
    TaskEvent,
)
from streams.messages.removal_kinds import RemovalTallyChange
from streams.messages.removals import (
    BRAKE_PARTITION,
    KindTally,
    RemovalDecision,
    RemovalKind,
    RemovalQuery,
    RemovalRuling,
    RemovalTally,
)
from streams.messages.topics import Topics

ROW = b"n"
_EXAMPLES = 10
_MADE = (ContactAbsent, ContactCleared, ContactDeleted, ListLeft, RecordRemoved)
"""Outcomes by which a removal was made."""


class RemovalsRow(msgspec.Struct, array_like=True, gc=False):
    """What a partition remembers: its tallies, what people discarded (after one number, up to another), and the last round.

    ``held``: since when kinds are held back (epoch ms).
    """

    kinds: dict[RemovalKind, KindTally] = {}
    discarded: dict[RemovalKind, list[tuple[int, int]]] = {}
    held: dict[RemovalKind, int] = {}
    round: int = 0

    def tally(self, kind: RemovalKind) -> KindTally:
        """The tally of a kind."""
        return self.kinds.get(kind) or KindTally()

    def grants(self) -> dict[RemovalKind, Grant]:
        """What may go, for the queue."""
        return {
            kind: Grant(tally.granted, tuple(self.discarded.get(kind, ())), kind in self.held)
            for kind, tally in self.kinds.items()
        }


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(RemovalsRow).decode


def present_counts(table: StateTable) -> Counter[RemovalKind]:
    """How many things of each kind are delivered and still wanted, in the partitions of this worker."""
    found: Counter[RemovalKind] = Counter()
    for partition in table.owned():
        if (value := table.get(partition, ROW)) is not None:
            found.update({kind: tally.present for kind, tally in _decode(value).kinds.items()})
    return found


class Removals:
    """Numbers removals as rows are saved, and applies rulings and decisions; not ``enabled``, it lets everything go."""

    def __init__(self, topics: Topics, queue: DeliveryQueue, *, enabled: bool) -> None:
        self._topics = topics
        self._queue = queue
        self._enabled = enabled

    def recovered(self, partition: int, table: StateTable) -> None:
        """Let go what was granted to a partition; before its tasks are put into the queue."""
        if (value := table.get(partition, ROW)) is not None:
            self._queue.set_grants(partition, _decode(value).grants())

    def unit(self, unit: UnitOfWork) -> "UnitRemovals":
        """The removals as one unit changes them."""
        return UnitRemovals(unit, self._topics, self._queue, enabled=self._enabled)


class UnitRemovals:
    """One unit's view of its partition's removals; :meth:`finish` writes it down."""

    def __init__(self, unit: UnitOfWork, topics: Topics, queue: DeliveryQueue, *, enabled: bool) -> None:
        self._unit = unit
        self._enabled = enabled
        self._topics = topics
        self._queue = queue
        self._row: RemovalsRow | None = None
        self._before = b""
        self._report = False

    def fold(self, change: Change) -> None:
        """Fold what the brake or a person says."""
        match change.kind, change.row:
            case ChangeKind.REMOVAL_QUERY, RemovalQuery() as query:
                for kind in RemovalKind:
                    self._set(kind, brake.seal(self.row.tally(kind), self._minute))
                self.row.round, self._report = query.round, True
            case ChangeKind.REMOVAL_RULING, RemovalRuling() as ruling:
                for kind, upto in ruling.granted.items():
                    self._set(kind, brake.grant(self.row.tally(kind), upto))
                self.row.held = dict(ruling.held)
            case ChangeKind.REMOVAL_DECISION, RemovalDecision() as decision:
                self._decide(decision)

    def _decide(self, decision: RemovalDecision) -> None:
        tally, upto = self.row.tally(decision.kind), decision.upto.get(self._unit.partition, 0)
        if not decision.released and upto > tally.granted:
            found = self.row.discarded.setdefault(decision.kind, [])
            # A person decides a few times; an interval whose tasks are gone is not kept for ever.
            found[:] = [one for one in found if self._queue.removals_between(self._unit.partition, decision.kind, *one)]
            found.append((tally.granted, upto))
        self._set(decision.kind, brake.decide(tally, upto))

    def saved(
        self, key: str, row: Any, present: Iterable[RemovalKind], task: DeliveryTask | None, outcomes: Iterable[TaskEvent]
    ) -> None:
        """A row is saved: number the ``task`` that follows from it if it is a removal, and count what there is.

        Args:
            key: the task's.
            row: as it is saved; ``present`` is what it showed before.
            present: see above.
            task: what is to be done; None: nothing.
            outcomes: those that this unit has read of the task.
        """
        if not self._enabled:
            return
        for kind in {*present} ^ {*present_in(key, row)}:
            self._add(kind, -1 if kind in present else 1)
        before, wanted = self._queue.removal_of(key), None if task is None else removal_kind(key, row)
        if isinstance(row, ContactDeliveryState):
            self._saved_opt_out(row, outcomes)
        if before is not None and before.kind is RemovalKind.OPT_OUTS:
            before = None
        if task is not None and wanted is RemovalKind.OPT_OUTS:
            task.removal = Removal(wanted, row.out_number)
            self._report = self._report or row.out_number > self.row.tally(wanted).granted
            return
        if before is not None and wanted is not before.kind and not any(isinstance(one, _MADE) for one in outcomes):
            self._set(before.kind, brake.take_back(self.row.tally(before.kind), before.number))
        if task is None or wanted is None:
            return
        if before is None or before.kind is not wanted:
            self._set(wanted, brake.ask(self.row.tally(wanted), self._minute))
            before = Removal(wanted, self.row.tally(wanted).last)
        task.removal = before
        # Also if it was counted before: after a crash in between nobody may have been asked.
        self._report = self._report or before.number > self.row.tally(wanted).granted

    def _saved_opt_out(self, row: ContactDeliveryState, outcomes: Iterable[TaskEvent]) -> None:
        """An opt-out by a changed word list keeps its number while data go first: what was decided of it holds."""
        kind = RemovalKind.OPT_OUTS
        if row.out_by_words and not row.out_number:
            self._set(kind, brake.ask(self.row.tally(kind), self._minute))
            row.out_number = self.row.tally(kind).last
        elif row.out_number and not row.out_by_words:
            if not any(isinstance(one, ContactOptedOut) for one in outcomes):
                self._set(kind, brake.take_back(self.row.tally(kind), row.out_number))
            row.out_number = 0

    def forgotten(self, key: str, present: Iterable[RemovalKind] = ()) -> None:
        """The task is dropped without an outcome, and with ``present`` what its row showed."""
        if not self._enabled:
            return
        if (before := self._queue.removal_of(key)) is not None:
            self._set(before.kind, brake.take_back(self.row.tally(before.kind), before.number))
        for kind in present:
            self._add(kind, -1)

    def finish(self) -> None:
        """Write down what has changed, and report to the owner of partition 0 what waits for a grant."""
        if self._row is None:
            return
        unit, row = self._unit, self._row
        if (value := _encode(row)) != self._before:
            unit.put(ROW, value)
            unit.on_commit(partial(self._queue.set_grants, unit.partition, row.grants()))
        if self._report:
            examples = {kind: self._queue.held_removals(unit.partition, kind, _EXAMPLES) for kind in row.held}
            tally = RemovalTally(unit.partition, row.round, row.kinds, examples)
            change = RemovalTallyChange(str(unit.partition), unit.partition, b"", 0, unit.now_ms, tally)
            unit.emit_to(self._topics.desired, BRAKE_PARTITION, change)

    @property
    def row(self) -> RemovalsRow:
        """The partition's row."""
        if self._row is None:
            self._before = self._unit.get(ROW) or b""
            self._row = _decode(self._before) if self._before else RemovalsRow()
        return self._row

    @property
    def _minute(self) -> int:
        return self._unit.now_ms // 60_000

    def _set(self, kind: RemovalKind, tally: KindTally) -> None:
        self.row.kinds[kind] = tally

    def _add(self, kind: RemovalKind, count: int) -> None:
        tally = self.row.tally(kind)
        self._set(kind, msgspec.structs.replace(tally, present=max(0, tally.present + count)))
