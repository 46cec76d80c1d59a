"""What is held, why and since when: kept beside the rows so that it is known after a restart without reading them all.

A document that waits has a small row of its own under the prefix ``h``; the same facts are counted in memory.
"""

from collections import Counter
from collections.abc import Iterator

import msgspec

from streams.engine.table import StateTable
from streams.engine.unit import Unit

PREFIX = "h"

_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(tuple[str, int]).decode


class HeldIndex:
    """Held documents of the partitions that this worker owns."""

    def __init__(self) -> None:
        self._held: dict[str, tuple[str, int]] = {}

    def note(self, unit: Unit, key: str, old: tuple[str, int] | None, code: str | None) -> tuple[str, int] | None:
        """Record that ``key`` is held for ``code`` (None: no longer held); what the document's row should remember."""
        if code is None:
            if old is not None:
                unit.put(f"{PREFIX}{key}".encode(), None)
                unit.then(lambda: self._forget(key))
            return None
        since = old[1] if old is not None else unit.now_ms
        held = (code, since)
        # Written again even when unchanged: the first write may have been lost in a crash.
        unit.put(f"{PREFIX}{key}".encode(), _encode(held))
        unit.then(lambda: self._remember(key, held))
        return held

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
