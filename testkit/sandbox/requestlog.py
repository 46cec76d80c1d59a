"""The log of requests, call by call and in sums."""

from __future__ import annotations

from collections import Counter, deque
from datetime import UTC, datetime
from itertools import islice
from typing import NamedTuple

from testkit.sandbox.calls import call_of
from testkit.sandbox.instants import stamp


class LoggedRequest(NamedTuple):
    """One call. `at` is in epoch seconds, `ms` how long it was in the server, `fault` what was done to it.

    `path` is as sent, still percent-encoded and without the query: test data only, so the e-mails in it may be kept.
    """

    n: int
    at: float
    method: str
    path: str
    route: str
    status: int
    ms: float
    fault: str | None

    def as_reply(self) -> dict[str, object]:
        return {
            "n": self.n,
            "at": stamp(datetime.fromtimestamp(self.at, UTC)),
            "method": self.method,
            "path": self.path,
            "route": self.route,
            "status": self.status,
            "ms": round(self.ms, 3),
            "fault": self.fault,
        }


class RequestLog:
    """A ring of the latest calls, and counters over all of them."""

    def __init__(self, size: int) -> None:
        self._ring: deque[LoggedRequest] = deque(maxlen=size)
        self._calls: Counter[tuple[str, str, int]] = Counter()
        self._faults: Counter[str] = Counter()
        self.total = 0

    def clear(self) -> None:
        self._ring.clear()
        self._calls.clear()
        self._faults.clear()
        self.total = 0

    def add(self, at: float, method: str, path: str, status: int, ms: float, fault: str | None) -> None:
        """Record a call under the next number; numbers start at 1 and never repeat until `clear`."""
        self.total += 1
        route = call_of(path).route
        self._ring.append(LoggedRequest(self.total, at, method, path, route, status, ms, fault))
        self._calls[method, route, status] += 1
        if fault is not None:
            self._faults[fault] += 1

    def since(self, n: int, limit: int) -> list[LoggedRequest]:
        """Up to `limit` calls numbered above `n`, oldest first; those that fell off the ring are missing."""
        oldest = self.total - len(self._ring)
        start = max(0, n - oldest)
        return list(islice(self._ring, start, start + limit))

    def last_hour(self, now: float) -> int:
        """Calls of the last hour, as far as the ring remembers."""
        count = 0
        for row in reversed(self._ring):
            if row.at < now - 3600:
                break
            count += 1
        return count

    def counters(self) -> dict[str, object]:
        """`{total, calls: [{method, route, status, count}], faults: {name: count}}`."""
        calls = [
            {"method": method, "route": route, "status": status, "count": count}
            for (method, route, status), count in sorted(self._calls.items())
        ]
        return {"total": self.total, "calls": calls, "faults": dict(self._faults)}
