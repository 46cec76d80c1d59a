"""Since when the oldest change of each lane waits, beside a model that looks at every task."""

from hypothesis import given
from hypothesis import strategies as st

from streams.core.clock import ManualClock
from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import DeliveryTask, Removal
from streams.dispatch.outbox.tasks import Work
from streams.messages.removals import RemovalKind

TASKS = st.builds(
    DeliveryTask,
    key=st.sampled_from("abcdef"),
    partition=st.just(0),
    due=st.just(0),
    lane=st.sampled_from(Lane),
    work=st.just(Work.EXISTING),
    timer=st.booleans(),
    removal=st.sampled_from([None, None, Removal(RemovalKind.CONTACTS, 1)]),
    caused_at=st.integers(0, 50),
)


@given(st.lists(st.one_of(TASKS, st.sampled_from(["forget a", "forget b", "clear"])), max_size=300))
def test_the_oldest_is_that_of_the_tasks_that_wait(steps: list[DeliveryTask | str]) -> None:
    queue, model = DeliveryQueue(ManualClock()), dict[str, DeliveryTask]()
    for step in steps:
        if step == "clear":
            queue.clear()
            model.clear()
        elif isinstance(step, str):
            queue.forget(step[-1])
            model.pop(step[-1], None)
        else:
            queue.put(DeliveryTask(**{name: getattr(step, name) for name in step.__slots__}))
            model[step.key] = step
        for lane, oldest in queue.oldest_causes():
            waiting = [
                task.caused_at for task in model.values() if task.lane is lane and not task.timer and task.removal is None
            ]
            assert oldest == min((at for at in waiting if at), default=None)


def test_what_is_done_behind_one_that_stays_does_not_pile_up() -> None:
    queue = DeliveryQueue(ManualClock())
    queue.put(DeliveryTask("old", 0, 0, Lane.LIVE, Work.EXISTING, caused_at=1))
    for number in range(10_000):
        queue.put(DeliveryTask("new", 0, 0, Lane.LIVE, Work.EXISTING, caused_at=2 + number))
        queue.forget("new")
    assert dict(queue.oldest_causes())[Lane.LIVE] == 1
    assert len(queue._causes._heaps[Lane.LIVE]) < 100


def test_the_cause_outlives_the_worker() -> None:
    task = DeliveryTask("a", 3, 5, Lane.URGENT, Work.NEW, caused_at=7)
    assert DeliveryTask.stored("a", 3, task.encode()) == task
