"""Makes the sandbox misbehave on purpose, reproducibly.

Faults come from three places: switches that hold until they are turned off (`unauthorized`, `wrong_region`,
`outage`), a queue (`next`) whose entries hit the following calls one by one, and rates drawn from a generator with
a known seed. At most one fault hits a call. The names are those of `RATES`; each says what the client sees.
"""

from __future__ import annotations

import math
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields

from starlette.responses import Response

from streams.sandbox.config import Clock, utc_now
from streams.sandbox.errors import is_v2, json_response, v2_error, v3_error

LOST_REPLY = "lost_reply"
HANG = "hang"

RATES = (LOST_REPLY, "http_500", "http_503", "http_429", "flat_limit_400", "bad_gateway_html", HANG)
"""`lost_reply` and `hang` hit after the call took effect; the others refuse it before it does."""

SWITCHES = ("unauthorized", "wrong_region", "outage")

_BAD_GATEWAY = b"<html><head><title>502 Bad Gateway</title></head><body><h1>502 Bad Gateway</h1></body></html>"


@dataclass(slots=True)
class FaultSettings:
    """What is switched on. Rates are shares of calls, 0 to 1, and may not add up to more than 1."""

    lost_reply: float = 0.0
    http_500: float = 0.0
    http_503: float = 0.0
    http_429: float = 0.0
    flat_limit_400: float = 0.0
    bad_gateway_html: float = 0.0
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

    def __init__(self, seed: int, clock: Clock = utc_now) -> None:
        self._clock = clock
        self._first_seed = seed
        self.settings = FaultSettings()
        self._seed = seed
        self._random = random.Random(seed)
        self._next: deque[str] = deque()
        self.quiet = True

    def reset(self) -> None:
        """Everything off, and the generator back at its configured seed."""
        self.settings = FaultSettings()
        self._next.clear()
        self._reseed(self._first_seed)
        self.quiet = True

    def show(self) -> dict[str, object]:
        return asdict(self.settings) | {"seed": self._seed, "next": list(self._next)}

    def update(self, changes: Mapping[str, object]) -> None:
        """Apply `changes` over the present settings; `seed` restarts the generator, `next` exchanges the queue.

        Raises ValueError, with nothing changed, on an unknown name, a value out of range or rates above 1 in sum.
        """
        settings = FaultSettings(**asdict(self.settings))
        queue, seed = None, None
        for name, value in changes.items():
            if name == "next":
                queue = _queue(value)
            elif name == "seed":
                if not isinstance(value, int) or isinstance(value, bool):
                    raise ValueError("seed must be an integer")
                seed = value
            elif name in SWITCHES:
                if not isinstance(value, bool):
                    raise ValueError(f"{name} must be true or false")
                setattr(settings, name, value)
            elif name in _NUMBERS:
                setattr(settings, name, _number(name, value))
            else:
                raise ValueError(f"{name} is not a fault; known are {', '.join((*_NUMBERS, *SWITCHES, 'seed', 'next'))}")
        if HANG not in changes and "hang_seconds" in changes:
            settings.hang = 1.0 if settings.hang_seconds else 0.0
        if sum(getattr(settings, name) for name in RATES) > 1 + 1e-9:
            raise ValueError("the rates add up to more than 1")
        self.settings = settings
        if queue is not None:
            self._next = queue
        if seed is not None:
            self._reseed(seed)
        self.quiet = settings == _DEFAULTS and not self._next

    def _reseed(self, seed: int) -> None:
        self._seed = seed
        self._random = random.Random(seed)

    def draw(self) -> str | None:
        """The fault that hits the next call, taken from the queue before the rates."""
        if self._next:
            name = self._next.popleft()
            return None if name == "none" else name
        point = self._random.random()
        for name in RATES:
            point -= getattr(self.settings, name)
            if point < 0:
                return name
        return None

    def delay(self) -> float:
        """Seconds to wait before the call is looked at."""
        settings = self.settings
        jitter = self._random.uniform(0, settings.latency_jitter_ms) if settings.latency_jitter_ms else 0.0
        return (settings.latency_ms + jitter) / 1000

    def refusal(self, name: str, path: str) -> Response:
        """The reply of a fault that refuses the call."""
        if name == "http_429":
            # A throttled call is told apart from a full job queue by having no errorCode.
            return json_response({"message": "Too many requests."}, 429, self._limit_headers())
        if name == "flat_limit_400":
            # The deprecated hourly limit answers in the v2 shape, and with 400.
            text = "Your account has generated excess API activity and is being temporarily capped. "
            return json_response({"message": f"{text}ERROR_APIUSAGE_EXCEEDED"}, 400)
        if name == "bad_gateway_html":
            return Response(_BAD_GATEWAY, 502, media_type="text/html; charset=utf-8")
        if name == "http_503":
            return _failure(503, path, "ERROR_SYSTEM_SERVICETEMPORARILYUNAVAILABLE", "server:unavailable")
        return _failure(500, path, "ERROR_UNKNOWN", "server:error")

    def _limit_headers(self) -> dict[str, str]:
        return {
            "X-RateLimit-Limit": "150",
            "X-RateLimit-Remaining": "0",
            "X-RateLimit-Reset": str(math.ceil(self._clock().timestamp() + self.settings.reset_seconds)),
            "X-RateLimit-Scope": "lowCallRate",
        }


_NUMBERS = tuple(known.name for known in fields(FaultSettings) if known.name not in SWITCHES)


def _number(name: str, value: object) -> float:
    most = 1.0 if name in RATES else 3600_000.0
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= most:
        raise ValueError(f"{name} must be a number from 0 to {most:g}")
    return float(value)


def _queue(value: object) -> deque[str]:
    if not isinstance(value, list) or any(name not in (*RATES, "none") for name in value):
        raise ValueError(f"next must be an array of {', '.join((*RATES, 'none'))}")
    return deque(value)


def _failure(status: int, path: str, v2_code: str, v3_code: str) -> Response:
    text = "The service failed to answer."
    error = v2_error(status, f"{text} {v2_code}") if is_v2(path) else v3_error(status, v3_code, text)
    return json_response(error.body, error.status)


def wrong_region() -> Response:
    """The 403 of a host that does not serve the account."""
    return json_response({"message": "Forbidden - access is denied"}, 403)
