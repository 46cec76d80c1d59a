"""Allowance: how many calls this worker may still make, in the present minute of a tier and in any hour.

Pure: times are arguments, in epoch milliseconds of our own clock. Facts are those of Dotdigital's rate-limit page: a budget per
account, tier and minute; the minute ends at ``X-RateLimit-Reset``; accounts with the old limit have calls per rolling hour.
"""

from collections import deque
from dataclasses import dataclass

from streams.core.lanes import Lane
from streams.dispatch.rate_limit.partition_share import PartitionShare
from streams.dotdigital.tiers import RateLimit

MINUTE = 60_000
HOUR = 3_600_000
MARGIN = 250
"""How long a new minute is not trusted: clocks differ, and a call that left early must not arrive in the old one."""
RELEASE = 15_000
"""The last part of a minute, in which what was reserved and not needed is given to everybody."""
STEP = 100
"""How often somebody who waits looks again during the release."""
ASKING = 1_000
"""How long others wait for the answer of the one call that goes ahead; also for how long an answer counts as recent."""
SLOWEST_CALL = 121_000
"""No answer comes later than this after Dotdigital stamped it (its limit of request time)."""
_FORGOTTEN = 10
"""What is taken off a learned lead of our clock every minute, since one late refusal may have overstated it."""
_HOURS_TURN = 2 * HOUR


@dataclass(frozen=True, slots=True)
class Reserve:
    """Shares of a minute's budget: only urgent calls may use ``urgent``, and bulk calls must leave ``live`` besides.

    ``rest`` of the budget stays with the urgent lane to the very end; all else is released over the minute's last part. While
    there are more urgent calls than that, as many are kept as are likely to come, up to half of the budget.
    """

    urgent: float = 0.1
    live: float = 0.1
    rest: float = 0.02

    def kept(self, lane: Lane, budget: int, to_end: float, likely: float = 0.0) -> int:
        """Calls of ``budget`` that ``lane`` must leave to others, ``to_end`` milliseconds before the minute is over.

        ``likely``: urgent calls that may still come in this minute.
        """
        if lane is Lane.URGENT:
            return 0
        held = min(1.0, max(0.0, to_end / RELEASE))
        rest = min(self.rest, self.urgent)
        urgent = max(rest + (self.urgent - rest) * held, min(0.5, likely / budget) if budget else 0.0)
        return int(budget * (urgent + self.live * held if lane is Lane.BULK else urgent))


class MinuteQuota:
    """A tier's budget of calls per minute; ``limit`` None means that none is known.

    A worker never makes more calls than its share of the limit. It makes fewer when the account has less left than that share:
    then somebody else uses the budget too, and all workers divide what is left. A call without its answer when a minute ends
    counts in the next one too, until the answer says that it was in time; only one of those that do not divide among the
    partitions may then be too many, since they go round. After a refusal, or when the last answer is old and others
    seem to use the budget too, one call goes ahead of the rest.
    """

    def __init__(self, share: PartitionShare, limit: int | None) -> None:
        self._share = share
        self.limit = limit
        self.remaining = limit or 0
        self.under_way = 0
        self.learned = False
        self._refused = False
        self._called = self._last_response = 0
        self._sent = self._sent_before = self._carried = self._lost = 0
        self._urgent = self._urgent_before = 0
        self._began = self._ends = self._skew = 0

    def own(self, now: int) -> int | None:
        """This worker's part of the whole present minute; None without a limit."""
        self._roll(now)
        return None if self.limit is None else self._share.of(self.limit, round(self._ends / MINUTE))

    def left(self, now: int) -> int | None:
        """Calls that this worker may still make in the present minute; None without a limit."""
        own = self.own(now)
        if own is None:
            return None
        if self._must_ask(now) and self.under_way and now - self._called < ASKING:
            # One call is out and asks. If it has no answer after ASKING, the next one asks.
            return 0
        own -= self._sent
        if self.remaining - self.under_way < own:
            # Somebody else uses the budget too. Every worker is shown the same remainder, so each takes its fraction of it.
            own = min(own, int(self.remaining * self._share.fraction) - self.under_way)
        return max(0, own)

    def to_end(self, now: int) -> int:
        """Milliseconds until Dotdigital's minute is over, by our clock; negative while its end is not trusted yet."""
        self._roll(now)
        return self._ends + self._skew - now

    def changes_in(self, now: int) -> int:
        """Milliseconds until more may be allowed, whatever is answered meanwhile."""
        end = self.to_end(now)
        return max(1, min(end + MARGIN, max(end - RELEASE, STEP)))

    def likely_urgent(self, now: int) -> float:
        """How many urgent calls may still come in the present minute, going by the one before, and a quarter more."""
        return 1.25 * self._urgent_before * max(0, self.to_end(now)) / MINUTE

    def spend(self, now: int, *, urgent: bool = False) -> None:
        """A call is made."""
        self._roll(now)
        self._called = now
        self._sent += 1
        self._urgent += urgent
        self.under_way += 1

    def give_back(self) -> None:
        """A call was not made after all."""
        self._sent = max(0, self._sent - 1)
        self.under_way -= 1

    def answered(self, now: int, rate: RateLimit | None, throttled: bool) -> None:
        """A call is over; ``rate`` is what its reply said."""
        self._roll(now)
        self.under_way = max(0, self.under_way - 1)
        if rate is None:
            # It may have arrived in the next minute: clocks differ.
            self._lost += self.to_end(now) <= MARGIN
            return
        self._refused, self._last_response = throttled, now
        ends = int(rate.reset * 1000)
        self._set_skew(ends, now, now if throttled else now - SLOWEST_CALL)
        if not self.learned:
            self.learned, self.remaining = True, rate.limit
        # The end of one minute is stated with small differences; half a minute tells two minutes apart.
        elif ends > self._ends + MINUTE // 2:
            self._begin(ends, now)
            # This call is under way no longer, so it was not carried over; but Dotdigital has counted it in the new minute.
            self._sent += 1
        elif ends < self._ends - MINUTE // 2:
            if self._carried and ends + self._skew <= now:
                # It was in time for the minute before, and takes nothing of this one.
                self._carried -= 1
                self._sent -= 1
                return
            self._resume(ends, now)
        self._ends, self.limit = ends, rate.limit
        # The lowest counts: answers overtake each other, and an older one states more than is left now.
        self.remaining = 0 if throttled else min(self.remaining, rate.remaining)

    def _must_ask(self, now: int) -> bool:
        """Whether what is left is too uncertain for several calls at once."""
        used = (self.limit or 0) - self.remaining
        return self._refused or (now - self._last_response > ASKING and used * self._share.fraction > self._sent)

    def _roll(self, now: int) -> None:
        over = now - self._ends - self._skew - MARGIN
        if over >= 0:
            # Minutes may have passed without a call: the one that holds ``now`` begins.
            self._begin(self._ends + (over // MINUTE + 1) * MINUTE, now)
            self._skew -= min(max(0, self._skew), _FORGOTTEN)

    def _begin(self, ends: int, now: int) -> None:
        self._began, self._ends = now, ends
        self.remaining = self.limit or 0
        self._sent_before = self._sent
        # A call without an answer may reach Dotdigital in the new minute, so it counts there until its answer says otherwise.
        self._sent = self._carried = self.under_way + self._lost
        self._lost = 0
        self._urgent_before, self._urgent = self._urgent, 0

    def _resume(self, ends: int, now: int) -> None:
        """The minute that we took for over is not: a call that left after it is counted in it. Our clock is ahead."""
        self._set_skew(ends, now, self._began)
        self._sent += self._sent_before - self._carried
        self._carried = 0

    def _set_skew(self, ends: int, now: int, earliest: int) -> None:
        """Our clock minus Dotdigital's, from a reply stamped between ``earliest`` and ``now``, in the minute to ``ends``."""
        self._skew = min(max(self._skew, earliest - ends + 1), now - ends + MINUTE)


class RollingHourQuota:
    """What may be done so many times in any 60 minutes: calls of accounts with the old limit, enrolments.

    Counts in whole minutes, on the safe side. When there are more partitions than ``limit``, they take turns of two hours and
    use only the first of them, so that the turns of two workers cannot fall into the same 60 minutes.
    """

    def __init__(self, share: PartitionShare, limit: int | None) -> None:
        self._share = share
        self.limit = limit
        self._spent: deque[tuple[int, int]] = deque()

    def own(self, now: int) -> int | None:
        """This worker's part of the limit; None without one."""
        if self.limit is None or self._share.covers(self.limit):
            return None if self.limit is None else self._share.of(self.limit)
        turn, into = divmod(now, _HOURS_TURN)
        return self._share.of(self.limit, turn) if into < HOUR else 0

    def left(self, now: int) -> int | None:
        """How many more are allowed at this moment; None without a limit."""
        own = self.own(now)
        if own is None:
            return None
        self._forget(now)
        return max(0, own - sum(count for _, count in self._spent))

    def spend(self, now: int, count: int = 1) -> None:
        """One more; -1 takes one back."""
        self._forget(now)
        minute = now // MINUTE
        if self._spent and self._spent[-1][0] == minute:
            count += self._spent.pop()[1]
        self._spent.append((minute, count))

    def opens_at(self, now: int) -> int:
        """The earliest time at which one more may be allowed."""
        if self.left(now) != 0:
            return now
        turn = (now // _HOURS_TURN + 1) * _HOURS_TURN
        return min(turn, self._leaves(self._spent[0][0])) if self._spent else turn

    def _forget(self, now: int) -> None:
        while self._spent and self._leaves(self._spent[0][0]) <= now:
            self._spent.popleft()

    def _leaves(self, minute: int) -> int:
        return (minute + 1) * MINUTE + HOUR
