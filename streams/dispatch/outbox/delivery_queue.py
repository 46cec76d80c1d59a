"""Who is due next: a heap per lane and queue in memory, rebuilt from the state rows whenever partitions are assigned.

Urgent before live before bulk, whatever has waited longest within a lane; a task is with one taker at a time. A heap may be
closed to those who send one by one, because an import will take what waits there, or because its window is shut.
"""

import asyncio
import heapq
from collections import Counter, defaultdict
from collections.abc import Container, Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, TypeAlias

from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.dispatch.outbox.tasks import Queue
from streams.messages.deliveries import Created

QueueKey: TypeAlias = tuple[Lane, Queue]
SINGLY = tuple(queue for queue in Queue if queue is not Queue.FOLLOW_UP)

CALL: Final = "call"
"""Who has a task while a call for it is under way."""

_COUNTED = 1_000
_PROBE_MS = 5_000
"""Between two probes, at least."""


@dataclass(slots=True)
class _CircuitBreaker:
    """Lets nothing through before ``until`` (epoch ms), and then a probe now and then, until it is opened again."""

    until: int = 0
    probing: bool = False

    def shut(self, until: int) -> None:
        self.until, self.probing = max(self.until, until), True

    def passed(self, now: int) -> None:
        if self.probing:
            self.until = now + _PROBE_MS

    def open(self) -> None:
        self.until, self.probing = 0, False


@dataclass(slots=True)
class QueuedTask:
    """A task that must be done.

    ``lease_owner``: who has it, and has no answer written down yet: a call, or the import of that id; None while it waits.
    ``timer``: nothing waits to be sent, but something must be done at ``due`` (epoch ms). ``overtakes``: no import holds it up.
    ``failures`` are those in a row, ``missing`` those of them that lacked something. ``creation_attempted_as``: how a call that
    was never answered may have created the contact; its row will say so too, but not at once.
    """

    task: str
    partition: int
    due: int
    lane: Lane
    queue: Queue
    timer: bool = False
    overtakes: bool = False
    lease_owner: str | None = None
    failures: int = 0
    missing: int = 0
    creation_attempted_as: Created = "no"

    @property
    def key(self) -> QueueKey:
        """The heap in which it waits."""
        return self.lane, self.queue

    @property
    def with_import(self) -> bool:
        """Whether an import has it."""
        return self.lease_owner not in (None, CALL)


class DeliveryQueue:
    """Tasks that wait, by lane, queue and due time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, QueuedTask] = {}
        self._heaps: dict[QueueKey, list[tuple[int, str]]] = {(lane, queue): [] for lane in Lane for queue in Queue}
        self._waiting: Counter[QueueKey] = Counter()
        self._changed = asyncio.Event()
        self._gate = _CircuitBreaker()
        self._gates = defaultdict[QueueKey, _CircuitBreaker](_CircuitBreaker)
        self._shut: set[int] = set()
        self.closed: frozenset[QueueKey] = frozenset()

    def now_ms(self) -> int:
        """The time by which the schedule goes."""
        return self._clock.now_ms()

    def put(
        self, task: str, partition: int, due: int, lane: Lane, queue: Queue, *, timer: bool = False, overtakes: bool = False
    ) -> None:
        """(Re)schedule a task. While a call for it is under way, its new due time waits for the answer.

        ``overtakes``: it does not wait for an import, and goes out beside it.
        """
        entry = self._entries.get(task)
        if entry is None:
            entry = self._entries[task] = QueuedTask(task, partition, due, lane, queue, timer, overtakes)
            self._count(entry, 1)
        else:
            self._count(entry, -1)
            if entry.with_import and overtakes:
                entry.lease_owner = None
            entry.due, entry.lane, entry.timer, entry.overtakes = due, lane, timer, overtakes
            # What an import refused stays alone until it is answered.
            entry.queue = entry.queue if entry.failures and entry.queue is Queue.ALONE else queue
            self._count(entry, 1)
        self._push(entry)

    def answered(self, task: str, by: str = CALL) -> None:
        """The answer is written down: what is still to be done is put again.

        ``by``: the import that answers. Nobody's answer ends what somebody else has under way.
        """
        entry = self._entries.get(task)
        if entry is not None and entry.lease_owner in (None, by):
            self.forget(task)

    def drop(self, task: str) -> None:
        """Nothing is wanted any more; what is under way still gets its answer written down first."""
        entry = self._entries.get(task)
        if entry is not None and entry.lease_owner is None:
            self.forget(task)

    def forget(self, task: str) -> None:
        """Nobody may do it any more, whoever has it."""
        entry = self._entries.pop(task, None)
        if entry is not None:
            self._count(entry, -1)

    def may_have_run(self, task: str) -> bool:
        """Whether a call for the task is under way, or was made and failed: it may have worked all the same."""
        entry = self._entries.get(task)
        return entry is not None and (entry.lease_owner is not None or entry.failures > 0)

    def overtook(self, task: str, import_id: str) -> bool:
        """Whether somebody else has the task that the import had, or it waits."""
        entry = self._entries.get(task)
        return entry is not None and entry.lease_owner != import_id

    def lease_to_import(self, task: str, import_id: str) -> None:
        """An import has the task, unless a sender has it or it waits for no import; of two imports the later has it."""
        entry = self._entries.get(task)
        if entry is not None and not entry.overtakes and entry.lease_owner != CALL:
            entry.lease_owner = import_id

    def hand_to_import(self, entries: Iterable[QueuedTask], import_id: str) -> None:
        """Taken tasks went out with an import, and are with it until it is over, or until they must wait no longer."""
        for entry in entries:
            entry.lease_owner = import_id
            if entry.overtakes:
                self.give_back(entry)

    def retry(self, entry: QueuedTask, due: int, *, alone: bool = False) -> None:
        """What was tried for ``entry`` failed: again at ``due`` (epoch ms), unless the schedule was rebuilt since.

        ``alone``: not for an import any more.
        """
        if self._entries.get(entry.task) is entry:
            entry.lease_owner, entry.due = None, due
            entry.failures += 1
            if alone:
                self._move(entry, Queue.ALONE)
            self._push(entry)

    def send_alone(self, entry: QueuedTask) -> None:
        """``entry`` is nothing for an import: it waits again, with those that go alone."""
        if self._entries.get(entry.task) is entry:
            entry.lease_owner = None
            self._move(entry, Queue.ALONE)
            self._push(entry)

    def give_back(self, entry: QueuedTask, due: int | None = None) -> None:
        """Nothing was tried for ``entry``: it waits again, until ``due`` (epoch ms) if given."""
        if self._entries.get(entry.task) is entry:
            entry.lease_owner, entry.due = None, entry.due if due is None else due
            self._push(entry)

    def release(self, task: str, import_id: str, *, alone: bool) -> None:
        """The import is over; if it has the task still, it did not do it, and the task waits again.

        ``alone``: not for an import.
        """
        entry = self._entries.get(task)
        if entry is not None and entry.lease_owner == import_id:
            # What two imports did not do is not done by a third.
            self.retry(entry, self._clock.now_ms(), alone=alone or entry.failures > 0)

    def return_from_import(self, task: str, import_id: str) -> None:
        """The import never began: if it has the task, that waits again as before."""
        entry = self._entries.get(task)
        if entry is not None and entry.lease_owner == import_id:
            self.give_back(entry)

    def pause(self, until: int, place: QueueKey | None = None) -> None:
        """Give nothing out before ``until`` (epoch ms), of that place or at all, and then little until :meth:`resume`."""
        (self._gate if place is None else self._gates[place]).shut(until)

    def resume(self, place: QueueKey | None = None) -> None:
        """There was an answer: give out what is due again; also of ``place``, if it was a good one."""
        gates = [self._gate] if place is None else [self._gate, self._gates[place]]
        if any(gate.probing for gate in gates):
            for gate in gates:
                gate.open()
            self._changed.set()

    def shut(self, partition: int) -> None:
        """Give out nothing of a partition until it is opened: what was answered is not read yet."""
        self._shut.add(partition)

    def open(self, partition: int) -> None:
        """Give out what is due in the partition."""
        self._shut.discard(partition)
        for entry in self._entries.values():
            if entry.partition == partition:
                self._push(entry)

    def close(self, places: Iterable[QueueKey]) -> None:
        """Give out nothing one by one from these places; all others are open."""
        closed = frozenset(places)
        if closed != self.closed:
            self.closed = closed
            self._changed.set()

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._shut.clear()
        self._waiting.clear()
        for heap in self._heaps.values():
            heap.clear()

    def counts(self) -> Counter[Lane]:
        """Tasks that wait, by lane; those under way included, timers not."""
        found: Counter[Lane] = Counter()
        for (lane, _), count in self._waiting.items():
            found[lane] += count
        return found

    def due(self, place: QueueKey, most: int) -> int:
        """How many tasks are due in a place, counted up to ``most``."""
        now, count = self._clock.now_ms(), 0
        # A heap's least stands first: what is due hangs together from there.
        heap, branches = self._heaps[place], [0]
        while branches and count < most:
            index = branches.pop()
            if index < len(heap) and heap[index][0] <= now:
                due, task = heap[index]
                entry = self._entries.get(task)
                count += entry is not None and self._waits(entry, due, place)
                branches += (2 * index + 1, 2 * index + 2)
        return count

    def backlog(self, place: QueueKey) -> int:
        """About how many tasks are due in a place: exact while they are few."""
        due = self.due(place, _COUNTED)
        return due if due < _COUNTED else max(due, self._waiting[place])

    def take_due(self, place: QueueKey, most: int) -> list[QueuedTask]:
        """Up to ``most`` due tasks of a place, for an import."""
        now = self._clock.now_ms()
        taken: list[QueuedTask] = []
        while now >= self._opens(place) and len(taken) < most and (entry := self._pop_due(place, now)) is not None:
            entry.lease_owner = CALL
            taken.append(entry)
        if taken:
            self._passed(place, now)
        return taken

    async def take(self, lanes: Container[Lane] = tuple(Lane), queues: Container[Queue] = SINGLY) -> QueuedTask:
        """The next due task of ``lanes`` and ``queues``; waits until there is one."""
        places = [place for place in self._heaps if place[0] in lanes and place[1] in queues]
        while True:
            now = self._clock.now_ms()
            if (entry := self._first(places, now)) is not None:
                entry.lease_owner = CALL
                self._passed(entry.key, now)
                return entry
            await self._wait(places, now)

    def _opens(self, place: QueueKey) -> int:
        return max(self._gate.until, self._gates[place].until)

    def _passed(self, place: QueueKey, now: int) -> None:
        self._gate.passed(now)
        self._gates[place].passed(now)

    def _first(self, places: Iterable[QueueKey], now: int) -> QueuedTask | None:
        for place in places:
            shut = place in self.closed or now < self._opens(place)
            if not shut and (entry := self._pop_due(place, now)) is not None:
                return entry
        return None

    def _pop_due(self, place: QueueKey, now: int) -> QueuedTask | None:
        heap = self._heaps[place]
        while heap and heap[0][0] <= now:
            due, task = heapq.heappop(heap)
            entry = self._entries.get(task)
            if entry is not None and self._waits(entry, due, place):
                return entry
        return None

    @staticmethod
    def _waits(entry: QueuedTask, due: int, place: QueueKey) -> bool:
        """Whether the entry waits here; one whose due time has moved on has another place in a heap."""
        return entry.lease_owner is None and entry.due == due and entry.key == place

    async def _wait(self, places: Iterable[QueueKey], now: int) -> None:
        open_ = [place for place in places if self._heaps[place] and place not in self.closed]
        wake = min((max(self._heaps[place][0][0], self._opens(place)) for place in open_), default=None)
        self._changed.clear()
        with suppress(TimeoutError):
            # Not wait_for: it would begin to wait only after others have had their turn, and might miss the change.
            async with asyncio.timeout(None if wake is None else max(0.001, (wake - now) / 1000)):
                await self._changed.wait()

    def _push(self, entry: QueuedTask) -> None:
        if entry.lease_owner is None and entry.partition not in self._shut:
            heapq.heappush(self._heaps[entry.key], (entry.due, entry.task))
            self._changed.set()

    def _move(self, entry: QueuedTask, queue: Queue) -> None:
        self._count(entry, -1)
        entry.queue = queue
        self._count(entry, 1)

    def _count(self, entry: QueuedTask, by: int) -> None:
        if not entry.timer:
            self._waiting[entry.key] += by
