"""The account's API budgets: tiers per minute, or the deprecated flat limit per hour.

Budgets, headers and the 429 are those of Dotdigital's rate-limit page; the numbers are the account's own. Minutes
begin on the clock's full minute, which the published material leaves open. With no budget configured nothing is
counted and no header is sent, so that the sandbox is as fast as it can be.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.responses import Response

from testkit.sandbox import refusals
from testkit.sandbox.calls import TIERS, tier_of

_MINUTE = 60
_HOUR = 3600
_FLAT = "flat"


class Verdict(NamedTuple):
    """What the budgets say about one call: headers for its reply, and the reply when it is refused."""

    headers: Mapping[str, str]
    refusal: Response | None


_UNCOUNTED = Verdict({}, None)


class Limits:
    """Counts calls. `tiers` maps X-RateLimit-Scope names to calls a minute, `flat` is calls an hour or None."""

    def __init__(self, tiers: Mapping[str, int], flat: int | None) -> None:
        """Raises ValueError on an unknown tier or a budget below one call."""
        self._configured = {**dict(tiers), _FLAT: flat}
        self.tiers: dict[str, int] = {}
        self.flat: int | None = None
        self._used: dict[str, tuple[int, int]] = {}
        self._hour: deque[float] = deque()
        self.reset()

    @property
    def active(self) -> bool:
        return bool(self.tiers) or self.flat is not None

    def reset(self) -> None:
        """Back to the configured budgets, none of it used."""
        self._used.clear()
        self._hour.clear()
        self.tiers, self.flat = {}, None
        self.update({name: value for name, value in self._configured.items() if value is not None})

    def update(self, changes: Mapping[str, object]) -> None:
        """Set budgets by tier name, or `flat`; null lifts one. Raises ValueError with nothing changed."""
        for name, value in changes.items():
            if name not in (*TIERS, _FLAT):
                raise ValueError(f"{name} is not a budget; known are {', '.join((*TIERS, _FLAT))}")
            if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
                raise ValueError(f"{name} must be a whole number of calls, or null")
        chosen: dict[str, Any] = {**self.tiers, _FLAT: self.flat, **changes}
        self.flat = chosen.pop(_FLAT)
        self.tiers = {name: budget for name, budget in chosen.items() if budget is not None}

    def take(self, method: str, path: str, at: float) -> Verdict:
        """Count one call at epoch second `at`."""
        if self.flat is not None:
            if self._flat_used(at) >= self.flat:
                return Verdict({}, refusals.capped())
            self._hour.append(at)
        tier = tier_of(method, path)
        return _UNCOUNTED if tier is None or tier not in self.tiers else self._spend(tier, at)

    def consume(self, tier: str, calls: int, at: float) -> None:
        """Use up calls as another system of the same account would. Raises ValueError on a tier without a budget."""
        if tier not in self.tiers:
            raise ValueError(f"{tier} has no budget; give it one first")
        minute, used = self._window(tier, at)
        self._used[tier] = (minute, min(self.tiers[tier], used + calls))

    def show(self, at: float) -> dict[str, object]:
        """`{tiers: {name: {limit, used}}, flat: {limit, used} | null}`."""
        tiers = {name: {"limit": budget, "used": self._window(name, at)[1]} for name, budget in self.tiers.items()}
        flat = None if self.flat is None else {"limit": self.flat, "used": self._flat_used(at)}
        return {"tiers": tiers, "flat": flat}

    def dump(self) -> dict[str, Any]:
        """What is used, for a later `restore`."""
        return {"used": self._used, "hour": list(self._hour)}

    def restore(self, state: Mapping[str, Any]) -> None:
        self._used = {tier: (minute, used) for tier, (minute, used) in state["used"].items()}
        self._hour = deque(state["hour"])

    def _spend(self, tier: str, at: float) -> Verdict:
        budget = self.tiers[tier]
        minute, used = self._window(tier, at)
        refused = used >= budget
        used = min(used + 1, budget)
        self._used[tier] = (minute, used)
        headers = rate_headers(budget, budget - used, (minute + 1) * _MINUTE, tier)
        return Verdict(headers, refusals.throttled(headers) if refused else None)

    def _window(self, tier: str, at: float) -> tuple[int, int]:
        """The present minute and what is used of it."""
        now = int(at) // _MINUTE
        minute, used = self._used.get(tier, (now, 0))
        return (now, used if minute == now else 0)

    def _flat_used(self, at: float) -> int:
        while self._hour and self._hour[0] <= at - _HOUR:
            self._hour.popleft()
        return len(self._hour)


def rate_headers(limit: int, remaining: int, reset: int, scope: str) -> dict[str, str]:
    """The four headers of a tier; `reset` in UTC epoch seconds. There is no Retry-After."""
    return {
        "X-RateLimit-Limit": str(limit),
        "X-RateLimit-Remaining": str(remaining),
        "X-RateLimit-Reset": str(reset),
        "X-RateLimit-Scope": scope,
    }
