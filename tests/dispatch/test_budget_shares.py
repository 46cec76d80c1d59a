"""Shares of all workers add up to the whole, and nobody is left without for ever."""

from hypothesis import given
from hypothesis import strategies as st

from streams.dispatch.rate_limit.partition_share import PartitionShare
from tests.dispatch.account import WHOLE


@given(
    total=st.integers(0, 5000),
    turn=st.integers(0, 10**9),
    owners=st.lists(st.integers(0, 5), min_size=1, max_size=64),
)
def test_all_workers_together_have_exactly_the_whole(total: int, turn: int, owners: list[int]) -> None:
    def share(worker: int) -> PartitionShare:
        return PartitionShare(lambda: [p for p, owner in enumerate(owners) if owner == worker], len(owners))

    parts = [share(worker).of(total, turn) for worker in range(6)]
    assert sum(parts) == total


@given(total=st.integers(1, 100), partitions=st.integers(1, 64), partition=st.integers(0, 63), first=st.integers(0, 10**6))
def test_over_as_many_turns_as_partitions_each_gets_the_same(total: int, partitions: int, partition: int, first: int) -> None:
    share = PartitionShare(lambda: [partition % partitions], partitions)
    assert sum(share.of(total, first + turn) for turn in range(partitions)) == total


def test_a_process_alone_has_everything() -> None:
    assert (WHOLE.of(35, 7), WHOLE.fraction, WHOLE.covers(1)) == (35, 1.0, True)


def test_a_share_follows_the_partitions_that_are_owned_now() -> None:
    owned = {0, 1}
    share = PartitionShare(lambda: owned, 8)
    assert (share.of(80), share.fraction) == (20, 0.25)
    owned.clear()
    assert (share.of(80), share.fraction) == (0, 0.0)


def test_fewer_calls_than_partitions_do_not_cover_them() -> None:
    assert not PartitionShare(lambda: [0], 8).covers(7)
    assert PartitionShare(lambda: [0], 8).covers(8)
