"""Concurrency: what the account may do only so many times at once or in an hour, apart from the budgets of calls."""

from streams.core.clock import Clock
from streams.dispatch.rate_limit.partition_share import PartitionShare
from streams.dispatch.rate_limit.quota import RollingHourQuota
from streams.dotdigital.errors import Limit

IN_FLIGHT = {Limit.CONTACT_IMPORTS: 25, Limit.INSIGHT_IMPORTS: 5}
"""Imports that Dotdigital runs at once for one account."""
ENROLMENTS = 20
"""Enrolment calls in any 60 minutes, over all programmes."""

_TURN = 300_000
"""Milliseconds of a turn, where there are more partitions than slots: longer than most imports take."""
_REFUSED = 15_000
"""Milliseconds without a new import after a refusal: the account's others need the slots as well."""


class ImportSemaphore:
    """This worker's part of the imports of one kind that may be in flight.

    When there are more partitions than slots they take turns; an import that outlasts its turn may bring the account to its
    limit, and then Dotdigital refuses the next: :meth:`refused`.
    """

    def __init__(self, share: PartitionShare, limit: int, clock: Clock) -> None:
        self._share = share
        self._limit = limit
        self._clock = clock
        self._closed_until = 0
        self.held = 0

    @property
    def free(self) -> int:
        """Imports that may be started now."""
        now = self._clock.now_ms()
        return 0 if now < self._closed_until else max(0, self._share.of(self._limit, now // _TURN) - self.held)

    def acquire(self) -> bool:
        """Take a slot for an import that is about to be started; False when none is free."""
        if not self.free:
            return False
        self.held += 1
        return True

    def acquire_existing(self) -> None:
        """Count an import that somebody started before us."""
        self.held += 1

    def release(self) -> None:
        """An import is over, or was not started after all."""
        self.held = max(0, self.held - 1)

    def refused(self) -> None:
        """The account's limit is reached: start nothing for a while. The slot is still to be released."""
        self._closed_until = self._clock.now_ms() + _REFUSED


class EnrolmentQuota:
    """This worker's part of the account's enrolment calls."""

    def __init__(self, share: PartitionShare, clock: Clock) -> None:
        self._hour = RollingHourQuota(share, ENROLMENTS)
        self._clock = clock
        self._closed_until = 0

    @property
    def opens_at(self) -> int:
        """When the next one may be made, epoch milliseconds; the past or present means now."""
        return max(self._closed_until, self._hour.opens_at(self._clock.now_ms()))

    def acquire(self) -> bool:
        """Count a call that is about to be made; False when it must wait for :attr:`opens_at`."""
        now = self._clock.now_ms()
        if self.opens_at > now:
            return False
        self._hour.spend(now)
        return True

    def refused(self) -> None:
        """Somebody else used the quota up: it frees one call in three minutes on average."""
        self._closed_until = self._clock.now_ms() + 3_600_000 // ENROLMENTS
