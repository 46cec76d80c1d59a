"""Erasures in the outbox: the contact is deleted in Dotdigital, then every row of it here; its address takes no change after.

Only the tombstone stays, a keyed digest (:mod:`streams.dispatch.outbox.tombstones`).
"""

from streams.core.lanes import Lane
from streams.dispatch.outbox import shadow_rows
from streams.dispatch.outbox.planner import Planner
from streams.dispatch.outbox.row_saver import RowSaver
from streams.dispatch.outbox.rows import TouchedRows
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, task_of
from streams.dispatch.outbox.tombstones import Tombstones
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.audit import ErasureResult, write_audit


class Erasures:
    """Starts erasures and ends them; ``audit`` is the topic of their receipts."""

    def __init__(self, audit: str, tombstones: Tombstones, planner: Planner, saver: RowSaver) -> None:
        self._audit = audit
        self._tombstones = tombstones
        self._planner = planner
        self._saver = saver

    def begin(self, rows: TouchedRows, email: str, digest: bytes, caused_at: int) -> None:
        """Make the contact's task that of its erasure; what else of it waits is not sent."""
        unit = rows.unit
        row = rows.touch(task_of(Family.CONTACT, email)).row
        # A call for it that is under way may have looked before the contact came back.
        row.repeat_call = row.erase is not None
        row.erase, row.parked, row.code = digest, None, None
        self._planner.note_change(row, Lane.URGENT, caused_at, was_dirty=False, now_ms=unit.now_ms)
        self._tombstones.put(unit, email, digest)
        shadow_rows.forget_person(unit, rows.generations.row.known, email)
        for task in rows.parts(email):
            rows.touched.pop(task, None)
            self._saver.unschedule(rows, task)

    def done(self, rows: TouchedRows, email: str, at: int) -> None:
        """The contact was deleted ``at`` (epoch ms): delete its rows and write the receipt, unless it was asked for again."""
        contact = task_of(Family.CONTACT, email)
        row = rows.touch(contact).row
        if row.repeat_call:
            # The contact may have come back after that call had looked.
            row.repeat_call = False
            return
        for task in (*rows.parts(email), contact):
            self._saver.delete(rows, task)
        receipt = ErasureResult((row.erase or b"").hex(), "dotdigital", rows.unit.partition, 1, at, None)
        rows.unit.emit_raw(self._audit, rows.unit.partition, None, write_audit(receipt))

    def is_erased(self, unit: UnitOfWork, email: str) -> bool:
        """Whether the address was erased, or its erasure is under way."""
        return self._tombstones.has(unit, email)

    def nothing_left(self, rows: TouchedRows, task: str) -> bool:
        """Whether nothing is left to do for the task's owner; while one is being erased, the contact's task is."""
        family = family_of(task)
        if family is Family.CATALOGUE or not self.is_erased(rows.unit, owner_of(task)):
            return False
        return family is not Family.CONTACT or rows.look(task).erase is None
