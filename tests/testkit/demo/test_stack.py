"""When a local stack is at rest: a worker that cannot know what it has before it is none that has nothing."""

from math import inf

from prometheus_client import generate_latest

from streams.core.lanes import Lane
from streams.observability.metrics import Metrics
from testkit.demo.stack import Samples, pending, samples_of

JOINS = samples_of('owdd_ready{part="ingest"} 1\nowdd_ready{part="orders"} 1\n')


def dispatch(waiting: int = 0, *, removals: int = 0, ready: bool = True) -> Samples:
    """The page of a worker that delivers; ``ready``: its outbox holds what waits."""
    metrics = Metrics()
    for lane in Lane:
        metrics.pending.labels(lane.name.lower()).set(waiting)
    metrics.removals.labels("contacts", "waiting").set(removals)
    for part, is_ready in {"dispatch": True, "outbox": ready}.items():
        metrics.ready.labels(part).set(is_ready)
    return samples_of(generate_latest(metrics.registry).decode())


def test_nothing_is_pending_once_every_worker_is_ready_and_has_counted_nothing() -> None:
    assert pending([JOINS, dispatch(), dispatch()]) == 0


def test_deliveries_of_all_workers_are_pending_and_removals_that_wait_for_their_grant() -> None:
    assert pending([dispatch(2), JOINS, dispatch(1, removals=4)]) == 3 * len(Lane) + 4


def test_a_worker_whose_outbox_is_not_read_back_yet_has_counted_nothing() -> None:
    assert pending([JOINS, dispatch(), dispatch(ready=False)]) == inf


def test_a_worker_that_does_not_answer_may_have_deliveries() -> None:
    assert pending([JOINS, dispatch(), None]) == inf


def test_without_a_worker_that_delivers_nothing_is_known() -> None:
    assert pending([JOINS]) == inf
