"""One despatch on its way from Debezium's bytes to the HTTP call, module by module.

``docs/architecture.md`` shows it, and ``tests/protocol/test_walk.py`` sends a despatch this way and sees which modules run.
"""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class WalkStep:
    """One stop.

    Attributes:
        module: path inside ``streams/``.
        happens: what the module does with the despatch.
        shape: the type in which it leaves, if that is another than before.
        topic: the topic into which it goes, if it does.
    """

    module: str
    happens: str
    shape: str | None = None
    topic: str | None = None


WALK: Final = (
    WalkStep("ingest/worker.py", "polls the captured topic of the despatch table", "bytes of a Debezium record", "captured"),
    WalkStep("capture/envelope.py", "reads operation, position, and the row before and after", "`RowEvent`"),
    WalkStep("ingest/router.py", "finds the order that the row names; a despatch is urgent", "`DespatchRowChange`", "orders"),
    WalkStep("capture/reader.py", "keeps the mapped columns and checks them", "`Despatch`"),
    WalkStep("engine/unit_of_work.py", "packs the changes of a poll by destination partition"),
    WalkStep("kafka/producer.py", "appends one batch per partition, and waits for the acknowledgement"),
    WalkStep("engine/stage.py", "gathers what waits in a partition, and hands it to the handler as one unit"),
    WalkStep("messages/topics.py", "unpacks the record with the topic's own decoder"),
    WalkStep("agents/orders.py", "loads the order once, folds the change, projects the order once"),
    WalkStep("domain/orders.py", "writes the row by position, and works out what the order is worth now", "`OrderRow`"),
    WalkStep("agents/emitter.py", "sends the fact to the order's buyer", "`OrderFact`", "buyers"),
    WalkStep("agents/buyers.py", "folds the fact into the buyer"),
    WalkStep("domain/order_tree.py", "writes the one page of the buyer's orders, and the sums above it", "`BuyerRow`"),
    WalkStep("domain/buyers.py", "says what the buyer contributes to each of its addresses", "`BuyerContribution`", "contacts"),
    WalkStep("agents/contacts.py", "folds the contribution into the contact", "`ContactRow`"),
    WalkStep("domain/contact_projection.py", "merges all buyers with the address", "`DesiredContact`", "desired"),
    WalkStep("dispatch/outbox/handler.py", "folds the changes of a unit, then saves each row that they touched"),
    WalkStep("dispatch/outbox/desired_changes.py", "loads the contact's row, and notes when a call's outcome is unknown"),
    WalkStep("domain/contact_state.py", "writes what is desired beside what was delivered", "`ContactDeliveryState`"),
    WalkStep("dispatch/outbox/planner.py", "compares desired and delivered state: what must be done", "`DeliveryTask`"),
    WalkStep("domain/debounce.py", "says when the delivery is due, by lane"),
    WalkStep("dispatch/outbox/delivery_queue.py", "gives out what is due, urgent first"),
    WalkStep("dispatch/senders/single_calls.py", "takes the task, and reads its row"),
    WalkStep("dispatch/senders/contact_upsert.py", "looks, creates or changes", "`ContactUpsert`"),
    WalkStep("dispatch/rate_limit/limiter.py", "waits for the account's budget"),
    WalkStep("dotdigital/contact_calls.py", "writes the request's body"),
    WalkStep("dotdigital/transport.py", "calls `PATCH /contacts/v3/contactId/{id}`, and reads the response", "JSON body"),
    WalkStep("dispatch/outbox/delivery_log.py", "writes the outcome down; the outbox reads it and clears the task"),
)
"""The stops, in order."""

NEEDS_BROKER: Final = frozenset({"ingest/worker.py", "kafka/producer.py", "engine/stage.py"})
"""Stops that run only with a real broker, with three more modules of theirs: linger, table and Faust's transport."""

MODULES_THAT_RUN = 113
"""How many modules of ``streams/`` run for one despatch, helpers of a few lines included."""


def topics_on_the_way() -> list[str]:
    """The topics that the despatch goes through, in order."""
    return [step.topic for step in WALK if step.topic is not None]


def shapes_on_the_way() -> list[str]:
    """The types that it takes on, in order."""
    return [step.shape for step in WALK if step.shape is not None]
