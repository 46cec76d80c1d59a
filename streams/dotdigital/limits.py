"""What a reply says of its tier's budget, in headers."""

import math
from collections.abc import Mapping

from streams.dotdigital.tiers import RateLimit

SCOPE = "X-RateLimit-Scope"


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """The tier's state, or None when the reply does not say when the budget returns.

    A reset is what counts: a reply that has no usable limit or number of calls left is taken for an exhausted tier.
    """
    reset = _number(headers, "X-RateLimit-Reset")
    if reset is None:
        return None
    limit, remaining = (_number(headers, f"X-RateLimit-{name}") or 0 for name in ("Limit", "Remaining"))
    return RateLimit(int(limit), int(remaining), reset)


def _number(headers: Mapping[str, str], name: str) -> float | None:
    try:
        number = float(headers[name])
    except (KeyError, ValueError):
        return None
    return number if math.isfinite(number) and number >= 0 else None
