"""Drift: how a comparison with Dotdigital asks the outbox to deliver again."""

from typing import ClassVar, Literal, TypeAlias

from streams.messages.changes import Change, ChangeKind, Message

Lost: TypeAlias = Literal["content", "contact", "list place", "opt-out"]
"""What of a delivery is not there any more."""


class DriftFound(Message, frozen=True, tag=46):
    """A task's delivered state is not what Dotdigital shows, so it counts as unknown, and is delivered again.

    ``lost``: what of it; of an opt-out, that it did not take; of a contact, that nobody is there. ``event``: offset of the
    newest delivery event that the compared row had; -1: none. A row with a newer one has been delivered since.
    """

    lost: tuple[Lost, ...]
    event: int = -1


class DriftFoundChange(Change, tag=ChangeKind.DRIFT_FOUND.value):
    """A comparison with Dotdigital found what a task did not deliver, or delivered no more; key: its owner, pk: the task."""

    kind: ClassVar[ChangeKind] = ChangeKind.DRIFT_FOUND
    row: DriftFound
