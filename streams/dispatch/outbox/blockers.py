"""Blockers: everything that holds tasks back which are due and which nobody has leased.

A *fence* holds a partition that was taken over until everything that was answered before has been read: otherwise a task would
go twice. A *reservation* keeps queues from senders of single calls, because an import will take what waits there or because its
window is shut. A *circuit breaker* stops calls while they fail: one for all calls, and one for each area. The *brake* holds
removals until the account's ruling grants them. A *pause* holds all writes; opt-outs and erasures only if a person wants that.
"""

import asyncio
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum

from streams.dispatch.outbox.delivery_task import Blocker, DeliveryTask, QueueKey
from streams.dispatch.outbox.tasks import ApiArea
from streams.messages.removals import RemovalKind
from streams.messages.write_control import RUNNING, WriteControl

_LONGEST_MS = 60_000
"""Between two probes of a breaker, in the end."""


@dataclass(slots=True)
class _CircuitBreaker:
    """Lets nothing through before ``until`` (epoch ms), and then one probe at a time, until it is closed again.

    ``wait`` is the time between two probes (ms), twice as long after each that failed; 0: the breaker is closed.
    """

    until: int = 0
    wait: int = 0
    probing: bool = False

    def open(self, now: int, wait: int) -> None:
        if not self.wait:
            self.wait = wait
        elif self.probing:
            self.wait = min(2 * self.wait, _LONGEST_MS)
        else:
            # A call that was under way when the breaker opened says nothing new.
            return
        self.until, self.probing = now + self.wait, False

    def passed(self, now: int) -> None:
        if self.wait:
            self.until, self.probing = now + _LONGEST_MS, True

    def close(self) -> bool:
        was_open = self.wait > 0
        self.until, self.wait, self.probing = 0, 0, False
        return was_open


class RemovalState(StrEnum):
    """Where a removal stands with the brake."""

    WAITING = "waiting"
    HELD = "held"
    GRANTED = "granted"
    DISCARDED = "discarded"


@dataclass(frozen=True, slots=True)
class Grant:
    """Up to which number a partition's removals of one kind may go.

    ``discarded``: those that a person does not want to go, after one number and up to another. ``held``: the kind passed a
    limit.
    """

    upto: int = 0
    discarded: tuple[tuple[int, int], ...] = ()
    held: bool = False

    def state(self, number: int) -> RemovalState:
        """Where the removal of that number stands."""
        if any(after < number <= upto for after, upto in self.discarded):
            return RemovalState.DISCARDED
        if number <= self.upto:
            return RemovalState.GRANTED
        return RemovalState.HELD if self.held else RemovalState.WAITING


class Blockers:
    """What is held back at the moment; ``changed`` is set when something may be given out that was not before."""

    def __init__(self) -> None:
        self.changed = asyncio.Event()
        self.reserved: frozenset[QueueKey] = frozenset()
        self._fenced: set[int] = set()
        self._grants: dict[int, Mapping[RemovalKind, Grant]] = {}
        self.writes: WriteControl = RUNNING
        self._all_calls = _CircuitBreaker()
        self._by_area = {area: _CircuitBreaker() for area in ApiArea}

    def of(self, task: DeliveryTask, now: int) -> frozenset[Blocker]:
        """Everything that holds a task back at ``now`` (epoch ms); it is given out to a sender only if there is nothing."""
        found = {
            Blocker.NOT_DUE: task.due > now,
            Blocker.FENCED: self.fenced(task.partition),
            Blocker.RESERVED: task.queue_key in self.reserved,
            Blocker.CIRCUIT_OPEN: now < self.opens_at(task.queue_key),
            Blocker.BRAKED: self.braked(task),
            Blocker.PAUSED: self.paused(task),
        }
        leased = () if task.lease is None else (task.lease.blocker,)
        return frozenset((*leased, *(blocker for blocker, holds in found.items() if holds)))

    def fence(self, partition: int) -> None:
        """Hold a partition back: what was answered before has not been read yet."""
        self._fenced.add(partition)

    def lift_fence(self, partition: int) -> None:
        """Everything that was answered before has been read."""
        self._fenced.discard(partition)
        self.changed.set()

    def fenced(self, partition: int) -> bool:
        """Whether a partition is held back."""
        return partition in self._fenced

    def set_grants(self, partition: int, grants: Mapping[RemovalKind, Grant]) -> None:
        """These removals of a partition may go, and no others."""
        self._grants[partition] = grants
        self.changed.set()

    def removal_state(self, task: DeliveryTask) -> RemovalState:
        """Where a removal stands with the brake; what is no removal needs no grant."""
        if task.removal is None:
            return RemovalState.GRANTED
        grant = self._grants.get(task.partition, {}).get(task.removal.kind) or Grant()
        return grant.state(task.removal.number)

    def braked(self, task: DeliveryTask) -> bool:
        """Whether the brake holds the task back."""
        return task.removal is not None and self.removal_state(task) is not RemovalState.GRANTED

    def set_writes(self, control: WriteControl) -> None:
        """A person has paused all writes, or resumed them."""
        self.writes = control
        self.changed.set()

    def paused(self, task: DeliveryTask) -> bool:
        """Whether a pause holds the task back; what overtakes imports, an opt-out or an erasure, goes on."""
        return self.writes.paused and (self.writes.everything or not task.overtakes)

    def held_back(self, task: DeliveryTask) -> bool:
        """Whether the task stands in no line now: its partition is fenced, the brake holds it, or writes are paused."""
        return self.fenced(task.partition) or self.braked(task) or self.paused(task)

    def reserve(self, keys: Iterable[QueueKey]) -> None:
        """Keep these queues from senders of single calls, and no others."""
        reserved = frozenset(keys)
        if reserved != self.reserved:
            self.reserved = reserved
            self.changed.set()

    def open(self, now: int, area: ApiArea | None, wait: int) -> None:
        """Let no call of that area out (None: of none), but a probe after ``wait`` ms, until :meth:`close`."""
        (self._all_calls if area is None else self._by_area[area]).open(now, wait)

    def close(self, area: ApiArea | None) -> bool:
        """Calls of that area work (None: there is a connection); whether they were held back until now."""
        closed = (self._all_calls if area is None else self._by_area[area]).close()
        if closed:
            self.changed.set()
        return closed

    def opens_at(self, key: QueueKey) -> int:
        """When calls of a queue are let out (epoch ms); the past means now."""
        return max(self._all_calls.until, self._by_area[key[1].area].until)

    def passed(self, key: QueueKey, now: int) -> None:
        """A call of that queue goes out; while calls fail it is a probe, and the next one waits."""
        self._all_calls.passed(now)
        self._by_area[key[1].area].passed(now)

    def clear(self) -> None:
        """The partitions are gone; reservations, breakers and a pause are of the account, and stay."""
        self._fenced.clear()
        self._grants.clear()
