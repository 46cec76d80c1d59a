"""Imports that are under way: their ids are durable, so that a worker that takes over asks what became of them.

Every partition with tasks in an import has a row of it, under the prefix ``i``, from before the call that starts it until its
report was written down. Until Dotdigital has given it an id it has one of ours; if the call is never answered, nobody can ask
what became of it, and what it held waits until it must be over.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from uuid import uuid4

import msgspec

from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import Lease
from streams.dotdigital.imports import ImportState
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.messages.deliveries import ImportedTask, ImportEnded, ImportIdVoid, ImportStarted

PREFIX = "i"
_OURS = "ours:"


def new_id() -> str:
    """An id for an import that has none of Dotdigital's yet."""
    return f"{_OURS}{uuid4()}"


class ImportRow(msgspec.Struct, array_like=True, gc=False):
    """One partition's tasks in an import; ``at``: when it was accepted, or is about to be (epoch ms)."""

    kind: str = ""
    at: int = 0
    tasks: list[ImportedTask] = []


@dataclass(slots=True)
class RunningImport:
    """An import of this worker's partitions.

    ``tasks``: by partition. ``settled``: partitions whose outcomes were written down. ``reported``: tasks whose outcome this
    worker has read while no call was under way: a call that is now began after the import had ended.
    """

    id: str
    kind: str
    at: int
    tasks: dict[int, dict[str, ImportedTask]] = field(default_factory=dict)
    settled: set[int] = field(default_factory=set)
    reported: set[str] = field(default_factory=set)

    @property
    def open(self) -> dict[int, dict[str, ImportedTask]]:
        """Those whose outcomes are not written down yet."""
        return {partition: tasks for partition, tasks in self.tasks.items() if partition not in self.settled}

    @property
    def unanswered(self) -> bool:
        """Whether nobody knows Dotdigital's id for it."""
        return self.id.startswith(_OURS)


_rows = Codec(PREFIX, ImportRow)


class ImportsInFlight:
    """The imports whose reports this worker must fetch."""

    def __init__(self, queue: DeliveryQueue) -> None:
        self._queue = queue
        self._running: dict[str, RunningImport] = {}

    def __iter__(self) -> Iterator[RunningImport]:
        return iter(list(self._running.values()))

    def __len__(self) -> int:
        return len(self._running)

    def recovered(self, partition: int, table: StateTable) -> None:
        """Pick up the imports of a partition; what is in them is not sent meanwhile. The queue must be filled."""
        scanned = table.scan(partition, PREFIX.encode())
        found = [(key[len(PREFIX) :].decode(), _rows.decode(value)) for key, value in scanned]
        # The latest holds; of what was accepted when its worker died that is the one with Dotdigital's id.
        for import_id, row in sorted(found, key=lambda one: (not one[0].startswith(_OURS), one[1].at)):
            self._add(import_id, row, partition)

    def clear(self) -> None:
        """Forget everything in memory."""
        self._running.clear()

    def started(self, unit: UnitOfWork, event: ImportStarted) -> None:
        """An import is about to be called for, or was accepted, with tasks of the unit's partition."""
        row = ImportRow(event.kind, event.at, event.tasks)
        _rows.save(unit, event.import_id, row)
        unit.on_commit(partial(self._add, event.import_id, row, unit.partition))

    def held(self, unit: UnitOfWork, import_id: str) -> list[ImportedTask]:
        """What the import has of the unit's partition."""
        return _rows.load(unit, import_id).tasks

    def report(self, unit: UnitOfWork, task: str, lease: Lease | None) -> None:
        """An outcome of a task was read; ``lease``: whose it is, an import's or another call's.

        A call that is under way already has overtaken the import: of that one nobody knows when Dotdigital did it.
        """
        if lease is None or lease.import_id is None or self._queue.overtook(task, lease.import_id):
            return
        if running := self._running.get(lease.import_id):
            unit.on_commit(partial(running.reported.add, task))

    def is_reported(self, task: str, import_id: str) -> bool:
        """Whether this worker has read the task's outcome; after a takeover nobody knows, and the answer is no."""
        return import_id in self._running and task in self._running[import_id].reported

    def over(self, unit: UnitOfWork, event: ImportEnded | ImportIdVoid) -> None:
        """The import's report was written down for the unit's partition, or nothing runs under its id."""
        unit.put(_rows.key(event.import_id), None)
        unit.on_commit(partial(self._remove, event, unit.partition))

    def _add(self, import_id: str, row: ImportRow, partition: int) -> None:
        running = self._running.setdefault(import_id, RunningImport(import_id, row.kind, row.at))
        running.tasks[partition] = {item.task: item for item in row.tasks}
        for task in running.tasks[partition]:
            self._queue.lease_to_import(task, import_id)

    def _remove(self, event: ImportEnded | ImportIdVoid, partition: int) -> None:
        running = self._running.get(event.import_id)
        if running is None:
            return
        # A worker that took over may hold what the report, written down by the one before it, did not name.
        for task in running.tasks.pop(partition, ()):
            if isinstance(event, ImportIdVoid):
                self._queue.return_from_import(task, event.import_id)
            else:
                self._queue.release(task, event.import_id, alone=event.state is not ImportState.FAILED)
        if not running.tasks:
            del self._running[event.import_id]
