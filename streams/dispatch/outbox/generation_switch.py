"""What is ordered of generations: one begins, takes effect in place of another, and is forgotten, slice by slice.

When a generation takes effect, what it wants replaces what the one before wanted, and that is put aside in turn, so that it
can take effect again. Content that only the one before wanted is withdrawn, which the brake on removals counts; where the new
one holds it, it stays as it was delivered. A switch that is ordered while another is under way waits for its end.
"""

from collections.abc import Iterator
from heapq import merge
from itertools import islice

import structlog
from msgspec.structs import replace

from streams.core.lanes import Lane
from streams.dispatch.outbox import shadow_rows
from streams.dispatch.outbox.desired_changes import DesiredChanges
from streams.dispatch.outbox.erasures import Erasures
from streams.dispatch.outbox.generations import Begun, GenerationsRow, topics_of
from streams.dispatch.outbox.rows import TouchedRows
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, part_of, task_of
from streams.domain import wanted
from streams.domain.contact_state import ContactDeliveryState
from streams.engine.barriers import completes
from streams.messages.barriers import Barrier, BarrierChange, generation_of, of_generation, round_of
from streams.messages.changes import HERE, Change, JoinedChange
from streams.messages.generation_kinds import (
    GenerationOrderChange,
    GenerationSliceChange,
    HeldOrderChange,
)
from streams.messages.generations import OUTBOX, GenerationOrder, PartitionReport, report_key, write_generations
from streams.messages.kinds import FollowUpDeliveredChange
from streams.messages.topics import Topics

log = structlog.get_logger()

_MOST = 200
"""Tasks of one slice: urgent changes of the partition wait for it."""


class GenerationSwitch:
    """Does what is ordered, for the tasks of one partition at a time."""

    def __init__(self, topics: Topics, desired: DesiredChanges, erasures: Erasures) -> None:
        self._topics = topics
        self._desired = desired
        self._erasures = erasures

    def keep_aside(self, rows: TouchedRows, change: JoinedChange) -> bool | None:
        """Keep what a generation wants that a task does not obey; False when it is old news, None when the task obeys it."""
        row, task = rows.generations.row, shadow_rows.task_wanted(change)
        if isinstance(change, HeldOrderChange):
            return self._held(rows, change)
        if change.generation == (row.active if task is None else row.obeyed(task)):
            return None
        if task is None or change.generation not in (*row.known, row.leaving):
            # An erasure that the active generation passes on too, or the rest of a generation that was dropped.
            return None if task is None else False
        erased = family_of(task) is not Family.CATALOGUE and self._erasures.is_erased(rows.unit, change.key)
        return not erased and shadow_rows.keep(rows.unit, task, change)

    def completed_by(self, rows: TouchedRows, barrier: BarrierChange) -> bool:
        """Whether a barrier is about a generation; with the last one the partition has everything that it wants."""
        number = generation_of(barrier)
        if number is not None and completes(rows.unit, barrier, barrier.row.senders):
            self._report(rows, PartitionReport("complete", number, rows.unit.partition, rows.unit.now_ms))
        return number is not None

    def fold(self, rows: TouchedRows, change: Change) -> None:
        """Fold an order, or go on with one.

        Raises:
            ValueError: it is about a generation that never began here.
        """
        if isinstance(change, GenerationOrderChange):
            self._order(rows, change, change.row)
        elif not rows.generations.sliced:
            rows.generations.sliced = True
            self._slice(rows)

    def _order(self, rows: TouchedRows, change: GenerationOrderChange, order: GenerationOrder) -> None:
        row, generation = rows.generations.row, order.generation
        match order.step:
            case "begin":
                if generation in row.known:
                    # Once more after a crash of who orders: it may have been in doubt whether this was written.
                    return
                row.kept = (*row.kept, generation)
                row.begun = (*row.begun, Begun(generation, order.senders, order.joins))
            case "activate" if order.number <= row.number:
                return
            case "activate" if row.leaving is not None or generation in row.dropped:
                rows.unit.emit_here(self._topics.desired, change)
                return
            case "activate":
                self._begin_switch(row, order)
            case "drop":
                if generation in (row.active, row.leaving):
                    return
                row.kept = tuple(one for one in row.kept if one != generation)
                row.begun = tuple(one for one in row.begun if one.generation != generation)
                row.dropped = (*(one for one in row.dropped if one != generation), generation)
        self._go_on(rows)

    @staticmethod
    def _begin_switch(row: GenerationsRow, order: GenerationOrder) -> None:
        row.number = order.number
        if order.generation == row.active:
            return
        if order.generation not in row.kept:
            # Everything would be withdrawn.
            raise ValueError(f"generation {order.generation} never began here")
        row.leaving, row.active, row.after = row.active, order.generation, ""
        row.kept = (*(one for one in row.kept if one != row.active), row.leaving)

    def _go_on(self, rows: TouchedRows) -> None:
        if rows.generations.row.busy:
            change = GenerationSliceChange(HERE, rows.generations.row.active, b"", Lane.BULK, rows.unit.now_ms, None)
            rows.unit.emit_here(self._topics.desired, change)

    def _slice(self, rows: TouchedRows) -> None:
        row = rows.generations.row
        if row.leaving is not None:
            self._switch_some(rows, row, row.leaving)
        elif row.begun:
            self._teach(rows, row, row.begun[0])
        elif row.dropped and not shadow_rows.drop_some(rows.unit, row.dropped[0], _MOST):
            row.dropped = row.dropped[1:]
        self._go_on(rows)

    def _switch_some(self, rows: TouchedRows, row: GenerationsRow, leaving: int) -> None:
        tasks = list(islice(self._tasks_behind(rows, row), _MOST))
        for task in tasks:
            self._switch(rows, task, leaving, row.active)
        if len(tasks) == _MOST:
            row.after = tasks[-1]
            return
        row.leaving, row.after = None, ""
        self._report(rows, PartitionReport("switched", row.number, rows.unit.partition, rows.unit.now_ms))

    @staticmethod
    def _tasks_behind(rows: TouchedRows, row: GenerationsRow) -> Iterator[str]:
        """Every task that there is, or that the new generation wants, behind the last one that was switched; each once."""
        unit, after, last = rows.unit, row.after, None
        stored = (
            key.decode()
            for family in sorted(Family, key=lambda one: one.value)
            if family >= after[:1]
            for key, _ in unit.scan(family.encode(), after.encode() if family == after[:1] else b"")
        )
        here = sorted(task for task in {*rows.touched, *shadow_rows.written(unit, row.active)} if task > after)
        for task in merge(stored, shadow_rows.tasks_behind(unit, row.active, after), here):
            if task != last:
                last = task
                yield task

    def _switch(self, rows: TouchedRows, task: str, leaving: int, active: int) -> None:
        unit, before = rows.unit, rows.look(task)
        shadow = shadow_rows.load(unit, active, task)
        shadow_rows.put(unit, leaving, task, wanted.wanted_of(before))
        shadow_rows.put(unit, active, task, None)
        if shadow is None and (order := self._held_order(rows, task, active)) is not None:
            # The new generation may say anything of it from now on, whatever its position.
            rows.touch(task).row.position = b""
            shadow_rows.hold(unit, active, order, [task])
            return
        if shadow is None and self._cannot_be_found(rows, task):
            rows.touch(task).row.position = b""
            return
        self._desired.replace_wanted(rows, task, shadow)

    @staticmethod
    def _held_order(rows: TouchedRows, task: str, generation: int) -> int | None:
        """The order that a generation holds and that is shown by a record; of a contact by one of its records.

        Without the order nobody may be at the address for it, so the contact stays with the record.
        """
        family, wanting = family_of(task), rows.look(task)
        records = [task] if family is Family.RECORD else []
        if family is Family.CONTACT and wanting.fields is not None:
            prefix = f"{task_of(Family.RECORD, owner_of(task))}\0"
            records = [key.decode() for key, _ in rows.unit.scan(prefix.encode())]
        orders = (rows.look(record).source for record in records)
        return next((order for order in orders if shadow_rows.held(rows.unit, generation, order) is not None), None)

    @staticmethod
    def _cannot_be_found(rows: TouchedRows, task: str) -> bool:
        """Whether a generation knows nothing of a contact, or of its record, because the row with the address cannot be read.

        A contact's task comes before its records': what the new generation says of it is known by then.
        """
        if family_of(task) not in (Family.CONTACT, Family.RECORD):
            return False
        contact: ContactDeliveryState = rows.look(task_of(Family.CONTACT, owner_of(task)))
        return contact.unreadable

    def _held(self, rows: TouchedRows, change: HeldOrderChange) -> bool:
        unit, row, generation, order = rows.unit, rows.generations.row, change.generation, int(change.pk)
        if generation not in row.known:
            return False
        if change.row.held:
            shadow_rows.hold(unit, generation, order)
            return True
        for task in shadow_rows.held(unit, generation, order) or ():
            if generation == row.obeyed(task) and not rows.look(task).position:
                # It is known now what the order amounts to, and this is not among it.
                self._desired.withdraw_frozen(rows, task)
        shadow_rows.release(unit, generation, order)
        return True

    def _teach(self, rows: TouchedRows, row: GenerationsRow, begun: Begun) -> None:
        """Let a new generation know which follow-ups were done, so that no other recipient gets one; then it knows all."""
        unit, topics = rows.unit, topics_of(self._topics, begun.generation)
        tasks = [key.decode() for key, _ in islice(unit.scan(Family.FOLLOW_UP.encode(), begun.after.encode()), _MOST)]
        for task in tasks:
            if rows.look(task).done:
                credit = part_of(task)
                unit.emit(topics.orders, FollowUpDeliveredChange(credit, int(credit), b"", Lane.BULK, unit.now_ms, None))
        if len(tasks) == _MOST:
            row.begun = (replace(begun, after=tasks[-1]), *row.begun[1:])
            return
        row.begun = row.begun[1:]
        barrier = Barrier(OUTBOX, unit.partition, unit.partitions, 0, begun.senders, begun.joins)
        for stage in begun.joins:
            unit.emit_everywhere(getattr(topics, stage), round_of(of_generation(begun.generation), barrier, unit.now_ms))

    def _report(self, rows: TouchedRows, report: PartitionReport) -> None:
        rows.unit.emit_raw(self._topics.generations, 0, report_key(report), write_generations(report))
        log.info("generations", partition=report.partition, what=report.word, number=report.number)
