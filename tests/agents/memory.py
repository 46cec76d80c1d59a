"""The state of one stage in memory, and steps in any order."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from typing import TypeVar

from streams.engine.unit_of_work import UnitOfWork

T = TypeVar("T")


@dataclass
class Rows:
    """State rows of one stage in memory, one partition."""

    rows: dict[bytes, bytes] = field(default_factory=dict)

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def scan(self, partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return iter([(key, value) for key, value in sorted(self.rows.items()) if key.startswith(prefix) and key > after])

    def assigned(self) -> set[int]:
        return {0}

    def write(self, writes: Mapping[bytes, bytes | None]) -> None:
        for key, value in writes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value

    def commit(self, unit: UnitOfWork) -> None:
        """Write, and let happen what only a written unit may cause."""
        self.write(unit.writes | unit.last_writes)
        for effect in unit.after:
            effect()


def interleaved(found: Sequence[Sequence[T]], random: Random) -> list[T]:
    """Every step, rows mixed at will, each row's own order kept."""
    turns = [number for number, steps in enumerate(found) for _ in steps]
    random.shuffle(turns)
    waiting = [iter(steps) for steps in found]
    return [next(waiting[number]) for number in turns]
