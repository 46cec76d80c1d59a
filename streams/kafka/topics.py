"""Every topic of the product: its name, purpose and retention.

Topics are created from here by ``owdd topics apply`` and never by a worker, so that partitions, compaction and retention
are explicit. All topics of one application have the same partition count: partition N of every one belongs to one worker.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from streams.kafka.capture_topics import CaptureNames
from streams.mapping import Mapping
from streams.settings import Settings, SourceKind

_DAY = 86_400_000
_LARGEST = str(4 * 2**20)

LARGEST_CAPTURED = 16 * 2**20
"""Bytes of the largest record that the connector may write."""

CHANGE_TOPIC = {"cleanup.policy": "delete", "retention.ms": str(7 * _DAY)}
"""How a topic is kept that holds no rows, only news."""


@dataclass(frozen=True, slots=True)
class Topics:
    """Names of one application's topics."""

    orders: str
    buyers: str
    contacts: str
    products: str
    desired: str
    deliveries: str
    parked: str
    dead_letters: str
    retries: str
    erasures: str
    audit: str

    @property
    def between_stages(self) -> tuple[str, ...]:
        """Those that carry packed changes from one stage to the next."""
        return self.orders, self.buyers, self.contacts, self.products, self.desired

    @classmethod
    def of(cls, app_id: str) -> "Topics":
        """The names for an application id."""
        return cls(
            orders=f"{app_id}.order-changes",
            buyers=f"{app_id}.buyer-changes",
            contacts=f"{app_id}.contact-changes",
            products=f"{app_id}.product-changes",
            desired=f"{app_id}.desired",
            deliveries=f"{app_id}.deliveries",
            parked=f"{app_id}.parked-deliveries",
            dead_letters=f"{app_id}.dead-letters",
            retries=f"{app_id}.retries",
            erasures=f"{app_id}.erasures",
            audit=f"{app_id}.audit",
        )


@dataclass(frozen=True, slots=True)
class TopicSpec:
    """A topic as it should be."""

    name: str
    partitions: int
    replication: int
    purpose: str
    config: dict[str, str] = field(default_factory=dict)


def agents_app(settings: Settings) -> str:
    """The Faust application id of the agents; also their consumer group."""
    return f"{settings.app_id}-agents-v{settings.app_version}"


def dispatch_app(settings: Settings) -> str:
    """The Faust application id of dispatch; also its consumer group."""
    return f"{settings.app_id}-dispatch-v{settings.app_version}"


def ingest_group(settings: Settings) -> str:
    """The consumer group of ingest."""
    return f"{settings.app_id}-ingest-v{settings.app_version}"


def tables(settings: Settings) -> dict[str, str]:
    """Changelog topic of every table, by table name (Faust's naming: ``<app id>-<table>-changelog``)."""
    agents, dispatch = agents_app(settings), dispatch_app(settings)
    owner = {"orders": agents, "buyers": agents, "contacts": agents, "products": agents, "outbox": dispatch}
    return {table: f"{app}-{table}-changelog" for table, app in owner.items()}


def captured(mapping: Mapping) -> list[str]:
    """The captured topics that ingest reads."""
    return [mapping.topic(table) for table in mapping.tables]


def ingested(settings: Settings, mapping: Mapping) -> list[str]:
    """The topics that ingest reads: the captured ones, and what is to be read again."""
    return [*captured(mapping), Topics.of(settings.app_id).retries]


def capture_specs(settings: Settings, mapping: Mapping, kind: SourceKind = "sqlserver") -> Iterator[TopicSpec]:
    """The topics of capture, those that ingest reads first. The connector's ``topic.creation`` is made from them too."""
    names, week = CaptureNames.of(mapping, kind), str(7 * _DAY)
    # A consumer that lags must still see a reference change and a delete, so compaction waits for a week.
    rows = {
        "cleanup.policy": "compact",
        "min.compaction.lag.ms": week,
        "delete.retention.ms": week,
        "max.message.bytes": str(LARGEST_CAPTURED),
    }
    for topic in captured(mapping):
        yield TopicSpec(topic, settings.partitions, settings.replication, "captured rows, keyed by primary key", rows)
    passing = {
        names.heartbeat_rows: "the database's heartbeat, through its change log",
        names.heartbeats: "the connector's heartbeat",
        names.schema_changes: "changed tables",
        names.notifications: "the connector's notifications",
        names.signals: "signals to the connector",
    }
    for topic, purpose in passing.items():
        yield TopicSpec(topic, 1, settings.replication, purpose, CHANGE_TOPIC)
    # Lost or shortened, the connector cannot start: one partition, kept for ever.
    forever = {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
    yield TopicSpec(names.history, 1, settings.replication, "the connector's schema history", forever)


def specs(settings: Settings, mapping: Mapping) -> Iterator[TopicSpec]:
    """Every topic that must exist."""

    def spec(name: str, purpose: str, **config: str) -> TopicSpec:
        named = {key.replace("_", "."): value for key, value in config.items()}
        return TopicSpec(name, settings.partitions, settings.replication, purpose, named)

    yield from capture_specs(settings, mapping, settings.source_kind)
    week, month, years = str(7 * _DAY), str(30 * _DAY), str(5 * 365 * _DAY)
    names = Topics.of(settings.app_id)
    passing = {
        names.orders: "order rows by order",
        names.buyers: "customers, contacts and order facts by buyer",
        names.contacts: "buyers' projections by e-mail",
        names.products: "products, variants, prices and stock by variant",
        names.desired: "desired contacts, records and follow-ups by e-mail; catalogue records by variant",
    }
    for topic, purpose in passing.items():
        yield spec(topic, purpose, cleanup_policy="delete", retention_ms=week, max_message_bytes=_LARGEST)
    yield spec(names.deliveries, "deliveries and their results", cleanup_policy="delete", retention_ms=month)
    yield spec(names.parked, "parked deliveries", cleanup_policy="delete", retention_ms=month)
    yield spec(names.erasures, "erased addresses, by keyed digest", cleanup_policy="compact")
    yield spec(names.audit, "actions of operators, and results of erasures", cleanup_policy="delete", retention_ms=years)
    # As large as a captured record may be, for they hold such records whole.
    whole = {"cleanup_policy": "delete", "max_message_bytes": str(LARGEST_CAPTURED)}
    yield spec(names.retries, "captured records to be read again after a repair", retention_ms=week, **whole)
    yield spec(names.dead_letters, "records that cannot be processed, with code and coordinates", retention_ms=month, **whole)
    for table, changelog in tables(settings).items():
        # Compact only: Faust's recovery stalls on changelogs that also delete (faust issue 176). Within a week at the latest:
        # until then the log still names whoever was erased from the row.
        compacted = {"cleanup_policy": "compact", "max_compaction_lag_ms": week}
        yield spec(changelog, f"changelog of table {table}", max_message_bytes=_LARGEST, **compacted)
