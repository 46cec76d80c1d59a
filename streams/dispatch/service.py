"""Dispatch: the parts of one worker that deliver, put together.

The outbox handler runs as a stage and needs nothing of Dotdigital; everything that calls it starts once the account was found
to hold what the mapping names, and waits for that while Dotdigital cannot be reached.
"""

import asyncio
from collections.abc import Callable
from random import Random

import httpx
import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from streams.core.backoff import RetryPolicy
from streams.core.clock import Clock
from streams.core.lanes import Lane
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.handler import OutboxHandler
from streams.dispatch.outbox.imports_in_flight import ImportsInFlight
from streams.dispatch.outbox.rows import OutboxRows
from streams.dispatch.outbox.site_policy import SitePolicy
from streams.dispatch.outbox.tasks import Queue
from streams.dispatch.policies import budget_policy, client_config, debounce_policy, routing_policy
from streams.dispatch.rate_limit.limiter import RateLimiter
from streams.dispatch.rate_limit.partition_share import PartitionShare
from streams.dispatch.readback import Readback
from streams.dispatch.senders.destination import AccountTargets
from streams.dispatch.senders.failures import FailurePolicy
from streams.dispatch.senders.follow_ups import FollowUpSender
from streams.dispatch.senders.import_batch import BatchBuilder
from streams.dispatch.senders.import_reports import ImportReports
from streams.dispatch.senders.imports import ImportSender
from streams.dispatch.senders.single_calls import SingleCallSender
from streams.domain.erasure import digester
from streams.dotdigital.bootstrap import resolve
from streams.dotdigital.client import Api, DotdigitalClient
from streams.dotdigital.credentials import Credentials
from streams.dotdigital.errors import DotdigitalError
from streams.dotdigital.tiers import Call
from streams.engine.table import StateTable
from streams.kafka.producer import BatchProducer
from streams.mapping import Mapping
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from streams.settings import Settings

log = structlog.get_logger()


class Dispatch:
    """One worker's outbox and all who send from it."""

    def __init__(self, settings: Settings, mapping: Mapping, clock: Clock, metrics: Metrics, rng: Random | None = None) -> None:
        self._settings = settings
        self._mapping = mapping
        self._clock = clock
        self._metrics = metrics
        self._rng = rng or Random()  # jitter, not a secret
        self._topics = Topics.of(settings.app_id)
        self._hash_key = settings.hash_key.get_secret_value().encode()
        self._rules = SitePolicy.of(mapping, digester(settings.digest_key), self._hash_key)
        self._gauges: list[Callable[[], None]] = []
        self.queue = DeliveryQueue(clock)
        self.imports_in_flight = ImportsInFlight(self.queue)
        self.outbox = OutboxHandler(
            self._topics, self._rules, debounce_policy(settings), self.queue, self.imports_in_flight, metrics
        )

    async def run(self, table: StateTable, producer: BatchProducer, transport: httpx.AsyncBaseTransport | None = None) -> None:
        """Deliver for ever what the outbox's ``table`` wants.

        Raises:
            ConfigurationError: the account lacks something that the mapping names.
            aiokafka.errors.KafkaError: an answer could not be written down; the worker must end.
        """
        share = PartitionShare(table.owned, self._settings.partitions)
        budget = RateLimiter(share, budget_policy(self._settings), self._clock, self._metrics, self._rng)
        config = client_config(self._settings)
        client = DotdigitalClient(config, self._observe, transport, budget)
        if warning := Credentials.of(config).warning:
            log.warning(warning)
        try:
            destination = await self._reach(client)
            await self._deliver(table, producer, client, budget, destination)
        finally:
            await client.close()

    async def _reach(self, client: DotdigitalClient) -> AccountTargets:
        async def reach() -> AccountTargets:
            await client.open()
            return AccountTargets.of(self._mapping, await resolve(client, self._mapping))

        targets: AccountTargets = await AsyncRetrying(
            sleep=asyncio.sleep,
            retry=retry_if_exception_type(DotdigitalError),
            wait=RetryPolicy().wait(self._rng),
            before_sleep=_log_not_ready,
        )(reach)
        return targets

    async def _deliver(
        self,
        table: StateTable,
        producer: BatchProducer,
        client: DotdigitalClient,
        budget: RateLimiter,
        destination: AccountTargets,
    ) -> None:
        settings, schedule, metrics = self._settings, self.queue, self._metrics
        rows, bulk = OutboxRows(table), client.for_lane(Lane.BULK)
        answers = DeliveryLog(producer, self._topics, self._clock, settings.partitions)
        failure_policy = FailurePolicy(schedule, answers, hash_key=self._hash_key, metrics=metrics, rng=self._rng)
        readback = self._readback(bulk, table, producer)
        sender = SingleCallSender(
            schedule, rows, client, answers, failure_policy, destination, self._rules, self.outbox, metrics
        )
        importer = ImportSender(
            schedule,
            self.imports_in_flight,
            BatchBuilder(schedule, rows, destination, self._rules),
            ImportReports(bulk, schedule, rows, answers, settings.import_patience, metrics),
            client,
            answers,
            failure_policy,
            budget,
            destination,
            windows=self._rules.windows,
            policy=routing_policy(settings),
            poll_seconds=settings.import_poll,
            index=self.outbox,
            refresh=readback.request,
        )
        self._gauges = [budget.update_gauges, readback.observe]
        # Until the importer has looked at windows and backlog.
        schedule.close((Lane.BULK, queue) for queue in Queue)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._resume(answers))
            group.create_task(sender.run(settings.dispatch_connections))
            group.create_task(importer.run())
            group.create_task(readback.run())
            if destination.follow_up is not None:
                follower = FollowUpSender(
                    schedule, rows, client, answers, budget, failure_policy, destination.follow_up, metrics
                )
                group.create_task(follower.run())

    async def _resume(self, answers: DeliveryLog) -> None:
        while True:
            await self.outbox.taken_over.wait()
            await answers.write_all(self.outbox.resuming())

    def _readback(self, bulk: Api, table: StateTable, producer: BatchProducer) -> Readback:
        return Readback(
            bulk,
            producer,
            self._topics,
            partitions=self._settings.partitions,
            interval=self._settings.readback_seconds,
            leads=lambda: 0 in table.owned(),
            marks=self.outbox.complete_until,
            clock=self._clock,
            metrics=self._metrics,
            rng=self._rng,
        )

    def update_gauges(self) -> None:
        """Bring the gauges up to date."""
        counts = self.queue.counts()
        for lane in Lane:
            self._metrics.pending.labels(lane.name.lower()).set(counts[lane])
        for gauge in self._gauges:
            gauge()

    def _observe(self, call: Call) -> None:
        self._metrics.calls.labels(call.operation, call.status).observe(call.seconds)


def _log_not_ready(state: RetryCallState) -> None:
    error = state.outcome.exception() if state.outcome is not None else None
    assert isinstance(error, DotdigitalError)
    log.warning("Dotdigital is not ready; retrying", operation=error.operation, reason=str(error), attempt=state.attempt_number)
