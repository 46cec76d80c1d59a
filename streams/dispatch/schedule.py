"""Who is due next: a heap per lane in memory, rebuilt from the state rows whenever partitions are assigned.

Urgent before live before bulk, whatever has waited longest within a lane; one call at a time per contact.
"""

import asyncio
import heapq
from collections import Counter
from dataclasses import dataclass

from streams.capture.rows import Lane
from streams.clock import Clock


@dataclass(slots=True)
class Entry:
    """A contact that must be sent. ``taken``: a call is under way, or its answer is not yet written down."""

    email: str
    partition: int
    due: int
    lane: int
    taken: bool = False


class Schedule:
    """Contacts that wait, by lane and due time."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._entries: dict[str, Entry] = {}
        self._heaps: tuple[list[tuple[int, str]], ...] = tuple([] for _ in Lane)
        self._changed = asyncio.Event()
        self._paused_until = 0

    def put(self, email: str, partition: int, due: int, lane: int) -> None:
        """(Re)schedule a contact. While a call for it is under way, its new due time waits for the answer."""
        entry = self._entries.get(email)
        if entry is None:
            entry = self._entries[email] = Entry(email, partition, due, lane)
        entry.due, entry.lane = due, lane
        self._push(entry)

    def answered(self, email: str, due: int | None, lane: int) -> None:
        """The answer is written down: forget the contact, or with a ``due`` time send it again."""
        entry = self._entries.get(email)
        if entry is None:
            return
        if due is None:
            del self._entries[email]
            return
        entry.taken, entry.due, entry.lane = False, due, lane
        self._push(entry)

    def drop(self, email: str) -> None:
        """Nothing is wanted any more; a call that is under way still gets its answer written down first."""
        entry = self._entries.get(email)
        if entry is not None and not entry.taken:
            del self._entries[email]

    def retry(self, entry: Entry, due: int) -> None:
        """The call for ``entry`` failed: try again at ``due`` (epoch ms), unless the schedule was rebuilt since."""
        if self._entries.get(entry.email) is entry:
            entry.taken, entry.due = False, due
            self._push(entry)

    def pause(self, until: int) -> None:
        """Give nothing out before ``until`` (epoch ms)."""
        self._paused_until = max(self._paused_until, until)

    def clear(self) -> None:
        """Forget everything."""
        self._entries.clear()
        for heap in self._heaps:
            heap.clear()

    def counts(self) -> Counter[int]:
        """Contacts that wait, by lane; those under way included."""
        return Counter(entry.lane for entry in self._entries.values())

    async def take(self) -> Entry:
        """The next due contact; waits until there is one."""
        while True:
            now = self._clock.now_ms()
            if now >= self._paused_until:
                for heap in self._heaps:
                    if (entry := self._pop_due(heap, now)) is not None:
                        entry.taken = True
                        return entry
            await self._wait(now)

    def _pop_due(self, heap: list[tuple[int, str]], now: int) -> Entry | None:
        while heap and heap[0][0] <= now:
            due, email = heapq.heappop(heap)
            entry = self._entries.get(email)
            # An entry whose due time has moved on has another place in a heap.
            if entry is not None and not entry.taken and entry.due == due and heap is self._heaps[entry.lane]:
                return entry
        return None

    async def _wait(self, now: int) -> None:
        heads = [heap[0][0] for heap in self._heaps if heap]
        wake = max(min(heads), self._paused_until) if heads else None
        self._changed.clear()
        try:
            await asyncio.wait_for(self._changed.wait(), None if wake is None else max(0.001, (wake - now) / 1000))
        except TimeoutError:
            return

    def _push(self, entry: Entry) -> None:
        if not entry.taken:
            heapq.heappush(self._heaps[entry.lane], (entry.due, entry.email))
            self._changed.set()
