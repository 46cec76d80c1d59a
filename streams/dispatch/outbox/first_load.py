"""The first load: until it is over, no contact is created before Orderwise has said what its consent is.

With a mapped consent column the row of a person decides how the contact is created, and for good: a later *in* never
subscribes. An order may come before that row. So whoever no contact row names waits, once for each outbox, until the first
load must be over.
"""

import msgspec

from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.tasks import Family
from streams.domain.contact_state import ContactDeliveryState
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork

BEGAN = b"l"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(int).decode
_decode_row = msgspec.msgpack.Decoder(ContactDeliveryState).decode


class FirstLoad:
    """When the outbox of each partition began to be filled; ``wait_ms``: how long its first load may take."""

    def __init__(self, wait_ms: int) -> None:
        self._wait_ms = wait_ms
        self._began: dict[int, int] = {}

    def recovered(self, partition: int, table: StateTable) -> None:
        """Read when it began."""
        if (value := table.get(partition, BEGAN)) is not None:
            self._began[partition] = _decode(value)

    def revoked(self) -> None:
        """Forget what was read."""
        self._began.clear()

    def note(self, unit: UnitOfWork) -> None:
        """Remember when the first load began; to be called before a unit saves what the joins have said."""
        if unit.partition in self._began or unit.get(BEGAN) is not None:
            return
        # What was filled by a release that did not remember has had its first load. A reading of the account fills nothing.
        filled = any(_decode_row(value).position for _, value in unit.scan(Family.CONTACT.encode()))
        began = 0 if filled else unit.now_ms
        unit.put(BEGAN, _encode(began))

        def remember() -> None:
            self._began[unit.partition] = began

        unit.on_commit(remember)

    def held_back(self, unit: UnitOfWork, row: ContactDeliveryState, task: DeliveryTask | None) -> DeliveryTask | None:
        """The contact's task; a creation waits until the first load is over if nobody has read whether the person opted in."""
        if task is None or not row.unread or row.known or row.fields is None or row.erase is not None:
            return task
        over = self._began.get(unit.partition, unit.now_ms) + self._wait_ms
        if row.creation.attempted_as is None and over > unit.now_ms:
            task.due, task.patient = max(task.due, over), True
        return task
