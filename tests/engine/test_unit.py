"""What a unit emits: to the owner of a key, or to every partition."""

from collections.abc import Iterator

from streams.capture import rows
from streams.domain.changes import EVERYWHERE, Change, Kind, partition_of, unpack
from streams.engine.unit import Unit

PARTITIONS = 8


class Nothing:
    """State without a row."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        return None

    def scan(self, partition: int, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return iter(())


def renamed(key: str) -> Change:
    return Change(Kind.STATUS, key, 7, b"\1", 1, 0, rows.StatusText("completed"))


def told(unit: Unit) -> dict[int, list[Change]]:
    """The changes of every partition of the one topic."""
    found: dict[int, list[Change]] = {}
    for (topic, partition), records in unit.outputs():
        assert topic == "orders"
        found[partition] = [change for _, value in records if value is not None for change in unpack(value)]
    return found


def test_a_change_goes_to_the_owner_of_its_key() -> None:
    unit = Unit(0, PARTITIONS, Nothing(), 0)
    unit.emit("orders", renamed("5"))
    assert told(unit) == {partition_of("5", PARTITIONS): [renamed("5")]}


def test_what_everybody_must_hear_goes_to_every_partition_in_order() -> None:
    unit = Unit(0, PARTITIONS, Nothing(), 0)
    unit.emit("orders", renamed("5"))
    unit.emit_everywhere("orders", renamed(EVERYWHERE))
    found = told(unit)
    assert found.keys() == set(range(PARTITIONS))
    for partition, changes in found.items():
        first = [renamed("5")] if partition == partition_of("5", PARTITIONS) else []
        assert changes == [*first, renamed(EVERYWHERE)]
