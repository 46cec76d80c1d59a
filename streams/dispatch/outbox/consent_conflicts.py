"""Conflicts of consent: Orderwise says in of a contact that is unsubscribed. Counted, and corrected where the site wants that.

A correction is granted when a reading that began after the *in* shows nobody's refusal. Refusals are read with their dates from
the second reading on, so only contacts are corrected that we created after the first. A correction whose result is not the
expected one stops all of them, in every partition, until a person has looked.
"""

from itertools import islice

import msgspec
from msgspec.structs import replace

from streams.core.lanes import Lane
from streams.dispatch.outbox.rows import TouchedRow, TouchedRows, opt_outs_of
from streams.dispatch.outbox.tasks import Family, owner_of, task_of
from streams.dispatch.readback import OVERLAP
from streams.domain.consent_conflicts import ConflictRule, is_candidate, is_due, rule_of
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.correction import Step
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.changes import EVERYWHERE
from streams.messages.consent_kinds import CorrectionsStoppedChange
from streams.messages.deliveries import CorrectionEnded, CreationCorrected, DeliveryEvent
from streams.messages.kinds import DesiredChange
from streams.messages.topics import ChangeTopic
from streams.observability.metrics import Metrics

_CANDIDATE = "a"
_KNOWN_SINCE = b"m"
_STOPPED = b"x"

_DIRECTIONS = ("in", "out")
"""Of opt-outs, in the order of :func:`opt_outs_of`."""

_MOST = 25
"""Corrections that one reading grants in a partition: the first wrong result stops them, and those under way are few."""
_LOOKED_AT = 5_000
"""Candidates that one reading looks at in a partition; the next goes on behind them."""

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(int).decode


class ConsentConflicts:
    """``corrects``: the site wants them corrected. ``desired`` is the outbox's own topic."""

    def __init__(self, desired: ChangeTopic[DesiredChange], metrics: Metrics, *, corrects: bool) -> None:
        self._desired = desired
        self._metrics = metrics
        # The first of each must be seen to rise.
        for rule in ConflictRule:
            metrics.consent_conflicts.labels(rule)
        for direction in _DIRECTIONS:
            metrics.opt_outs.labels(direction)
        self._corrects = corrects
        self._stopped: set[int] = set()
        self._looked_at: dict[int, bytes] = {}

    def recovered(self, partition: int, table: StateTable) -> None:
        """Read whether corrections are stopped."""
        if table.get(partition, _STOPPED) is not None:
            self._stopped.add(partition)

    def revoked(self) -> None:
        """Forget what was read."""
        self._stopped.clear()
        self._looked_at.clear()

    def stopped(self, partition: int | None = None) -> bool:
        """Whether corrections are stopped, in one partition or in any of this worker's."""
        return bool(self._stopped) if partition is None else partition in self._stopped

    def note(self, unit: UnitOfWork, key: str, item: TouchedRow) -> None:
        """Before the contact's row is saved: since when it is a conflict, and whether it may be corrected; opt-outs."""
        row: ContactDeliveryState = item.row
        for direction, before, now in zip(_DIRECTIONS, item.opt_outs, opt_outs_of(row), strict=True):
            if now and not before:
                unit.on_commit(self._metrics.opt_outs.labels(direction).inc)
        conflict, candidate = row.consent_conflict, is_candidate(row)
        counted = conflict and not (candidate and self._corrects)
        if counted and not row.correction.counted and not item.old_conflict:
            unit.on_commit(self._metrics.consent_conflicts.labels(rule_of(row)).inc)
        since = (row.correction.in_since or unit.now_ms // 1000) if conflict else 0
        if (since, counted) != (row.correction.in_since, row.correction.counted):
            row.correction = replace(row.correction, in_since=since, counted=counted)
        # Also while the site does not want them corrected: it may want it later, of those that are there.
        index = f"{_CANDIDATE}{owner_of(key)}".encode()
        if candidate is not (unit.get(index) is not None):
            unit.put(index, b"" if candidate else None)

    def forget(self, unit: UnitOfWork, key: str) -> None:
        """The contact's row is deleted, because the person must be forgotten."""
        unit.put(f"{_CANDIDATE}{owner_of(key)}".encode(), None)

    def watermark(self, rows: TouchedRows, upto: int) -> None:
        """Everything that Dotdigital knew at ``upto`` (UTC epoch seconds) stands before this: grant what is due."""
        unit = rows.unit
        if (known_since := unit.get(_KNOWN_SINCE)) is None:
            unit.put(_KNOWN_SINCE, _encode(upto))
        if not self._corrects:
            self._start_again(unit)
        elif known_since is not None and unit.partition not in self._stopped:
            self._grant(rows, _decode(known_since), upto - OVERLAP)

    def _grant(self, rows: TouchedRows, known_since: int, read_until: int) -> None:
        unit, granted, last = rows.unit, 0, b""
        after = self._looked_at.get(unit.partition, b"")
        looked_at = 0
        for key, _ in islice(unit.scan(_CANDIDATE.encode(), after), _LOOKED_AT):
            looked_at, last = looked_at + 1, key
            task = task_of(Family.CONTACT, key[len(_CANDIDATE) :].decode())
            if is_due(rows.look(task), known_since, read_until):
                row = rows.touch(task).row
                if row.correction.step is Step.NONE:
                    row.correction = replace(row.correction, step=Step.GRANTED)
                granted += 1
            if granted == _MOST:
                break
        self._looked_at[unit.partition] = last if looked_at == _LOOKED_AT or granted == _MOST else b""

    def _start_again(self, unit: UnitOfWork) -> None:
        """A person has switched corrections off; switched on again, they are not stopped any more."""
        if unit.get(_STOPPED) is not None:
            unit.put(_STOPPED, None)
            unit.on_commit(lambda: self._stopped.discard(unit.partition))

    def stop(self, unit: UnitOfWork) -> None:
        """A correction had another result than expected, in this partition or in another."""
        unit.put(_STOPPED, b"")
        unit.on_commit(lambda: self._stopped.add(unit.partition))

    def answered(self, unit: UnitOfWork, event: DeliveryEvent) -> None:
        """Count what became of a correction; an unexpected result stops those of every partition."""
        match event:
            case CreationCorrected():
                unit.on_commit(self._metrics.consent_corrections.labels("corrected").inc)
            case CorrectionEnded():
                unit.on_commit(self._metrics.consent_corrections.labels(event.code).inc)
                if event.stops:
                    change = CorrectionsStoppedChange(EVERYWHERE, 0, b"", Lane.URGENT, unit.now_ms, None)
                    unit.emit_everywhere(self._desired, change)
