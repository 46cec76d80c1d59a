"""Who is due next: a heap per lane and queue in memory, rebuilt from the state rows whenever partitions are assigned.

Urgent before live before bulk, whatever has waited longest within a lane; a task is with one taker at a time. A heap may be
closed to those who send one by one, because an import will take what waits there, or because its window is shut.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Container, Iterable
from dataclasses import dataclass
from typing import TypeAlias

from streams.capture.rows import Lane
from streams.clock import Clock
from streams.dispatch.tasks import Queue

Place: TypeAlias = tuple[Lane, Queue]
SINGLY = tuple(queue for queue in Queue if queue is not Queue.FOLLOW_UP)

_COUNTED = 1_000
_PROBE_MS = 5_000
"""Between two probes, at least."""


@dataclass(slots=True)
class Entry:
    """A task that must be done.

    ``taken``: a call is under way, or its answer is not yet written down. ``timer``: nothing waits to be sent, but something
    must be done at ``due``. ``held`` names the import that has the task. ``failures`` are those in a row. Whatever comes,
    nothing is tried before ``earliest``. Times in epoch ms.
    """

    task: str
    partition: int
    due: int
    lane: Lane
    queue: Queue
    timer: bool = False
    taken: bool = False
    held: str = ""
    failures: int = 0
    earliest: int = 0

    @property
    def place(self) -> Place:
        """The heap in which it waits."""
        return self.lane, self.queue


class Schedule:
    """Tasks that wait, by lane, queue and due time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._heaps: dict[Place, list[tuple[int, str]]] = {(lane, queue): [] for lane in Lane for queue in Queue}
        self._waiting: Counter[Place] = Counter()
        self._changed = asyncio.Event()
        self._paused_until = 0
        self._probing = False
        self.closed: frozenset[Place] = frozenset()

    def now_ms(self) -> int:
        """The time by which the schedule goes."""
        return self._clock.now_ms()

    def put(self, task: str, partition: int, due: int, lane: Lane, queue: Queue, *, timer: bool = False) -> None:
        """(Re)schedule a task. While a call for it is under way, its new due time waits for the answer."""
        entry = self._entries.get(task)
        if entry is None:
            entry = self._entries[task] = Entry(task, partition, due, lane, queue, timer)
            self._count(entry, 1)
        else:
            self._count(entry, -1)
            entry.due, entry.lane, entry.timer = max(due, entry.earliest), lane, timer
            # What an import refused stays alone until it is answered.
            entry.queue = entry.queue if entry.failures and entry.queue is Queue.ALONE else queue
            self._count(entry, 1)
        self._push(entry)

    def answered(self, task: str) -> None:
        """The answer is written down: what is still to be done is put again."""
        entry = self._entries.pop(task, None)
        if entry is not None:
            self._count(entry, -1)

    def drop(self, task: str) -> None:
        """Nothing is wanted any more; a call that is under way still gets its answer written down first."""
        entry = self._entries.get(task)
        if entry is not None and not entry.taken:
            self.answered(task)

    def tried(self, task: str) -> bool:
        """Whether a call for the task is under way, or was made and failed: it may have worked all the same."""
        entry = self._entries.get(task)
        return entry is not None and (entry.taken or entry.failures > 0)

    def hold(self, task: str, import_id: str) -> None:
        """An import has the task: it is taken, unless somebody else has it."""
        entry = self._entries.get(task)
        if entry is not None and not entry.taken:
            entry.taken, entry.held = True, import_id

    def ship(self, entries: Iterable[Entry], import_id: str) -> None:
        """Taken tasks went out with an import, and are with it until it is over."""
        for entry in entries:
            entry.held = import_id

    def retry(self, entry: Entry, due: int, *, alone: bool = False, earliest: int = 0) -> None:
        """What was tried for ``entry`` failed: again at ``due`` (epoch ms), unless the schedule was rebuilt since.

        ``alone``: not for an import any more. ``earliest``: until then it may still be under way (epoch ms).
        """
        if self._entries.get(entry.task) is entry:
            entry.taken, entry.held = False, ""
            entry.due, entry.earliest = max(due, earliest), earliest
            entry.failures += 1
            if alone:
                self._move(entry, Queue.ALONE)
            self._push(entry)

    def send_alone(self, entry: Entry) -> None:
        """``entry`` is nothing for an import: it waits again, with those that go alone."""
        if self._entries.get(entry.task) is entry:
            entry.taken = False
            self._move(entry, Queue.ALONE)
            self._push(entry)

    def give_back(self, entry: Entry, due: int | None = None) -> None:
        """Nothing was tried for ``entry``: it waits again, until ``due`` (epoch ms) if given."""
        if self._entries.get(entry.task) is entry:
            entry.taken, entry.due = False, entry.due if due is None else due
            self._push(entry)

    def release(self, task: str, import_id: str, *, alone: bool) -> None:
        """The import is over; if it has the task still, it did not do it, and the task waits again.

        ``alone``: not for an import.
        """
        entry = self._entries.get(task)
        if entry is not None and entry.held == import_id:
            self.retry(entry, self._clock.now_ms(), alone=alone)

    def pause(self, until: int, *, probing: bool = False) -> None:
        """Give nothing out before ``until`` (epoch ms); ``probing``: and then little at a time, until :meth:`resume`."""
        self._paused_until = max(self._paused_until, until)
        self._probing |= probing

    def resume(self) -> None:
        """There was an answer: give out what is due, if only probes were."""
        if self._probing:
            self._probing, self._paused_until = False, 0
            self._changed.set()

    def close(self, places: Iterable[Place]) -> None:
        """Give out nothing one by one from these places; all others are open."""
        closed = frozenset(places)
        if closed != self.closed:
            self.closed = closed
            self._changed.set()

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        self._waiting.clear()
        for heap in self._heaps.values():
            heap.clear()

    def counts(self) -> Counter[Lane]:
        """Tasks that wait, by lane; those under way included, timers not."""
        found: Counter[Lane] = Counter()
        for (lane, _), count in self._waiting.items():
            found[lane] += count
        return found

    def due(self, place: Place, most: int) -> int:
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

    def backlog(self, place: Place) -> int:
        """About how many tasks are due in a place: exact while they are few."""
        due = self.due(place, _COUNTED)
        return due if due < _COUNTED else max(due, self._waiting[place])

    def take_due(self, place: Place, most: int) -> list[Entry]:
        """Up to ``most`` due tasks of a place, for an import."""
        now = self._clock.now_ms()
        taken: list[Entry] = []
        while now >= self._paused_until and len(taken) < most and (entry := self._pop_due(place, now)) is not None:
            entry.taken = True
            taken.append(entry)
        if taken:
            self._given(now)
        return taken

    async def take(self, lanes: Container[Lane] = tuple(Lane), queues: Container[Queue] = SINGLY) -> Entry:
        """The next due task of ``lanes`` and ``queues``; waits until there is one."""
        places = [place for place in self._heaps if place[0] in lanes and place[1] in queues]
        while True:
            now = self._clock.now_ms()
            if now >= self._paused_until and (entry := self._first(places, now)) is not None:
                entry.taken = True
                self._given(now)
                return entry
            await self._wait(places, now)

    def _given(self, now: int) -> None:
        if self._probing:
            self._paused_until = now + _PROBE_MS

    def _first(self, places: Iterable[Place], now: int) -> Entry | None:
        for place in places:
            if place not in self.closed and (entry := self._pop_due(place, now)) is not None:
                return entry
        return None

    def _pop_due(self, place: Place, now: int) -> Entry | None:
        heap = self._heaps[place]
        while heap and heap[0][0] <= now:
            due, task = heapq.heappop(heap)
            entry = self._entries.get(task)
            if entry is not None and self._waits(entry, due, place):
                return entry
        return None

    @staticmethod
    def _waits(entry: Entry, due: int, place: Place) -> bool:
        """Whether the entry waits here; one whose due time has moved on has another place in a heap."""
        return not entry.taken and entry.due == due and entry.place == place

    async def _wait(self, places: Iterable[Place], now: int) -> None:
        heads = [self._heaps[place][0][0] for place in places if self._heaps[place] and place not in self.closed]
        wake = max(min(heads), self._paused_until) if heads else None
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), None if wake is None else max(0.001, (wake - now) / 1000))
        except TimeoutError:
            return

    def _push(self, entry: Entry) -> None:
        if not entry.taken:
            heapq.heappush(self._heaps[entry.place], (entry.due, entry.task))
            self._changed.set()

    def _move(self, entry: Entry, queue: Queue) -> None:
        self._count(entry, -1)
        entry.queue = queue
        self._count(entry, 1)

    def _count(self, entry: Entry, by: int) -> None:
        if not entry.timer:
            self._waiting[entry.place] += by
