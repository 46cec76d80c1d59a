"""What is held, why and since when: kept beside the rows so that it is known after a restart without reading them all.

A document that waits has a small row of its own under the prefix ``h``; the same facts are counted in memory.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec

from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork

PREFIX = "h"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, int]).decode


class HeldIndex:
    """Held documents of the partitions that this worker owns."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, int]] = {}

    def update(self, unit: UnitOfWork, key: str, old: tuple[str, int] | None, code: str | None) -> tuple[str, int] | None:
        """What the document's row should remember of its being held for ``code`` (None: it is not).

        To be called before the document's row is written, and :meth:`note` after it: if a crash cuts the changelog between
        the two, the row still says that there is something to forget, or says already that there will be.
        """
        if code is not None:
            return code, old[1] if old is not None else unit.now_ms
        if old is not None:
            unit.put(f"{PREFIX}{key}".encode(), None)
            unit.on_commit(lambda: self._forget(key))
        return None

    def persist(self, unit: UnitOfWork, key: str, held: tuple[str, int] | None) -> None:
        """Record that ``key`` is held, if it is; again even when that is known: the first time may have been lost."""
        if held is not None:
            unit.put(f"{PREFIX}{key}".encode(), _encode(held))
            unit.on_commit(lambda: self._remember(key, held))

    def recover(self, partition: int, table: StateTable) -> None:
        """Read the held documents of one partition."""
        for key, value in table.scan(partition, PREFIX.encode()):
            self._held[key[len(PREFIX) :].decode()] = _decode(value)

    def clear(self) -> None:
        """Forget everything in memory."""
        self._held.clear()

    def counts(self) -> Counter[str]:
        """Held documents by code."""
        return Counter(code for code, _ in self._held.values())

    def oldest(self) -> Iterator[tuple[str, int]]:
        """The earliest ``since`` (epoch milliseconds) of every code."""
        first: dict[str, int] = {}
        for code, since in self._held.values():
            first[code] = min(since, first.get(code, since))
        yield from first.items()

    def _remember(self, key: str, held: tuple[str, int]) -> None:
        self._held[key] = held

    def _forget(self, key: str) -> None:
        self._held.pop(key, None)
