"""Decides when a failed connector or task is restarted, as a pure function of its status: Kafka Connect never restarts it."""

from dataclasses import dataclass
from enum import Enum

from streams.connect.responses import Status


@dataclass(frozen=True, slots=True)
class RestartPolicy:
    """Restart ``limit`` times: first after ``base`` seconds of failure, then after twice as long each time, at most ``cap``.

    After ``healthy`` seconds without failure the count starts again. It must be longer than the ten minutes for which a
    connector that retries its errors is RUNNING (``errors.max.retries`` in ``render.py``), or the limit would never be reached.
    """

    limit: int = 8
    base: float = 30.0
    cap: float = 1800.0
    healthy: float = 900.0

    def wait_ms(self, done: int) -> int:
        """The time for which a failure must last before the restart that follows ``done`` others, in milliseconds."""
        return int(min(self.cap, self.base * 2.0 ** min(done, 30)) * 1000)


class RestartDecision(Enum):
    """The decision for now."""

    NOTHING = "nothing"
    RESTART = "restart"
    GIVE_UP = "give up"


class Restarts:
    """The state of a policy: the number of restarts, and since when the connector runs or fails."""

    def __init__(self, policy: RestartPolicy) -> None:
        self._policy = policy
        self.done = 0
        self._failed_since: int | None = None
        self._healthy_since: int | None = None

    def decide(self, status: Status, now_ms: int) -> RestartDecision:
        """The decision for ``status``. A returned restart counts as done."""
        if not status.failed:
            self._failed_since = None
            self._recovered(status, now_ms)
            return RestartDecision.NOTHING
        self._healthy_since = None
        if self._failed_since is None:
            self._failed_since = now_ms
        if self.done >= self._policy.limit:
            return RestartDecision.GIVE_UP
        if now_ms - self._failed_since < self._policy.wait_ms(self.done):
            return RestartDecision.NOTHING
        self.done += 1
        # The next wait begins now, even if the status shows the old failure for some more seconds.
        self._failed_since = now_ms
        return RestartDecision.RESTART

    def _recovered(self, status: Status, now_ms: int) -> None:
        if not status.running:
            self._healthy_since = None
        elif self._healthy_since is None:
            self._healthy_since = now_ms
        elif now_ms - self._healthy_since >= self._policy.healthy * 1000:
            self.done = 0
