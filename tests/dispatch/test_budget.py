"""The governor against an account that counts as Dotdigital does: used up, never overdrawn, the urgent lane never in want."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import httpx
import pytest

from streams.core.clock import SystemClock
from streams.core.lanes import Lane
from streams.dispatch.rate_limit.limiter import BudgetPolicy
from streams.dispatch.rate_limit.partition_share import PartitionShare
from streams.dispatch.rate_limit.quota import Reserve
from streams.dotdigital.config import ClientConfig
from streams.dotdigital.errors import ConnectivityError
from streams.dotdigital.tiers import Operation, RateLimit, Tier
from streams.dotdigital.transport import Transport
from testkit.sandbox.limits import Limits, rate_headers
from testkit.virtual import event_loop
from testkit.virtual.event_loop import VirtualClock
from tests.dispatch.account import Account, SkewedClock, governor, shares

HIGH = Tier.HIGH.value


def play(scene: Callable[[VirtualClock], Awaitable[None]]) -> None:
    """Run a scene in virtual time."""

    async def main(clock: VirtualClock) -> None:
        await scene(clock)

    event_loop.run(main)


class TestUse:
    @pytest.mark.parametrize(("limit", "workers"), [(600, 1), (600, 3), (35, 1), (150, 4)])
    def test_a_backlog_uses_the_budget_up_and_is_not_refused(self, limit: int, workers: int) -> None:
        async def scene(clock: VirtualClock) -> None:
            account = Account(clock, Limits({HIGH: limit}, None))
            async with asyncio.TaskGroup() as group:
                for share in shares(8, workers):
                    mine = governor(clock, BudgetPolicy({Tier.HIGH: limit}), share)
                    group.create_task(account.backlog(mine, Lane.BULK, until=300))
            assert max(account.used.values()) <= limit
            assert account.refused == 0
            assert account.use(range(5), limit) >= 0.95

        play(scene)

    def test_nothing_is_known_at_first_and_the_first_reply_reports_all(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            account = Account(clock, Limits({HIGH: 300}, None))
            mine = governor(clock)
            assert mine.snapshot()[Tier.HIGH].spare is None
            await account.backlog(mine, Lane.BULK, until=180)
            assert mine.snapshot()[Tier.HIGH].limit == 300
            assert account.refused == 0
            assert account.use(range(3), 300) >= 0.95

        play(scene)

    @pytest.mark.parametrize("ahead", [-40_000, -2_000, -200, 200, 2_000])
    def test_a_clock_that_is_wrong_costs_little(self, ahead: int) -> None:
        async def scene(clock: VirtualClock) -> None:
            account = Account(clock, Limits({HIGH: 1500}, None))
            await account.backlog(governor(SkewedClock(clock, ahead)), Lane.BULK, until=360)
            assert account.refused / account.calls < 0.001
            assert account.use(range(1, 5), 1500) >= 0.95

        play(scene)

    @pytest.mark.parametrize("ahead", [40_000, 400_000])
    def test_a_clock_that_is_far_ahead_is_found_out_in_the_first_minute(self, ahead: int) -> None:
        async def scene(clock: VirtualClock) -> None:
            account = Account(clock, Limits({HIGH: 1500}, None))
            mine = governor(SkewedClock(clock, ahead))
            await account.backlog(mine, Lane.BULK, until=60)
            refused = account.refused
            assert refused / account.calls < 0.04
            await account.backlog(mine, Lane.BULK, until=360)
            assert account.refused == refused
            assert account.use(range(1, 5), 1500) >= 0.95

        play(scene)

    def test_another_system_that_eats_the_budget_is_made_room_for(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            account = Account(clock, Limits({HIGH: 900}, None))

            async def other() -> None:
                for _ in range(300):
                    account.limits.consume(HIGH, 8, clock.now_ms() / 1000)
                    await asyncio.sleep(1)

            async with asyncio.TaskGroup() as group:
                group.create_task(other())
                for share in shares(8, 2):
                    group.create_task(account.backlog(governor(clock, share=share), Lane.BULK, until=300))
            # That the other one took the rest while we left it to the urgent lane is only known by asking, once a minute.
            assert account.refused <= 2 * 5
            assert account.use(range(5), 900 - 480) >= 0.9

        play(scene)

    def test_a_flat_account_is_found_out_and_kept_to(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            account = Account(clock, Limits({}, 2000))
            mine = governor(clock)
            await account.backlog(mine, Lane.BULK, until=2 * 3600)
            assert account.refused <= 8 + 20
            assert 3800 <= account.used.total() <= 4000

        play(scene)

    def test_a_configured_flat_limit_is_never_met(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            account = Account(clock, Limits({}, 500))
            async with asyncio.TaskGroup() as group:
                for share in shares(8, 2):
                    mine = governor(clock, BudgetPolicy(flat=500), share)
                    group.create_task(account.backlog(mine, Lane.BULK, until=2 * 3600))
            assert account.refused == 0
            assert account.used.total() >= 0.9 * 1000

        play(scene)


class TestLanes:
    def test_urgent_calls_do_not_wait_behind_a_bulk_backlog(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            account = Account(clock, Limits({HIGH: 1200}, None))
            mine = governor(clock)

            async def urgent() -> None:
                while asyncio.get_running_loop().time() < 300:
                    await account.call(mine, Lane.URGENT)
                    await asyncio.sleep(account.rng.expovariate(1.0))

            async with asyncio.TaskGroup() as group:
                group.create_task(account.backlog(mine, Lane.BULK, until=300))
                group.create_task(urgent())
            assert len(account.waited[Lane.URGENT]) > 150
            assert max(account.waited[Lane.URGENT]) <= 0.25
            assert account.refused == 0
            assert account.use(range(5), 1200) >= 0.95

        play(scene)

    def test_live_calls_find_what_bulk_had_to_leave(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            account = Account(clock, Limits({HIGH: 600}, None))
            mine = governor(clock, BudgetPolicy({Tier.HIGH: 600}))
            async with asyncio.TaskGroup() as group:
                group.create_task(account.backlog(mine, Lane.BULK, until=40))
                await asyncio.sleep(40)
                assert mine.snapshot()[Tier.HIGH].spare == (120, 60, 0)
                await account.call(mine, Lane.LIVE)
                assert account.waited[Lane.LIVE] == [0.0]

        play(scene)

    def test_waiting_calls_are_served_by_lane_then_first_come(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            mine = governor(clock, BudgetPolicy({Tier.HIGH: 1}, reserve=Reserve(0, 0)))
            await mine.acquire(Tier.HIGH, Lane.URGENT)
            mine.record_response(Tier.HIGH, None, throttled=False)
            served: list[str] = []

            async def caller(name: str, lane: Lane) -> None:
                await mine.acquire(Tier.HIGH, lane)
                served.append(name)
                mine.record_response(Tier.HIGH, None, throttled=False)

            async with asyncio.TaskGroup() as group:
                for name, lane in (
                    ("b1", Lane.BULK),
                    ("l1", Lane.LIVE),
                    ("b2", Lane.BULK),
                    ("l2", Lane.LIVE),
                    ("u", Lane.URGENT),
                ):
                    group.create_task(caller(name, lane))
            assert served == ["u", "l1", "l2", "b1", "b2"]

        play(scene)

    def test_a_tier_that_is_used_up_does_not_hold_up_another(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            mine = governor(clock, BudgetPolicy({Tier.LOW: 1, Tier.HIGH: 10}))
            await mine.acquire(Tier.LOW, Lane.URGENT)
            waiting = asyncio.create_task(mine.acquire(Tier.LOW, Lane.URGENT))
            await asyncio.sleep(0)
            async with asyncio.timeout(0.1):
                await mine.acquire(Tier.HIGH, Lane.BULK)
                await mine.acquire(Tier.UNLIMITED, Lane.BULK)
            assert not waiting.done()
            waiting.cancel()

        play(scene)


class TestCallers:
    def test_a_caller_that_gives_up_takes_nothing(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            mine = governor(clock, BudgetPolicy({Tier.HIGH: 1}, reserve=Reserve(0, 0)))
            await asyncio.sleep(1)
            await mine.acquire(Tier.HIGH, Lane.LIVE)
            mine.record_response(Tier.HIGH, None, throttled=False)
            waiting = asyncio.create_task(mine.acquire(Tier.HIGH, Lane.LIVE))
            await asyncio.sleep(1)
            waiting.cancel()
            await asyncio.sleep(60)
            assert mine.snapshot()[Tier.HIGH].spare == (1, 1, 1)

        play(scene)

    def test_a_caller_cancelled_in_the_instant_of_its_grant_gives_it_back(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            mine = governor(clock, BudgetPolicy({Tier.HIGH: 20}, flat=10))
            await asyncio.sleep(1)
            await mine.acquire(Tier.HIGH, Lane.LIVE)
            mine.record_response(Tier.HIGH, None, throttled=True)
            await mine.acquire(Tier.HIGH, Lane.LIVE)
            waiting = asyncio.create_task(mine.acquire(Tier.HIGH, Lane.LIVE))
            await asyncio.sleep(0)
            mine.record_response(Tier.HIGH, None, throttled=False)
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
            assert mine.snapshot()[Tier.HIGH].spare == (8, 8, 8)
            assert mine._minutes[Tier.HIGH].left(clock.now_ms()) == 18

        play(scene)

    def test_partitions_that_come_wake_those_who_wait(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            owned: set[int] = set()
            mine = governor(clock, BudgetPolicy({Tier.HIGH: 800}), PartitionShare(lambda: owned, 8))
            waiting = asyncio.create_task(mine.acquire(Tier.HIGH, Lane.LIVE))
            await asyncio.sleep(5)
            assert not waiting.done()
            owned.add(3)
            await asyncio.wait_for(waiting, 1.1)

        play(scene)


class TestRefusals:
    def test_a_refused_tier_stays_closed_until_its_reset_and_not_longer(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            mine = governor(clock, BudgetPolicy({Tier.HIGH: 100}))
            await mine.acquire(Tier.HIGH, Lane.URGENT)
            reset = clock.now_ms() / 1000 + 20
            mine.record_response(Tier.HIGH, RateLimit(100, 0, reset), throttled=True)
            await mine.acquire(Tier.HIGH, Lane.URGENT)
            assert 0 <= clock.now_ms() / 1000 - reset <= 0.5

        play(scene)

    def test_a_refusal_without_a_limit_closes_the_limit_that_is_known(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            mine = governor(clock, BudgetPolicy({Tier.HIGH: 100}))
            await mine.acquire(Tier.HIGH, Lane.URGENT)
            mine.record_response(Tier.HIGH, RateLimit(0, 0, clock.now_ms() / 1000 + 20), throttled=True)
            state = mine.snapshot()[Tier.HIGH]
            assert (state.limit, state.spare) == (100, (0, 0, 0))

        play(scene)

    def test_after_a_refusal_that_names_no_end_one_call_tries_before_the_others(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            mine = governor(clock)
            await mine.acquire(Tier.HIGH, Lane.LIVE)
            mine.record_response(Tier.HIGH, None, throttled=True)
            callers = [asyncio.create_task(mine.acquire(Tier.HIGH, Lane.LIVE)) for _ in range(8)]
            await asyncio.wait(callers, return_when=asyncio.FIRST_COMPLETED)
            await asyncio.sleep(0.9)
            assert sum(caller.done() for caller in callers) == 1
            mine.record_response(Tier.HIGH, None, throttled=False)
            await asyncio.wait_for(asyncio.gather(*callers), 1)

        play(scene)

    def test_a_reply_of_an_unlimited_call_says_nothing_of_budgets(self) -> None:
        async def scene(clock: VirtualClock) -> None:
            mine = governor(clock)
            await mine.acquire(Tier.UNLIMITED, Lane.BULK)
            mine.record_response(Tier.UNLIMITED, RateLimit(1, 0, clock.now_ms() / 1000 + 60), throttled=False)
            async with asyncio.timeout(0.1):
                await mine.acquire(Tier.UNLIMITED, Lane.BULK)

        play(scene)


def test_the_gauges_show_budgets_and_who_waits() -> None:
    async def scene(clock: VirtualClock) -> None:
        mine = governor(clock, BudgetPolicy({Tier.HIGH: 1}))
        registry = mine._metrics.registry
        await mine.acquire(Tier.HIGH, Lane.LIVE)
        mine.record_response(Tier.HIGH, RateLimit(1, 0, clock.now_ms() / 1000 + 60), throttled=False)
        waiting = asyncio.create_task(mine.acquire(Tier.HIGH, Lane.BULK))
        await asyncio.sleep(0)
        mine.update_gauges()
        assert registry.get_sample_value("owdd_budget_limit", {"tier": HIGH}) == 1
        assert registry.get_sample_value("owdd_budget_remaining", {"tier": HIGH}) == 0
        assert registry.get_sample_value("owdd_budget_waiting", {"lane": "bulk"}) == 1
        assert registry.get_sample_value("owdd_budget_calls_total", {"tier": HIGH, "lane": "live"}) == 1
        waiting.cancel()

    play(scene)


@pytest.mark.parametrize(
    ("answer", "remaining"),
    [
        (httpx.ConnectError("unreachable"), None),
        (httpx.Response(503), None),
        (httpx.Response(200, headers=rate_headers(50, 20, 4_000_000_000, HIGH)), 20),
        (httpx.Response(200, headers=rate_headers(50, 20, 4_000_000_000, Tier.MEDIUM)), None),
    ],
)
async def test_the_transport_reports_every_call_once_whatever_becomes_of_it(
    answer: httpx.Response | httpx.ConnectError, remaining: int | None
) -> None:
    def handle(_: httpx.Request) -> httpx.Response:
        if isinstance(answer, Exception):
            raise answer
        return answer

    mine = governor(SystemClock())
    transport = Transport(ClientConfig("http://test", "", ""), lambda _: None, mine, "http://test", httpx.MockTransport(handle))
    with contextlib.suppress(ConnectivityError):
        await transport.call(Lane.LIVE, Operation.PATCH_CONTACT, "PATCH", "/contacts/v3/email/a")
    await transport.close()
    assert mine._minutes[Tier.HIGH].under_way == 0
    assert mine.snapshot()[Tier.HIGH].remaining == remaining
