"""Finds rows of a store by what is not their key: an order by its number, an address by its keyed hash.

The index is rows that only the store has: nothing of it is in a changelog. Each entry is written in one batch with the row that
it leads to. A mark says up to which changelog offset the index is whole. Where that is not the store's own (the store is new,
or was written by a release without this index), the index is made anew from the rows before the partition is opened.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import msgspec
import rocksdict

from streams.messages.dead_letters import keyed_hash

_ENTRIES, _AFTER_ENTRIES = b"\0\0by:", b"\0\0by;"
"""All entries lie between these keys; the first two bytes are those of rows that only a store has."""
_MARK = b"\0\0index"
_SLICE = 2000
"""Rows indexed at a time when the index is made anew: some 10 ms."""
_REMEMBERED = 1024
"""Rows whose term is remembered: most that are written were written a moment ago, and have the term that they had then."""

_encode = msgspec.msgpack.Encoder().encode


class _Mark(msgspec.Struct, frozen=True, array_like=True):
    """How far the index is.

    Attributes:
        offset: the changelog offset up to which it is whole.
        entries: how many there are.
        made_with: hash of nothing, which another key would make differently.
    """

    offset: int
    entries: int
    made_with: str


_decode = msgspec.msgpack.Decoder(_Mark).decode


@dataclass(frozen=True, slots=True)
class Lookup:
    """By what rows of a table are found.

    Attributes:
        prefix: what keys of these rows begin with.
        term: by what a row is found, from its key and value; None: by nothing.
        hash_key: terms may be personal data; entries hold their keyed hashes.
    """

    prefix: bytes
    term: Callable[[bytes, bytes], str | None]
    hash_key: bytes

    def hash(self, term: str) -> str:
        """What stands for a term."""
        return keyed_hash(term.encode(), self.hash_key)


class Rows(Protocol):
    """The store of the rows."""

    def get(self, key: bytes) -> bytes | None:
        """The value of ``key``."""

    def scan(self, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        """Rows whose keys begin with ``prefix`` and are greater than ``after``, ascending."""

    def keys(self, prefix: bytes) -> Iterator[bytes]:
        """All keys that begin with ``prefix``, ascending."""

    def commit(self, batch: rocksdict.WriteBatch) -> None:
        """Apply a batch."""


class RowIndex:
    """The index of one store; ``offset``: the changelog offset that the store is at."""

    def __init__(self, lookup: Lookup, rows: Rows, offset: int) -> None:
        self._lookup = lookup
        self._rows = rows
        self._terms: dict[bytes, str | None] = {}
        self._made_with = lookup.hash("")
        value = rows.get(_MARK)
        mark = None if value is None else _decode(value)
        self.whole = mark is not None and (mark.offset, mark.made_with) == (offset, self._made_with)
        self.entries = self._entries_before = mark.entries if mark is not None and self.whole else 0

    def find(self, hash_: str) -> Iterator[tuple[bytes, bytes]]:
        """Rows whose term has this hash, with their keys."""
        prefix = _entry(hash_)
        for entry in self._rows.keys(prefix):
            key = entry[len(prefix) :]
            value = self._rows.get(key)
            if value is not None:
                yield key, value

    def follow(self, batch: rocksdict.WriteBatch, writes: Mapping[bytes, bytes | None], offset: int) -> None:
        """Add to ``batch``, which applies ``writes`` and takes the store to ``offset``, what follows from them here."""
        if not self.whole:
            return
        self._entries_before = self.entries
        prefix, term, terms = self._lookup.prefix, self._lookup.term, self._terms
        for key, value in writes.items():
            if not key.startswith(prefix):
                continue
            new = None if value is None else term(key, value)
            old = terms[key] if key in terms else self._stored_term(key)
            if old != new:
                self._replace(batch, key, old, new)
            terms[key] = new
        if len(terms) > _REMEMBERED:
            terms.clear()
        self._note(batch, offset)

    def undo(self) -> None:
        """What :meth:`follow` added last was not written."""
        self.entries = self._entries_before
        self._terms.clear()

    def _stored_term(self, key: bytes) -> str | None:
        value = self._rows.get(key)
        return None if value is None else self._lookup.term(key, value)

    def _replace(self, batch: rocksdict.WriteBatch, key: bytes, old: str | None, new: str | None) -> None:
        if old is not None:
            batch.delete(self._entry_of(old, key))
            self.entries -= 1
        if new is not None:
            batch.put(self._entry_of(new, key), b"")
            self.entries += 1

    def make(self, offset: int) -> Iterator[None]:
        """Make the index anew if it is not whole, with a pause after each slice; nothing may be written meanwhile."""
        if self.whole:
            return
        batch = rocksdict.WriteBatch(raw_mode=True)
        batch.delete_range(_ENTRIES, _AFTER_ENTRIES)
        after, self.entries, unread = b"", 0, True
        while unread:
            unread = False
            for count, (key, value) in enumerate(self._rows.scan(self._lookup.prefix, after), 1):
                after = key
                if (term := self._lookup.term(key, value)) is not None:
                    batch.put(self._entry_of(term, key), b"")
                    self.entries += 1
                if count == _SLICE:
                    unread = True
                    break
            if not unread:
                self._note(batch, offset)
            self._rows.commit(batch)
            batch = rocksdict.WriteBatch(raw_mode=True)
            yield
        self.whole = True

    def _note(self, batch: rocksdict.WriteBatch, offset: int) -> None:
        batch.put(_MARK, _encode(_Mark(offset, self.entries, self._made_with)))

    def _entry_of(self, term: str, key: bytes) -> bytes:
        return _entry(self._lookup.hash(term)) + key


def _entry(hash_: str) -> bytes:
    return _ENTRIES + bytes.fromhex(hash_)
