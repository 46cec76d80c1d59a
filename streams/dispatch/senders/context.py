"""What every sender works with: the queue and its rows, the account, and where outcomes are written down."""

from dataclasses import dataclass

from streams.core.clock import Clock
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.rows import AnyWaitState, OutboxRows
from streams.dispatch.outbox.tasks import Family
from streams.dispatch.senders.failures import FailurePolicy
from streams.dotdigital.client import DotdigitalClient
from streams.observability.freshness import observe_delivery, observe_step
from streams.observability.metrics import Metrics


@dataclass(frozen=True, slots=True)
class SenderContext:
    """Shared by all senders of a worker."""

    queue: DeliveryQueue
    rows: OutboxRows
    client: DotdigitalClient
    log: DeliveryLog
    failures: FailurePolicy
    clock: Clock
    metrics: Metrics

    def observe_taken(self, task: DeliveryTask) -> None:
        """A call for the task begins, or waits for the budget: how old its change was when it was due, and is now."""
        now = self.clock.now_ms()
        observe_step(self.metrics, "debounced", task.lane, task.caused_at, min(task.due, now))
        observe_step(self.metrics, "requested", task.lane, task.caused_at, now)

    def count_delivered(self, wait: AnyWaitState, family: Family, outcome: str) -> None:
        """Count a delivery, and how long it took since its oldest cause."""
        self.metrics.delivered.labels(family.label, outcome).inc()
        observe_delivery(self.metrics, wait.lane, wait.caused_at, self.clock.now_ms())
