"""The kinds of change by which generations of the joins come, take effect and go (:mod:`streams.messages.generations`)."""

from typing import ClassVar

from streams.messages.changes import Change, ChangeKind, JoinedChange
from streams.messages.generations import GenerationOrder, HeldOrder


class GenerationOrderChange(Change, tag=ChangeKind.GENERATION_ORDER.value):
    """What becomes of a generation, in every partition; key ``*``, pk: the generation."""

    kind: ClassVar[ChangeKind] = ChangeKind.GENERATION_ORDER
    row: GenerationOrder


class GenerationSliceChange(Change, tag=ChangeKind.GENERATION_SLICE.value):
    """The rest of what a generation's order makes the outbox do; key: ``.``, pk: the generation. It goes on with it."""

    kind: ClassVar[ChangeKind] = ChangeKind.GENERATION_SLICE
    row: None


class HeldOrderChange(JoinedChange, tag=ChangeKind.HELD_ORDER.value):
    """An order is held in a generation, or no longer; key: ``*``, pk: the order. Its record may be in any partition."""

    kind: ClassVar[ChangeKind] = ChangeKind.HELD_ORDER
    row: HeldOrder
