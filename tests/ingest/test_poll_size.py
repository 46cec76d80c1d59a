"""A poll is bounded in bytes, as far as the poll before it tells."""

import pytest

from streams.ingest.poll_size import MOST_BYTES, PollSize


def test_small_records_are_read_in_great_number_after_a_few_polls() -> None:
    size = PollSize(4_000)
    for _ in range(4):
        size.record(size.records, size.records * 300)
    assert size.records == 4_000


@pytest.mark.parametrize("each", [50_000, 1_000_000, 8 * 2**20])
def test_large_records_are_read_in_polls_of_bounded_bytes(each: int) -> None:
    size = PollSize(4_000)
    size.record(size.records, size.records * each)
    assert size.records >= 1 and size.records * each <= MOST_BYTES
    size.record(size.records, size.records * 300)
    assert size.records * each <= 2 * MOST_BYTES


def test_a_record_that_is_larger_than_all_the_room_is_read_alone_and_an_empty_one_divides_nothing() -> None:
    size = PollSize(10)
    size.record(1, 2 * MOST_BYTES)
    assert size.records == 1
    size.record(1, 0)
    assert size.records == 2
