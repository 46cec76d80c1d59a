"""What a dashboard is before it is Grafana's: rows of panels, and the expressions that they show."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Literal

from streams.observability.metrics import GROUPS, definitions

_LABELS: Final = {metric.name: metric.labels for group in GROUPS for _, metric in definitions(group)}
VARIABLES: Final = {
    "environment": "owdd_role",
    "instance": "owdd_role",
    "group": "owdd_consumer_lag_records",
    "topic": "owdd_consumer_lag_records",
}
"""The variables of every board, each with the metric that knows its values. A selector names those that a metric has."""

_SELECTOR: Final = re.compile(
    r"\b(?P<name>up|(?:owdd|process|debezium|kafka_(?:server|controller|connect|request))_\w+)(?:\{(?P<given>[^}]*)\})?"
)
_OF_HISTOGRAM: Final = re.compile(r"_(bucket|count|sum)$")


@dataclass(frozen=True, slots=True)
class Query:
    """One expression, without the selectors of the variables, and the legend of its series."""

    expression: str
    legend: str

    def narrowed(self) -> str:
        """The expression with the selectors of the variables."""
        return _SELECTOR.sub(_narrowed, self.expression)


def _narrowed(found: re.Match[str]) -> str:
    name, given = found["name"], found["given"]
    # Connect and Kafka are other instances than the workers.
    own = ("environment",) if name.startswith(("debezium", "kafka")) else ("environment", "instance")
    labels = (*own, *_LABELS.get(_OF_HISTOGRAM.sub("", name), ()))
    selectors = [given] if given else []
    selectors += [f'{label}=~"${label}"' for label in VARIABLES if label in labels]
    return f"{name}{{{', '.join(selectors)}}}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One panel.

    Attributes:
        title: distinct in its board.
        description: what it shows, and then what to do.
        unit: Grafana's name of the unit.
        queries: expressions with their legends.
        kind: how it is drawn.
        width: of 24 columns.
        limits: values from which it is red, or orange and red.
        low_is_bad: it is red below its only limit.
        alert: the alert whose runbook is linked.
    """

    title: str
    description: str
    unit: str
    queries: tuple[Query, ...]
    kind: Literal["timeseries", "stat"] = "timeseries"
    width: int = 8
    limits: tuple[float, ...] = ()
    low_is_bad: bool = False
    alert: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """Panels under one question."""

    title: str
    panels: tuple[Panel, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """One dashboard; ``uid`` is also the name of its file."""

    uid: str
    title: str
    description: str
    rows: tuple[Row, ...]

    @property
    def panels(self) -> Iterator[Panel]:
        """All panels."""
        return (panel for row in self.rows for panel in row.panels)


def rise(counter: str, *labels: str) -> str:
    """How much a counter rose in the last hour; 0 where nothing ever happened."""
    return f"sum by ({', '.join(labels)}) (increase({counter}[1h])) or vector(0)"


def rate(counter: str, *labels: str) -> str:
    """How much a counter rises a second."""
    return f"sum by ({', '.join(labels)}) (rate({counter}[$__rate_interval]))"


def quantile(share: float, histogram: str, *labels: str) -> str:
    """The value below which a share of what was observed lies."""
    return f"histogram_quantile({share}, sum by ({', '.join((*labels, 'le'))}) (rate({histogram}_bucket[$__rate_interval])))"


def records_behind(*labels: str) -> str:
    """Records not processed: every worker measures them, so the largest of their answers counts."""
    return f"sum by ({', '.join(labels)}) (max by (group, topic, partition) (owdd_consumer_lag_records))"


def set_aside(kind: str, *labels: str) -> str:
    """What is set aside of one kind, as every worker measures it; 0 where there is none."""
    return f'sum by ({", ".join(labels)}) (max by (cause, class) (owdd_set_aside{{kind="{kind}"}})) or vector(0)'
