"""Imports in flight and enrolments: never more than the account may have, and a way on after a refusal."""

import pytest

from streams.core.clock import ManualClock
from streams.dispatch.rate_limit.concurrency import ENROLMENTS, IN_FLIGHT, EnrolmentQuota, ImportSemaphore
from streams.dispatch.rate_limit.partition_share import PartitionShare
from streams.dotdigital.errors import Limit
from tests.dispatch.account import WHOLE, shares


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


class TestImports:
    def test_the_account_has_25_contact_and_5_insight_imports_at_once(self) -> None:
        assert IN_FLIGHT == {Limit.CONTACT_IMPORTS: 25, Limit.INSIGHT_IMPORTS: 5}

    @pytest.mark.parametrize(("limit", "workers"), [(25, 1), (25, 3), (5, 2), (5, 8)])
    def test_all_workers_together_take_what_there_is(self, limit: int, workers: int, clock: ManualClock) -> None:
        slots = [ImportSemaphore(share, limit, clock) for share in shares(8, workers)]
        assert sum(mine.acquire() for mine in slots for _ in range(30)) == limit

    def test_a_worker_with_one_partition_gets_its_turn(self, clock: ManualClock) -> None:
        slots = ImportSemaphore(PartitionShare(lambda: [7], 8), 5, clock)
        taken = 0
        for _ in range(8):
            if slots.acquire():
                taken += 1
                slots.release()
            clock.advance(300)
        assert taken == 5

    def test_one_that_is_over_makes_room(self, clock: ManualClock) -> None:
        slots = ImportSemaphore(WHOLE, 1, clock)
        assert slots.acquire()
        assert not slots.acquire()
        slots.release()
        assert slots.acquire()

    def test_those_found_after_a_restart_count(self, clock: ManualClock) -> None:
        slots = ImportSemaphore(WHOLE, 2, clock)
        for _ in range(3):
            slots.acquire_existing()
        assert (slots.free, slots.acquire(), slots.held) == (0, False, 3)

    def test_after_a_refusal_nothing_is_started_for_a_while(self, clock: ManualClock) -> None:
        slots = ImportSemaphore(WHOLE, 5, clock)
        assert slots.acquire()
        slots.refused()
        slots.release()
        assert not slots.acquire()
        clock.advance(15)
        assert slots.acquire()


class TestEnrolments:
    def test_20_in_any_60_minutes(self, clock: ManualClock) -> None:
        enrolments = EnrolmentQuota(WHOLE, clock)
        assert sum(enrolments.acquire() for _ in range(30)) == ENROLMENTS
        opens = enrolments.opens_at
        clock.advance((opens - clock.now_ms()) / 1000 - 0.001)
        assert not enrolments.acquire()
        clock.advance(0.001)
        assert enrolments.acquire()

    def test_a_refusal_waits_for_the_next_that_becomes_free(self, clock: ManualClock) -> None:
        enrolments = EnrolmentQuota(WHOLE, clock)
        enrolments.refused()
        assert enrolments.opens_at == clock.now_ms() + 180_000
        assert not enrolments.acquire()
        clock.advance(180)
        assert enrolments.acquire()
