"""The status lookup as the orders of a partition have it: what each status means, and what one meant that lost its text."""

from collections.abc import Collection

import msgspec

from streams.capture import rows
from streams.domain.catalogue import Effect, written
from streams.domain.held_reason import HeldReason
from streams.domain.order_head import Statuses
from streams.domain.orders import OrderRow
from streams.domain.versioned import Versioned
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.mapping import Mapping
from streams.messages.changes import Change


class StatusRow(msgspec.Struct, array_like=True, gc=False):
    """One row of the status lookup, kept in every partition.

    ``last``: the last text that the site knows; ``lost``: the position of the version that put an unknown one, or none, in its
    place.
    """

    cell: Versioned[rows.StatusText] | None = None
    last: str | None = None
    lost: bytes | None = None


class StatusLookup:
    """The lookup of every partition of this worker, in memory and as rows."""

    def __init__(self, mapping: Mapping) -> None:
        self._meanings = mapping.order.statuses
        self._rows = Codec("s", StatusRow)
        self._known: dict[int, Statuses] = {}

    def recover(self, partition: int, table: StateTable) -> None:
        """Read the rows of one partition."""
        known = self._known[partition] = Statuses({}, {})
        for key, value in table.scan(partition, b"s"):
            self._keep(known, int(key[1:]), self._rows.decode(value))

    def clear(self) -> None:
        """Forget what was read."""
        self._known.clear()

    def begin(self, unit: UnitOfWork) -> Statuses:
        """What the unit goes out from; it becomes what is known once the unit is committed.

        Not before: if the unit fails, its records are tried again one by one, and must find the texts as they were.
        """
        committed = self._known.get(unit.partition, Statuses({}, {}))
        known = Statuses(dict(committed.texts), dict(committed.lost))
        unit.on_commit(lambda: self._known.__setitem__(unit.partition, known))
        return known

    def apply(self, unit: UnitOfWork, change: Change, known: Statuses) -> tuple[Effect, bool]:
        """Write one row of the lookup; what that means, and whether it only gives another text to what had one."""
        status = int(change.pk)
        if change.keep or not isinstance(change.row, rows.StatusText | None):
            return Effect.STALE, False
        stored = self._rows.load(unit, str(status))
        cell, effect = written(stored.cell, change)
        if effect is Effect.STALE:
            return effect, False
        before = stored.cell.row.text if stored.cell is not None and stored.cell.row is not None else None
        again = stored.cell is not None and stored.cell.position == change.position
        text = None if change.row is None else change.row.text
        if text in self._meanings:
            new = StatusRow(cell, text)
        else:
            new = StatusRow(cell, stored.last, stored.lost or (None if stored.last is None else change.position))
        self._rows.save(unit, str(status), new)
        self._keep(known, status, new)
        return effect, before is not None and not again

    def _keep(self, known: Statuses, status: int, row: StatusRow) -> None:
        """Put one row of the lookup into what is kept in memory."""
        known.texts.pop(status, None)
        known.lost.pop(status, None)
        if row.cell is not None and row.cell.row is not None:
            known.texts[status] = row.cell.row.text
        if row.lost is not None and row.last in self._meanings:
            known.lost[status] = self._meanings[row.last], row.lost


class _Header(msgspec.Struct, array_like=True, gc=False):
    """The header of an order's row, and whether it is held; nothing else of it is read."""

    header: Versioned[rows.Header] | None = None
    details: msgspec.Raw = msgspec.Raw()
    totals: msgspec.Raw = msgspec.Raw()
    lines: msgspec.Raw = msgspec.Raw()
    despatches: msgspec.Raw = msgspec.Raw()
    line_replies: msgspec.Raw = msgspec.Raw()
    buyers: msgspec.Raw = msgspec.Raw()
    held: HeldReason | None = None


_headers = Codec("o", _Header)
_orders = Codec("o", OrderRow)


def has_status(order: OrderRow | bytes, statuses: Collection[int]) -> bool:
    """Whether an order's header has one of the statuses, or one has that may stand in for it where it does not count."""
    head = _headers.decode(order) if isinstance(order, bytes) else order
    if head.header is not None and head.header.row is not None and head.header.row.status in statuses:
        return True
    if head.held is None:
        return False
    row = _orders.decode(order) if isinstance(order, bytes) else order
    return any(cell.row is not None and cell.row.status in statuses for cell in row.last.headers)
