"""Quantiles of a Prometheus histogram, as PromQL's ``histogram_quantile`` estimates them."""

import math
from collections.abc import Iterable


def quantile(share: float, buckets: Iterable[tuple[float, float]]) -> float | None:
    """The value below which ``share`` of the observations lie, interpolated within its bucket.

    Args:
        share: between 0 and 1.
        buckets: (upper bound, cumulative count) pairs, the last with bound infinity.

    Returns:
        None without observations; the highest finite bound when the quantile lies above it.
    """
    ordered = sorted(buckets)
    if not ordered or not ordered[-1][1]:
        return None
    wanted = share * ordered[-1][1]
    lower, below = 0.0, 0.0
    for bound, count in ordered:
        if count >= wanted:
            if math.isinf(bound) or count == below:
                return lower
            return lower + (bound - lower) * (wanted - below) / (count - below)
        lower, below = bound, count
    return lower
