"""``python -m bench.unwatched run …``: a worker that measures nothing, to see what measuring costs.

No lag is asked for, nothing that is set aside is counted, no canary is sent; metrics are there and stay as they began.
"""

import asyncio
from typing import Any

from prometheus_client.metrics import Counter, Gauge, Histogram, MetricWrapperBase

from streams.cli import app
from streams.ingest.canary import Canary
from streams.ingest.captured_topics import CapturedTopicsWatch
from streams.observability.lag_probe import LagProbe
from streams.operations.set_aside_watch import SetAsideWatch


async def _never(_: object) -> None:
    await asyncio.Event().wait()


def _nothing(*_: Any, **__: Any) -> None:
    """Take a number, and keep it nowhere."""


def _itself(metric: MetricWrapperBase, *_: Any, **__: Any) -> MetricWrapperBase:
    return metric


if __name__ == "__main__":
    for watch in (LagProbe, SetAsideWatch, CapturedTopicsWatch, Canary):
        setattr(watch, "run", _never)  # noqa: B010 - mypy does not let a method be assigned to
    for metric, method in ((Counter, "inc"), (Gauge, "set"), (Gauge, "inc"), (Gauge, "dec"), (Histogram, "observe")):
        setattr(metric, method, _nothing)
    setattr(MetricWrapperBase, "labels", _itself)  # noqa: B010
    app()
