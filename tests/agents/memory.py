"""The state of one stage in memory."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from streams.engine.unit import Unit


@dataclass
class Rows:
    """State rows of one stage in memory, one partition."""

    rows: dict[bytes, bytes] = field(default_factory=dict)

    def get(self, partition: int, key: bytes) -> bytes | None:
        return self.rows.get(key)

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter([(key, value) for key, value in sorted(self.rows.items()) if key.startswith(prefix)])

    def commit(self, unit: Unit) -> None:
        for key, value in unit.writes.items():
            if value is None:
                self.rows.pop(key, None)
            else:
                self.rows[key] = value
        for effect in unit.after:
            effect()
