"""Rows of a snapshot that rank below what is stored are counted by themselves, for they are the sign of an alarm."""

import pytest
from msgspec.structs import replace

from streams.core.lanes import Lane
from streams.observability.metrics import Metrics
from tests.agents.pipeline import ANN, Pipeline, Step, customer, header, status, total

FIRST = header(10, at=5) + total(10, at=5) + status(1, "new", at=5) + customer(1, ANN, at=5)
AGAIN = header(10, at=4) + total(10, "9", at=4) + status(1, "old", at=4) + customer(1, at=4)


def stale(metrics: Metrics, name: str) -> dict[str, float]:
    return {stage: metrics.registry.get_sample_value(name, {"stage": stage}) or 0 for stage in ("orders", "buyers", "contacts")}


def read_by_a_snapshot(step: Step) -> Step:
    return [(topic, replace(change, lane=Lane.BULK)) for topic, change in step]


@pytest.mark.parametrize("snapshot", [True, False])
def test_older_rows_of_a_snapshot_are_counted_as_such(snapshot: bool) -> None:
    pipeline = Pipeline().pump(read_by_a_snapshot(FIRST)).pump(read_by_a_snapshot(AGAIN) if snapshot else AGAIN)
    assert stale(pipeline.metrics, "owdd_stale_changes_total") == {"orders": 3, "buyers": 1, "contacts": 0}
    of_snapshots = {"orders": 3, "buyers": 1, "contacts": 0} if snapshot else dict.fromkeys(("orders", "buyers", "contacts"), 0)
    assert stale(pipeline.metrics, "owdd_stale_snapshot_rows_total") == of_snapshots
