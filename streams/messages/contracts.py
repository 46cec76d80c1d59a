"""What holds for one topic, and who takes part: the vocabulary of the protocol's table (:mod:`streams.messages.protocol`)."""

from collections.abc import Mapping as ReadOnly
from dataclasses import dataclass, field
from enum import StrEnum

from streams.messages.changes import ChangeKind


class Participant(StrEnum):
    """Who writes or reads a topic."""

    CONNECTOR = "connector"
    INGEST = "ingest"
    ORDERS = "orders"
    BUYERS = "buyers"
    CONTACTS = "contacts"
    PRODUCTS = "products"
    OUTBOX = "outbox"
    SENDERS = "senders"
    READBACK = "readback"
    BRAKE_CLOCK = "brake clock"
    RECONCILER = "reconciler"
    GUARD = "capture guard"
    OPERATOR = "operator"


AGENTS = (Participant.ORDERS, Participant.BUYERS, Participant.CONTACTS, Participant.PRODUCTS)
STAGES = (*AGENTS, Participant.OUTBOX)


@dataclass(frozen=True, slots=True)
class TopicContract:
    """What holds for one topic.

    Attributes:
        name: the field of :class:`~streams.messages.topics.Topics`, or for topics that have none a pattern.
        key: the Kafka key of a record.
        records: what a record's value is.
        producers: who appends to it.
        consumers: who reads it.
        config: the topic's configuration: retention, compaction, largest record.
        purpose: what it holds, in a few words, for ``owdd topics``.
        why: why it exists.
        partitioning: which partition a record goes to.
        kinds: of a topic between stages, every kind of change with those that emit it. ``owdd dlq retry`` besides puts back
            any record that the topic's stage set aside.
        kept_days: the days for which a record stays after it was appended, if it was read; unread ones stay. 0: Kafka deletes
            by ``config``.
    """

    name: str
    key: str
    records: str
    producers: tuple[Participant, ...]
    consumers: tuple[Participant, ...]
    config: ReadOnly[str, str]
    purpose: str
    why: str
    partitioning: str
    kinds: ReadOnly[ChangeKind, tuple[Participant, ...]] = field(default_factory=dict)
    kept_days: int = 0
