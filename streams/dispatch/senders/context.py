"""What every sender works with: the queue and its rows, the account, and where outcomes are written down."""

from dataclasses import dataclass

from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.rows import AnyWaitState, OutboxRows
from streams.dispatch.outbox.tasks import Family
from streams.dispatch.senders.failures import FailurePolicy
from streams.dotdigital.client import DotdigitalClient
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

    def count_delivered(self, wait: AnyWaitState, family: Family, outcome: str) -> None:
        """Count a delivery, and how long it took since its oldest cause."""
        self.metrics.delivered.labels(family.label, outcome).inc()
        seconds = max(0, self.clock.now_ms() - wait.caused_at) / 1000
        self.metrics.latency.labels(Lane(wait.lane).name.lower()).observe(seconds)
