"""What is committed and delivered around a rebalance, and a consumer that takes part in its group no more."""

import asyncio
from collections import defaultdict
from types import SimpleNamespace
from typing import Any, cast

import pytest
from aiokafka.errors import KafkaError, KafkaTimeoutError
from faust.types import TP
from intervaltree import IntervalTree  # type: ignore[import-untyped]

from streams.engine.transport import _Consumer

PLACE = TP("in", 0)


class Bare(_Consumer):
    """A consumer without a broker: what was acknowledged, and whether it delivers, are the test's."""

    def __init__(self, committed: int | None, *, begin: int = 0) -> None:
        self._acked: Any = defaultdict(list)
        self._acked_index: Any = defaultdict(set)
        self._gap: Any = defaultdict(IntervalTree)
        self._committed_offset: Any = defaultdict(lambda: None, {PLACE: committed})
        self._commit_from = {PLACE: committed or begin}
        self._revocations = self._found_after = 0
        self._rebalancing = False
        self.can_resume_flow, self.suspend_flow = asyncio.Event(), asyncio.Event()
        self.flow_active = False
        self.app = SimpleNamespace(conf=SimpleNamespace(id="app"))

    def assignment(self) -> set[TP]:
        return {PLACE}

    def acknowledge(self, *offsets: int) -> int | None:
        """What is committed once these are acknowledged too."""
        self._acked[PLACE].extend(offsets)
        self._acked_index[PLACE].update(offsets)
        found = self._new_offset(PLACE)
        self._committed_offset[PLACE] = found or self._committed_offset[PLACE]
        return found


def test_a_commit_goes_on_where_the_one_before_it_ended() -> None:
    consumer = Bare(10)
    assert [consumer.acknowledge(10, 11), consumer.acknowledge(13), consumer.acknowledge(12)] == [12, None, 14]


@pytest.mark.parametrize("committed", [None, 4])
def test_nothing_is_committed_over_a_record_that_is_not_done(committed: int | None) -> None:
    consumer = Bare(committed, begin=4)
    assert consumer.acknowledge(5, 6) is None
    assert consumer.acknowledge(4) == 7


def test_what_the_log_does_not_hold_is_committed_with_what_follows() -> None:
    consumer = Bare(4)
    consumer._gap[PLACE].addi(4, 6)
    assert consumer.acknowledge(6, 7) == 8


def test_nothing_is_delivered_while_a_rebalance_that_overtook_the_search_is_under_way() -> None:
    consumer = Bare(4)
    consumer._revocations, consumer._rebalancing = 1, True
    consumer.resume_flow()
    assert not consumer.flow_active
    consumer._rebalancing, consumer._found_after = False, 1
    consumer.resume_flow()
    assert consumer.flow_active


def test_nothing_is_delivered_if_faust_gives_up_the_search() -> None:
    consumer = Bare(4)
    consumer._revocations = 1
    with pytest.raises(KafkaTimeoutError):
        consumer.resume_flow()
    assert not consumer.flow_active


def test_a_quiet_partition_is_not_taken_for_stuck() -> None:
    consumer = Bare(4)
    # Faust's own look, which logs an error every few seconds for a partition that no answer has named for five minutes.
    consumer._thread = SimpleNamespace(verify_event_path=lambda *_: pytest.fail("looked"))
    consumer.verify_event_path(1e9, PLACE)


def coordinated(task: Any, pending: Exception | None = None) -> _Consumer:
    closing: asyncio.Future[None] = asyncio.Future()
    coordinator = SimpleNamespace(_coordination_task=task, _closing=closing, _pending_exception=pending)
    thread = SimpleNamespace(_consumer=SimpleNamespace(_coordinator=coordinator))
    return cast(_Consumer, SimpleNamespace(_thread=thread))


async def test_a_consumer_that_left_its_group_for_good_is_noticed() -> None:
    running, failed = asyncio.Future[None](), asyncio.Future[None]()
    failed.set_exception(KafkaError("unexpected"))
    _Consumer.check_membership(coordinated(running))
    with pytest.raises(KafkaError, match="unexpected"):
        _Consumer.check_membership(coordinated(failed))
    with pytest.raises(KafkaError, match="not allowed"):
        _Consumer.check_membership(coordinated(running, KafkaError("not allowed")))
