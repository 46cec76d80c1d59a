"""What one worker may do in a minute and in an hour: laws over any interleaving, and the rules one by one."""

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from streams.core.lanes import Lane
from streams.dispatch.rate_limit.partition_share import PartitionShare
from streams.dispatch.rate_limit.quota import (
    HOUR,
    MARGIN,
    MINUTE,
    RELEASE,
    SLOWEST_CALL,
    MinuteQuota,
    Reserve,
    RollingHourQuota,
)
from streams.dotdigital.tiers import RateLimit
from tests.dispatch.account import WHOLE, shares

T = 29_540_160 * MINUTE
"""The beginning of a minute."""


def report(limit: int, remaining: int, ends: int = T + MINUTE) -> RateLimit:
    return RateLimit(limit, remaining, ends / 1000)


@dataclass
class Server:
    """An account with minutes of its own; ``used`` by minute."""

    limit: int
    used: Counter[int] = field(default_factory=Counter)

    def take(self, now: int) -> tuple[RateLimit, bool]:
        minute = now // MINUTE
        refused = self.used[minute] >= self.limit
        self.used[minute] += not refused
        return report(self.limit, self.limit - self.used[minute], (minute + 1) * MINUTE), refused


@dataclass
class Worker:
    """Calls on their way to the account, and answers on their way back."""

    minute: MinuteQuota
    ahead: int
    going: int = 0
    coming: list[tuple[int, RateLimit, bool]] = field(default_factory=list)

    def arrive(self, server: Server, now: int, most: int) -> None:
        arrived = min(most, self.going)
        self.going -= arrived
        self.coming += [(now, *server.take(now)) for _ in range(arrived)]
        assert not any(refused for _, _, refused in self.coming)

    def answered(self, now: int, number: int) -> None:
        """An answer is read, unless it is given up."""
        at, rate, refused = self.coming.pop(number % len(self.coming))
        late = now - at > SLOWEST_CALL
        self.minute.answered(now + self.ahead, None if late else rate, refused and not late)


steps = st.lists(
    st.tuples(st.sampled_from(["call", "arrive", "answer", "lose", "wait", "edge"]), st.integers(0, 2), st.integers(1, 20)),
    min_size=20,
    max_size=100,
)


@settings(deadline=None, max_examples=200)
@given(
    limit=st.integers(1, 20),
    partitions=st.integers(1, 6),
    skews=st.lists(st.integers(-MARGIN, MARGIN), min_size=3, max_size=3),
    steps=steps,
)
@example(
    # Two answers that come a minute late, both at once: neither says that our clock is ahead.
    limit=3,
    partitions=2,
    skews=[0, 0, 0],
    steps=[
        ("call", 0, 1),
        ("edge", 0, 1),
        ("call", 0, 1),
        ("edge", 0, 1),
        ("answer", 0, 2),
        ("edge", 0, 1),
        ("edge", 0, 1),
        ("call", 0, 2),
        ("call", 1, 2),
        ("edge", 0, 1),
    ],
)
def test_no_minute_is_overspent_whatever_happens_in_whatever_order(  # noqa: C901 - every kind of step in one place
    limit: int, partitions: int, skews: list[int], steps: list[tuple[str, int, int]]
) -> None:
    """Calls that do not divide among the partitions go to others every minute: with such a limit none comes late."""
    server, now = Server(limit), T + 1000
    workers = [Worker(MinuteQuota(share, limit), ahead) for share, ahead in zip(shares(partitions, 3), skews, strict=True)]
    for what, index, amount in steps:
        worker = workers[index]
        mine = now + worker.ahead
        match what:
            case "call":
                for _ in range(min(amount, worker.minute.left(mine) or 0)):
                    worker.minute.spend(mine)
                    worker.going += 1
            case "arrive":
                worker.arrive(server, now, amount)
            case "answer":
                for _ in range(min(amount, len(worker.coming))):
                    worker.answered(now, amount)
            case "lose" if worker.coming:
                worker.coming.pop()
                worker.minute.answered(mine, None, throttled=False)
            case "wait":
                now = max(now, min(now + amount * 100, now // MINUTE * MINUTE + MINUTE - 700))
            case "edge":
                # Just before the end of the account's minute, or just after it.
                after = (amount - 10) * 60
                if limit % partitions:
                    after = 600
                    for late in workers:
                        late.arrive(server, now, late.going)
                now = max(now, (now // MINUTE + 1) * MINUTE + after)


class TestMinute:
    @pytest.fixture
    def minute(self) -> MinuteQuota:
        """A tier of 100 calls, all this worker's, of which the first reply told."""
        minute = MinuteQuota(WHOLE, None)
        minute.spend(T + 1000)
        minute.answered(T + 1100, report(100, 99), throttled=False)
        return minute

    def test_without_a_limit_nothing_is_held_back(self) -> None:
        assert MinuteQuota(WHOLE, None).left(T) is None

    def test_the_first_reply_reports_limit_rest_and_end(self, minute: MinuteQuota) -> None:
        assert (minute.limit, minute.remaining, minute.left(T + 1200), minute.to_end(T + 1200)) == (100, 99, 99, 58_800)

    def test_urgent_calls_are_likely_to_come_as_in_the_minute_before(self, minute: MinuteQuota) -> None:
        for _ in range(20):
            minute.spend(T + 2000, urgent=True)
        assert minute.likely_urgent(T + 3000) == 0, "nothing is known of the minute before"
        later = T + MINUTE + MARGIN
        minute.spend(later)
        assert [round(minute.likely_urgent(later + passed)) for passed in (0, MINUTE // 2, MINUTE - MARGIN)] == [25, 12, 0]
        minute.spend(T + 2 * MINUTE + MARGIN)
        assert minute.likely_urgent(T + 2 * MINUTE + MARGIN) == 0

    def test_what_others_used_is_gone(self, minute: MinuteQuota) -> None:
        minute.spend(T + 2000)
        minute.answered(T + 2100, report(100, 30), throttled=False)
        assert minute.left(T + 2200) == 30

    def test_what_others_left_is_divided_by_shares(self) -> None:
        minute = MinuteQuota(shares(8, 2)[0], 100)
        minute.spend(T + 1000)
        minute.answered(T + 1100, report(100, 30), throttled=False)
        assert minute.left(T + 1200) == 15

    def test_replies_that_overtake_each_other_do_not_bring_calls_back(self, minute: MinuteQuota) -> None:
        for remaining in (97, 98):
            minute.spend(T + 2000)
            minute.answered(T + 2100, report(100, remaining), throttled=False)
        assert minute.remaining == 97

    def test_a_new_minute_begins_a_margin_after_the_end(self, minute: MinuteQuota) -> None:
        minute.answered(T + 2000, report(100, 0), throttled=False)
        assert minute.left(T + MINUTE + MARGIN - 1) == 0
        assert minute.left(T + MINUTE + MARGIN) == 100

    def test_a_reply_of_the_next_minute_begins_it_at_once(self, minute: MinuteQuota) -> None:
        minute.spend(T + MINUTE - 50)
        minute.answered(T + MINUTE - 20, report(100, 99, T + 2 * MINUTE), throttled=False)
        assert minute.left(T + MINUTE - 10) == 99

    def test_a_call_under_way_at_the_end_counts_in_the_next_minute_until_it_is_known_to_have_been_in_time(
        self, minute: MinuteQuota
    ) -> None:
        minute.spend(T + MINUTE - 50)
        later = T + MINUTE + 1000
        assert minute.left(later) == 99
        minute.answered(later, report(100, 98), throttled=False)
        assert minute.left(later) == 100

    def test_a_refusal_closes_the_minute(self, minute: MinuteQuota) -> None:
        minute.spend(T + 2000)
        minute.answered(T + 2100, report(100, 0), throttled=True)
        assert minute.left(T + MINUTE) == 0

    def test_after_a_refusal_one_call_goes_ahead(self, minute: MinuteQuota) -> None:
        minute.spend(T + 2000)
        minute.answered(T + 2100, report(100, 0), throttled=True)
        now = T + MINUTE + 1000
        assert minute.left(now) == 100
        minute.spend(now)
        assert minute.left(now + 10) == 0
        minute.answered(now + 100, report(100, 99, T + 2 * MINUTE), throttled=False)
        assert minute.left(now + 110) == 99

    def test_a_minute_taken_for_over_too_early_goes_on_with_what_was_sent(self) -> None:
        """Our clock is 2 s ahead."""
        minute = MinuteQuota(WHOLE, 100)
        for at in (1000, 1100, 1200):
            minute.spend(T + at)
            minute.answered(T + at + 50, report(100, 90), throttled=False)
        early = T + MINUTE + 500
        minute.spend(early)
        minute.answered(early + 50, report(100, 89), throttled=False)
        assert (minute.remaining, minute._sent) == (89, 4)
        assert minute.to_end(early + 60) > -MARGIN

    def test_an_upgraded_account_has_its_new_limit_in_the_next_minute(self, minute: MinuteQuota) -> None:
        minute.spend(T + MINUTE + 1000)
        minute.answered(T + MINUTE + 1100, report(500, 499, T + 2 * MINUTE), throttled=False)
        assert minute.left(T + 2 * MINUTE + MARGIN) == 500

    def test_who_waits_looks_again_at_the_release_then_step_by_step_then_at_the_end(self, minute: MinuteQuota) -> None:
        assert minute.changes_in(T + 5000) == MINUTE - 5000 - RELEASE
        assert minute.changes_in(T + MINUTE - 5000) == 100
        assert minute.changes_in(T + MINUTE + MARGIN - 30) == 30


class TestReserve:
    RESERVE = Reserve(urgent=0.1, live=0.2)

    def test_urgent_leaves_nothing_live_leaves_the_urgent_part_and_bulk_both(self) -> None:
        assert [self.RESERVE.kept(lane, 1000, MINUTE) for lane in Lane] == [0, 100, 300]

    def test_it_is_released_over_the_last_part_but_for_a_rest(self) -> None:
        assert [self.RESERVE.kept(Lane.LIVE, 1000, left) for left in (RELEASE, RELEASE // 2, 0)] == [100, 60, 20]
        assert [self.RESERVE.kept(Lane.BULK, 1000, left) for left in (RELEASE, RELEASE // 2, 0)] == [300, 160, 20]

    def test_as_much_is_kept_as_is_likely_to_come_up_to_half(self) -> None:
        assert [self.RESERVE.kept(Lane.LIVE, 1000, MINUTE, likely) for likely in (50, 250, 800)] == [100, 250, 500]
        assert self.RESERVE.kept(Lane.BULK, 1000, MINUTE, 250) == 450
        assert self.RESERVE.kept(Lane.URGENT, 1000, MINUTE, 800) == 0

    def test_a_budget_of_few_calls_is_not_held_back(self) -> None:
        assert self.RESERVE.kept(Lane.LIVE, 4, MINUTE) == 0

    @given(
        lane=st.sampled_from(Lane),
        budget=st.integers(0, 5000),
        early=st.integers(-MARGIN, MINUTE),
        later=st.integers(0, MINUTE),
    )
    def test_it_only_ever_shrinks_and_leaves_95_percent(self, lane: Lane, budget: int, early: int, later: int) -> None:
        kept = self.RESERVE.kept(lane, budget, early)
        assert 0 <= self.RESERVE.kept(lane, budget, early - later) <= kept <= 0.3 * budget
        assert self.RESERVE.kept(lane, budget, 0) <= 0.05 * budget


@settings(deadline=None)
@given(
    limit=st.integers(1, 40),
    partitions=st.integers(1, 50),
    waits=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 40)), max_size=80),
)
def test_no_60_minutes_are_overspent(limit: int, partitions: int, waits: list[tuple[int, int]]) -> None:
    hours = [RollingHourQuota(share, limit) for share in shares(partitions, 4)]
    now = T
    made: list[int] = []
    for index, minutes in waits:
        now += minutes * MINUTE + 7_001
        while hours[index].left(now):
            hours[index].spend(now)
            made.append(now)
        assert sum(at > now - HOUR for at in made) <= limit


class TestHour:
    def test_without_a_limit_nothing_is_held_back(self) -> None:
        assert (RollingHourQuota(WHOLE, None).left(T), RollingHourQuota(WHOLE, None).opens_at(T)) == (None, T)

    def test_it_opens_when_the_first_of_the_last_hour_is_forgotten(self) -> None:
        hour = RollingHourQuota(WHOLE, 2)
        hour.spend(T)
        hour.spend(T + 5 * MINUTE)
        assert hour.left(T + 6 * MINUTE) == 0
        opens = hour.opens_at(T + 6 * MINUTE)
        assert opens == T + HOUR + MINUTE
        assert hour.left(opens) == 1

    def test_one_taken_back_is_free_again(self) -> None:
        hour = RollingHourQuota(WHOLE, 1)
        hour.spend(T)
        hour.spend(T, -1)
        assert hour.left(T) == 1

    def test_more_partitions_than_calls_take_turns_and_each_has_one(self) -> None:
        turns = [
            RollingHourQuota(PartitionShare(lambda: [40], 50), 20).own(T - T % (2 * HOUR) + turn * 2 * HOUR)
            for turn in range(50)
        ]
        assert sum(turn or 0 for turn in turns) == 20

    def test_out_of_turn_it_opens_with_a_later_turn(self) -> None:
        hour = RollingHourQuota(PartitionShare(tuple, 50), 20)
        assert hour.opens_at(T) > T
