"""What a unit emits: to the owner of a key, or to every partition, in records that the topics take."""

from collections.abc import Iterator

import pytest

from streams.capture import rows
from streams.core.errors import RecordError
from streams.engine.unit_of_work import MAX_BYTES, MAX_CHANGES, UnitOfWork, packed
from streams.messages.changes import EVERYWHERE, Change, DesiredRecord, partition_of
from streams.messages.kinds import DesiredRecordChange, StatusRowChange
from streams.messages.topics import Topics
from tests.wire import unpack

PARTITIONS = 8


class Nothing:
    """State without a row."""

    def get(self, partition: int, key: bytes) -> bytes | None:
        return None

    def scan(self, partition: int, prefix: bytes, after: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        return iter(())


TOPICS = Topics.of("t")


def renamed(key: str) -> StatusRowChange:
    return StatusRowChange(key, 7, b"\1", 1, 0, rows.StatusText("completed"))


def published(unit: UnitOfWork) -> dict[int, list[Change]]:
    """The changes of every partition of the one topic."""
    found: dict[int, list[Change]] = {}
    for (topic, partition), records in unit.outputs():
        assert topic == TOPICS.orders
        found[partition] = [change for _, value in records if value is not None for change in unpack(value)]
    return found


def test_a_change_goes_to_the_owner_of_its_key() -> None:
    unit = UnitOfWork(0, PARTITIONS, Nothing(), 0)
    unit.emit(TOPICS.orders, renamed("5"))
    assert published(unit) == {partition_of("5", PARTITIONS): [renamed("5")]}


def test_what_everybody_must_learn_goes_to_every_partition_in_order() -> None:
    unit = UnitOfWork(0, PARTITIONS, Nothing(), 0)
    unit.emit(TOPICS.orders, renamed("5"))
    unit.emit_everywhere(TOPICS.orders, renamed(EVERYWHERE))
    found = published(unit)
    assert found.keys() == set(range(PARTITIONS))
    for partition, changes in found.items():
        first = [renamed("5")] if partition == partition_of("5", PARTITIONS) else []
        assert changes == [*first, renamed(EVERYWHERE)]


def record(source: int, size: int) -> DesiredRecordChange:
    return DesiredRecordChange("ann@example.com", f"SO{source}", bytes(8), 1, 0, DesiredRecord(bytes(size), source))


@pytest.mark.parametrize("size", [0, 3_000, MAX_BYTES // 3])
def test_packed_records_carry_every_change_in_order_and_are_bounded_in_number_and_bytes(size: int) -> None:
    changes = [record(source, size) for source in range(2 * MAX_CHANGES + 1 if size < MAX_BYTES // 3 else 7)]
    values = [value for _, value in packed(TOPICS.desired, changes) if value is not None]
    assert [change for value in values for change in unpack(value)] == changes
    assert max(len(value) for value in values) <= MAX_BYTES
    assert max(len(unpack(value)) for value in values) <= MAX_CHANGES


def test_a_change_that_no_topic_takes_is_refused_under_a_code() -> None:
    with pytest.raises(RecordError, match="DESIRED_RECORD") as refused:
        packed(TOPICS.desired, [record(1, 0), record(2, MAX_BYTES), record(3, 0)])
    assert refused.value.code == "change_too_large"


def test_a_row_that_no_changelog_takes_is_refused_under_a_code_without_its_key() -> None:
    unit = UnitOfWork(0, PARTITIONS, Nothing(), 0)
    unit.put(b"cann@example.com", bytes(MAX_BYTES))
    unit.close()
    unit.put(b"cann@example.com", bytes(MAX_BYTES + 1))
    with pytest.raises(RecordError) as refused:
        unit.close()
    assert refused.value.code == "row_too_large" and "ann" not in refused.value.detail


def test_nothing_is_packed_into_no_record() -> None:
    assert packed(TOPICS.desired, []) == []
