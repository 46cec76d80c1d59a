"""Work that Dotdigital accepts with 202 and does later: imports, bulk deletes, enrolments.

A job is done when the account's clock has passed its due time: the gate settles due jobs before it looks at a call, so
no task runs in the background and a test moves time as it likes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from operator import attrgetter
from typing import Any
from uuid import UUID, uuid4

from testkit.sandbox.config import Clock

RUNNING = "running"
FINISHED = "finished"
FAILED = "failed"
REJECTED = "rejected"

STUCK = "import_stuck"
_ENDINGS = {"import_failed": FAILED, "import_rejected": REJECTED}


@dataclass(slots=True)
class Job:
    """One piece of accepted work. `payload`, gone once it is done, and `report` are JSON values; times are epoch seconds."""

    id: str
    kind: str
    accepted: float
    due: float | None
    """None while it is stuck."""
    payload: Any
    fault: str | None = None
    state: str = RUNNING
    report: Any = None
    owners: list[int] = field(default_factory=list)
    """The contact of every row that an import carried out; 0 for a record of the account."""


Runner = Callable[[Job], Any]
"""Does a job's work at its due time, and returns its report."""


class Jobs:
    """All jobs of the account, running ones and finished ones."""

    def __init__(self, clock: Clock, seconds: float) -> None:
        self._clock = clock
        self._seconds = seconds
        self._runners: dict[str, Runner] = {}
        self._jobs: dict[str, Job] = {}
        self.due = math.inf
        """When the next job is due."""

    def register(self, kind: str, runner: Runner) -> None:
        self._runners[kind] = runner

    def start(self, kind: str, payload: Any, fault: str | None = None) -> Job:
        now = self._clock().timestamp()
        job = Job(str(uuid4()), kind, now, None if fault == STUCK else now + self._seconds, payload, fault)
        self._jobs[job.id] = job
        self._plan()
        return job

    def settle(self, now: float) -> None:
        """Do everything that is due, in order."""
        ready = [job for job in self._running() if job.due is not None and job.due <= now]
        for job in sorted(ready, key=attrgetter("due")):
            job.state = _ENDINGS.get(job.fault or "", FINISHED)
            if job.state == FINISHED:
                job.report = self._runners[job.kind](job)
            job.payload = None
        self._plan()

    def release(self) -> int:
        """Let stuck jobs go on; returns how many there were."""
        stuck = [job for job in self._running() if job.due is None]
        for job in stuck:
            job.due = self._clock().timestamp()
        self._plan()
        return len(stuck)

    def find(self, kind: str, job_id: str) -> Job | None:
        job = self._jobs.get(job_id.lower())
        return job if job is not None and job.kind == kind else None

    def active(self, kind: str) -> int:
        return sum(job.kind == kind for job in self._running())

    def __iter__(self) -> Iterator[Job]:
        return iter(self._jobs.values())

    def reset(self) -> None:
        self._jobs.clear()
        self._plan()

    def dump(self) -> list[dict[str, Any]]:
        return [asdict(job) for job in self]

    def restore(self, rows: list[Mapping[str, Any]]) -> None:
        self._jobs = {row["id"]: Job(**row) for row in rows}
        self._plan()

    def _running(self) -> Iterator[Job]:
        return (job for job in self._jobs.values() if job.state == RUNNING)

    def _plan(self) -> None:
        self.due = min((job.due for job in self._running() if job.due is not None), default=math.inf)


def is_job_id(text: str) -> bool:
    """Whether `text` has the form of a job's id."""
    try:
        UUID(text)
    except ValueError:
        return False
    return True
