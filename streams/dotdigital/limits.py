"""The rate-limit headers of a response: the state of one tier's budget."""

import math
from collections.abc import Mapping

from streams.dotdigital.tiers import RateLimit

SCOPE = "X-RateLimit-Scope"


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """The tier's state, or None if a header is missing: half a state cannot be used."""
    limit, remaining = (_number(headers, f"X-RateLimit-{name}") for name in ("Limit", "Remaining"))
    reset = reset_at(headers)
    return None if limit is None or remaining is None or reset is None else RateLimit(int(limit), int(remaining), reset)


def reset_at(headers: Mapping[str, str]) -> float | None:
    """The time at which the budget is renewed (UTC epoch seconds); Dotdigital documents no ``Retry-After``."""
    return _number(headers, "X-RateLimit-Reset")


def _number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        number = float(headers[name])
    except (KeyError, ValueError):
        return None
    return number if math.isfinite(number) and number >= 0 else None
