"""What is held or frozen, why and since when: kept beside the rows, so that a restart need not read them all.

A held document waits and was never published; a frozen one was, and its last state stays. Each has a small row of its own under
the prefix ``h``; the same facts are counted in memory.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec

from streams.domain.held_reason import HeldReason
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork

PREFIX = "h"


_encode = msgspec.msgpack.Encoder().encode
decode_reason = msgspec.msgpack.Decoder(HeldReason).decode


class HeldIndex:
    """Held documents of the partitions that this worker owns."""

    def __init__(self) -> None:
        self._held: dict[str, HeldReason] = {}

    def update(
        self,
        unit: UnitOfWork,
        key: str,
        old: HeldReason | None,
        code: str | None,
        *,
        frozen: bool = False,
        since: int | None = None,
    ) -> HeldReason | None:
        """What the document's row should remember of its being held or ``frozen`` for ``code`` (None: it is neither).

        ``since``: when it froze, if that was before a rebuild.

        To be called before the document's row is written, and :meth:`note` after it: if a crash cuts the changelog between
        the two, the row still says that there is something to forget, or says already that there will be.
        """
        if code is not None:
            first = since if frozen and since is not None else unit.now_ms
            return HeldReason(code, old.since if old is not None and old.frozen is frozen else first, frozen)
        if old is not None:
            unit.put(f"{PREFIX}{key}".encode(), None)
            unit.on_commit(lambda: self._forget(key))
        return None

    def persist(self, unit: UnitOfWork, key: str, held: HeldReason | None) -> None:
        """Record that ``key`` is held or frozen, if it is; again even when that is known: the first time may have been lost."""
        if held is not None:
            unit.put(f"{PREFIX}{key}".encode(), _encode(held))
            unit.on_commit(lambda: self._remember(key, held))

    def recover(self, partition: int, table: StateTable) -> None:
        """Read the held documents of one partition."""
        for key, value in table.scan(partition, PREFIX.encode()):
            self._held[key[len(PREFIX) :].decode()] = decode_reason(value)

    def clear(self) -> None:
        """Forget everything in memory."""
        self._held.clear()

    def counts(self, *, frozen: bool = False) -> Counter[str]:
        """Held documents, or ``frozen`` ones, by code."""
        return Counter(held.code for held in self._held.values() if held.frozen is frozen)

    def oldest(self, *, frozen: bool = False) -> Iterator[tuple[str, int]]:
        """The earliest ``since`` (epoch milliseconds) of every code of held documents, or of ``frozen`` ones."""
        first: dict[str, int] = {}
        for held in self._held.values():
            if held.frozen is frozen:
                first[held.code] = min(held.since, first.get(held.code, held.since))
        yield from first.items()

    def _remember(self, key: str, held: HeldReason) -> None:
        self._held[key] = held

    def _forget(self, key: str) -> None:
        self._held.pop(key, None)
