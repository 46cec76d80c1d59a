"""The protocol: every topic of the product, who writes and reads it, how it is kept, and why it exists.

``owdd topics apply`` creates topics from this table, ``docs/architecture.md`` is written from it, and ``tests/protocol``
sees that every kind of change named here is emitted, by those named here, and no other.
"""

from collections.abc import Iterator
from collections.abc import Mapping as ReadOnly
from typing import Final

from streams.kafka.topics import (
    DAY_MS,
    KEPT_FOR_EVER,
    LARGEST_CAPTURED,
    TopicSpec,
    accepted,
    capture_specs,
    captured,
    tables,
)
from streams.mapping import Mapping
from streams.messages.changes import ChangeKind
from streams.messages.contracts import AGENTS, STAGES, Participant, TopicContract
from streams.messages.topics import Topics
from streams.settings import Settings

_LARGEST = str(4 * 2**20)
_WEEK, _MONTH = str(7 * DAY_MS), str(30 * DAY_MS)
_HOUR = str(3_600_000)
"""Closes the segment of a topic that is written every second: the one that is written to is never compacted."""
BROKERS_TIME: Final = {"message.timestamp.type": "LogAppendTime"}
"""Records of ours carry the time of the broker: it refuses those of a worker whose clock is an hour ahead."""
_UNTIL_READ = BROKERS_TIME | {"cleanup.policy": "delete", "retention.ms": "-1", "retention.bytes": "-1"}
"""How a topic is kept whose records nothing else can replace: its reader deletes what is read and old."""
_BETWEEN_STAGES = _UNTIL_READ | {"max.message.bytes": _LARGEST}
_KEPT_DAYS = 7
_RESULTS_KEPT_DAYS = 90
_WHOLE_RECORDS = BROKERS_TIME | {"cleanup.policy": "delete", "max.message.bytes": str(LARGEST_CAPTURED)}
"""As large as a captured record may be, for they hold such records whole."""
CHANGELOG: Final = BROKERS_TIME | {
    "cleanup.policy": "compact",
    "min.compaction.lag.ms": str(3_600_000),
    "max.compaction.lag.ms": _WEEK,
    "delete.retention.ms": _WEEK,
    "max.message.bytes": _LARGEST,
}
"""Compacted within a week at the latest: until then the log still names erased persons. Not within the hour: a row that an
outdated worker appended must not push out the row that supersedes it before somebody has seen it. Tombstones stay for a
week, so that a state that is some days old need not be read anew."""


_BARRIERS = (Participant.INGEST, *AGENTS, Participant.OUTBOX)
_BY_KEY = "CRC-32 of the change's key; the key `*` goes to every partition, `.` stays in the writing stage's own"


def _between_stages(
    name: str, consumer: Participant, purpose: str, why: str, kinds: ReadOnly[ChangeKind, tuple[Participant, ...]]
) -> TopicContract:
    producers = tuple(part for part in Participant if any(part in emitters for emitters in kinds.values()))
    records = "packed changes (msgpack)"
    return TopicContract(
        name, "none", records, producers, (consumer,), _BETWEEN_STAGES, purpose, why, _BY_KEY, kinds, _KEPT_DAYS
    )


OWN_TOPICS: Final = (
    _between_stages(
        "orders",
        Participant.ORDERS,
        "order rows by order",
        "A line, total, detail or despatch names only its order, so an order is put together under its own id. Questions and"
        " replies about credited lines, recipients and records meet the order here.",
        {
            ChangeKind.HEADER: (Participant.INGEST,),
            ChangeKind.DETAIL: (Participant.INGEST,),
            ChangeKind.TOTAL: (Participant.INGEST,),
            ChangeKind.LINE: (Participant.INGEST,),
            ChangeKind.DESPATCH: (Participant.INGEST,),
            ChangeKind.RETURN: (Participant.INGEST,),
            ChangeKind.STATUS: (Participant.INGEST,),
            ChangeKind.LINE_OWNERSHIP: (Participant.ORDERS,),
            ChangeKind.LINE_QUERY: (Participant.ORDERS,),
            ChangeKind.LINE_REPLY: (Participant.ORDERS,),
            ChangeKind.CREDITED_AMOUNT: (Participant.ORDERS,),
            ChangeKind.RECIPIENTS_REPLY: (Participant.BUYERS, Participant.CONTACTS),
            ChangeKind.CREDITED_ORDER: (Participant.ORDERS,),
            ChangeKind.VARIANT_INFO: (Participant.PRODUCTS,),
            ChangeKind.RESEND_REQUEST: (Participant.OUTBOX,),
            ChangeKind.FOLLOW_UP_DELIVERED: (Participant.OUTBOX,),
            ChangeKind.SWEEP: (Participant.ORDERS,),
            ChangeKind.ERASURE: (Participant.CONTACTS,),
            ChangeKind.CANARY: (Participant.INGEST,),
            ChangeKind.BARRIER: _BARRIERS,
        },
    ),
    _between_stages(
        "buyers",
        Participant.BUYERS,
        "customers, contacts and order facts by buyer",
        "Totals are per buyer, an account or a person on a house account; order and buyer have different keys, so a topic must"
        " bring them together.",
        {
            ChangeKind.CUSTOMER: (Participant.INGEST,),
            ChangeKind.CONTACT: (Participant.INGEST,),
            ChangeKind.ORDER_FACT: (Participant.ORDERS,),
            ChangeKind.RECIPIENTS_QUERY: (Participant.ORDERS,),
            ChangeKind.RECIPIENTS_SWEEP: (Participant.BUYERS,),
            ChangeKind.ERASURE: (Participant.CONTACTS,),
            ChangeKind.CANARY: (Participant.ORDERS,),
            ChangeKind.BARRIER: _BARRIERS,
        },
    ),
    _between_stages(
        "contacts",
        Participant.CONTACTS,
        "buyers' projections by e-mail",
        "Several buyers may have one address, and Dotdigital has one contact for it. Erasures begin here, because they are"
        " about an address.",
        {
            ChangeKind.BUYER_CONTRIBUTION: (Participant.BUYERS,),
            ChangeKind.RECIPIENTS_QUERY: (Participant.ORDERS,),
            ChangeKind.RECIPIENTS_SWEEP: (Participant.CONTACTS,),
            ChangeKind.ERASURE: (Participant.INGEST, Participant.OPERATOR),
            ChangeKind.CANARY: (Participant.BUYERS,),
            ChangeKind.BARRIER: _BARRIERS,
        },
    ),
    _between_stages(
        "products",
        Participant.PRODUCTS,
        "products, variants, prices and stock by variant",
        "A catalogue record is put together per variant. The topic exists also where the mapping has no products.",
        {
            ChangeKind.PRODUCT: (Participant.INGEST,),
            ChangeKind.VARIANT: (Participant.INGEST,),
            ChangeKind.PRICE: (Participant.INGEST,),
            ChangeKind.STOCK: (Participant.INGEST,),
            ChangeKind.CATEGORY: (Participant.INGEST,),
            ChangeKind.MEMBERSHIP: (Participant.INGEST,),
            ChangeKind.RESEND_REQUEST: (Participant.OUTBOX,),
            ChangeKind.SWEEP: (Participant.PRODUCTS,),
            ChangeKind.BARRIER: _BARRIERS,
        },
    ),
    _between_stages(
        "desired",
        Participant.OUTBOX,
        "desired contacts, records and follow-ups by e-mail; catalogue records by variant",
        "Separates what Dotdigital should hold from what it took: the joins never wait for an API, and the outbox survives"
        " their rebuild.",
        {
            ChangeKind.DESIRED_CONTACT: (Participant.CONTACTS,),
            ChangeKind.DESIRED_RECORD: (Participant.ORDERS,),
            ChangeKind.DESIRED_FOLLOW_UP: (Participant.ORDERS,),
            ChangeKind.DESIRED_CATALOGUE: (Participant.PRODUCTS,),
            ChangeKind.CARRIED_REFUSAL: (Participant.SENDERS,),
            ChangeKind.MOVE_QUERY: (Participant.OUTBOX,),
            ChangeKind.MOVE_ANSWER: (Participant.OUTBOX,),
            ChangeKind.MOVED_RECORD: (Participant.SENDERS,),
            ChangeKind.CONTACT_OBSERVED: (Participant.READBACK, Participant.RECONCILER),
            ChangeKind.READBACK_WATERMARK: (Participant.READBACK,),
            ChangeKind.UNPARK: (Participant.OPERATOR,),
            ChangeKind.DRIFT_FOUND: (Participant.RECONCILER,),
            ChangeKind.ERASURE: (Participant.CONTACTS,),
            ChangeKind.CANARY: (Participant.CONTACTS,),
            ChangeKind.CORRECTIONS_STOPPED: (Participant.OUTBOX,),
            ChangeKind.REMOVAL_TALLY: (Participant.OUTBOX,),
            ChangeKind.REMOVAL_QUERY: (Participant.OUTBOX,),
            ChangeKind.REMOVAL_TICK: (Participant.BRAKE_CLOCK,),
            ChangeKind.REMOVAL_RULING: (Participant.OUTBOX,),
            ChangeKind.REMOVAL_DECISION: (Participant.OPERATOR,),
            ChangeKind.GENERATION_ORDER: (Participant.OPERATOR,),
            ChangeKind.GENERATION_SLICE: (Participant.OUTBOX,),
            ChangeKind.HELD_ORDER: (Participant.ORDERS,),
            ChangeKind.BARRIER: AGENTS,
        },
    ),
    TopicContract(
        "deliveries",
        "the task's owner: an e-mail address or a variant; of an import its id",
        "`DeliveryEvent` (JSON)",
        (Participant.SENDERS, Participant.OPERATOR),
        (Participant.OUTBOX,),
        _UNTIL_READ,
        "deliveries and their results",
        "A response is written down before the outbox acts on it, so a worker that dies after a call does not forget it.",
        "that of the task's owner, as in `desired`",
        kept_days=_RESULTS_KEPT_DAYS,
    ),
    TopicContract(
        "parked",
        "keyed hash of the task's owner",
        "`Parked` (JSON)",
        (Participant.OUTBOX,),
        (Participant.OPERATOR,),
        BROKERS_TIME | {"cleanup.policy": "delete", "retention.ms": _MONTH},
        "parked deliveries",
        "Operators see what was set aside, and what was cleared since, without reading the outbox.",
        "that of the task's owner, as in `desired`",
    ),
    TopicContract(
        "controls",
        "`writes`",
        "`WriteControl` (JSON)",
        (Participant.OPERATOR,),
        (Participant.SENDERS, Participant.OPERATOR),
        BROKERS_TIME | {"cleanup.policy": "compact"},
        "whether writes to Dotdigital are paused",
        "An emergency stop must reach every worker at once, whatever waits in other topics, and must outlive the workers.",
        "partition 0",
    ),
    TopicContract(
        "setup",
        "`state-v` and the version, or `erasure-key`",
        "`StateSetup` or `KeySetup` (JSON)",
        (Participant.INGEST, *STAGES, Participant.OPERATOR),
        (Participant.INGEST, *STAGES, Participant.OPERATOR),
        BROKERS_TIME | {"cleanup.policy": "compact"},
        "what state was built with: mapping, formats, erasure key",
        "State read with another mapping, format or key would be wrong in silence; a worker compares before it starts.",
        "partition 0",
    ),
    TopicContract(
        "removals",
        "kind of removal",
        "`HeldRemovals` (JSON)",
        (Participant.OUTBOX,),
        (Participant.OPERATOR,),
        BROKERS_TIME | {"cleanup.policy": "compact"},
        "removals that the brake holds",
        "A person sees what is held, and decides on what was seen and no more, without reading the outbox.",
        "partition 0",
    ),
    TopicContract(
        "erasures",
        "keyed digest of the address",
        "`ErasureRequest` (JSON)",
        (Participant.INGEST, Participant.OPERATOR),
        (Participant.INGEST, Participant.OPERATOR),
        BROKERS_TIME | {"cleanup.policy": "compact"},
        "erased addresses, by keyed digest",
        "Ingest empties rows of erased people before they enter a topic of ours, for ever and after any rebuild.",
        "CRC-32 of the digest in hex",
    ),
    TopicContract(
        "audit",
        "digest in hex, dead-letter code, kind of removal, key id, replay, generation, `maintenance`, `writes`, `checkpoint`,"
        " or none",
        "an entry of `streams/messages/audit.py` (JSON); the link of its writer's chain in a header",
        (Participant.ORDERS, Participant.BUYERS, Participant.CONTACTS, Participant.OUTBOX, Participant.OPERATOR),
        (Participant.OPERATOR,),
        BROKERS_TIME | KEPT_FOR_EVER,
        "actions of operators, and results of erasures",
        "Proof of each erasure, and the memory of which dead letters are done with; it outlives both, and names nobody. Only"
        " `owdd trail checkpoint` deletes entries.",
        "the writing stage's partition; of operators CRC-32 of the key",
    ),
    TopicContract(
        "frozen_orders",
        "the order's id; `barrier`",
        "`FrozenOrder` (JSON); none for an order whose rows say everything; a packed barrier",
        (Participant.ORDERS, Participant.OPERATOR),
        (Participant.ORDERS,),
        BROKERS_TIME | {"cleanup.policy": "compact"},
        "what orders show and their rows cannot say any more",
        "A rebuild finds the newest rows only, and an order that is frozen, or whose items were renamed, shows what former ones"
        " said. Holds nobody's name or address.",
        "that of the order, as in `orders`",
    ),
    TopicContract(
        "retries",
        "the captured record's",
        "captured record, unchanged",
        (Participant.OPERATOR,),
        (Participant.INGEST,),
        _WHOLE_RECORDS | _UNTIL_READ,
        "captured records to be read again after a repair",
        "In its own topic a retried record would be the newest of its key, and compaction would keep it for the row's state.",
        "that of the dead letter",
        kept_days=_KEPT_DAYS,
    ),
    TopicContract(
        "replays",
        "the run's id",
        "`ReplayRequest` (JSON): places of captured records",
        (Participant.OPERATOR,),
        (Participant.INGEST,),
        _UNTIL_READ,
        "captured records to be read again, by their places",
        "Written into its own topic again, a record would be the newest of its key. A request names it, and ingest reads it"
        " back.",
        "CRC-32 of captured topic and partition",
        kept_days=_KEPT_DAYS,
    ),
    TopicContract(
        "replay_runs",
        "the run's id; with `/steering` behind it, what is wanted of the run",
        "`ReplayRun` or `ReplaySteering` (JSON)",
        (Participant.OPERATOR,),
        (Participant.OPERATOR,),
        BROKERS_TIME | {"cleanup.policy": "compact", "segment.ms": _HOUR},
        "replays, and how far each is",
        "A run goes on after its process has died, and is paused or cancelled from another one.",
        "partition 0",
    ),
    TopicContract(
        "generations",
        "`generation/` and its number, `activation`, or a report's word, number and partition",
        "`Generation`, `Activation` or `PartitionReport` (JSON)",
        (Participant.OUTBOX, Participant.OPERATOR),
        (Participant.INGEST, Participant.ORDERS, Participant.OPERATOR),
        BROKERS_TIME | {"cleanup.policy": "compact", "segment.ms": _HOUR},
        "generations of the joins, and which is active",
        "A rebuild outlives the command that began it: how far it must read, which generation takes effect, and what each"
        " partition of the outbox has done of that.",
        "partition 0",
    ),
    TopicContract(
        "reconciliations",
        "the run's id; with `/cancel` behind it, that it should end; or `schedule`",
        "`ReconcileRun`, `CancelAsked` or `ScheduleBegun` (JSON)",
        (Participant.RECONCILER, Participant.OPERATOR),
        (Participant.RECONCILER, Participant.OPERATOR),
        BROKERS_TIME | {"cleanup.policy": "compact", "segment.ms": _HOUR},
        "comparisons with Dotdigital, and what they found",
        "One worker at a time compares, inside the account's budget: it must be asked, and a run goes on when its worker has"
        " died.",
        "partition 0",
    ),
    TopicContract(
        "dead_letters",
        "the record's own",
        "the record's own value; code, reason and coordinates in headers",
        (Participant.INGEST, *STAGES),
        (Participant.OPERATOR,),
        _WHOLE_RECORDS | {"retention.ms": _MONTH},
        "records that cannot be processed, with code and coordinates",
        "One bad record must hold up nothing behind it, and must not be lost.",
        "that of the record",
    ),
)
"""The topics that ``Topics`` names, as ``<app id>.<name>``."""

CHANGELOG_TOPICS: Final = tuple(
    TopicContract(
        f"<app id>-{app}-v<version>-{table}-changelog",
        "the state row's",
        "state row (msgpack); none for a deleted one",
        (table,),
        (table, Participant.OPERATOR) if table in AGENTS else (table,),
        CHANGELOG,
        f"changelog of table {table}",
        "The state of the stage, durable before its source is acknowledged; a worker without a data directory reads it back.",
        "the stage's own",
    )
    for table in STAGES
    for app in ("dispatch" if table is Participant.OUTBOX else "agents",)
)
"""One per state table."""


def contract_of(field_name: str) -> TopicContract:
    """The contract of the topic that is called so in ``Topics``."""
    return next(contract for contract in OWN_TOPICS if contract.name == field_name)


def ingested(settings: Settings, mapping: Mapping) -> list[str]:
    """The topics that ingest reads: the captured ones, and what is to be read again."""
    return [*captured(mapping), Topics.of(settings.app_id).retries]


def kept_after_reading_ms(settings: Settings) -> dict[str, int]:
    """How long a record stays in the topics whose readers delete what is old."""
    names = Topics.of(settings.app_id, settings.generation)
    return {str(getattr(names, topic.name)): topic.kept_days * DAY_MS for topic in OWN_TOPICS if topic.kept_days}


def specs(settings: Settings, mapping: Mapping) -> Iterator[TopicSpec]:
    """Every topic that must exist."""
    yield from capture_specs(settings, mapping, settings.source_kind)
    names = Topics.of(settings.app_id, settings.generation)
    for contract in OWN_TOPICS:
        name = str(getattr(names, contract.name))
        yield TopicSpec(name, settings.partitions, settings.replication, contract.purpose, accepted(settings, contract.config))
    for table, changelog in tables(settings).items():
        yield TopicSpec(
            changelog,
            settings.partitions,
            settings.replication,
            f"changelog of table {table}",
            accepted(settings, CHANGELOG),
        )
