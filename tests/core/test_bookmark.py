"""What a reader commits beside an offset."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.core.bookmark import Bookmark

OFFSETS_METADATA_MAX_BYTES = 4096
"""Kafka's default limit on what is committed beside an offset."""


@given(
    st.integers(0, 2**63 - 1), st.integers(-1, 2**62), st.binary(max_size=2000), st.sampled_from([b"", bytes(12), b"\xff" * 12])
)
def test_it_comes_back_as_it_was_committed(offset: int, timestamp_ms: int, value: bytes, newest: bytes) -> None:
    made = Bookmark.at(offset, timestamp_ms, b"key", value)
    bookmark = Bookmark(made.offset, made.timestamp_ms, made.digest, newest)
    read = Bookmark.decode(bookmark.encode())
    assert read == made
    assert read is not None
    assert read.newest == newest
    assert len(bookmark.encode()) < OFFSETS_METADATA_MAX_BYTES


@pytest.mark.parametrize("text", ["", "3", "3:4", "a:b:c", "3:4:zz", "3:4:5:xyz", "3:4:5:0", "committed by another program"])
def test_what_others_commit_is_no_bookmark(text: str) -> None:
    assert Bookmark.decode(text) is None


def test_what_an_older_version_committed_is_one() -> None:
    assert Bookmark.decode("3:4:5f") == Bookmark(3, 4, 0x5F)
