"""What happens to a task after a failed call: it is retried later, or parked with its code.

Connectivity is retried with jitter, a used-up budget when it returns, a refused access after a person has acted. Only what is
refused for its content is parked.
"""

from random import Random

import structlog

from streams.core.backoff import RetryPolicy
from streams.core.clock import Clock
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.tasks import Family, family_of, owner_of, task_of
from streams.dotdigital.errors import (
    AccessError,
    ConnectivityError,
    DataError,
    DotdigitalError,
    MissingError,
    ThrottledError,
    TransientError,
)
from streams.messages.dead_letters import keyed_hash
from streams.messages.deliveries import ContactMissing, TaskParked
from streams.observability.metrics import Metrics

log = structlog.get_logger()

_TRIES = 4
"""Tries of a call that needs something which is not there yet."""
_ACCESS_MS = 30_000
_LONGEST = 20.0
"""Seconds between two tries, at most: urgent changes wait for the next one when Dotdigital is back."""
_MANY = 5
"""Failed calls in a row after which everybody waits, and one at a time tries: one says little."""
_CONTACT_GONE = ("insightData:contactNotFound", "ERROR_CONTACT_NOT_FOUND")


class FailurePolicy:
    """Decides and counts; shared by all who send."""

    def __init__(
        self,
        queue: DeliveryQueue,
        log: DeliveryLog,
        clock: Clock,
        metrics: Metrics,
        *,
        hash_key: bytes,
        rng: Random | None = None,
    ) -> None:
        self._queue = queue
        self._log = log
        self._clock = clock
        self._metrics = metrics
        self._hash_key = hash_key
        self._rng = rng or Random()  # jitter, not a secret
        self._retry = RetryPolicy(cap=_LONGEST)
        self._failures = 0

    def succeeded(self, task: DeliveryTask) -> None:
        """A call for ``task`` was answered for its content."""
        self._failures = 0
        self._queue.blockers.resume(task.queue_key)

    def retry(self, error: DotdigitalError, *tasks: DeliveryTask) -> None:
        """Try again what a failed call carried, when the trouble may be over."""
        self._failures += not isinstance(error, TransientError)
        due, reason = self._when(error, max((task.failures for task in tasks), default=0) + 1)
        self._metrics.retries.labels(reason).inc(len(tasks))
        if isinstance(error, AccessError):
            for key in {task.queue_key for task in tasks}:
                self._queue.blockers.pause(due, key)
        if not isinstance(error, ConnectivityError) or isinstance(error, TransientError):
            self._queue.blockers.resume()
        for task in tasks:
            self._queue.retry(task, due)

    def _when(self, error: DotdigitalError, tries: int) -> tuple[int, str]:
        """When to try again (epoch ms), and why it failed, for the metric."""
        now = self._clock.now_ms()
        wait = int(self._retry.delay(self._failures, self._rng) * 1000)
        match error:
            case ThrottledError():
                reason = "throttled"
                if error.reset_at is not None:
                    wait = max(0, int(error.reset_at * 1000) - now) + self._rng.randrange(250)
            case AccessError():
                wait, reason = _ACCESS_MS, "access"
                log.critical("Dotdigital refuses access; such deliveries wait until this is repaired", error=str(error))
            case TransientError():
                wait, reason = int(self._retry.delay(tries, self._rng) * 1000), error.reason
            case ConnectivityError():
                reason = error.reason
                if self._failures >= _MANY:
                    self._queue.blockers.pause(now + wait)
            case _:
                reason = "other"
        return now + wait, reason

    async def rejected(self, task: DeliveryTask, digest: bytes, error: DataError) -> None:
        """Park what was refused; what only lacks something is tried a few times first.

        Args:
            task: whose content was refused.
            digest: of the content that was refused.
            error: Dotdigital's answer.

        Raises:
            aiokafka.errors.KafkaError: it could not be written down.
        """
        self.succeeded(task)
        if isinstance(error, MissingError) and task.missing + 1 < _TRIES:
            self._metrics.retries.labels("missing").inc()
            self._queue.retry(task, self._clock.now_ms() + 1000 * 2**task.missing, missing=True)
        elif error.code in _CONTACT_GONE:
            await self._contact_missing(task)
        else:
            await self._park(task, digest, error)

    async def _contact_missing(self, task: DeliveryTask) -> None:
        """Somebody deleted the contact in Dotdigital: it is looked for anew, and the task waits for it."""
        self._queue.finish(task.key)
        missing = ContactMissing(task=task_of(Family.CONTACT, owner_of(task.key)), at=self._clock.now_ms(), found_by=task.key)
        await self._log.write(task.partition, missing)

    async def _park(self, task: DeliveryTask, digest: bytes, error: DataError) -> None:
        self._metrics.parked.labels(error.code).inc()
        log.error(
            "delivery parked",
            kind=family_of(task.key).label,
            code=error.code,
            operation=error.operation,
            shape=error.shape,
            owner=keyed_hash(owner_of(task.key).encode(), self._hash_key),
        )
        now, tries = self._clock.now_ms(), task.failures + 1
        parked = TaskParked(task=task.key, at=now, digest=digest, code=error.code, tries=tries)
        await self._log.write(task.partition, parked)
