"""When the guard restarts what has failed, by a clock that only the test moves."""

from streams.connect.responses import Part, Status
from streams.connect.restarts import RestartDecision, RestartPolicy, Restarts
from streams.core.clock import ManualClock

POLICY = RestartPolicy(limit=3, base=10.0, cap=30.0, healthy=100.0)
RUNNING = Status("c", Part("RUNNING"), (Part("RUNNING", id=0),))
FAILED = Status("c", Part("RUNNING"), (Part("FAILED", trace="x", id=0),))
RESTARTING = Status("c", Part("RUNNING"), (Part("RESTARTING", id=0),))


def restarts_of(restarts: Restarts, clock: ManualClock, seconds: int, status: Status = FAILED) -> list[int]:
    """The seconds at which a look every second restarts."""
    found = []
    for second in range(1, seconds + 1):
        clock.advance(1)
        if restarts.decide(status, clock.now_ms()) is RestartDecision.RESTART:
            found.append(second)
    return found


def test_waits_double_up_to_the_cap_and_then_it_gives_up() -> None:
    restarts, clock = Restarts(POLICY), ManualClock()
    restarts.decide(FAILED, clock.now_ms())
    assert restarts_of(restarts, clock, 200) == [10, 30, 60]
    assert restarts.decide(FAILED, clock.now_ms()) is RestartDecision.GIVE_UP


def test_a_failure_that_goes_by_itself_is_not_restarted() -> None:
    restarts, clock = Restarts(POLICY), ManualClock()
    assert restarts_of(restarts, clock, 9) == []
    restarts.decide(RUNNING, clock.now_ms())
    assert restarts_of(restarts, clock, 9) == []


def test_a_short_recovery_does_not_make_it_forget() -> None:
    restarts, clock = Restarts(POLICY), ManualClock()
    restarts.decide(FAILED, clock.now_ms())
    assert restarts_of(restarts, clock, 10) == [10]
    restarts_of(restarts, clock, 99, RUNNING)
    restarts.decide(FAILED, clock.now_ms())
    assert restarts_of(restarts, clock, 20) == [20]


def test_a_long_recovery_does() -> None:
    restarts, clock = Restarts(POLICY), ManualClock()
    restarts.decide(FAILED, clock.now_ms())
    restarts_of(restarts, clock, 200)
    restarts_of(restarts, clock, 101, RUNNING)
    restarts.decide(FAILED, clock.now_ms())
    assert restarts_of(restarts, clock, 10) == [10]


def test_a_state_on_the_way_is_neither_failed_nor_well() -> None:
    restarts, clock = Restarts(POLICY), ManualClock()
    restarts.decide(FAILED, clock.now_ms())
    assert restarts_of(restarts, clock, 10) == [10]
    assert restarts_of(restarts, clock, 500, RESTARTING) == []
    assert restarts.done == 1


def test_with_a_limit_of_none_it_never_restarts() -> None:
    restarts, clock = Restarts(RestartPolicy(limit=0)), ManualClock()
    assert restarts_of(restarts, clock, 100) == []
    assert restarts.decide(FAILED, clock.now_ms()) is RestartDecision.GIVE_UP


def test_a_failed_connector_counts_like_a_failed_task() -> None:
    restarts, clock = Restarts(POLICY), ManualClock()
    dead = Status("c", Part("FAILED"), ())
    restarts.decide(dead, clock.now_ms())
    assert restarts_of(restarts, clock, 10, dead) == [10]


def test_many_failures_do_not_overflow_the_wait() -> None:
    assert RestartPolicy(limit=10_000).wait_ms(9_999) == 1_800_000
