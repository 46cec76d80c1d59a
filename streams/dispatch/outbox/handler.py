"""The outbox handler: folds desired state and delivery events into rows, and keeps the delivery queue in step with them.

A row's dirty mark is cleared by reading its delivery event, never by a timer, so it survives restarts and rebalances. Tasks
that wait have a small row of their own under the prefix ``d``, from which the queue is rebuilt. Records and follow-ups wait,
out of the queue, until their contact exists.
"""

import asyncio
from collections.abc import Sequence
from functools import partial
from typing import Protocol

from streams.dispatch.outbox.canaries import Canaries
from streams.dispatch.outbox.consent_conflicts import ConsentConflicts
from streams.dispatch.outbox.contact_moves import ContactMoves
from streams.dispatch.outbox.delivery_events import DeliveryEvents
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.desired_changes import DesiredChanges
from streams.dispatch.outbox.erasures import Erasures
from streams.dispatch.outbox.first_load import FirstLoad
from streams.dispatch.outbox.generation_switch import GenerationSwitch
from streams.dispatch.outbox.generations import UnitGenerations
from streams.dispatch.outbox.imports_in_flight import ImportsInFlight
from streams.dispatch.outbox.move_changes import MoveChanges
from streams.dispatch.outbox.partitions import OwnedPartitions
from streams.dispatch.outbox.planner import Planner
from streams.dispatch.outbox.removal_brake import BrakePolicy, RemovalBrake
from streams.dispatch.outbox.removals import Removals
from streams.dispatch.outbox.row_saver import RowSaver
from streams.dispatch.outbox.rows import TouchedRows
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tombstones import Tombstones
from streams.domain.debounce import Debounce
from streams.engine.stage import Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.barriers import BarrierChange
from streams.messages.changes import Change, ChangeKind, JoinedChange
from streams.messages.consent_kinds import CorrectionsStoppedChange
from streams.messages.deliveries import (
    ContactCreated,
    ContactRenamed,
    DeliveryEvent,
    ImportEnded,
    ImportIdVoid,
    PartitionResumed,
    RenameDeclined,
    read_event,
)
from streams.messages.kinds import CanaryChange, ReadbackWatermarkChange
from streams.messages.topics import Topics
from streams.observability.freshness import observe_step
from streams.observability.metrics import Metrics

_OF_THE_BRAKE = frozenset(
    {
        ChangeKind.REMOVAL_TALLY,
        ChangeKind.REMOVAL_QUERY,
        ChangeKind.REMOVAL_TICK,
        ChangeKind.REMOVAL_RULING,
        ChangeKind.REMOVAL_DECISION,
    }
)


_OF_GENERATIONS = frozenset({ChangeKind.GENERATION_ORDER, ChangeKind.GENERATION_SLICE})


_OF_MOVES = frozenset({ChangeKind.MOVE_QUERY, ChangeKind.MOVE_ANSWER, ChangeKind.MOVED_RECORD})


_OF_THE_JOINS = frozenset(
    {
        ChangeKind.DESIRED_CONTACT,
        ChangeKind.DESIRED_RECORD,
        ChangeKind.DESIRED_CATALOGUE,
        ChangeKind.DESIRED_FOLLOW_UP,
    }
)


class ReadbackState(Protocol):
    """What is known of the account's contacts."""

    def complete_until(self) -> int | None:
        """Until when everything is known (UTC epoch seconds); None: not wholly read."""

    def corrections_stopped(self, partition: int | None = None) -> bool:
        """Whether corrections of consent are stopped."""


class OutboxHandler:
    """Keeps desired and delivered apart, and the queue in step with the difference."""

    name = "outbox"

    def __init__(
        self,
        topics: Topics,
        policy: SitePolicy,
        debounce: Debounce,
        queue: DeliveryQueue,
        imports_in_flight: ImportsInFlight,
        metrics: Metrics,
        brake: BrakePolicy | None,
    ) -> None:
        self._topics = topics
        self._queue = queue
        self._imports_in_flight = imports_in_flight
        self._metrics = metrics
        planner = Planner(policy, debounce)
        self._removals = Removals(topics, queue, enabled=brake is not None)
        self._brake = None if brake is None else RemovalBrake(topics, brake)
        self._partitions = OwnedPartitions(queue)
        self.canaries = Canaries()
        self._tombstones = Tombstones(policy.digest)
        self._first_load = FirstLoad(policy.consent_wait_ms, queue, metrics.undecided_creations)
        self._conflicts = ConsentConflicts(topics.desired, metrics, corrects=policy.corrects)
        self._moves = ContactMoves(topics, queue)
        self._saver = RowSaver(topics, planner, queue, self._first_load, self._conflicts, self._moves, policy.hash_key)
        erasures = Erasures(topics.audit, self._tombstones, planner, self._saver)
        self._desired = DesiredChanges(policy, planner, queue, self._partitions, erasures)
        self._generations = GenerationSwitch(topics, self._desired, erasures)
        self._events = DeliveryEvents(topics, policy, planner, queue, self._partitions, imports_in_flight, erasures)
        self._move_changes = MoveChanges(self._moves, policy, planner, erasures)

    @property
    def taken_over(self) -> asyncio.Event:
        """Set when there are events to write, see :meth:`resuming`."""
        return self._partitions.taken_over

    def recovered(self, partition: int, table: StateTable) -> None:
        """Put every task of the partition that waits back into the queue, and pick up its imports.

        Nothing is given out before everything that was answered has been read: :meth:`resuming` says what must be written.
        """
        self._partitions.recovered(partition, table)
        self.canaries.recovered(partition, self._queue.now_ms())
        self._removals.recovered(partition, table)
        if self._brake is not None:
            self._brake.recovered(partition, table)
        self._saver.recovered(partition, table)
        self._first_load.recovered(partition, table)
        self._conflicts.recovered(partition, table)
        self._tombstones.recovered(partition, table)
        # After the tasks: it leases those that are in an import.
        self._imports_in_flight.recovered(partition, table)

    def revoked(self) -> None:
        """Forget everything in memory: the next owner of the partitions rebuilds the queue."""
        self._queue.clear()
        self._imports_in_flight.clear()
        self._partitions.revoked()
        self.canaries.revoked()
        if self._brake is not None:
            self._brake.revoked()
        self._tombstones.clear()
        self._first_load.revoked()
        self._conflicts.revoked()

    def resuming(self) -> list[tuple[int, PartitionResumed]]:
        """Events to write behind those of the worker before, by partition; each lifts its partition's fence when it is read."""
        return self._partitions.resuming()

    def complete_until(self) -> int | None:
        """Until when every partition of this worker knows what Dotdigital has (UTC epoch seconds); None: not wholly read."""
        return self._partitions.complete_until()

    def corrections_stopped(self, partition: int | None = None) -> bool:
        """Whether corrections of consent are stopped, in one partition or in any of this worker's."""
        return self._conflicts.stopped(partition)

    def brake_due(self) -> tuple[int, int] | None:
        """The round of the brake that is under way, and when its wait is over (epoch ms); None: none, or not this worker's."""
        return None if self._brake is None else self._brake.due

    def handle(self, unit: UnitOfWork, records: Sequence[Record]) -> int:
        """Fold changes and delivery events in order."""
        rows = TouchedRows(unit, self._removals.unit(unit), UnitGenerations(unit, self._topics))
        applied = stale = wanted = 0
        last: Change | None = None
        over: list[ImportEnded | ImportIdVoid] = []
        for record in records:
            if record.topic == self._topics.deliveries:
                event = read_event(record.value or b"")
                self._fold_event(rows, event, record.offset)
                if isinstance(event, ImportEnded | ImportIdVoid):
                    over.append(event)
                applied += 1
                continue
            for change in self._topics.desired.unpack(record.value):
                done = self._fold_joined(rows, change) if isinstance(change, JoinedChange) else None
                if done is None:
                    # Not put aside: what a generation without effect wants is not on its way to Dotdigital.
                    done = self._fold(rows, change)
                    if change.kind in _OF_THE_JOINS:
                        wanted, last = wanted + 1, change
                applied += done
                stale += not done
        for key, item in rows.touched.items():
            self._saver.save(rows, key, item)
        rows.removals.finish()
        rows.generations.finish()
        for ended in over:
            # After what its report said: what is still with the import then was not done.
            self._imports_in_flight.over(unit, ended)
        if last is not None:
            observe_step(self._metrics, "joined", last.lane, last.caused_at, unit.now_ms)
        self._metrics.changes.labels(self.name).inc(applied)
        self._metrics.skipped.labels(self.name).inc(stale)
        self._metrics.desired.inc(wanted)
        return applied + stale

    def _arrived(self, unit: UnitOfWork, canary: CanaryChange) -> None:
        observe_step(self._metrics, "canary", canary.lane, canary.caused_at, unit.now_ms)
        unit.on_commit(partial(self.canaries.arrived, unit.partition, canary.caused_at))

    def _fold_joined(self, rows: TouchedRows, change: JoinedChange) -> bool | None:
        """What the joins pass on that wants nothing, and what a generation wants that is not obeyed; None: it is another."""
        if isinstance(change, CanaryChange):
            if obeyed := change.generation == rows.generations.row.active:
                self._arrived(rows.unit, change)
            return obeyed
        if isinstance(change, BarrierChange):
            if not self._generations.completed_by(rows, change) and change.generation == rows.generations.row.active:
                self._first_load.barrier(rows.unit, change)
            return True
        return self._generations.keep_aside(rows, change)

    def _fold_event(self, rows: TouchedRows, event: DeliveryEvent, offset: int) -> None:
        if isinstance(event, ContactRenamed | RenameDeclined):
            self._moves.ended(rows, event)
        if isinstance(event, PartitionResumed):
            self._moves.resend(rows.unit)
        self._events.fold(rows, event, offset)
        self._conflicts.answered(rows.unit, event)
        if isinstance(event, ContactCreated):
            self._first_load.created(rows, event)

    def _fold(self, rows: TouchedRows, change: Change) -> bool:
        if change.kind in _OF_GENERATIONS:
            self._generations.fold(rows, change)
            return True
        if isinstance(change, CorrectionsStoppedChange):
            self._conflicts.stop(rows.unit)
            return True
        if isinstance(change, ReadbackWatermarkChange):
            self._conflicts.watermark(rows, change.row.upto)
        if change.kind in _OF_THE_JOINS:
            # Nothing else is a sign that anything is loaded: workers run, and read the account, before a connector is applied.
            self._first_load.note(rows.unit)
        if change.kind in _OF_MOVES:
            return self._move_changes.fold(rows, change)
        if change.kind not in _OF_THE_BRAKE:
            return self._desired.fold(rows, change)
        rows.removals.fold(change)
        if self._brake is not None:
            self._brake.fold(rows.unit, change)
        return True
