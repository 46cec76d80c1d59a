"""The metrics of a worker, in one registry: everything that the groups define.

Labels never contain personal data: topics, lanes, codes and table names only.
"""

from collections.abc import Iterator
from importlib.metadata import version
from typing import Any, Final

from prometheus_client import CollectorRegistry, Info, ProcessCollector

from streams.observability.capture_metrics import CaptureMetrics
from streams.observability.definitions import Definition
from streams.observability.delivery_metrics import DeliveryMetrics, DotdigitalMetrics, DriftMetrics
from streams.observability.flow_metrics import FlowMetrics, WorkerMetrics
from streams.observability.state_metrics import SetAsideMetrics, StateMetrics


def definitions(group: type) -> Iterator[tuple[str, Definition[Any]]]:
    """The metrics of a group by attribute, in the order in which they are written down."""
    return ((name, value) for name, value in vars(group).items() if isinstance(value, Definition))


class Metrics(
    FlowMetrics, WorkerMetrics, CaptureMetrics, StateMetrics, SetAsideMetrics, DeliveryMetrics, DriftMetrics, DotdigitalMetrics
):
    """The metrics of one process, made from the definitions of its bases."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        Info("owdd_build", "The version that runs.", registry=self.registry).info({"version": version("owdd")})
        for group in GROUPS:
            for attribute, definition in definitions(group):
                vars(self)[attribute] = definition.create(self.registry)


GROUPS: Final = Metrics.__bases__
"""In the order of their documentation; each is named by its docstring."""
