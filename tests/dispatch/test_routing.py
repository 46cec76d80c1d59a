"""Single calls or an import: the rules of the cost model, and laws over any backlog."""

from math import inf

from hypothesis import given, settings
from hypothesis import strategies as st

from streams.core.lanes import Lane
from streams.dispatch.outbox.tasks import IMPORTABLE, Work
from streams.dispatch.rate_limit.limiter import TierState
from streams.dispatch.senders.routing import How, Route, RoutingPolicy, routes
from streams.dotdigital.errors import Limit
from streams.dotdigital.tiers import Tier

POLICY = RoutingPolicy()
FREE = {Limit.CONTACT_IMPORTS: 25, Limit.INSIGHT_IMPORTS: 5}
UNKNOWN = TierState(None, None, None, None, 30.0)


def state(limit: int, urgent: int | None = None, resets_in: float = 30.0) -> TierState:
    """A minute of ``limit`` calls of which the lanes may use ``urgent`` and less."""
    urgent = limit if urgent is None else urgent
    return TierState(limit, urgent, limit, (urgent, int(urgent * 0.9), int(urgent * 0.8)), resets_in)


def route(
    lane: Lane,
    count: int,
    work: Work = Work.EXISTING,
    high: TierState | None = None,
    low: TierState | None = None,
    free: dict[Limit, int] | None = None,
) -> Route:
    """What becomes of one kind alone; budgets as of a middling account."""
    budget = {Tier.HIGH: high or state(3000), Tier.LOW: low or state(35)}
    return routes({(lane, work): count}, budget, FREE if free is None else free, POLICY)[lane, work]


class TestUrgent:
    def test_what_leaves_within_the_longest_wait_goes_singly(self) -> None:
        assert route(Lane.URGENT, 80) == Route(How.SINGLE, 80)

    def test_what_takes_longer_still_goes_singly_while_an_import_takes_longer_yet(self) -> None:
        assert route(Lane.URGENT, 2000) == Route(How.SINGLE, 2000)

    def test_a_backlog_that_singles_cannot_drain_sooner_is_imported(self) -> None:
        assert route(Lane.URGENT, 3000) == Route(How.IMPORT, 3000)
        assert route(Lane.URGENT, 200, high=state(300, urgent=10, resets_in=50)) == Route(How.IMPORT, 200)

    def test_it_does_not_wait_for_an_import(self) -> None:
        assert route(Lane.URGENT, 5000, free={Limit.CONTACT_IMPORTS: 0}) == Route(How.SINGLE, 3000)
        assert route(Lane.URGENT, 5000, low=state(35, urgent=0)) == Route(How.SINGLE, 3000)


class TestLive:
    def test_what_leaves_within_the_longest_wait_goes_singly(self) -> None:
        assert route(Lane.LIVE, 1200) == Route(How.SINGLE, 1200)

    def test_more_is_imported_since_that_is_cheaper(self) -> None:
        assert route(Lane.LIVE, 1300) == Route(How.IMPORT, 1300)

    def test_what_would_wait_for_the_next_minute_is_imported(self) -> None:
        assert route(Lane.LIVE, 100, high=state(3000, urgent=50)) == Route(How.IMPORT, 100)

    def test_a_handful_is_not_worth_an_import_and_waits_for_the_next_minute(self) -> None:
        assert route(Lane.LIVE, 19, high=state(3000, urgent=0)) == Route(How.SINGLE, 0)


class TestBulk:
    def test_an_import_pays_from_the_break_even_of_the_two_budgets(self) -> None:
        # 1 of 35 low calls is as dear as 85.7 of 3,000 high ones.
        assert route(Lane.BULK, 85) == Route(How.SINGLE, 85)
        assert route(Lane.BULK, 86) == Route(How.IMPORT, 86)

    def test_it_waits_for_an_import_rather_than_use_up_single_calls(self) -> None:
        assert route(Lane.BULK, 5000, free={Limit.CONTACT_IMPORTS: 0}) == Route(How.WAIT, 5000)

    def test_records_need_an_insight_import(self) -> None:
        assert route(Lane.BULK, 500, Work.RECORD, free={Limit.CONTACT_IMPORTS: 25}).how is How.WAIT
        assert route(Lane.BULK, 500, Work.CATALOGUE, free={Limit.INSIGHT_IMPORTS: 1}).how is How.IMPORT

    def test_an_import_holds_no_more_than_it_may(self) -> None:
        assert route(Lane.BULK, 1_000_000) == Route(How.IMPORT, 10_000)

    def test_while_no_budget_is_known_time_decides(self) -> None:
        assert route(Lane.BULK, 2000, high=UNKNOWN, low=UNKNOWN) == Route(How.SINGLE, 2000)
        assert route(Lane.BULK, 3000, high=UNKNOWN, low=UNKNOWN) == Route(How.IMPORT, 3000)

    def test_a_worker_without_low_calls_of_its_own_sends_singly(self) -> None:
        assert route(Lane.BULK, 500, low=TierState(35, 35, 0, (0, 0, 0), 30.0)) == Route(How.SINGLE, 500)


def test_the_more_urgent_lanes_have_their_calls_first() -> None:
    due = {(lane, Work.EXISTING): 80 for lane in Lane}
    budget = {Tier.HIGH: state(100), Tier.LOW: state(1, urgent=0)}
    routed = routes(due, budget, FREE, POLICY)
    assert [routed[lane, Work.EXISTING] for lane in (Lane.URGENT, Lane.LIVE)] == [Route(How.SINGLE, 80), Route(How.SINGLE, 10)]


def test_each_import_uses_a_slot_and_a_low_call() -> None:
    due = {(Lane.BULK, work): 5000 for work in IMPORTABLE}
    routed = routes(due, {Tier.HIGH: state(3000), Tier.LOW: state(35)}, {**FREE, Limit.CONTACT_IMPORTS: 1}, POLICY)
    assert [routed[Lane.BULK, work].how for work in IMPORTABLE] == [How.IMPORT, How.WAIT, How.IMPORT, How.IMPORT]


counts = st.integers(0, 50_000) | st.integers(0, 200)
backlogs = st.dictionaries(st.tuples(st.sampled_from(Lane), st.sampled_from(IMPORTABLE)), counts)
tiers = st.just(UNKNOWN) | st.builds(
    lambda limit, used, resets: state(limit, max(0, limit - used), resets),
    st.integers(1, 5000),
    st.integers(0, 5000),
    st.floats(0, 60),
)
slots = st.fixed_dictionaries({Limit.CONTACT_IMPORTS: st.integers(0, 25), Limit.INSIGHT_IMPORTS: st.integers(0, 5)})


@given(due=backlogs, high=tiers, low=tiers, free=slots)
def test_what_is_routed_is_due_affordable_and_complete(
    due: dict[tuple[Lane, Work], int], high: TierState, low: TierState, free: dict[Limit, int]
) -> None:
    routed = routes(due, {Tier.HIGH: high, Tier.LOW: low}, free, POLICY)
    assert routed.keys() == {key for key, count in due.items() if count}
    calls, imports, started = 0, 0, dict.fromkeys(Limit, 0)
    for (lane, work), (how, count) in ((key, (route.how, route.count)) for key, route in sorted(routed.items())):
        assert 0 <= count <= due[lane, work]
        match how:
            case How.IMPORT:
                imports += 1
                started[work.import_limit] += 1
                assert POLICY.import_least <= count <= POLICY.import_most
                assert imports <= (inf if low.spare is None else low.spare[lane])
            case How.SINGLE if count:
                calls += count
                assert calls <= (inf if high.spare is None else high.spare[lane])
            case How.WAIT:
                assert lane is Lane.BULK
    assert all(started[kind] <= free[kind] for kind in free)


@settings(max_examples=500)
@given(
    lane=st.sampled_from(Lane),
    work=st.sampled_from(IMPORTABLE),
    count=st.integers(1, 9_000),
    more=st.integers(0, 1_000),
    high=tiers,
)
def test_what_is_worth_an_import_stays_so_when_more_is_due(
    lane: Lane, work: Work, count: int, more: int, high: TierState
) -> None:
    if route(lane, count, work, high).how is How.IMPORT:
        assert route(lane, count + more, work, high).how is How.IMPORT
