"""The dead-letter topic: records that cannot be processed, kept whole, with code, reason and coordinates.

The record's key and value are the original bytes; everything about the failure is in headers, so that a repaired release
can process the record again as it was. The key's hash stands for the key wherever a person might read it.

A record that ``owdd dlq retry`` brings again says in headers where it stood first and how often it failed; should it fail
again, its next letter says so too.
"""

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, TypeAlias

from streams.core.errors import RecordError

Headers: TypeAlias = list[tuple[str, bytes]]


@dataclass(frozen=True, slots=True)
class Coordinates:
    """Where a record stands in Kafka; ``newest``: the newest position of a row version up to there, if its reader knows it."""

    topic: str
    partition: int
    offset: int
    newest: bytes = b""

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}@{self.offset}"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """One record on its way to the dead-letter topic."""

    at: Coordinates
    key: bytes | None
    value: bytes | None
    error: RecordError
    stage: str
    attempts: int = 1

    def headers(self, hash_key: bytes) -> Headers:
        """What the topic's readers learn of the failure; no personal data."""
        facts = {
            "code": self.error.code,
            "reason": self.error.detail,
            "stage": self.stage,
            **_place(self.at),
            "key-hash": keyed_hash(self.key or b"", hash_key),
            "attempts": str(self.attempts),
        }
        return [(name, text.encode()) for name, text in facts.items()]


def origin_headers(at: Coordinates, attempts: int) -> Headers:
    """The headers of a record that is tried again: where it stood first, and how often it has failed."""
    return [(name, text.encode()) for name, text in (_place(at) | {"attempts": str(attempts)}).items()]


def _place(at: Coordinates) -> dict[str, str]:
    place = {"topic": at.topic, "partition": str(at.partition), "offset": str(at.offset)}
    return place | ({"newest": at.newest.hex()} if at.newest else {})


def newest_position(facts: Mapping[str, str]) -> bytes:
    """``newest`` of the coordinates that headers name; empty if they do not, or are another program's."""
    try:
        return bytes.fromhex(facts.get("newest", ""))
    except ValueError:
        return b""


def origin_of(headers: Iterable[tuple[str, bytes]] | None, here: Coordinates) -> tuple[Coordinates, int]:
    """Where a record stood first, and how often it has failed; ``here`` and never, unless :func:`origin_headers` speak."""
    facts = {name: (value or b"").decode(errors="replace") for name, value in headers or ()}
    if not {"topic", "partition", "offset", "attempts"} <= facts.keys():
        return here, 0
    place = Coordinates(facts["topic"], int(facts["partition"]), int(facts["offset"]), newest_position(facts))
    return place, int(facts["attempts"])


KEYED_HASH: Final = "[0-9a-f]{16}"
"""A regular expression of what :func:`keyed_hash` makes."""


def keyed_hash(data: bytes, hash_key: bytes) -> str:
    """A short keyed hash that stands for personal data in logs and headers."""
    return hashlib.blake2b(data, key=hash_key[:64], digest_size=8).hexdigest()


def is_keyed_hash(text: str) -> bool:
    """Whether ``text`` can be a keyed hash: anything else may be personal data."""
    return re.fullmatch(KEYED_HASH, text) is not None
