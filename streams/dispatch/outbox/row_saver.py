"""Saving rows: what follows from a row for its task, for the queue, and for the topic of parked deliveries."""

from functools import partial
from typing import Any

from streams.dispatch.outbox.consent_conflicts import ConsentConflicts
from streams.dispatch.outbox.contact_moves import ContactMoves
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.first_load import FirstLoad
from streams.dispatch.outbox.parked import ParkedPublisher
from streams.dispatch.outbox.planner import Planner
from streams.dispatch.outbox.rows import CODECS, TouchedRow, TouchedRows
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, task_of
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import GONE, RecordDeliveryState
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.kinds import ResendRequestChange
from streams.messages.topics import Topics

DIRTY = "d"


class RowSaver:
    """Writes rows with their tasks, and keeps the queue in step once both are durable."""

    def __init__(
        self,
        topics: Topics,
        planner: Planner,
        queue: DeliveryQueue,
        first_load: FirstLoad,
        conflicts: ConsentConflicts,
        moves: ContactMoves,
        hash_key: bytes,
    ) -> None:
        self._moves = moves
        self._first_load = first_load
        self._conflicts = conflicts
        self._planner = planner
        self._queue = queue
        self._parked = ParkedPublisher(topics.parked, hash_key)

    def recovered(self, partition: int, table: StateTable) -> None:
        """Put every task of the partition that waits back into the queue."""
        now = self._queue.now_ms()
        for key, value in table.scan(partition, DIRTY.encode()):
            self._queue.put(self._planner.in_time(DeliveryTask.stored(key[len(DIRTY) :].decode(), partition, value), now))

    def save(self, rows: TouchedRows, key: str, item: TouchedRow) -> None:
        """Save the row, and what follows from it."""
        unit = rows.unit
        if isinstance(item.row, ContactDeliveryState):
            self._moves.decide(unit, owner_of(key), item.row, ended=bool(item.outcomes))
            self._conflicts.note(unit, key, item)
        task = self._task_for(rows, key, item.row)
        rows.removals.saved(key, item.row, item.present, task, item.outcomes)
        CODECS[family_of(key)].save(unit, key, item.row)
        self._parked.publish(unit, key, item)
        if item.stored and _may_be_elsewhere(item.row):
            self._request_resend(rows, key, item.row)
        unit.put(f"{DIRTY}{key}".encode(), None if task is None else task.encode())

        def follow() -> None:
            # Before the task is put again: with its lease it loses its failures.
            for lease in item.leases:
                self._queue.finish(key, lease)
            if task is None:
                self._queue.drop(key)
            else:
                self._queue.put(task)

        # Only then, or a sender would find the rows as they were before this unit.
        unit.on_commit(follow)

    def delete(self, rows: TouchedRows, key: str) -> None:
        """Delete the row with its task, also if this unit has touched it."""
        item = rows.touch(key)
        if item.row.parked is not None:
            self._parked.cleared(rows.unit, key, item.row)
        if item.stored:
            # Its order may have it elsewhere by now, where it was refused while the key belonged to this contact.
            self._request_resend(rows, key, item.row)
        del rows.touched[key]
        rows.unit.put(key.encode(), None)
        if family_of(key) is Family.CONTACT:
            self._conflicts.forget(rows.unit, key)
        self._drop(rows.unit, key)
        rows.removals.forgotten(key, item.present)

    def unschedule(self, rows: TouchedRows, key: str) -> None:
        """Nothing is to be done for the task any more, whoever has it."""
        rows.removals.forgotten(key)
        self._drop(rows.unit, key)

    def _drop(self, unit: UnitOfWork, key: str) -> None:
        unit.put(f"{DIRTY}{key}".encode(), None)
        unit.on_commit(partial(self._queue.forget, key))

    def _task_for(self, rows: TouchedRows, key: str, row: Any) -> DeliveryTask | None:
        partition, now = rows.unit.partition, rows.unit.now_ms
        if isinstance(row, ContactDeliveryState):
            return self._first_load.held_back(rows.unit, row, self._planner.contact_task(key, partition, row, now))
        successor = row.successor if isinstance(row, RecordDeliveryState) else ""
        if successor and rows.look(task_of(Family.RECORD, owner_of(key), successor)).delivered is None:
            # Until its order shows under the new key it shows under the old one.
            return None
        catalogue = family_of(key) is Family.CATALOGUE
        contact = None if catalogue else rows.look(task_of(Family.CONTACT, owner_of(key)))
        task = self._planner.part_task(key, partition, row, contact, now)
        if task is not None and isinstance(row, RecordDeliveryState) and row.content_missing:
            self._request_resend(rows, key, row)
            return None
        return task

    def _request_resend(self, rows: TouchedRows, key: str, row: RecordDeliveryState) -> None:
        """Ask the record's source for the content: the outbox keeps it only until it is delivered, and not for other places."""
        request = ResendRequestChange(str(row.source), row.source, b"", row.wait.lane, row.wait.caused_at, None)
        topics = rows.generations.topics_of(key)
        if family_of(key) is Family.CATALOGUE:
            rows.unit.emit(topics.products, request)
        else:
            rows.unit.emit(topics.orders, request)


def _may_be_elsewhere(row: RecordDeliveryState) -> bool:
    """Whether the order of a record that Dotdigital had here may have it at another place, refused while its key was here.

    It has if it said so; it may if the record went with its contact, or was withdrawn by a switch of generations, which leaves
    no position.
    """
    gone = row.delivered is None and not row.outcome_unknown
    return gone and (row.moved or row.hash != GONE or not row.position)
