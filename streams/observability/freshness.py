"""How old a change is when a step is done with it, and which times say nothing."""

from typing import Final

from streams.core.lanes import Lane
from streams.observability.metrics import Metrics

_AHEAD_MS: Final = 60_000
"""Clocks of different machines may differ by so much; a time that is further ahead is none."""
_OLDEST_MS: Final = 366 * 86_400_000
"""A record that is older was not appended to be delivered soon: it is read again, by a rebuild."""


def age_seconds(at_ms: int | None, now_ms: int) -> float | None:
    """Seconds from ``at_ms`` to ``now_ms``; None where the time is nonsense: missing, far ahead, or years ago."""
    if not at_ms or not -_AHEAD_MS <= now_ms - at_ms <= _OLDEST_MS:
        return None
    return max(0, now_ms - at_ms) / 1000


def observe_step(metrics: Metrics, step: str, lane: int, began_ms: int | None, now_ms: int) -> None:
    """A change of that lane is through a step; one change of each batch is enough, so this costs nothing under load."""
    if (age := age_seconds(began_ms, now_ms)) is not None:
        metrics.change_step.labels(step, Lane(lane).name.lower()).observe(age)


def observe_delivery(metrics: Metrics, lane: int, caused_at: int, now_ms: int) -> None:
    """Dotdigital has taken a change that was appended to Kafka at ``caused_at`` (epoch ms)."""
    if (age := age_seconds(caused_at, now_ms)) is not None:
        metrics.latency.labels(Lane(lane).name.lower()).observe(age)
