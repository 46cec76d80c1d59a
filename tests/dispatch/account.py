"""An account that counts calls as the sandbox does, and workers that call it, in virtual time."""

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from random import Random

from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.dispatch.rate_limit.limiter import BudgetPolicy, RateLimiter
from streams.dispatch.rate_limit.partition_share import PartitionShare
from streams.dotdigital.limits import rate_limit
from streams.dotdigital.tiers import Tier
from streams.observability.metrics import Metrics
from testkit.sandbox.limits import Limits
from testkit.virtual.event_loop import VirtualClock

PATHS = {Tier.HIGH: "/contacts/v3/email/a", Tier.LOW: "/contacts/v3/import", Tier.MEDIUM: "/v2/data-fields"}
MINUTE = 60_000
WHOLE = PartitionShare(lambda: (0,), 1)
"""The share of a process that is alone with the account."""


class SkewedClock:
    """A clock that is ``ahead`` milliseconds of the account's."""

    def __init__(self, clock: VirtualClock, ahead: int) -> None:
        self._clock = clock
        self._ahead = ahead

    def now_ms(self) -> int:
        return self._clock.now_ms() + self._ahead

    def now_us(self) -> int:
        return self.now_ms() * 1000


@dataclass
class Account:
    """One account; ``used`` are the calls that it took, by minute, ``refused`` those that it did not."""

    clock: VirtualClock
    limits: Limits
    latency: tuple[float, float] = (0.02, 0.2)
    seed: int = 1
    used: Counter[int] = field(default_factory=Counter)
    refused: int = 0
    waited: dict[Lane, list[float]] = field(default_factory=lambda: {lane: [] for lane in Lane})

    def __post_init__(self) -> None:
        self.rng = Random(self.seed)

    @property
    def calls(self) -> int:
        return self.used.total() + self.refused

    def use(self, minutes: Iterable[int], limit: int) -> float:
        """The share of the budget that was used in those minutes, counted from the first."""
        first = min(self.used)
        counts = [self.used[first + minute] for minute in minutes]
        return sum(counts) / (len(counts) * limit)

    async def call(self, governor: RateLimiter, lane: Lane, tier: Tier = Tier.HIGH) -> bool:
        """One call; False when it was refused."""
        asked = self.clock.now_ms()
        await governor.acquire(tier, lane)
        self.waited[lane].append((self.clock.now_ms() - asked) / 1000)
        await asyncio.sleep(self.rng.uniform(*self.latency))
        at = self.clock.now_ms()
        verdict = self.limits.take("PATCH", PATHS[tier], at / 1000)
        taken = verdict.refusal is None
        self.used[at // MINUTE] += taken
        self.refused += not taken
        await asyncio.sleep(self.rng.uniform(*self.latency))
        governor.record_response(tier, rate_limit(verdict.headers), throttled=not taken)
        return taken

    async def backlog(self, governor: RateLimiter, lane: Lane, until: float, tier: Tier = Tier.HIGH) -> None:
        """Eight connections that never run out of work before the virtual second ``until``."""

        async def connection() -> None:
            while asyncio.get_running_loop().time() < until:
                await self.call(governor, lane, tier)

        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(connection())


def governor(clock: Clock, policy: BudgetPolicy | None = None, share: PartitionShare = WHOLE) -> RateLimiter:
    """A governor of its own."""
    return RateLimiter(share, policy or BudgetPolicy(), clock, Metrics(), Random(1))


def shares(partitions: int, workers: int) -> list[PartitionShare]:
    """Partitions dealt to workers as an assignor does."""

    def owned(worker: int) -> Callable[[], range]:
        return lambda: range(worker, partitions, workers)

    return [PartitionShare(owned(worker), partitions) for worker in range(workers)]
