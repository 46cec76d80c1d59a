"""What happens to a task after a failed call: a later try, or its code and a place among what is parked.

An answer *about the task* is its own: it backs off to an hour at most, and is parked after a day or thirty tries; what is wrong
and stays wrong is parked at once, what only lacks something after four. An opt-out or an erasure is parked like others, but
with a critical alert, and tried again every day.

What is *no* answer about the task counts as no try and parks nothing: no connection, a 5xx, a limit, refused access. When it
goes on, the circuit breaker of that area of the API opens; that of all areas where nothing can work: no connection, wrong
credentials, another region. Then one probe tries, once a minute in the end, and its first success makes all of it due.
"""

from collections import Counter
from random import Random

import structlog

from streams.core.backoff import RetryPolicy
from streams.core.clock import Clock
from streams.dispatch.outbox.delivery_log import DeliveryLog
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import DeliveryTask
from streams.dispatch.outbox.tasks import ApiArea, Family, family_of, owner_of, task_of
from streams.domain.record_state import KEY_CLASH
from streams.dotdigital.codes import DELETED_IN_DOTDIGITAL
from streams.dotdigital.errors import (
    AccessError,
    ConnectivityError,
    CredentialsError,
    DataError,
    DotdigitalError,
    MissingError,
    NotSentError,
    RegionError,
    ThrottledError,
    TransientError,
)
from streams.messages.dead_letters import keyed_hash
from streams.messages.deliveries import ContactMissing, TaskParked
from streams.observability.metrics import Metrics

log = structlog.get_logger()

_MISSING_TRIES = 4
"""Tries of a call that needs something which is not there yet."""
_MOST_TRIES = 30
_LONGEST_MS = 86_400_000
"""After so many tries, or so long, a task is parked that Dotdigital asks to send later."""
_PER_TASK = RetryPolicy(base=1.0, cap=3600.0)
_PER_AREA = RetryPolicy(cap=20.0)
_MANY = 5
"""Failed calls in a row after which an area waits, and one at a time tries: one says little."""
_SOON_MS, _LATE_MS = 5_000, 60_000
"""How long a breaker waits before its first probe: where it may be over soon, and where a person must act."""
_CONTACT_GONE = ("insightData:contactNotFound", "ERROR_CONTACT_NOT_FOUND")
_LOOKED_MS, _MOST_LOOKED = 3_600_000, 10_000
"""So long it is remembered, of so many tasks at the most, that their contact was looked for."""


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
        self._failures = Counter[ApiArea | None]()
        self._looked = dict[tuple[str, bytes], int]()
        # At 0 from the start, so that the first refusal is seen as a rise: the next comes a minute later.
        metrics.retries.labels("access")

    def succeeded(self, area: ApiArea) -> None:
        """A call of that area was answered for its content: it works, and so does the connection."""
        self._failures[area] = self._failures[None] = 0
        self._queue.close_breaker(area)
        self._queue.close_breaker(None)

    def retry(self, error: DotdigitalError, area: ApiArea, *tasks: DeliveryTask) -> None:
        """Try again what a call of that area carried, which failed for nothing that the tasks say."""
        now = self._clock.now_ms()
        wait, reason = self._wait(error, area, now, 1 + max((task.failures for task in tasks), default=0))
        self._metrics.retries.labels(reason).inc(len(tasks))
        for task in tasks:
            self._queue.retry(task, now + wait, deferred=True)

    def _wait(self, error: DotdigitalError, area: ApiArea, now: int, tries: int) -> tuple[int, str]:
        """How long such a task waits (ms) after so many tries, and why, for the metric; a breaker opens if it must."""
        everything = isinstance(error, NotSentError | CredentialsError) or (
            isinstance(error, RegionError) and error.endpoint is not None
        )
        if not everything:
            # There was a response, so the others may try.
            self._failures[None] = 0
            self._queue.close_breaker(None)
        place = None if everything else area
        self._failures[place] += 1
        wait = int(_PER_AREA.delay(self._failures[place], self._rng) * 1000)
        match error:
            case ThrottledError():
                self._failures[place] = 0
                wait = int(_PER_TASK.delay(tries, self._rng) * 1000)
                if error.reset_at is not None:
                    wait = max(0, int(error.reset_at * 1000) - now) + self._rng.randrange(250)
                return wait, "throttled"
            case AccessError():
                log.critical("Dotdigital refuses access; such deliveries wait until this is repaired", error=str(error))
                self._queue.blockers.open(now, place, _LATE_MS)
                return _LATE_MS, "access"
            case ConnectivityError():
                if self._failures[place] >= _MANY:
                    self._queue.blockers.open(now, place, _SOON_MS)
                return wait, error.reason
            case _:
                return wait, "other"

    async def rejected(
        self, task: DeliveryTask, digest: bytes, error: DataError | TransientError, opt_outs: int | None = None
    ) -> None:
        """Dotdigital answered about the task: park it, or try it again later if the answer says so.

        Args:
            task: whose content was refused.
            digest: of the content that was refused.
            error: Dotdigital's answer.
            opt_outs: of the contact's opt-outs, how many the call knew; None: there was none.

        Raises:
            aiokafka.errors.KafkaError: it could not be written down.
        """
        self.succeeded(task.work.area)
        now = self._clock.now_ms()
        if isinstance(error, TransientError):
            if task.tries + 1 < _MOST_TRIES and now - (task.tried_since or now) < _LONGEST_MS:
                self._metrics.retries.labels(error.reason).inc()
                self._queue.retry(task, now + int(_PER_TASK.delay(task.tries + 1, self._rng) * 1000))
            else:
                await self._park(task, digest, opt_outs, error.reason)
        elif isinstance(error, MissingError) and task.missing + 1 < _MISSING_TRIES:
            self._metrics.retries.labels("missing").inc()
            self._queue.retry(task, now + 1000 * 2**task.missing, missing=True)
        elif error.code in _CONTACT_GONE and self._looks_for_contact(task.key, digest, now):
            await self._contact_missing(task)
        else:
            await self._park(task, digest, opt_outs, error.code, operation=error.operation, shape=error.shape)

    def _looks_for_contact(self, key: str, digest: bytes, now: int) -> bool:
        """Whether the contact is to be looked for; not if it was, and the same content is refused for the same reason.

        Then it is there for who looks, and not for who delivers: that would go on for ever.
        """
        before = self._looked.pop((key, digest), None)
        if before is not None and now - before < _LOOKED_MS:
            return False
        if len(self._looked) >= _MOST_LOOKED:
            del self._looked[next(iter(self._looked))]
        self._looked[key, digest] = now
        return True

    async def _contact_missing(self, task: DeliveryTask) -> None:
        """Somebody deleted the contact in Dotdigital: it is looked for anew, and the task waits for it."""
        self._queue.finish(task.key)
        missing = ContactMissing(task=task_of(Family.CONTACT, owner_of(task.key)), at=self._clock.now_ms(), found_by=task.key)
        await self._log.write(task.partition, missing)

    async def _park(self, task: DeliveryTask, digest: bytes, opt_outs: int | None, code: str, **facts: str) -> None:
        self._metrics.parked.labels(code).inc()
        kind, owner = family_of(task.key).label, keyed_hash(owner_of(task.key).encode(), self._hash_key)
        if task.overtakes and code != DELETED_IN_DOTDIGITAL:
            log.critical("an opt-out or an erasure is refused; it is tried again every day", code=code, owner=owner, **facts)
        else:
            # A clash of keys is how a move looks that overtakes itself; it ends by itself.
            show = log.warning if code == KEY_CLASH else log.error
            show("delivery parked", kind=kind, code=code, owner=owner, **facts)
        now, tries = self._clock.now_ms(), task.tries + task.missing + 1
        event = TaskParked(task=task.key, at=now, digest=digest, code=code, tries=tries, opt_outs=opt_outs)
        await self._log.write(task.partition, event)
