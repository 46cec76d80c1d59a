"""The reconciler of a worker, put together: over the broker, and over the other workers if they can be asked."""

from contextlib import AsyncExitStack
from dataclasses import dataclass

from streams.core.clock import Clock
from streams.dispatch.service import Dispatch
from streams.kafka.producer import BatchProducer
from streams.kafka.reader import reader
from streams.kafka.security import KafkaConfig
from streams.messages.dead_letters import keyed_hash
from streams.observability.metrics import Metrics
from streams.operations.reconcile.delivered import Delivered
from streams.operations.reconcile.reconciler import Reconciler, ReconcileSite
from streams.operations.reconcile.run_log import KafkaRunLog
from streams.operations.state_client import StateClient
from streams.operations.state_replies import StateReplies


@dataclass(frozen=True, slots=True)
class ReconcileParts:
    """What a worker gives to its reconciler."""

    producer: BatchProducer
    dispatch: Dispatch
    here: StateReplies
    clock: Clock
    metrics: Metrics


class ReconcileService:
    """Starts and stops what the reconciler of ``site`` needs besides ``parts``."""

    def __init__(self, site: ReconcileSite, parts: ReconcileParts) -> None:
        settings = site.settings
        self._consumer = reader(KafkaConfig.of(settings))
        hash_key = settings.hash_key.get_secret_value().encode()
        can_ask = settings.workers and settings.state_token.get_secret_value()
        self._workers = StateClient(settings, keyed_hash(b"reconciler", hash_key)) if can_ask else None
        runs = KafkaRunLog(settings, self._consumer, parts.producer, parts.clock)
        delivered = Delivered(parts.here, self._workers)
        self.reconciler = Reconciler(site, runs, delivered, parts.dispatch, parts.producer, parts.clock, parts.metrics)

    async def run(self) -> None:
        """Work for ever.

        Raises:
            aiokafka.errors.KafkaError: the broker does not answer; the worker must end.
        """
        async with AsyncExitStack() as stack:
            await stack.enter_async_context(self._consumer)
            if self._workers is not None:
                await stack.enter_async_context(self._workers)
            await self.reconciler.run()
