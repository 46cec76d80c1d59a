"""The delivery queue: which task goes next.

It is a heap per lane and kind of work in memory, rebuilt from the state rows whenever partitions are assigned. Urgent goes
before live before bulk, and within a lane what has waited longest. A task is leased to one worker at a time; its states and
transitions are in :mod:`streams.dispatch.outbox.delivery_task`.
"""

import asyncio
import heapq
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping
from contextlib import suppress
from itertools import islice

from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.dispatch.outbox.blockers import Blockers, Grant, RemovalState
from streams.dispatch.outbox.delivery_task import CALL, Blocker, DeliveryTask, Lease, QueueKey, Removal, TaskState, state_of
from streams.dispatch.outbox.oldest_causes import OldestCauses
from streams.dispatch.outbox.tasks import SINGLY, ApiArea, Work, owner_of
from streams.messages.deliveries import CreatedAs
from streams.messages.removals import RemovalKind
from streams.messages.write_control import WriteControl

_COUNTED = 1_000


class DeliveryQueue:
    """Tasks that wait, by lane, work and due time, and those that are leased."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._tasks: dict[str, DeliveryTask] = {}
        self._removals: dict[str, DeliveryTask] = {}
        self._heaps: dict[QueueKey, list[tuple[int, str]]] = {(lane, work): [] for lane in Lane for work in Work}
        self._waiting: Counter[QueueKey] = Counter()
        self._patient: dict[str, DeliveryTask] = {}
        self._causes = OldestCauses(self._tasks)
        self.blockers = Blockers()

    def now_ms(self) -> int:
        """The time by which the queue goes (epoch ms)."""
        return self._clock.now_ms()

    # What the outbox decides

    def put(self, wanted: DeliveryTask) -> None:
        """A task must be done, at that time and in that way. While it is leased, its new due time waits for the outcome."""
        task = self._tasks.get(wanted.key)
        if task is None:
            task = self._tasks[wanted.key] = wanted
            self._count(task, 1)
            self._causes.note(task)
        else:
            self._count(task, -1)
            if wanted.overtakes and task.lease not in (None, CALL):
                # An opt-out or an erasure goes out beside the import that has the task.
                task.lease = None
            task.due, task.lane, task.timer, task.overtakes = wanted.due, wanted.lane, wanted.timer, wanted.overtakes
            task.removal, task.caused_at = wanted.removal, wanted.caused_at
            task.patient, task.looks = wanted.patient, wanted.looks
            self._causes.note(task)
            # What an import could not do stays alone until there is an outcome: a second import would fail like the first.
            task.work = task.work if task.failures and task.work is wanted.work.alone else wanted.work
            self._count(task, 1)
        if task.removal is None:
            self._removals.pop(task.key, None)
        else:
            self._removals[task.key] = task
        self._push(task)

    def finish(self, key: str, lease: Lease = CALL) -> None:
        """The outcome is written down and read; what is still to be done is put again.

        ``lease``: whose outcome it is. It does not end what another lease has under way.
        """
        task = self._tasks.get(key)
        if task is not None and task.lease in (None, lease):
            self.forget(key)

    def drop(self, key: str) -> None:
        """Nothing is wanted any more; what is leased is kept until its outcome is read."""
        task = self._tasks.get(key)
        if task is not None and task.lease is None:
            self.forget(key)

    def forget(self, key: str) -> None:
        """The task must not be done any more, whatever is leased."""
        task = self._tasks.pop(key, None)
        self._removals.pop(key, None)
        if task is not None:
            self._count(task, -1)

    def may_have_run(self, key: str) -> bool:
        """Whether a call for the task is under way, or was made and failed: it may have worked all the same."""
        task = self._tasks.get(key)
        return task is not None and (task.lease is not None or task.failures > 0)

    def awaits_response(self, key: str) -> bool:
        """Whether a call for the task is under way, or was made by the worker before and its response is not read yet."""
        task = self._tasks.get(key)
        return task is not None and (task.lease == CALL or self.blockers.fenced(task.partition))

    def overtook(self, key: str, import_id: str) -> bool:
        """Whether the task that the import had is leased otherwise by now, or waits."""
        task = self._tasks.get(key)
        return task is not None and task.lease != Lease(import_id)

    def fence(self, partition: int) -> None:
        """Give out nothing of a partition until the fence is lifted: what was answered has not been read yet."""
        self.blockers.fence(partition)

    def lift_fence(self, partition: int) -> None:
        """Give out what is due in the partition."""
        self.blockers.lift_fence(partition)
        # What was put behind the fence is in no heap yet.
        for task in self._tasks.values():
            if task.partition == partition:
                self._push(task)

    def set_grants(self, partition: int, grants: Mapping[RemovalKind, Grant]) -> None:
        """Give out these removals of the partition when they are due, and no others."""
        self.blockers.set_grants(partition, grants)
        for task in self._removals.values():
            if task.partition == partition:
                self._push(task)

    def set_writes(self, control: WriteControl) -> None:
        """Give out nothing while writes are paused, and then all that is due."""
        self.blockers.set_writes(control)
        for task in self._tasks.values():
            self._push(task)

    def clear(self) -> None:
        """Forget every task."""
        self._tasks.clear()
        self._removals.clear()
        self._waiting.clear()
        self._patient.clear()
        self._causes.clear()
        self.blockers.clear()
        for heap in self._heaps.values():
            heap.clear()

    # Removals

    def removal_of(self, key: str) -> Removal | None:
        """The removal that the task is, as it was committed last."""
        task = self._removals.get(key)
        return None if task is None else task.removal

    def removals_between(self, partition: int, kind: RemovalKind, after: int, upto: int) -> bool:
        """Whether there is a removal of that kind in the partition with a number in between."""
        return any(
            task.partition == partition and task.removal.kind is kind and after < task.removal.number <= upto
            for task in self._removals.values()
            if task.removal is not None
        )

    def held_removals(self, partition: int, kind: RemovalKind, most: int) -> tuple[str, ...]:
        """Owners of removals that are held back, at most so many."""
        held = (
            owner_of(task.key)
            for task in self._removals.values()
            if task.partition == partition
            and task.removal is not None
            and task.removal.kind is kind
            and self.blockers.removal_state(task) in (RemovalState.WAITING, RemovalState.HELD)
        )
        return tuple(islice(held, most))

    def removal_counts(self) -> Counter[tuple[RemovalKind, RemovalState]]:
        """Removals by kind, and by where they stand with the brake."""
        return Counter(
            (task.removal.kind, self.blockers.removal_state(task))
            for task in self._removals.values()
            if task.removal is not None
        )

    # What becomes of leases

    async def take(self, lanes: Container[Lane] = tuple(Lane), works: Container[Work] = SINGLY) -> DeliveryTask:
        """Lease the next ready task of ``lanes`` and ``works`` for a call; waits until there is one."""
        keys = [key for key in self._heaps if key[0] in lanes and key[1] in works]
        while True:
            now = self._clock.now_ms()
            if (task := self._first(keys, now)) is not None:
                task.lease = CALL
                self.blockers.passed(task.queue_key, now)
                return task
            await self._wait(keys, now)

    def take_due(self, key: QueueKey, most: int) -> list[DeliveryTask]:
        """Lease up to ``most`` due tasks of a queue for an import; that the queue is reserved for imports does not matter."""
        now = self._clock.now_ms()
        taken: list[DeliveryTask] = []
        while now >= self.blockers.opens_at(key) and len(taken) < most and (task := self._pop_due(key, now)) is not None:
            task.lease = CALL
            taken.append(task)
        if taken:
            self.blockers.passed(key, now)
        return taken

    def record_attempt(self, task: DeliveryTask, created_as: CreatedAs | None) -> None:
        """A call for the leased task may have created its contact, with that status; None: no call is in doubt."""
        if self._is_current(task):
            task.unread_attempt = created_as

    def retry(
        self, task: DeliveryTask, due: int, *, alone: bool = False, missing: bool = False, deferred: bool = False
    ) -> None:
        """What was tried for ``task`` failed: again at ``due`` (epoch ms), unless the queue was rebuilt since.

        ``alone``: not by import any more. ``missing``: it lacked something, and is not tried so for ever. ``deferred``: nobody
        answered about the task, so this counts as no try.
        """
        if self._is_current(task):
            task.lease, task.due, task.deferred = None, due, deferred
            task.failures += 1
            task.missing += missing
            if not (missing or deferred):
                task.tries += 1
                task.tried_since = task.tried_since or self._clock.now_ms()
            if alone:
                self._move(task, task.work.alone)
            self._push(task)

    def close_breaker(self, area: ApiArea | None) -> None:
        """That area of the API works again (None: the connection): what was deferred meanwhile is due."""
        if not self.blockers.close(area):
            return
        now = self._clock.now_ms()
        for task in self._tasks.values():
            if task.deferred and area in (None, task.work.area):
                task.deferred, task.due = False, min(task.due, now)
                self._push(task)

    def send_alone(self, task: DeliveryTask) -> None:
        """``task`` is nothing for an import: it waits again, with those that go alone."""
        if self._is_current(task):
            task.lease = None
            self._move(task, task.work.alone)
            self._push(task)

    def give_back(self, task: DeliveryTask, due: int | None = None) -> None:
        """Nothing was tried for ``task``: it waits again, until ``due`` (epoch ms) if given."""
        if self._is_current(task):
            task.lease, task.due = None, task.due if due is None else due
            self._push(task)

    def lease_to_import(self, key: str, import_id: str) -> None:
        """An import has the task, unless a call has it or it overtakes imports; of two imports the later has it."""
        task = self._tasks.get(key)
        if task is not None and not task.overtakes and task.lease != CALL:
            task.lease = Lease(import_id)

    def hand_to_import(self, tasks: Iterable[DeliveryTask], import_id: str) -> None:
        """Leased tasks went out with an import, which has them until it is over, or until they overtake it."""
        for task in tasks:
            task.lease = Lease(import_id)
            if task.overtakes:
                self.give_back(task)

    def release(self, key: str, import_id: str, *, alone: bool) -> None:
        """The import is over; if it still has the task, it did not do it, and the task waits again.

        ``alone``: not by import.
        """
        task = self._tasks.get(key)
        if task is not None and task.lease == Lease(import_id):
            # What two imports did not do is not done by a third.
            self.retry(task, self._clock.now_ms(), alone=alone or task.failures > 0)

    def return_from_import(self, key: str, import_id: str) -> None:
        """The import never began: if it has the task, that waits again as before."""
        task = self._tasks.get(key)
        if task is not None and task.lease == Lease(import_id):
            self.give_back(task)

    # What waits

    def blocked_by(self, key: str) -> frozenset[Blocker]:
        """Everything that holds a task back now; nothing, if there is no such task."""
        task = self._tasks.get(key)
        return frozenset() if task is None else self.blockers.of(task, self._clock.now_ms())

    def state(self, key: str) -> TaskState:
        """Where a task stands now."""
        return state_of(self.blocked_by(key)) if key in self._tasks else TaskState.ABSENT

    def counts(self) -> Counter[Lane]:
        """Tasks that wait, by lane; those that are leased included, timers and what waits for a person or a first load not."""
        self._end_patience([*self._patient.values()])
        found: Counter[Lane] = Counter()
        for (lane, _), count in self._waiting.items():
            found[lane] += count
        for task in self._removals.values():
            if not task.timer and self.blockers.removal_state(task) in (RemovalState.HELD, RemovalState.DISCARDED):
                found[task.lane] -= 1
        return found

    def oldest_causes(self) -> Iterator[tuple[Lane, int | None]]:
        """Every lane, and when its oldest undelivered change was appended to Kafka (epoch ms); None: there is none."""
        self._end_patience([*self._patient.values()])
        return self._causes.oldest()

    def undecided(self) -> int:
        """How many contacts are not created before the first load is over, or Orderwise says in or out."""
        self._end_patience([*self._patient.values()])
        return len(self._patient)

    def due(self, key: QueueKey, most: int, ahead_ms: int = 0) -> int:
        """How many tasks are due in a queue, or will be in ``ahead_ms``, counted up to ``most``."""
        until, count = self._clock.now_ms() + ahead_ms, 0
        # A heap's least stands first: what is due hangs together from there.
        heap, branches = self._heaps[key], [0]
        while branches and count < most:
            index = branches.pop()
            if index < len(heap) and heap[index][0] <= until:
                count += self._standing(*heap[index], key) is not None
                branches += (2 * index + 1, 2 * index + 2)
        return count

    def backlog(self, key: QueueKey) -> int:
        """About how many tasks are due in a queue: exact while they are few."""
        due = self.due(key, _COUNTED)
        return due if due < _COUNTED else max(due, self._waiting[key])

    def end_first_load(self, partition: int) -> None:
        """The first load of the partition is over: what waits for that is due."""
        now = self._clock.now_ms()
        for task in self._patient.values():
            if task.partition == partition and task.due > now:
                task.due = now
                self._push(task)

    def _end_patience(self, tasks: Iterable[DeliveryTask]) -> None:
        """What waited for the end of the first load is backlog like any other once that has come."""
        now = self._clock.now_ms()
        for task in tasks:
            if task.patient and task.due <= now:
                self._count(task, -1)
                task.patient = False
                self._count(task, 1)
                self._causes.note(task)

    def _is_current(self, task: DeliveryTask) -> bool:
        """Whether the task is still the queue's: one that was leased before the queue was rebuilt must not disturb its heir."""
        return self._tasks.get(task.key) is task

    def _first(self, keys: Iterable[QueueKey], now: int) -> DeliveryTask | None:
        for key in keys:
            held = key in self.blockers.reserved or now < self.blockers.opens_at(key)
            if not held and (task := self._pop_due(key, now)) is not None:
                return task
        return None

    def _pop_due(self, key: QueueKey, now: int) -> DeliveryTask | None:
        heap = self._heaps[key]
        while heap and heap[0][0] <= now:
            if (task := self._standing(*heapq.heappop(heap), key)) is not None:
                # Before the task is leased: a retry moves its due time.
                self._end_patience((task,))
                return task
        return None

    def _standing(self, due: int, name: str, key: QueueKey) -> DeliveryTask | None:
        """The task that waits here; one whose due time has moved on has another place in a heap, and this one is void."""
        task = self._tasks.get(name)
        if task is None or task.lease is not None or self.blockers.held_back(task):
            return None
        return task if (task.due, task.queue_key) == (due, key) else None

    async def _wait(self, keys: Iterable[QueueKey], now: int) -> None:
        heaps = [(self._heaps[key], key) for key in keys if self._heaps[key] and key not in self.blockers.reserved]
        wake = min((max(heap[0][0], self.blockers.opens_at(key)) for heap, key in heaps), default=None)
        self.blockers.changed.clear()
        with suppress(TimeoutError):
            # Not wait_for: it would begin to wait only after others have had their turn, and might miss the change.
            async with asyncio.timeout(None if wake is None else max(0.001, (wake - now) / 1000)):
                await self.blockers.changed.wait()

    def _push(self, task: DeliveryTask) -> None:
        # What is leased is pushed when its lease ends, and what is held back when that ends.
        if task.lease is None and not self.blockers.held_back(task):
            heapq.heappush(self._heaps[task.queue_key], (task.due, task.key))
            self.blockers.changed.set()

    def _move(self, task: DeliveryTask, work: Work) -> None:
        self._count(task, -1)
        task.work = work
        self._count(task, 1)

    def _count(self, task: DeliveryTask, by: int) -> None:
        if task.patient and by > 0:
            self._patient[task.key] = task
        elif task.patient:
            del self._patient[task.key]
        elif not task.timer:
            self._waiting[task.queue_key] += by
