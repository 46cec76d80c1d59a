"""Logs that really lost their tails: the files of a broker that does not run, cut between two record batches."""

import struct
from pathlib import Path

_HEADER = struct.Struct(">qi")
"""A batch begins with the offset of its first record, and its length without these twelve bytes."""
_LAST = struct.Struct(">i")
_LAST_AT = 23
"""Where a batch has the offset of its last record, counted from its first."""


def cut(broker: Path, topic: str, partition: int, offset: int) -> None:
    """Drop the batch with ``offset`` and all that follow, as a power failure does with what the disk did not have yet.

    ``broker`` is the directory of a broker that was killed: only then does it look at the files when it starts.
    """
    (segment,) = (broker / "storage" / f"{topic}-{partition}").glob("*.log")
    content = segment.read_bytes()
    at = 0
    while at < len(content):
        base, length, last = *_HEADER.unpack_from(content, at), _LAST.unpack_from(content, at + _LAST_AT)[0]
        if base + last >= offset:
            with segment.open("r+b") as file:
                file.truncate(at)
            return
        at += _HEADER.size + length
    raise ValueError(f"{segment} ends before {offset}")
