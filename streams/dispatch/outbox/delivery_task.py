"""The delivery task: what is to be delivered, leased by whom, blocked by what.

One task exists for each row that differs from what Dotdigital holds (its family and key: :mod:`streams.dispatch.outbox.tasks`).
What of it must outlive the worker stands in the outbox's state; lease and failures are in memory, because whoever takes the
partition over must not trust them: it waits for its fence instead.

States
------

| state | the task |
|---|---|
| absent | there is none: nothing to deliver, or Dotdigital refused it and it is parked |
| waiting | its due time has not come: debounce, retry, or the day on which a contact leaves the list |
| blocked | it is due, but a fence, a queue for imports, an open circuit breaker, the brake or a pause holds it |
| ready | it is due, and the next free sender takes it |
| calling | a call for it is under way |
| importing | it went out with an import whose report has not come |

Transitions
-----------

*queued* stands for waiting, blocked or ready, whichever its due time and the blockers make it.

| event | from | to | because |
|---|---|---|---|
| desired | absent, queued | queued, absent | the row differs, or no longer does; its debounce counts anew |
| desired | calling | calling | one call at a time: it is sent again after the response |
| desired | importing | importing, queued | the import keeps it, unless it overtakes: an opt-out, an erasure |
| time | queued | queued | it is due |
| taken | ready | calling | a sender takes it |
| taken | queued | calling | an import takes what is due, also of queues that are reserved for imports |
| given back | calling | queued | nothing was tried |
| failed | calling | queued | tried without success, or with an unknown outcome |
| handed over | calling | importing, queued | the import was accepted; what overtakes imports waits at once |
| import started | queued, importing | importing, queued | its event was read, or a worker that takes over finds it |
| import started | absent, calling | absent, calling | a call has overtaken it |
| delivered | absent, queued, calling | absent, queued | the event was read; what changed meanwhile is delivered next |
| reported | importing, absent, queued | absent, queued | the same, by an import's report |
| reported late | calling | calling | a report never ends the call that overtook its import, |
| reported late | importing | importing | nor the import that took the task after that |
| import over | importing | importing, queued | what its report did not name was not done; of two imports the later has it |
| import over | absent, queued, calling | absent, queued, calling | what overtook it is sent again |
| parked | absent, queued, calling | absent, queued | refused for its content; other content goes on |
| delivered | importing | importing | a call of the worker before had overtaken the import, which has it again |
| parked | importing | importing | the same |
| blocked | queued | queued | a fence, a reservation, an open circuit breaker, the brake on removals or a pause, or its end |
| checkpoint | queued | queued | the row is saved, and its due time counts again |
| taken over | absent, queued, calling, importing | absent, waiting, blocked, importing | leases are void, a fence holds |
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple, TypeAlias

import msgspec

from streams.core.lanes import Lane
from streams.dispatch.outbox.tasks import Work
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.creation import Creation
from streams.messages.deliveries import CreatedAs
from streams.messages.removals import RemovalKind

QueueKey: TypeAlias = tuple[Lane, Work]
"""What waits together: a lane and a kind of work."""


class Blocker(StrEnum):
    """Why a task is not given out now; a task without any is ready."""

    NOT_DUE = "not-due"
    CALLING = "calling"
    IMPORTING = "importing"
    FENCED = "fenced"
    RESERVED = "reserved"
    CIRCUIT_OPEN = "circuit-open"
    BRAKED = "braked"
    PAUSED = "paused"


class TaskState(StrEnum):
    """Where a task stands; see the tables in the module's docstring."""

    ABSENT = "absent"
    WAITING = "waiting"
    BLOCKED = "blocked"
    READY = "ready"
    CALLING = "calling"
    IMPORTING = "importing"


def state_of(blockers: frozenset[Blocker]) -> TaskState:
    """The state of a task that exists."""
    if Blocker.CALLING in blockers:
        return TaskState.CALLING
    if Blocker.IMPORTING in blockers:
        return TaskState.IMPORTING
    if Blocker.NOT_DUE in blockers:
        return TaskState.WAITING
    return TaskState.BLOCKED if blockers else TaskState.READY


class Lease(NamedTuple):
    """Who is working on a task and has no outcome written down yet: a call, or the import of that id."""

    import_id: str | None = None

    @property
    def blocker(self) -> Blocker:
        """Why a leased task is not given out."""
        return Blocker.CALLING if self.import_id is None else Blocker.IMPORTING


CALL: Final = Lease()
"""The lease of a call of this worker's; an import is called for under it, too, until it is accepted."""


class Removal(NamedTuple):
    """The task takes something away, and waits for a grant: its kind, and its number in its partition."""

    kind: RemovalKind
    number: int


class _Stored(NamedTuple):
    due: int
    lane: int
    work: str
    timer: bool
    overtakes: bool
    removal: Removal | None = None
    caused_at: int = 0
    patient: bool = False
    looks: bool = False


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(_Stored).decode


@dataclass(slots=True)
class DeliveryTask:
    """A task that must be done. Only the queue changes it.

    ``due``: when (epoch ms). ``timer``: nothing waits to be sent, but something must be done at ``due``. ``overtakes``: no
    import holds it up. ``removal``: the brake may hold it up. ``caused_at``: when its oldest change was appended to Kafka
    (epoch ms; 0: unknown). ``patient``: ``due`` is the end of the first load. ``looks``: before that end it is only looked
    whether the contact is there, and none is created. ``failures`` are those in a row, ``missing`` those of them that lacked
    something, ``tries`` those that were answered otherwise about the task, ``tried_since`` the first of these (epoch ms).
    ``deferred``: it waits for the API, not for itself. ``unread_attempt``: the status with which an unanswered call may have
    created the contact; its row will say so too, but not at once.
    """

    key: str
    partition: int
    due: int
    lane: Lane
    work: Work
    timer: bool = False
    overtakes: bool = False
    removal: Removal | None = None
    caused_at: int = 0
    patient: bool = False
    looks: bool = False
    lease: Lease | None = None
    failures: int = 0
    missing: int = 0
    tries: int = 0
    tried_since: int = 0
    deferred: bool = False
    unread_attempt: CreatedAs | None = None

    @classmethod
    def stored(cls, key: str, partition: int, value: bytes) -> "DeliveryTask":
        """The task that :meth:`encode` wrote."""
        row = _decode(value)
        lane, work = Lane(row.lane), Work(row.work)
        marks = row.timer, row.overtakes, row.removal, row.caused_at, row.patient, row.looks
        return cls(key, partition, row.due, lane, work, *marks)

    def encode(self) -> bytes:
        """What of the task must outlive the worker."""
        marks = self.timer, self.overtakes, self.removal, self.caused_at, self.patient, self.looks
        return _encode(_Stored(self.due, self.lane, self.work, *marks))

    @property
    def queue_key(self) -> QueueKey:
        """With which others it waits."""
        return self.lane, self.work

    def creation_of(self, row: ContactDeliveryState) -> Creation:
        """The creation record of the contact's row; an attempt counts from the moment it is made, and not once it is read."""
        return row.creation if self.unread_attempt is None else row.creation.attempted(self.unread_attempt)
