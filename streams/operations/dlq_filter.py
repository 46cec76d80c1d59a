"""Filters by which an operator selects entries."""

from collections.abc import Iterable
from dataclasses import dataclass

from streams.messages.dead_letters import keyed_hash
from streams.operations.dlq_entry import DeadLetterEntry, EntryKind


@dataclass(frozen=True, slots=True)
class Filter:
    """Filters that must all apply; None is no filter. Times are epoch milliseconds.

    ``keys`` are keyed hashes: the key that the operator gave is not stored.
    """

    kind: EntryKind | None = None
    stage: str | None = None
    code: str | None = None
    keys: frozenset[str] | None = None
    since: int | None = None
    until: int | None = None
    limit: int | None = None

    def matches(self, entry: DeadLetterEntry) -> bool:
        """Whether everything but the key applies."""
        return (
            self.kind in (None, entry.position.kind)
            and self.stage in (None, entry.stage)
            and self.code in (None, entry.code)
            and (self.since is None or entry.at >= self.since)
            and (self.until is None or entry.at <= self.until)
        )

    def names(self, names: Iterable[bytes], hash_key: bytes) -> bool:
        """Whether one of ``names`` is the operator's key."""
        return self.keys is None or any(keyed_hash(name, hash_key) in self.keys for name in names)


def key_hashes(given: str, hash_key: bytes) -> frozenset[str]:
    """The hashes under which a key, as an operator types it, may be found."""
    return frozenset(keyed_hash(text.encode(), hash_key) for text in (given, given.strip().lower()))
