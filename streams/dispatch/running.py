"""Imports that are under way: their ids are durable, so that a worker that takes over asks what became of them.

Every partition with items in an import has a row of it, under the prefix ``i``, from before the first poll until its report
was written down.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import msgspec

from streams.dispatch.schedule import Schedule
from streams.domain.delivery import Delivery
from streams.dotdigital.imports import ImportState
from streams.engine.table import StateTable
from streams.engine.unit import Codec, Unit

PREFIX = "i"


class ImportRow(msgspec.Struct, array_like=True, gc=False):
    """One partition's items in an import: task, digest of what was sent, whether it joined the list.

    ``at``: when it was accepted (epoch ms).
    """

    kind: str = ""
    at: int = 0
    items: list[tuple[str, str, bool]] = []


class Item(NamedTuple):
    """What was sent of a task: the digest of its content, and whether the contact was put on the list."""

    digest: str
    joined: bool


@dataclass(slots=True)
class Running:
    """An import of this worker's partitions; ``items`` by partition."""

    id: str
    kind: str
    at: int
    items: dict[int, dict[str, Item]] = field(default_factory=dict)


_rows = Codec(PREFIX, ImportRow)


class RunningImports:
    """The imports whose reports this worker must fetch."""

    def __init__(self, schedule: Schedule) -> None:
        self._schedule = schedule
        self._running: dict[str, Running] = {}

    def __iter__(self) -> Iterator[Running]:
        return iter(list(self._running.values()))

    def __len__(self) -> int:
        return len(self._running)

    def recovered(self, partition: int, table: StateTable) -> None:
        """Pick up the imports of a partition; what is in them is not sent meanwhile. The schedule must be filled."""
        for key, value in table.scan(partition, PREFIX.encode()):
            self._add(key[len(PREFIX) :].decode(), _rows.decode(value), partition)

    def clear(self) -> None:
        """Forget everything in memory."""
        self._running.clear()

    def started(self, unit: Unit, delivery: Delivery) -> None:
        """An import was accepted, with items of the unit's partition; ``code`` is its kind."""
        row = ImportRow(delivery.code or "", delivery.at, delivery.items)
        _rows.save(unit, delivery.task, row)
        unit.then(lambda: self._add(delivery.task, row, unit.partition))

    def ended(self, unit: Unit, delivery: Delivery) -> None:
        """The import's report was written down for the unit's partition; ``code`` is how it ended."""
        unit.put(_rows.key(delivery.task), None)
        alone = delivery.code != ImportState.FAILED
        unit.then(lambda: self._remove(delivery.task, unit.partition, alone=alone))

    def _add(self, import_id: str, row: ImportRow, partition: int) -> None:
        running = self._running.setdefault(import_id, Running(import_id, row.kind, row.at))
        running.items[partition] = {task: Item(digest, joined) for task, digest, joined in row.items}
        for task in running.items[partition]:
            self._schedule.hold(task, import_id)

    def _remove(self, import_id: str, partition: int, *, alone: bool) -> None:
        running = self._running.get(import_id)
        if running is not None:
            # A worker that took over may hold what the report, written down by the one before it, did not name.
            for task in running.items.pop(partition, ()):
                self._schedule.release(task, import_id, alone=alone)
            if not running.items:
                del self._running[import_id]
