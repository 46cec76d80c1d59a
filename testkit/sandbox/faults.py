"""Makes the sandbox misbehave on purpose, reproducibly.

Faults come from three places: switches that hold until they are turned off (`unauthorized`, `wrong_region`,
`outage`), a queue (`next`) whose entries hit the following calls one by one, and rates drawn from a generator with
a known seed. At most one fault hits a call. The names are those of `RATES`; each says what the client sees.

Imports have faults of their own (`IMPORT_RATES`), with a queue (`next_import`) and a generator of their own, drawn when
an import is accepted: the same imports meet the same faults however many other calls come between them.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from types import MappingProxyType

from starlette.responses import Response

from testkit.sandbox import refusals
from testkit.sandbox.calls import HIGH, tier_of
from testkit.sandbox.config import Clock, utc_now
from testkit.sandbox.limits import rate_headers

LOST_REPLY = "lost_reply"
HANG = "hang"

CASING = "casing"
EXTRA_MEMBERS = "extra_members"

AFTERWARDS = (LOST_REPLY, HANG, CASING, EXTRA_MEMBERS)
"""Faults of the reply: the call has taken effect. The others refuse it before it does."""

RATES = (
    LOST_REPLY,
    "http_500",
    "http_503",
    "http_429",
    "flat_limit_400",
    "bad_gateway_html",
    HANG,
    "http_401",
    "http_403",
    CASING,
    EXTRA_MEMBERS,
)

IMPORT_RATES = ("import_stuck", "import_failed", "import_rejected", "import_partial", "report_partial")
"""Never done until released; ended as Failed; ended by the watchdog; every second row refused; report cut in half."""

SWITCHES = ("unauthorized", "wrong_region", "outage")


@dataclass(slots=True)
class FaultSettings:
    """What is switched on. Rates are shares of calls or of imports, 0 to 1; neither may add up to more than 1."""

    lost_reply: float = 0.0
    http_500: float = 0.0
    http_503: float = 0.0
    http_429: float = 0.0
    flat_limit_400: float = 0.0
    bad_gateway_html: float = 0.0
    http_401: float = 0.0
    http_403: float = 0.0
    casing: float = 0.0
    extra_members: float = 0.0
    import_stuck: float = 0.0
    import_failed: float = 0.0
    import_rejected: float = 0.0
    import_partial: float = 0.0
    report_partial: float = 0.0
    hang: float = 0.0
    hang_seconds: float = 0.0
    """How long a hanging reply is held back. Set without a `hang` rate it hits every call, or none when 0."""
    reset_seconds: float = 3.0
    """How far ahead `X-RateLimit-Reset` of a 429 lies."""
    latency_ms: float = 0.0
    latency_jitter_ms: float = 0.0
    """Added to the fixed latency, evenly from 0 up to this."""
    unauthorized: bool = False
    wrong_region: bool = False
    outage: bool = False


_DEFAULTS = FaultSettings()


class Faults:
    """The switches and the generator behind them."""

    def __init__(self, seed: int, clock: Clock = utc_now, first: Mapping[str, object] = MappingProxyType({})) -> None:
        """`first` is in force from the start, and again after a reset. Raises ValueError as `update` does."""
        self._clock = clock
        self._first_seed = seed
        self._first = dict(first)
        self.reset()

    def reset(self) -> None:
        """Back to the configured faults and seed."""
        self.settings = FaultSettings()
        self._next: deque[str] = deque()
        self._next_import: deque[str] = deque()
        self._reseed(self._first_seed)
        self.quiet = True
        self.update(self._first)

    def show(self) -> dict[str, object]:
        queues = {"next": list(self._next), "next_import": list(self._next_import)}
        return asdict(self.settings) | {"seed": self._seed} | queues

    def update(self, changes: Mapping[str, object]) -> None:
        """Apply `changes` over the present settings.

        `seed` restarts the generators; `next` and `next_import` exchange their queues and take names, "none" and
        `{"fault": name, "times": n}`. Raises ValueError, with nothing changed, on an unknown name, a value out of range
        or rates above 1 in sum.
        """
        settings = FaultSettings(**asdict(self.settings))
        queue, imports, seed = None, None, None
        for name, value in changes.items():
            if name == "next":
                queue = _queue(name, value, RATES)
            elif name == "next_import":
                imports = _queue(name, value, IMPORT_RATES)
            elif name == "seed":
                seed = _seed(value)
            else:
                setattr(settings, name, _setting(name, value))
        if HANG not in changes and "hang_seconds" in changes:
            settings.hang = 1.0 if settings.hang_seconds else 0.0
        if any(sum(getattr(settings, name) for name in rates) > 1 + 1e-9 for rates in (RATES, IMPORT_RATES)):
            raise ValueError("the rates add up to more than 1")
        self.settings = settings
        if queue is not None:
            self._next = queue
        if imports is not None:
            self._next_import = imports
        if seed is not None:
            self._reseed(seed)
        self.quiet = settings == _DEFAULTS and not self._next

    def _reseed(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)
        self._import_random = random.Random(f"{seed}:imports")

    def draw(self) -> str | None:
        """The fault that hits the next call, taken from the queue before the rates."""
        return self._draw(self._next, RATES, self._random)

    def draw_import(self) -> str | None:
        """The fault that hits the import being accepted, taken from its queue before the rates."""
        return self._draw(self._next_import, IMPORT_RATES, self._import_random)

    def _draw(self, queue: deque[str], rates: tuple[str, ...], generator: random.Random) -> str | None:
        if queue:
            name = queue.popleft()
            return None if name == "none" else name
        point = generator.random()
        for name in rates:
            point -= getattr(self.settings, name)
            if point < 0:
                return name
        return None

    def delay(self) -> float:
        """Seconds to wait before the call is looked at."""
        settings = self.settings
        jitter = self._random.uniform(0, settings.latency_jitter_ms) if settings.latency_jitter_ms else 0.0
        return (settings.latency_ms + jitter) / 1000

    def refusal(self, name: str, method: str, path: str) -> Response:
        """The reply of a fault that refuses the call; a 429 speaks of the call's own tier."""
        if name == "http_429":
            reset = math.ceil(self._clock().timestamp() + self.settings.reset_seconds)
            return refusals.throttled(rate_headers(_SHOWN_LIMIT, 0, reset, tier_of(method, path) or HIGH))
        if name in _STATUSES:
            return refusals.failed(_STATUSES[name], path)
        if name == "http_401":
            return refusals.unauthorized(path)
        return _REFUSALS[name]()


_SHOWN_LIMIT = 6000
"""The budget that a made-up 429 speaks of: so large that whoever believes it is not held up by it."""

_STATUSES = {"http_500": 500, "http_503": 503}
_REFUSALS = {
    "flat_limit_400": refusals.capped,
    "bad_gateway_html": refusals.bad_gateway,
    "http_403": refusals.wrong_region,
}
_NUMBERS = tuple(known.name for known in fields(FaultSettings) if known.name not in SWITCHES)
_KNOWN = (*_NUMBERS, *SWITCHES, "seed", "next", "next_import")
_LONGEST = 100_000


def _seed(value: object) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    raise ValueError("seed must be an integer")


def _setting(name: str, value: object) -> bool | float:
    if name in SWITCHES:
        if not isinstance(value, bool):
            raise ValueError(f"{name} must be true or false")
        return value
    if name in _NUMBERS:
        return _number(name, value)
    raise ValueError(f"{name} is not a fault; known are {', '.join(_KNOWN)}")


def _number(name: str, value: object) -> float:
    most = 1.0 if name in (*RATES, *IMPORT_RATES) else 3600_000.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(f"{name} must be a number from 0 to {most:g}")
    return float(value)


def _queue(name: str, value: object, known: tuple[str, ...]) -> deque[str]:
    names: deque[str] = deque()
    for entry in value if isinstance(value, list) else (None,):
        members = entry if isinstance(entry, dict) else {"fault": entry}
        fault, times = members.get("fault"), members.get("times", 1)
        if fault not in (*known, "none") or not isinstance(times, int) or not 1 <= times <= _LONGEST:
            raise ValueError(f"{name} must be an array of {', '.join((*known, 'none'))}, or of those with their times")
        names.extend([fault] * times)
    return names
