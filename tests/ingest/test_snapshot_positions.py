"""A snapshot's row without a place in the log replaces what was streamed before it, and nothing that comes after."""

from aiokafka import TopicPartition
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from prometheus_client import Counter

from streams.capture.envelope import RowEvent
from streams.capture.position import BEFORE_EVERYTHING
from streams.ingest.snapshot_positions import NewestPositions

PLACE, OTHER = TopicPartition("ow.t", 0), TopicPartition("ow.t", 1)


def event(lsn: int, epoch: int = 0) -> RowEvent:
    """A row at a place of the log; 0 is a snapshot's row without one."""
    position = epoch.to_bytes(2, "big") + lsn.to_bytes(10, "big")
    return RowEvent("t", "u" if lsn else "r", {"id": 1}, None, {"id": 1}, position, 0, not lsn)


def newest() -> tuple[NewestPositions, Counter]:
    unplaced = Counter("unplaced", "", ["topic"], registry=None)
    return NewestPositions(unplaced), unplaced


def test_it_stands_where_the_newest_record_of_its_partition_stands() -> None:
    positions, unplaced = newest()
    for lsn in (5, 9, 7):
        assert positions.placed(PLACE, event(lsn)) == event(lsn)
    assert positions.placed(PLACE, event(0)) == replace(event(0), position=event(9).position)
    assert unplaced.labels("ow.t")._value.get() == 0


def test_before_anything_was_streamed_it_stands_before_everything_and_is_counted() -> None:
    positions, unplaced = newest()
    positions.placed(OTHER, event(9))
    assert positions.placed(PLACE, event(0)) == event(0)
    assert event(0).position.endswith(BEFORE_EVERYTHING)
    assert unplaced.labels("ow.t")._value.get() == 1


def test_a_raised_epoch_is_after_everything_older() -> None:
    positions, _ = newest()
    positions.placed(PLACE, event(9))
    assert positions.placed(PLACE, event(0, epoch=1)) == event(0, epoch=1)
    assert event(0, epoch=1).position > event(9).position


@given(st.lists(st.integers(0, 3), max_size=12))
def test_every_row_replaces_those_before_it_and_is_replaced_by_those_after_it(steps: list[int]) -> None:
    positions, _ = newest()
    lsn, applied = 0, b""
    for step in steps:
        lsn += step
        placed = positions.placed(PLACE, event(lsn if step else 0)).position
        assert placed >= applied
        applied = placed
