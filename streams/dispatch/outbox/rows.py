"""The rows of tasks: as they were committed last, for those who send, and as one unit of the outbox changes them."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from streams.dispatch.outbox.delivery_task import Lease
from streams.dispatch.outbox.generations import UnitGenerations
from streams.dispatch.outbox.removal_kinds import present_in
from streams.dispatch.outbox.removals import UnitRemovals
from streams.dispatch.outbox.tasks import Family, family_of, part_of, task_of
from streams.domain import record_state
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import FollowUpDeliveryState, RecordDeliveryState, WaitState
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.messages.deliveries import TaskEvent
from streams.messages.removals import RemovalKind

CODECS: dict[Family, Codec[Any]] = {
    Family.CONTACT: Codec("", ContactDeliveryState),
    Family.RECORD: Codec("", RecordDeliveryState),
    Family.CATALOGUE: Codec("", RecordDeliveryState),
    Family.FOLLOW_UP: Codec("", FollowUpDeliveryState),
}
"""How the row of a task is stored; the task key is the row's key."""

DeliveryState: TypeAlias = ContactDeliveryState | RecordDeliveryState | FollowUpDeliveryState
"""The row of a task."""

AnyWaitState: TypeAlias = ContactDeliveryState | WaitState
"""What remembers since when, until when and in which lane a task waits."""


def wait_of(row: DeliveryState) -> AnyWaitState:
    """What the row remembers of its wait."""
    return row if isinstance(row, ContactDeliveryState) else row.wait


class OutboxRows:
    """Reads the outbox."""

    def __init__(self, table: StateTable) -> None:
        self._table = table

    def get(self, task: str, partition: int) -> Any:
        """A task's row; None when there is none, or the partition is another worker's by now."""
        if partition not in self._table.owned():
            return None
        codec = CODECS[family_of(task)]
        value = self._table.get(partition, codec.key(task))
        return None if value is None else codec.decode(value)

    def records(self, email: str, partition: int) -> Iterator[str]:
        """The keys of a contact's order records, delivered or not."""
        for key, _ in self._table.scan(partition, task_of(Family.RECORD, email, "").encode()):
            yield part_of(key.decode())

    def records_and_orders(self, email: str, partition: int) -> Iterator[tuple[str, int]]:
        """The keys of a contact's order records, with their orders."""
        for key in self.records(email, partition):
            row: RecordDeliveryState | None = self.get(task_of(Family.RECORD, email, key), partition)
            if row is not None:
                yield key, row.source


@dataclass(slots=True)
class TouchedRow:
    """A row that will be saved: whether it was parked before, and the outcomes that it got, with the leases that they end.

    One unit may have an import's report and the response of the call that overtook it, so there may be several of both.

    ``present``: what of ours it showed as delivered and wanted before; ``stored``: whether Dotdigital may have had its record;
    ``opt_outs``: whether the contact was known to be refused in Dotdigital, and whether Orderwise's opt-out had been passed on;
    ``old_conflict``: it was a conflict of consent that version 0.2.0 has counted, which does not note so in the row.
    """

    row: Any
    was_parked: bool
    present: tuple[RemovalKind, ...] = ()
    stored: bool = False
    outcomes: list[TaskEvent] = field(default_factory=list)
    leases: list[Lease] = field(default_factory=list)
    opt_outs: tuple[bool, bool] = (False, False)
    old_conflict: bool = False

    def ended(self, outcome: TaskEvent, lease: Lease | None) -> None:
        """An outcome of the task was read; it ends ``lease``, if any."""
        self.outcomes.append(outcome)
        if lease is not None:
            self.leases.append(lease)


class TouchedRows:
    """The rows that one unit touches, its removals, and which generation of the joins they obey."""

    def __init__(self, unit: UnitOfWork, removals: UnitRemovals, generations: UnitGenerations) -> None:
        self.unit = unit
        self.removals = removals
        self.generations = generations
        self.touched: dict[str, TouchedRow] = {}

    def touch(self, task: str) -> TouchedRow:
        """The task's row, to be saved in the end."""
        item = self.touched.get(task)
        if item is None:
            row = CODECS[family_of(task)].load(self.unit, task)
            item = self.touched[task] = TouchedRow(
                row,
                row.parked is not None,
                present_in(task, row),
                _is_stored(row),
                opt_outs=opt_outs_of(row),
                old_conflict=_is_old_conflict(row),
            )
        return item

    def look(self, task: str) -> Any:
        """The task's row, to look at only."""
        item = self.touched.get(task)
        return item.row if item is not None else CODECS[family_of(task)].load(self.unit, task)

    def parts(self, email: str) -> Iterator[str]:
        """The tasks of a contact besides itself."""
        for family in (Family.RECORD, Family.FOLLOW_UP):
            prefix = task_of(family, email, "")
            found = {key.decode() for key, _ in self.unit.scan(prefix.encode())}
            yield from sorted(found | {task for task in self.touched if task.startswith(prefix)})


def opt_outs_of(row: Any) -> tuple[bool, bool]:
    """Whether a contact is known to be refused in Dotdigital, and whether Orderwise's opt-out was passed on."""
    return (row.refused_in_dotdigital, row.opt_out_sent) if isinstance(row, ContactDeliveryState) else (False, False)


def _is_stored(row: Any) -> bool:
    # One that came along with its contact has an unknown outcome instead: it is there, and nobody delivered it there.
    return isinstance(row, RecordDeliveryState) and (row.delivered is not None or row.outcome_unknown)


def _is_old_conflict(row: Any) -> bool:
    return isinstance(row, ContactDeliveryState) and row.consent_conflict and not row.correction.in_since


def follow_contact(rows: TouchedRows, email: str, before: int | None, now: int | None) -> None:
    """What belongs to a contact waits for it, and is gone with it; another id is another contact."""
    if now == before:
        return
    for key in rows.parts(email):
        row = rows.touch(key).row
        if before is not None and isinstance(row, RecordDeliveryState):
            record_state.contact_gone(row)


def follow_sharing(rows: TouchedRows, email: str, *, before: bool, now: bool) -> None:
    """What belongs to an address stays as it was delivered while that is shared, and follows the rows again afterwards."""
    if now != before:
        for key in rows.parts(email):
            rows.touch(key)
