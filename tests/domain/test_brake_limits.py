"""What the brake counts, and when there is too much: pure."""

from random import Random

import pytest

from streams.domain import brake
from streams.domain.brake import DAY, BrakeLimits
from streams.messages.removals import KindTally

LIMITS = BrakeLimits()
NOON = 30_000_000


def asked(present: int, *minutes: int) -> KindTally:
    """So many things are left, and one removal was asked for in each of the minutes."""
    tally = KindTally(present)
    for minute in minutes:
        tally = brake.ask(tally, minute)
    return tally


@pytest.mark.parametrize(
    ("everything", "removals", "too_many"),
    [
        (21, 20, False),
        (21, 21, True),
        (1_000, 20, False),
        (1_000, 21, True),
        (5_000, 100, False),
        (5_000, 101, True),
        (50_000, 200, False),
        (50_000, 201, True),
    ],
)
def test_a_window_may_have_twenty_or_the_smaller_of_two_per_cent_and_two_hundred(
    everything: int, removals: int, too_many: bool
) -> None:
    assert LIMITS.passed([asked(everything - removals, *[NOON] * removals)], NOON) is too_many


def test_removals_of_all_partitions_count_together() -> None:
    assert not LIMITS.passed([asked(500, *[NOON] * 10), asked(480, *[NOON] * 10)], NOON)
    assert LIMITS.passed([asked(500, *[NOON] * 10), asked(479, *[NOON] * 11)], NOON)


def test_a_window_is_any_fifteen_minutes() -> None:
    scattered = [NOON + 2 * number for number in range(21)]
    assert not LIMITS.passed([asked(979, *scattered)], NOON + 60)
    close = [NOON - 14 + number % 15 for number in range(21)]
    assert LIMITS.passed([asked(979, *sorted(close))], NOON + 60)


def test_a_day_may_have_three_per_cent() -> None:
    over_hours = [NOON - 60 * (30 - number) for number in range(31)]
    assert LIMITS.passed([asked(969, *over_hours[-24:], *[NOON + 30] * 7)], NOON + 30)
    assert not LIMITS.passed([asked(970, *over_hours[-23:], *[NOON + 30] * 7)], NOON + 30)


def test_what_was_taken_back_or_decided_counts_no_more() -> None:
    tally = asked(979, *[NOON] * 21)
    assert not LIMITS.passed([brake.take_back(tally, 7)], NOON)
    assert not LIMITS.passed([brake.decide(tally, tally.last)], NOON)
    assert LIMITS.passed([brake.grant(tally, tally.last)], NOON)


def test_what_waits_is_what_was_neither_granted_nor_taken_back() -> None:
    tally = asked(100, NOON, NOON, NOON)
    tally = brake.grant(brake.seal(tally, NOON), 3)
    tally = brake.ask(brake.ask(tally, NOON), NOON)
    assert brake.waiting(tally) == 2
    assert brake.waiting(brake.take_back(tally, 5)) == 1
    assert brake.waiting(brake.take_back(tally, 2)) == 2


def test_what_is_taken_back_after_a_decision_uncounts_nothing_that_came_later() -> None:
    tally = asked(1_000, *[NOON] * 30)
    tally = brake.decide(brake.seal(tally, NOON), 30)
    for _ in range(5):
        tally = brake.ask(tally, NOON + 1)
    for number in range(1, 31):
        tally = brake.take_back(tally, number)
    assert brake.waiting(tally) == 5
    assert brake.waiting(brake.take_back(tally, 31)) == 4


def test_what_is_taken_back_a_day_after_its_grant_uncounts_nothing_that_came_later() -> None:
    tally = brake.grant(brake.seal(asked(1_000, *[NOON] * 30), NOON), 30)
    tally = brake.ask(brake.seal(tally, NOON + DAY), NOON + DAY)
    for number in range(1, 31):
        tally = brake.take_back(tally, number)
    assert brake.waiting(tally) == 1


def test_the_tally_stays_small_and_loses_nothing_that_waits() -> None:
    rng, tally, open_numbers = Random(7), KindTally(10_000), set[int]()
    for minute in range(NOON, NOON + 5 * DAY):
        for _ in range(rng.randrange(3)):
            tally = brake.ask(tally, minute)
            open_numbers.add(tally.last)
        if open_numbers and rng.random() < 0.2:
            number = rng.choice(sorted(open_numbers)[-50:])
            open_numbers.discard(number)
            tally = brake.take_back(tally, number)
        if minute % 2 == 0:
            tally = brake.seal(tally, minute)
        if rng.random() < 0.0005:
            tally = brake.decide(tally, tally.sealed)
            open_numbers = {number for number in open_numbers if number > tally.sealed}
    assert brake.waiting(tally) == len(open_numbers) > 100
    assert len(tally.asked) <= 2 * DAY
