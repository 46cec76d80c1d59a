"""A contact that goes along with its person: what the new address and the former one say to each other in the outbox.

The new address asks, the former one answers every question, and what became of the contact is in the answer
(``docs/decisions/021-one-contact-two-addresses.md``). Field orders are a wire format: append, never reorder.
"""

from typing import ClassVar

import msgspec

from streams.messages.changes import Change, ChangeKind
from streams.messages.deliveries import MovedContact


class MoveQuery(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An address asks the one that a person left for it whether the contact there may become its own.

    ``left_at``: when the person left, as the position of the contact row's version. ``fields``: JSON of the data fields that
    the contact should have, None: it is not wanted, or not any more; ``digest`` identifies that content. ``opt_out``: it
    must not be subscribed; ``opt_outs``: of the opt-outs that the asking row counts, so many are in this question.
    ``moved_on``: the asking address has no contact, and its person another address by now, which asks in its place.
    """

    left_at: bytes
    fields: bytes | None
    digest: bytes = b""
    opt_out: bool = False
    opt_outs: int = 0
    moved_on: bool = False


class MoveAnswer(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """The answer to a question with that ``left_at``: the contact, which has the asking address now; None: it has not."""

    left_at: bytes
    contact: MovedContact | None


class MovedRecord(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """An order record that the contact had at its former address; ``source``: the order."""

    source: int


class MoveQueryChange(Change, tag=ChangeKind.MOVE_QUERY.value):
    """The new address of a person asks the former one for its contact; key: the former one, pk: the new one."""

    kind: ClassVar[ChangeKind] = ChangeKind.MOVE_QUERY
    row: MoveQuery


class MoveAnswerChange(Change, tag=ChangeKind.MOVE_ANSWER.value):
    """The answer to such a question; key: the new address, pk: the former one."""

    kind: ClassVar[ChangeKind] = ChangeKind.MOVE_ANSWER
    row: MoveAnswer


class MovedRecordChange(Change, tag=ChangeKind.MOVED_RECORD.value):
    """A record that came along with a contact; key: the contact's address now, pk: the record's key."""

    kind: ClassVar[ChangeKind] = ChangeKind.MOVED_RECORD
    row: MovedRecord
