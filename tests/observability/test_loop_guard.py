"""The guard ends a process whose loop stands still, says where it stands, and ends none that only could not run."""

import threading

from structlog.testing import capture_logs

from streams.observability.loop_guard import BLOCKED_CODE, LoopGuard


def test_a_loop_that_stands_still_is_ended_and_the_log_has_its_place() -> None:
    ended, codes = threading.Event(), list[int]()

    def end(code: int) -> None:
        codes.append(code)
        ended.set()

    with capture_logs() as logged:
        LoopGuard(looks=3, seconds=0.01, end=end).start()
        assert ended.wait(30.0)
    (entry,) = logged
    assert codes == [BLOCKED_CODE]
    assert any(place.endswith(" test_a_loop_that_stands_still_is_ended_and_the_log_has_its_place") for place in entry["at"])


def test_only_looks_in_a_row_count() -> None:
    guard = LoopGuard(looks=3)
    assert [guard.is_blocked() for _ in range(2)] == [False, False]
    guard.turned()
    # However long nobody ran between two looks.
    assert [guard.is_blocked() for _ in range(4)] == [False, False, False, True]
