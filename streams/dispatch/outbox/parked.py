"""What Dotdigital refused for good, as it stands in topic ``<app>.parked-deliveries``.

The outbox writes when it parks a task and when that ends; ``owdd dlq`` reads it. A task is named by its partition key and its
own key; of the records of one task the latest counts.
"""

from typing import Final, Literal, TypeAlias

import msgspec

from streams.dispatch.outbox.rows import DeliveryState, TouchedRow
from streams.dispatch.outbox.tasks import Family, family_of, owner_of
from streams.domain.contact_state import ContactDeliveryState
from streams.dotdigital.codes import explain
from streams.engine.unit_of_work import UnitOfWork
from streams.messages.dead_letters import keyed_hash
from streams.messages.deliveries import TaskParked

ParkedTask: TypeAlias = Literal["contact", "record", "catalogue", "list", "follow_up", "erasure"]


class Parked(msgspec.Struct, frozen=True, gc=False, rename={"error_class": "class"}):
    """A delivery that is parked, or (``state`` cleared) no longer is.

    ``key`` is the partition key, an e-mail or a variant's id, and personal data; ``reason`` is short and holds none.
    ``error_class`` groups codes by what must be mended; ``first`` and ``last`` are the epoch milliseconds of the first and the
    last of ``attempts``; ``hash`` is that of the refused content, in hex.
    """

    task: ParkedTask
    key: str
    task_key: str
    code: str
    error_class: str
    reason: str
    attempts: int
    first: int
    last: int
    hash: str
    state: Literal["parked", "cleared"] = "parked"


_TASKS: Final[dict[Family, ParkedTask]] = {
    Family.CONTACT: "contact",
    Family.RECORD: "record",
    Family.CATALOGUE: "catalogue",
    Family.FOLLOW_UP: "follow_up",
}

_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Parked).decode


def parked_of(task: str, row: DeliveryState, at: int, *, state: Literal["parked", "cleared"], tries: int = 1) -> Parked:
    """What is to be published of a task whose row was parked, or was parked until now; ``at``: epoch milliseconds."""
    erasure = isinstance(row, ContactDeliveryState) and row.erase is not None
    code = row.code or ""
    meaning = explain(code)
    return Parked(
        task="erasure" if erasure else _TASKS[family_of(task)],
        key=owner_of(task),
        task_key=task,
        code=code,
        error_class=meaning.error_class,
        reason=meaning.hint,
        attempts=tries,
        first=at,
        last=at,
        hash=(row.parked or b"").hex(),
        state=state,
    )


def parked_record(parked: Parked, hash_key: bytes) -> tuple[bytes, bytes]:
    """Key and value of the record of ``parked``; the key is the keyed hash of the partition key."""
    return keyed_hash(parked.key.encode(), hash_key).encode(), _encode(parked)


def read_parked(value: bytes) -> Parked:
    """The content of one record.

    Raises:
        msgspec.DecodeError: the value was not written by :func:`parked_record`.
    """
    return _decode(value)


class ParkedPublisher:
    """Emits to the topic of parked deliveries what is parked, and what no longer is."""

    def __init__(self, topic: str, hash_key: bytes) -> None:
        self._topic = topic
        self._hash_key = hash_key

    def publish(self, unit: UnitOfWork, task: str, item: TouchedRow) -> None:
        """Emit what has changed of a row that is saved; also that it was parked again."""
        if item.row.parked is None:
            if item.was_parked:
                self.cleared(unit, task, item.row)
        elif refusals := [outcome for outcome in item.outcomes if isinstance(outcome, TaskParked)]:
            at, tries = refusals[-1].at, refusals[-1].tries
            self._emit(unit, parked_of(task, item.row, at, state="parked", tries=tries))

    def cleared(self, unit: UnitOfWork, task: str, row: DeliveryState) -> None:
        """Emit that a task is no longer parked."""
        self._emit(unit, parked_of(task, row, unit.now_ms, state="cleared"))

    def _emit(self, unit: UnitOfWork, parked: Parked) -> None:
        key, value = parked_record(parked, self._hash_key)
        unit.emit_raw(self._topic, unit.partition, key, value)
