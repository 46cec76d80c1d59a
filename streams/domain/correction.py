"""What is remembered of one contact that Orderwise opted in after we had created it unsubscribed."""

from enum import IntEnum

import msgspec


class Step(IntEnum):
    """How far the correction of a contact's status is."""

    NONE = 0
    GRANTED = 1
    """A reading later than the *in* shows nobody's refusal."""
    ATTEMPTED = 2
    """The call is about to go out, or has."""
    ENDED = 3
    """It is not made; the contact is a conflict for a person to decide."""


class Correction(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Times are UTC epoch seconds, 0: none.

    ``in_since``: when Orderwise began to say in of a contact that is there unsubscribed. ``counted``: as a conflict.
    ``removed_at``: the newest date at which Dotdigital lists the contact as unsubscribed or suppressed. ``seen``: its newest
    ``updated`` that we know of.
    """

    in_since: int = 0
    step: Step = Step.NONE
    counted: bool = False
    removed_at: int = 0
    seen: int = 0
