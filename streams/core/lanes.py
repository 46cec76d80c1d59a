"""The lanes of delivery: how urgent a change is, and how urgent its consequences are."""

from enum import IntEnum


class Lane(IntEnum):
    """How soon a change must reach Dotdigital; smaller is sooner."""

    URGENT = 0
    LIVE = 1
    BULK = 2


FEW = 20
"""Documents that a change may reach and still be as urgent as its cause."""


def lane_for_fanout(lane: int, reached: int) -> int:
    """The lane in which ``reached`` documents follow a change of ``lane``: a wide refresh is bulk."""
    return lane if reached <= FEW else Lane.BULK
