"""Barriers: all of something has come, and a barrier stands behind it in every partition (:mod:`streams.engine.barriers`)."""

from typing import ClassVar, Final

from streams.messages.changes import Change, ChangeKind, Message

CONTACTS_LOADED: Final = "contacts loaded"
"""What a barrier is about behind which every contact row stands that Orderwise had when it was read first."""


class Barrier(Message, frozen=True, tag=43):
    """Everything that the change's pk names stands before this in the partition, as far as it comes from this sender.

    ``sender`` is a stage, and this is from its ``partition`` of ``partitions``.
    """

    sender: str
    partition: int
    partitions: int


class BarrierChange(Change, tag=ChangeKind.BARRIER.value):
    """All of something has come, and this stands behind it in every partition; key: ``*``, pk: what it is about."""

    kind: ClassVar[ChangeKind] = ChangeKind.BARRIER
    row: Barrier
