"""The brake on mass removal: counting what is asked for, and the decision whether that is too much. Pure.

A window that passes a limit is held as a whole, so removals are counted by minute, for a day.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

import msgspec

from streams.messages.removals import KindTally, MinuteCount

WINDOW = 15
"""Minutes of the short window."""
DAY = 24 * 60
"""Minutes of the long window."""


@dataclass(frozen=True, slots=True)
class BrakeLimits:
    """How many removals of a kind may go without a person.

    More than ``least`` are too many if within fifteen minutes they are more than ``share`` of all or more than ``most``, or
    within a day more than ``day_share`` of all.
    """

    least: int = 20
    share: float = 0.02
    most: int = 200
    day_share: float = 0.03

    def passed(self, tallies: Iterable[KindTally], minute: int) -> bool:
        """Whether the account's removals of one kind are too many in a window of the day before ``minute`` (epoch minutes)."""
        by_minute, present = Counter[int](), 0
        for tally in tallies:
            present += tally.present
            for asked in tally.asked:
                by_minute[asked.minute] += asked.count
        # What was asked for is not among what is present any more, and was when the day began.
        total, day = present + by_minute.total(), sum(count for at, count in by_minute.items() if at > minute - DAY)
        window = _busiest_window(by_minute)
        return (window > self.least and window > min(self.share * total, self.most)) or (
            day > self.least and day > self.day_share * total
        )


def _busiest_window(by_minute: Counter[int]) -> int:
    return max((sum(by_minute[end - back] for back in range(WINDOW)) for end in list(by_minute)), default=0)


def ask(tally: KindTally, minute: int) -> KindTally:
    """One removal more, asked for in ``minute``; its number is the new tally's ``last``."""
    number, newest = tally.last + 1, tally.asked[-1] if tally.asked else None
    if newest is not None and newest.minute == minute and newest.last > tally.sealed:
        asked = (*tally.asked[:-1], MinuteCount(minute, number, newest.count + 1))
    else:
        # Grants end where a tally was sealed, and so between two entries.
        asked = (*tally.asked, MinuteCount(minute, number, 1))
    return msgspec.structs.replace(tally, last=number, asked=asked)


def take_back(tally: KindTally, number: int) -> KindTally:
    """That removal is not wanted any more, and was not made."""
    if number <= tally.settled:
        # It is counted no more: another one's count must not go for it.
        return tally
    asked, found = [], False
    for entry in tally.asked:
        if not found and entry.last >= number:
            found, entry = True, MinuteCount(entry.minute, entry.last, entry.count - 1)
        if entry.count > 0:
            asked.append(entry)
    return msgspec.structs.replace(tally, asked=tuple(asked))


def seal(tally: KindTally, minute: int) -> KindTally:
    """The tally is counted as it is now; what is older than a day and was granted is forgotten."""
    waiting = [entry for entry in tally.asked if entry.last > tally.granted]
    ancient = [entry for entry in waiting if entry.minute <= minute - DAY]
    # However long a person takes to decide, the entries of a day are the most that there are.
    merged = [MinuteCount(ancient[-1].minute, ancient[-1].last, sum(entry.count for entry in ancient))] if ancient else []
    recent = [entry for entry in tally.asked if entry.minute > minute - DAY]
    forgotten = (entry.last for entry in tally.asked if entry.last <= tally.granted and entry.minute <= minute - DAY)
    settled = max(forgotten, default=tally.settled)
    return msgspec.structs.replace(tally, sealed=tally.last, asked=(*merged, *recent), settled=settled)


def grant(tally: KindTally, upto: int) -> KindTally:
    """Removals up to that number were granted; they count on, for a day."""
    return msgspec.structs.replace(tally, granted=max(tally.granted, upto))


def decide(tally: KindTally, upto: int) -> KindTally:
    """A person has decided on removals up to that number: they count no more."""
    if upto <= tally.granted:
        return tally
    asked = tuple(entry for entry in tally.asked if entry.last > upto)
    return msgspec.structs.replace(tally, granted=upto, asked=asked, settled=upto)


def waiting(tally: KindTally) -> int:
    """How many removals are neither granted nor decided."""
    return sum(entry.count for entry in tally.asked if entry.last > tally.granted)
