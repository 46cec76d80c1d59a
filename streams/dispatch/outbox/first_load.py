"""The first load: until it is over, no contact is created of which Orderwise has not said in or out.

With a mapped consent column the rows of a person decide how the contact is created, and for good: a later *in* does not
subscribe. An order may come before them, and a row that says nothing before another one that does. So whoever has said nothing
waits, once for each outbox, until the barrier has come behind all contact rows, or the first load must be over.
"""

import msgspec
from prometheus_client import Counter

from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.rows import TouchedRows
from streams.dispatch.outbox.tasks import Family
from streams.domain import consent
from streams.domain.contact_state import ContactDeliveryState
from streams.engine.barriers import completes
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.barriers import CONTACTS_LOADED, BarrierChange
from streams.messages.contracts import Participant
from streams.messages.deliveries import ContactCreated

BEGAN = b"l"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(int).decode
_decode_row = msgspec.msgpack.Decoder(ContactDeliveryState).decode


_OVER = 0
"""Stored instead of the time at which it began."""


class FirstLoad:
    """When the outbox of each partition began to be filled; ``wait_ms``: how long its first load may take at most.

    It is over earlier when the barrier behind all contact rows has come: then what waits in ``queue`` is due. ``undecided``
    counts contacts that were created without that.
    """

    def __init__(self, wait_ms: int, queue: DeliveryQueue, undecided: Counter) -> None:
        self._wait_ms = wait_ms
        self._queue = queue
        self._undecided = undecided
        self._began: dict[int, int] = {}

    def recovered(self, partition: int, table: StateTable) -> None:
        """Read when it began; to be called behind the tasks."""
        if (value := table.get(partition, BEGAN)) is not None:
            self._began[partition] = _decode(value)
            self._release(partition)

    def revoked(self) -> None:
        """Forget what was read."""
        self._began.clear()

    def note(self, unit: UnitOfWork) -> None:
        """Remember when the first load began; to be called before a unit saves what the joins have said."""
        if unit.partition in self._began or unit.get(BEGAN) is not None:
            return
        # What was filled by a release that did not remember has had its first load. A reading of the account fills nothing.
        filled = any(_decode_row(value).position for _, value in unit.scan(Family.CONTACT.encode()))
        self._remember(unit, _OVER if filled else unit.now_ms)

    def barrier(self, unit: UnitOfWork, change: BarrierChange) -> None:
        """Every contact row stands before this, as far as it comes from one partition of the joins."""
        if completes(unit, change, (Participant.CONTACTS,)) and change.pk == CONTACTS_LOADED:
            self._remember(unit, _OVER)

    def _remember(self, unit: UnitOfWork, began: int) -> None:
        unit.put(BEGAN, _encode(began))

        def remember() -> None:
            self._began[unit.partition] = began
            self._release(unit.partition)

        unit.on_commit(remember)

    def _release(self, partition: int) -> None:
        if self._began[partition] == _OVER:
            self._queue.end_first_load(partition)

    def created(self, rows: TouchedRows, event: ContactCreated) -> None:
        """Count a contact that was created because the wait was over, and nobody had said that the first load is."""
        silent = consent.erp_is_silent(rows.look(event.task).consent)
        if silent and self._began.get(rows.unit.partition, _OVER) != _OVER:
            rows.unit.on_commit(self._undecided.inc)

    def held_back(self, unit: UnitOfWork, row: ContactDeliveryState, task: DeliveryTask | None) -> DeliveryTask | None:
        """The contact's task; a creation waits until the first load is over if Orderwise has said neither in nor out."""
        # A contact that is gone is looked at, and not created.
        if task is None or row.known or row.vanished or row.fields is None or row.erase is not None:
            return task
        began = unit.get(BEGAN)
        over = self._wait_ms + (unit.now_ms if began is None else _decode(began))
        if row.creation.attempted_as is not None or over <= unit.now_ms or not consent.erp_is_silent(row.consent):
            return task
        if row.owed_to or row.must_send_opt_out:
            # The look does not wait: somebody who left must not be created elsewhere before, for a refusal goes along, and one
            # that came along goes to a contact that is there.
            task.looks = True
        else:
            task.due, task.patient = max(task.due, over), True
        return task
