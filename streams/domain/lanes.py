"""The lane of a change that many documents follow."""

from streams.capture.rows import Lane

FEW = 20
"""Documents that a change may reach and still be as urgent as its cause."""


def spread(lane: int, reached: int) -> int:
    """The lane in which ``reached`` documents follow a change of ``lane``: a wide refresh is bulk."""
    return lane if reached <= FEW else Lane.BULK
