"""What is known of a metric before any process measures it: the one place from which prometheus-client's objects are made.

A definition is an attribute of a group (``flow_metrics.py`` and its neighbours). On the class it is the definition, from which
``docs/metrics.md`` is written; on an instance of :class:`streams.observability.metrics.Metrics` it is the metric.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar, Final, Generic, Literal, TypeAlias, TypeVar, overload

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

Unit: TypeAlias = Literal[
    "seconds",
    "bytes",
    "records",
    "changes",
    "documents",
    "deliveries",
    "removals",
    "rows",
    "calls",
    "contacts",
    "events",
    "flag",
    "differences",
]
"""What a value counts or measures; ``flag`` is 0 or 1, unless the meaning says otherwise."""

LABELS: Final = {
    "cause": "code or reason for which something is set aside, or the kind of removal",
    "class": "whose matter it is: `data`, `connectivity`, `configuration` or `waiting`",
    "code": "code of a failure: [dead letters](dead-letters.md), [Dotdigital](dotdigital-codes.md)",
    "connector": "the connector's name in Kafka Connect",
    "direction": "of opt-outs: `in` from Dotdigital, `out` to it",
    "endpoint": "Dotdigital's address, as `OWDD_DOTDIGITAL_URL` has it",
    "group": "consumer group: ingest, agents or dispatch of one application",
    "kind": "kind of record, document, delivery or removal, as the meaning says",
    "lane": "`urgent`, `live` or `bulk`",
    "listing": "listing of Dotdigital's contacts",
    "operation": "call of the Dotdigital client",
    "outcome": "how a delivery, or a correction of consent, ended",
    "partition": "partition of the topic",
    "part": "part of a worker, or of a connector",
    "reason": "why a call is repeated",
    "role": "`ingest`, `agents` or `dispatch`",
    "step": "`captured`, `ingested`, `joined`, `debounced`, `requested`: how far a change has come; `canary`",
    "digest": "digest of the mapping in force",
    "rule": "why an *in* is a conflict: `unsubscribed` in Dotdigital, `carried` from a former address, `created` so by us",
    "sign": "which heartbeat: `row` or `connector`",
    "stage": "stage of the pipeline",
    "state": "state of an import or a removal",
    "status": "HTTP status, or what kept an answer away",
    "table": "captured table, or table of state",
    "tier": "Dotdigital's class of calls",
    "topic": "Kafka topic",
    "what": "check of the capture guard",
    "word": "consent word of Orderwise",
}
"""Every label, and what its values are: names of ours, codes and topics, so their number is bounded and they name no person."""

M = TypeVar("M", Counter, Gauge, Histogram)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition(ABC, Generic[M]):
    """One metric.

    Attributes:
        name: as Prometheus sees it, with the unit and, of a counter, ``_total`` at the end.
        unit: of its values.
        labels: names of its labels, each one of :data:`LABELS`.
        meaning: what a value says.
        action: what to do when it is bad; "" where nothing follows from this metric alone.
        shared: every worker measures the same thing, at the broker: take the maximum over workers, not the sum.
    """

    name: str
    unit: Unit
    labels: tuple[str, ...] = ()
    meaning: str
    action: str = ""
    shared: bool = False

    type: ClassVar[str]

    @property
    def help(self) -> str:
        """What Prometheus shows beside it."""
        return f"{self.meaning} {self.action}".rstrip()

    @abstractmethod
    def create(self, registry: CollectorRegistry) -> M:
        """The metric itself, registered in ``registry``."""

    @overload
    def __get__(self, instance: None, owner: object) -> "Definition[M]": ...

    @overload
    def __get__(self, instance: object, owner: object) -> M: ...

    def __get__(self, instance: object, owner: object) -> "Definition[M] | M":
        # Of an instance only mypy asks this: the metric stands in its dictionary, which goes before.
        return self


@dataclass(frozen=True, slots=True, kw_only=True)
class GaugeOf(Definition[Gauge]):
    """A value that goes up and down."""

    type: ClassVar[str] = "gauge"

    def create(self, registry: CollectorRegistry) -> Gauge:
        """See the base class."""
        return Gauge(self.name, self.help, self.labels, registry=registry)


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterOf(Definition[Counter]):
    """What happened since the process began."""

    type: ClassVar[str] = "counter"

    def create(self, registry: CollectorRegistry) -> Counter:
        """See the base class."""
        return Counter(self.name, self.help, self.labels, registry=registry)


@dataclass(frozen=True, slots=True, kw_only=True)
class HistogramOf(Definition[Histogram]):
    """How values spread; ``buckets`` are upper limits."""

    buckets: tuple[float, ...]

    type: ClassVar[str] = "histogram"

    def create(self, registry: CollectorRegistry) -> Histogram:
        """See the base class."""
        return Histogram(self.name, self.help, self.labels, buckets=self.buckets, registry=registry)
