"""The rate limiter: every call to Dotdigital asks it first, and reports to it what the response stated of the budget.

Urgent before live before bulk, and within a lane first come, first served. :mod:`streams.dispatch.rate_limit.quota`
decides what one worker may do; here callers wait for it. Counts are kept in memory: after a restart (within a minute, or an
hour with the old limit) the account's own count decides, as Dotdigital reports it.
"""

import asyncio
from bisect import insort
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from types import MappingProxyType

from streams.core.backoff import RetryPolicy
from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.dispatch.rate_limit.concurrency import IN_FLIGHT, EnrolmentQuota, ImportSemaphore
from streams.dispatch.rate_limit.partition_share import PartitionShare
from streams.dispatch.rate_limit.quota import ASKING, MinuteQuota, Reserve, RollingHourQuota
from streams.dotdigital.errors import Limit
from streams.dotdigital.tiers import RateLimit, Tier
from streams.observability.metrics import Metrics

OLD_LIMIT = 2000
"""Calls per hour of accounts with the old limit, all tiers together."""
_LOOK = 1_000
"""Whoever waits looks again after so many milliseconds: partitions come and go, and clocks are set."""


@dataclass(frozen=True, slots=True)
class BudgetPolicy:
    """``calls`` per minute by tier until Dotdigital says how many; ``flat`` calls per rolling hour over all tiers.

    What is missing or None is not limited until Dotdigital says so.
    """

    calls: Mapping[Tier, int] = field(default_factory=lambda: MappingProxyType({}))
    flat: int | None = None
    reserve: Reserve = field(default_factory=Reserve)
    backoff: RetryPolicy = field(default_factory=lambda: RetryPolicy(base=2.0, cap=300.0))


@dataclass(frozen=True, slots=True)
class TierState:
    """A tier's present minute.

    ``limit`` and ``remaining`` are the account's, ``own`` is this worker's part of the whole minute, and ``spare`` what each
    lane may still use of it (by :class:`Lane`). All are None while no limit is known. ``resets_in``: seconds.
    """

    limit: int | None
    remaining: int | None
    own: int | None
    spare: tuple[int, int, int] | None
    resets_in: float


@dataclass(order=True, slots=True)
class _Waiter:
    lane: Lane
    number: int
    tier: Tier = field(compare=False)
    granted: asyncio.Future[None] = field(compare=False)


class RateLimiter:
    """One worker's part of the account's budget; implements :class:`streams.dotdigital.tiers.Budget`."""

    def __init__(
        self, share: PartitionShare, policy: BudgetPolicy, clock: Clock, metrics: Metrics, rng: Random | None = None
    ) -> None:
        self._policy = policy
        self._clock = clock
        self._metrics = metrics
        self._rng = rng or Random()
        self._minutes = {tier: MinuteQuota(share, policy.calls.get(tier)) for tier in Tier}
        self._hour = RollingHourQuota(share, policy.flat)
        self._waiters: list[_Waiter] = []
        self._numbers = count()
        self._timer: asyncio.TimerHandle | None = None
        self._granted = 0
        self._refusals = 0
        self._closed_until = 0
        self.imports: Mapping[Limit, ImportSemaphore] = {
            kind: ImportSemaphore(share, limit, clock) for kind, limit in IN_FLIGHT.items()
        }
        self.enrolments = EnrolmentQuota(share, clock)
        for tier in Tier:
            # At 0 from the start, so that the first refusals are seen as a rise.
            metrics.budget_refused.labels(tier)

    async def acquire(self, tier: Tier, lane: Lane) -> None:
        """Return once ``lane`` may make a call of ``tier``; :meth:`record_response` must follow, whatever becomes of it."""
        waiter = _Waiter(lane, next(self._numbers), tier, asyncio.get_running_loop().create_future())
        insort(self._waiters, waiter)
        self._serve()
        try:
            await waiter.granted
        except asyncio.CancelledError:
            self._withdraw(waiter)
            raise

    def record_response(self, tier: Tier, rate: RateLimit | None, throttled: bool) -> None:
        """Take in what became of a call: the budget as its reply states it, and whether it was refused for the budget."""
        now = self._clock.now_ms()
        rate = self._usable(tier, rate, throttled)
        self._minutes[tier].answered(now, rate, throttled)
        if not throttled:
            self._refusals = 0
        else:
            self._metrics.budget_refused.labels(tier).inc()
            if rate is None:
                self._close(now)
        self._serve()

    def snapshot(self) -> dict[Tier, TierState]:
        """The present minute of every tier that has budgets."""
        now = self._clock.now_ms()
        return {tier: self._state(tier, now) for tier in Tier if tier is not Tier.UNLIMITED}

    def update_gauges(self) -> None:
        """Bring the gauges up to date."""
        for tier, state in self.snapshot().items():
            if state.limit is not None:
                self._metrics.budget_limit.labels(tier).set(state.limit)
                self._metrics.budget_remaining.labels(tier).set(state.remaining or 0)
        waiting = Counter(waiter.lane for waiter in self._waiters)
        for lane in Lane:
            self._metrics.budget_waiting.labels(lane.name.lower()).set(waiting[lane])

    def _usable(self, tier: Tier, rate: RateLimit | None, throttled: bool) -> RateLimit | None:
        """A refusal that states no limit leaves the one that we know; what else states none says nothing."""
        if rate is None or tier is Tier.UNLIMITED:
            return None
        limit = rate.limit or (self._minutes[tier].limit if throttled else None)
        return replace(rate, limit=limit) if limit else None

    def _state(self, tier: Tier, now: int) -> TierState:
        minute = self._minutes[tier]
        urgent, live, bulk = (self._spare(tier, lane, now) for lane in Lane)
        spare = None if urgent is None or live is None or bulk is None else (urgent, live, bulk)
        remaining = None if minute.limit is None else minute.remaining
        return TierState(minute.limit, remaining, minute.own(now), spare, max(0, minute.to_end(now)) / 1000)

    def _spare(self, tier: Tier, lane: Lane, now: int) -> int | None:
        """Calls that ``lane`` may make at this moment; None without a limit."""
        if now < self._closed_until:
            return 0
        reserve, minute = self._policy.reserve, self._minutes[tier]
        left, hours = minute.left(now), self._hour.left(now)
        if left is not None:
            kept = reserve.kept(lane, minute.own(now) or 0, minute.to_end(now), minute.likely_urgent(now))
            left = max(0, left - kept)
        if hours is not None:
            hours = max(0, hours - reserve.kept(lane, self._hour.own(now) or 0, 0))
        known = [calls for calls in (left, hours) if calls is not None]
        return min(known) if known else None

    def _may(self, waiter: _Waiter, now: int) -> bool:
        if self._refusals and now - self._granted < ASKING:
            # After a refusal that named no end, one call goes ahead and finds out whether it is over.
            return False
        return self._spare(waiter.tier, waiter.lane, now) != 0

    def _serve(self) -> None:
        """Grant what may be granted, and look again when more may be."""
        now = self._clock.now_ms()
        blocked: set[Tier] = set()
        waiting: list[_Waiter] = []
        for waiter in self._waiters:
            if waiter.granted.cancelled():
                continue
            if waiter.tier not in blocked and self._may(waiter, now):
                self._minutes[waiter.tier].spend(now, urgent=waiter.lane is Lane.URGENT)
                self._hour.spend(now)
                self._granted = now
                self._metrics.budget_calls.labels(waiter.tier, waiter.lane.name.lower()).inc()
                waiter.granted.set_result(None)
            else:
                # Whoever waits behind is of the same lane or of a less urgent one, and must not overtake.
                blocked.add(waiter.tier)
                waiting.append(waiter)
        self._waiters = waiting
        self._look_again(blocked, now)

    def _look_again(self, blocked: set[Tier], now: int) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if blocked:
            wait = min(_LOOK, *(self._minutes[tier].changes_in(now) for tier in blocked))
            if now < self._closed_until:
                wait = min(_LOOK, self._closed_until - now)
            self._timer = asyncio.get_running_loop().call_later(wait / 1000, self._serve)

    def _withdraw(self, waiter: _Waiter) -> None:
        if not waiter.granted.cancelled():
            # Granted before it was cancelled, in the same turn of the event loop: the call is not made.
            self._minutes[waiter.tier].give_back()
            self._hour.spend(self._clock.now_ms(), -1)
        self._serve()

    def _close(self, now: int) -> None:
        """A refusal that names no end: the old limit, or a gateway's. Nobody calls until the backoff is over."""
        self._refusals += 1
        # Jittered, or all workers of the account would come back in the same moment.
        self._closed_until = now + int(self._policy.backoff.delay(self._refusals, self._rng) * 1000)
        # An account that has never stated a budget is one with the old limit.
        if self._hour.limit is None and not any(minute.learned for minute in self._minutes.values()):
            self._hour.limit = OLD_LIMIT
