"""What a reader remembers of the last record that it finished, so that it knows later whether the log still holds it.

A log can lose its tail (a power loss with one replica, an unclean election, a broker restored from a backup) or be made anew,
and then grow past the offset where a reader stopped. An offset alone does not show that; the record before it does.
"""

import zlib
from dataclasses import dataclass, field
from typing import Self

_DIGESTED = 1024
"""Bytes of a value that are looked at: records of one key differ there, and a large one costs no more."""


@dataclass(frozen=True, slots=True)
class Bookmark:
    """One record of a log: where it stands, when it was appended (UTC epoch milliseconds), and a checksum of what it says.

    ``newest`` is no part of the record: the highest position of a row version up to there, where the reader keeps it.
    """

    offset: int
    timestamp_ms: int
    digest: int
    newest: bytes = field(default=b"", compare=False)

    @classmethod
    def at(cls, offset: int, timestamp_ms: int, key: bytes | None, value: bytes | None) -> Self:
        """The bookmark at a record."""
        said = value or b""
        return cls(offset, timestamp_ms, zlib.crc32(said[:_DIGESTED], zlib.crc32(key or b"", len(said))))

    def encode(self) -> str:
        """As it is committed beside an offset."""
        return f"{self.offset}:{self.timestamp_ms}:{self.digest:x}" + (f":{self.newest.hex()}" if self.newest else "")

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """What :meth:`encode` made; None for anything else, as older versions and other programs commit it."""
        try:
            offset, timestamp_ms, digest, *newest = text.split(":", 3)
            return cls(int(offset), int(timestamp_ms), int(digest, 16), bytes.fromhex("".join(newest)))
        except ValueError:
            return None
