"""Automation programs and who was enrolled on them, within Dotdigital's allowance of 20 calls an hour.

The allowance is that of the enrolment reference page, over all programs. Whether refused calls use it up is not
published; here every call that is not refused for the allowance itself does, over a rolling hour.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from testkit.sandbox.error_replies import v2_error

ALLOWANCE = 20
_HOUR = 3600
STATUSES = ("Draft", "Active", "Deactivated", "ReadOnly")


class Programs:
    """Programs by id, with their status and the ids of the contacts on them."""

    def __init__(self, configured: Mapping[int, str]) -> None:
        """Raises ValueError on an unknown status."""
        wrong = set(configured.values()) - set(STATUSES)
        if wrong:
            raise ValueError(f"the status of a program must be one of {', '.join(STATUSES)}, not {', '.join(sorted(wrong))}")
        self._configured = dict(configured)
        self._calls: deque[float] = deque()
        self.statuses: dict[int, str] = {}
        self.enrolled: dict[int, list[int]] = {}
        self.reset()

    def reset(self) -> None:
        self.statuses = dict(self._configured)
        self.enrolled = {}
        self._calls.clear()

    def call(self, now: float) -> None:
        """Count one enrolment call. Raises ApiError 400 ERROR_ENROLMENT_ALLOWANCE_EXCEEDED."""
        while self._calls and self._calls[0] <= now - _HOUR:
            self._calls.popleft()
        if len(self._calls) >= ALLOWANCE:
            raise v2_error(400, "Error: ERROR_ENROLMENT_ALLOWANCE_EXCEEDED")
        self._calls.append(now)

    def find(self, number: int) -> str:
        """The status of a program. Raises ApiError 404 ERROR_PROGRAM_NOT_FOUND."""
        status = self.statuses.get(number)
        if status is None:
            raise v2_error(404, "Error: ERROR_PROGRAM_NOT_FOUND")
        return status

    def enrol(self, number: int, contact_id: int) -> bool:
        """Put a contact on a program; False when it already is."""
        held = self.enrolled.setdefault(number, [])
        if contact_id in held:
            return False
        held.append(contact_id)
        return True

    def dump(self) -> dict[str, Any]:
        pairs = {name: list(held.items()) for name, held in (("statuses", self.statuses), ("enrolled", self.enrolled))}
        return {**pairs, "calls": list(self._calls)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self.statuses = self._configured | dict(state["statuses"])
        self.enrolled = dict(state["enrolled"])
        self._calls = deque(state["calls"])
