"""Barriers: all of something has come, and a barrier stands behind it in every partition (:mod:`streams.engine.barriers`)."""

from typing import ClassVar, Final

from streams.core.lanes import Lane
from streams.mapping import Mapping
from streams.messages.changes import EVERYWHERE, ChangeKind, JoinedChange, Message

CONTACTS_LOADED: Final = "contacts loaded"
"""What a barrier is about behind which every contact row stands that Orderwise had when it was read first."""
LONGEST_CHAIN: Final = 9
"""Records that follow from one captured row, one after the other, until nothing more does (:mod:`streams.messages.loops`).

A sweep has as many as it has slices; a stage keeps its barriers back while it sweeps.
"""
LAST_ROUND: Final = LONGEST_CHAIN + 1
_GENERATION = "generation/"


class Barrier(Message, frozen=True, tag=43):
    """Everything that the change's pk names stands before this in the partition, as far as it comes from this sender.

    ``sender`` is a stage or a captured topic, and this is from its ``partition`` of ``partitions``.

    Some go through the joins in rounds, for what follows from a record may go to and fro between them: whoever has a round from
    all its ``senders`` begins the next one, in every partition of all ``joins``. What follows from a record stands before the
    barrier of the next round, so after as many rounds as the longest chain has records nothing of it is on its way.
    """

    sender: str
    partition: int
    partitions: int
    round: int = 0
    senders: tuple[str, ...] = ()
    joins: tuple[str, ...] = ()


class BarrierChange(JoinedChange, tag=ChangeKind.BARRIER.value):
    """All of something has come, and this stands behind it in every partition; key: ``*``, pk: what it is about."""

    kind: ClassVar[ChangeKind] = ChangeKind.BARRIER
    row: Barrier


def joins_of(mapping: Mapping) -> tuple[str, ...]:
    """The stages of the joins that work with the mapping, by the names of their topics."""
    return ("orders", "buyers", "contacts", *(("products",) if mapping.products is not None else ()))


def of_generation(generation: int) -> str:
    """What the barriers are about by which a generation is known to be complete."""
    return f"{_GENERATION}{generation}"


def generation_of(barrier: BarrierChange) -> int | None:
    """Which generation is complete with such barriers; None: they are about something else."""
    about = str(barrier.pk).partition(" ")[0]
    return int(about.removeprefix(_GENERATION)) if about.startswith(_GENERATION) else None


def round_of(about: str, barrier: Barrier, caused_at: int = 0) -> BarrierChange:
    """The change by which a round goes through the joins."""
    return BarrierChange(EVERYWHERE, f"{about} {barrier.round}", b"", Lane.BULK, caused_at, barrier)
