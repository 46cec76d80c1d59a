"""Which entries of one partition of a topic are still open, by cause: a byte for each, so that millions cost little."""

from collections import Counter
from typing import Final

_NONE: Final = 0
_OTHER: Final = 255


class Causes:
    """Numbers for causes, from 1 on; those behind the 254th count as ``other``."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._names = {_OTHER: "other"}

    def number(self, cause: str) -> int:
        """The number of a cause."""
        known = self._numbers.get(cause)
        if known is None:
            known = self._numbers[cause] = min(len(self._numbers) + 1, _OTHER)
            self._names.setdefault(known, cause)
        return known

    def name(self, number: int) -> str:
        """The cause of a number."""
        return self._names[number]


class OpenEntries:
    """The entries of one partition."""

    def __init__(self, causes: Causes) -> None:
        self._causes = causes
        self._begin = 0
        self._entries = bytearray()

    def open(self, offset: int, cause: str) -> None:
        """There is an entry behind all others."""
        if offset >= self._begin:
            self._entries.extend(bytes(offset + 1 - self._begin - len(self._entries)))
            self._entries[offset - self._begin] = self._causes.number(cause)

    def close(self, offset: int) -> None:
        """Somebody is done with the entry; nothing, if there is none."""
        if 0 <= offset - self._begin < len(self._entries):
            self._entries[offset - self._begin] = _NONE

    def forget_before(self, begin: int) -> None:
        """Retention has deleted what stood before ``begin``."""
        if begin > self._begin:
            del self._entries[: begin - self._begin]
            self._begin = begin

    def counts(self) -> Counter[str]:
        """Open entries by cause."""
        return Counter(
            {self._causes.name(number): count for number, count in Counter(self._entries).items() if number != _NONE}
        )
