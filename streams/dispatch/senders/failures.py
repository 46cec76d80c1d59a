"""What happens to a task after a failed call: it is retried later, or parked with its code.

Connectivity is retried with jitter, a used-up budget when it returns, a refused access after a person has acted. Only what is
refused for its content is parked.
"""

from random import Random

import structlog

from streams.core.backoff import RetryPolicy
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue, QueuedTask
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
from streams.messages.deliveries import Delivery
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
        schedule: DeliveryQueue,
        answers: DeliveryLog,
        *,
        hash_key: bytes,
        metrics: Metrics,
        retry: RetryPolicy | None = None,
        rng: Random | None = None,
    ) -> None:
        self._schedule = schedule
        self._answers = answers
        self._hash_key = hash_key
        self._metrics = metrics
        self._retry = retry or RetryPolicy(cap=_LONGEST)
        self._rng = rng or Random()  # jitter, not a secret
        self._failures = 0

    def succeeded(self, entry: QueuedTask) -> None:
        """A call for ``entry`` was answered for what it said."""
        self._failures = 0
        self._schedule.resume(entry.key)

    def retry(self, error: DotdigitalError, *entries: QueuedTask) -> None:
        """Try again what a failed call carried, when the trouble may be over."""
        self._failures += not isinstance(error, TransientError)
        due, reason = self._when(error, max((entry.failures for entry in entries), default=0) + 1)
        self._metrics.retries.labels(reason).inc(len(entries))
        if isinstance(error, AccessError):
            for place in {entry.key for entry in entries}:
                self._schedule.pause(due, place)
        if not isinstance(error, ConnectivityError) or isinstance(error, TransientError):
            self._schedule.resume()
        for entry in entries:
            self._schedule.retry(entry, due)

    def _when(self, error: DotdigitalError, tries: int) -> tuple[int, str]:
        """When to try again (epoch ms), and why it failed, for the metric."""
        now = self._answers.now_ms()
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
                    self._schedule.pause(now + wait)
            case _:
                reason = "other"
        return now + wait, reason

    async def rejected(self, entry: QueuedTask, digest: bytes, error: DataError) -> None:
        """Park what was refused; what only lacks something is tried a few times first.

        Args:
            entry: the task.
            digest: of the content that was refused.
            error: Dotdigital's answer.

        Raises:
            aiokafka.errors.KafkaError: it could not be written down.
        """
        self.succeeded(entry)
        if isinstance(error, MissingError) and entry.missing + 1 < _TRIES:
            self._metrics.retries.labels("missing").inc()
            self._schedule.retry(entry, self._answers.now_ms() + 1000 * 2**entry.missing)
            entry.missing += 1
        elif error.code in _CONTACT_GONE:
            await self._contact_missing(entry)
        else:
            await self._park(entry, digest, error)

    async def _contact_missing(self, entry: QueuedTask) -> None:
        """Somebody deleted the contact in Dotdigital: it is looked for anew, and the task waits for it."""
        self._schedule.answered(entry.task)
        contact = task_of(Family.CONTACT, owner_of(entry.task))
        await self._answers.write(entry.partition, Delivery(contact, "vanished", "", self._answers.now_ms(), entry.lane))

    async def _park(self, entry: QueuedTask, digest: bytes, error: DataError) -> None:
        self._metrics.parked.labels(error.code).inc()
        log.error(
            "delivery parked",
            kind=family_of(entry.task).label,
            code=error.code,
            operation=error.operation,
            shape=error.shape,
            owner=keyed_hash(owner_of(entry.task).encode(), self._hash_key),
        )
        now = self._answers.now_ms()
        await self._answers.write(
            entry.partition,
            Delivery(entry.task, "parked", digest.hex(), now, entry.lane, code=error.code, tries=entry.failures + 1),
        )
