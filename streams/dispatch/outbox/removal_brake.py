"""The brake on mass removal: the owner of partition 0 rules for the whole account, a round at a time.

A round begins with the first tally that waits for a grant. Every partition is asked for its tally; when the wait is over and
all have replied, the kinds that pass a limit are held back, whatever of them waits, and everything else is granted. While a
kind is held, round follows round, so that what is taken back meanwhile is seen, and a person sees what there is now.

The brake's rows stand in partition 0 of the outbox: ``b`` for the round, ``y`` with a partition's number for its last tally. A
tick only says that time has passed: what follows from it is decided here, by the one writer of the partition.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial

import msgspec
import structlog

from streams.core.lanes import Lane
from streams.domain import brake
from streams.domain.brake import BrakeLimits
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import EVERYWHERE, Change, ChangeKind
from streams.messages.removal_kinds import RemovalQueryChange, RemovalRulingChange
from streams.messages.removals import (
    BRAKE_PARTITION,
    HeldRemovals,
    RemovalDecision,
    RemovalKind,
    RemovalQuery,
    RemovalRuling,
    RemovalTally,
    RemovalTick,
    write_held,
)
from streams.messages.topics import Topics

log = structlog.get_logger()

ROUND = b"b"
TALLY = "y"


@dataclass(frozen=True, slots=True)
class BrakePolicy:
    """The limits, how long a round waits (ms), and how many partitions must reply."""

    limits: BrakeLimits
    wait_ms: int
    partitions: int


class Round(msgspec.Struct, array_like=True, gc=False):
    """The round under way, or the last one (``due`` 0); what was granted by kind and partition, and what is held since when."""

    number: int = 0
    due: int = 0
    granted: dict[RemovalKind, dict[int, int]] = {}
    held: dict[RemovalKind, int] = {}


_encode = msgspec.msgpack.Encoder().encode
_decode_round = msgspec.msgpack.Decoder(Round).decode
_decode_tally = msgspec.msgpack.Decoder(RemovalTally).decode


class RemovalBrake:
    """Folds tallies, ticks and decisions; ``due`` says when the next tick is wanted."""

    def __init__(self, topics: Topics, policy: BrakePolicy) -> None:
        self._topics = topics
        self._policy = policy
        self._round = Round()

    @property
    def due(self) -> tuple[int, int] | None:
        """The round under way, and when its wait is over (epoch ms); None: there is none."""
        return (self._round.number, self._round.due) if self._round.due else None

    def recovered(self, partition: int, table: StateTable) -> None:
        """Go on with the round under way."""
        if partition == BRAKE_PARTITION and (value := table.get(partition, ROUND)) is not None:
            self._round = _decode_round(value)

    def revoked(self) -> None:
        """Another worker rules."""
        self._round = Round()

    def fold(self, unit: UnitOfWork, change: Change) -> None:
        """Fold a change that concerns the brake; elsewhere than in partition 0 there is nothing to do."""
        if unit.partition != BRAKE_PARTITION:
            return
        match change.kind, change.row:
            case ChangeKind.REMOVAL_TALLY, RemovalTally() as tally:
                unit.put(f"{TALLY}{tally.partition}".encode(), _encode(tally))
                state = self._load(unit)
                if not state.due and _waits(state, tally):
                    self._begin(unit, state)
                    self._save(unit, state)
            case ChangeKind.REMOVAL_TICK, RemovalTick() as tick:
                self._tick(unit, tick.round)
            case ChangeKind.REMOVAL_DECISION, RemovalDecision() as decision:
                self._decide(unit, decision)

    def _tick(self, unit: UnitOfWork, number: int) -> None:
        state = self._load(unit)
        if number == state.number and state.due and unit.now_ms >= state.due:
            tallies = {tally.partition: tally for tally in self._tallies(unit)}
            if any(tallies[p].round < number if p in tallies else True for p in range(self._policy.partitions)):
                # What cannot be counted is not granted: ask again, whoever owns the partition by now.
                self._query(unit, state)
                return
            self._rule(unit, state, tallies)
            self._save(unit, state)
        # Also after the ruling: a crash may have lost it.
        for partition in range(self._policy.partitions):
            granted = {kind: uptos.get(partition, 0) for kind, uptos in state.granted.items()}
            ruling = RemovalRuling(granted, state.held)
            change = RemovalRulingChange(str(partition), partition, b"", Lane.URGENT, unit.now_ms, ruling)
            unit.emit_to(self._topics.desired, partition, change)

    def _rule(self, unit: UnitOfWork, state: Round, tallies: dict[int, RemovalTally]) -> None:
        for kind in RemovalKind:
            counted = {place: tally.kinds[kind] for place, tally in tallies.items() if kind in tally.kinds}
            waiting = sum(map(brake.waiting, counted.values()))
            too_many = self._policy.limits.passed(counted.values(), unit.now_ms // 60_000)
            if waiting and (kind in state.held or too_many):
                if kind not in state.held:
                    unit.on_commit(partial(_alarm, kind, waiting))
                since = state.held.setdefault(kind, unit.now_ms)
                examples = tuple(name for tally in tallies.values() for name in tally.examples.get(kind, ()))[:20]
                upto = {place: tally.sealed for place, tally in counted.items()}
                present = sum(tally.present for tally in counted.values())
                self._publish(unit, HeldRemovals(kind, since, unit.now_ms, waiting, present, upto, examples))
                continue
            if since := state.held.pop(kind, 0):
                self._publish(unit, HeldRemovals(kind, since, unit.now_ms, 0))
            granted = state.granted.setdefault(kind, {})
            for place, tally in counted.items():
                granted[place] = max(granted.get(place, 0), tally.sealed)
        state.due = 0
        if state.held or any(_waits(state, tally) for tally in tallies.values()):
            self._begin(unit, state)

    def _decide(self, unit: UnitOfWork, decision: RemovalDecision) -> None:
        state = self._load(unit)
        granted = state.granted.setdefault(decision.kind, {})
        for place, upto in decision.upto.items():
            granted[place] = max(granted.get(place, 0), upto)
        if since := state.held.pop(decision.kind, 0):
            self._publish(unit, HeldRemovals(decision.kind, since, unit.now_ms, 0))
            # What came after those that were decided is counted anew.
            self._begin(unit, state)
        self._save(unit, state)

    def _begin(self, unit: UnitOfWork, state: Round) -> None:
        state.number, state.due = state.number + 1, unit.now_ms + self._policy.wait_ms
        self._query(unit, state)

    def _query(self, unit: UnitOfWork, state: Round) -> None:
        query = RemovalQuery(state.number)
        change = RemovalQueryChange(EVERYWHERE, state.number, b"", Lane.URGENT, unit.now_ms, query)
        unit.emit_everywhere(self._topics.desired, change)

    def _publish(self, unit: UnitOfWork, held: HeldRemovals) -> None:
        unit.emit_raw(self._topics.removals, BRAKE_PARTITION, held.kind.encode(), write_held(held))

    def _load(self, unit: UnitOfWork) -> Round:
        value = unit.get(ROUND)
        return Round() if value is None else _decode_round(value)

    def _save(self, unit: UnitOfWork, state: Round) -> None:
        unit.put(ROUND, _encode(state))

        def remember() -> None:
            self._round = state

        unit.on_commit(remember)

    def _tallies(self, unit: UnitOfWork) -> Iterator[RemovalTally]:
        for place in range(self._policy.partitions):
            if (value := unit.get(f"{TALLY}{place}".encode())) is not None:
                yield _decode_tally(value)


def _waits(state: Round, tally: RemovalTally) -> bool:
    """Whether the partition has removals on which there was no ruling."""
    return any(
        kind not in state.held and one.last > state.granted.get(kind, {}).get(tally.partition, 0)
        for kind, one in tally.kinds.items()
    )


def _alarm(kind: RemovalKind, count: int) -> None:
    log.critical("a mass removal is held back: see 'owdd removals show'", kind=kind, removals=count)
