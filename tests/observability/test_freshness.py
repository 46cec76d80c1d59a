"""Ages of changes: what is measured, and which times are left out."""

import pytest

from streams.core.lanes import Lane
from streams.observability.freshness import age_seconds, observe_delivery, observe_step
from streams.observability.metrics import Metrics

NOW = 1_772_700_000_000
DAY = 86_400_000


@pytest.mark.parametrize(
    ("at", "age"),
    [
        (NOW - 1500, 1.5),
        (NOW, 0),
        (NOW + 59_000, 0),  # another machine's clock
        (NOW + 61_000, None),
        (NOW - 366 * DAY, 366 * 86_400),
        (NOW - 367 * DAY, None),
        (0, None),
        (None, None),
        (-1, None),  # Kafka's "no timestamp"
    ],
)
def test_a_time_that_means_nothing_has_no_age(at: int | None, age: float | None) -> None:
    assert age_seconds(at, NOW) == age


def test_steps_and_deliveries_are_timed_by_lane_and_nonsense_is_not_counted() -> None:
    metrics = Metrics()
    observe_step(metrics, "ingested", Lane.LIVE, NOW - 2000, NOW)
    observe_step(metrics, "ingested", Lane.LIVE, 0, NOW)
    observe_delivery(metrics, Lane.URGENT, NOW - 3000, NOW)
    observe_delivery(metrics, Lane.URGENT, NOW + DAY, NOW)

    def value(name: str, **labels: str) -> float | None:
        return metrics.registry.get_sample_value(name, labels)

    assert value("owdd_change_step_seconds_count", step="ingested", lane="live") == 1
    assert value("owdd_change_step_seconds_sum", step="ingested", lane="live") == 2
    assert value("owdd_change_to_delivery_seconds_count", lane="urgent") == 1
    assert value("owdd_change_to_delivery_seconds_sum", lane="urgent") == 3
