"""The chain of one writer's audit entries, so that an entry cannot be changed, taken out or slipped in without a trace.

Each entry carries a link in a header: its writer, its number, and keyed digests of the entry before it and of itself. Without
the key nobody can make a link. A writer is a stage of one worker process, or one command, from its start to its end.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Final
from uuid import uuid4

import msgspec

from streams.kafka.producer import Headers

_HEADER: Final = "chain"
_MOST_DIGITS: Final = 18
FIRST: Final = "0"
"""Stands for the digest before a chain's first entry."""


@dataclass(frozen=True, slots=True)
class Link:
    """One entry's place in its writer's chain, from 1 on; digests are hexadecimal."""

    writer: str
    sequence: int
    previous: str
    digest: str

    def headers(self) -> Headers:
        """The header that carries it."""
        return [(_HEADER, f"{self.writer}/{self.sequence}/{self.previous}/{self.digest}".encode())]


def link_of(headers: Iterable[tuple[str, bytes | None]] | None) -> Link | None:
    """The link that a record carries, whether it is right or not; None if there is none."""
    for name, value in headers or ():
        # Whoever may write to the topic may write any header: without a value, or with a number that Python refuses to read.
        parts = (value or b"").decode(errors="replace").split("/") if name == _HEADER else ()
        if len(parts) == 4 and parts[1].isdecimal() and len(parts[1]) <= _MOST_DIGITS:
            return Link(parts[0], int(parts[1]), parts[2], parts[3])
    return None


class AuditChain:
    """Makes the links of one writer."""

    def __init__(self, key: bytes) -> None:
        self._key = key
        self._writer = uuid4().hex[:16]
        self._last = Link(self._writer, 0, FIRST, FIRST)

    def next(self, entry_key: bytes | None, value: bytes | None) -> Link:
        """The link of the entry that follows."""
        sequence, previous = self._last.sequence + 1, self._last.digest
        digest = link_digest(self._key, (self._writer, sequence, previous), entry_key, value)
        self._last = Link(self._writer, sequence, previous, digest)
        return self._last


def link_digest(key: bytes, place: tuple[str, int, str], entry_key: bytes | None, value: bytes | None) -> str:
    """The digest of an entry at ``place``: writer, number, and the digest before it."""
    return keyed_digest(key, msgspec.msgpack.encode((*place, entry_key, value)))


def keyed_digest(key: bytes, content: bytes) -> str:
    """A digest that serves the audit trail only, although its key serves others too."""
    return blake2b(content, key=key[:64], digest_size=16, person=b"owdd-trail").hexdigest()
