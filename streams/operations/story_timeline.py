"""What happened to a contact, the newest first."""

from collections.abc import Iterable, Iterator

from streams.dispatch.outbox.tasks import family_of, part_of
from streams.messages.deliveries import (
    ContactCreated,
    ContactLooked,
    ContactUpdated,
    CorrectionEnded,
    CreationAttempted,
    OptOutSent,
    RecordStored,
    TaskEvent,
    TaskParked,
)
from streams.operations.story import Delivery, Hold, Input, Moment
from streams.operations.story_material import Material

_OUTCOMES = {
    "creation-attempted": "about to create the contact",
    "creation-withdrawn": "the contact was not created",
    "opt-out-sent": "opt-out sent",
    "opted-out": "opt-out of another word list sent",
    "correction-attempted": "about to subscribe the contact, as Orderwise said later",
    "corrected": "subscribed, as Orderwise said later",
    "correction-ended": "not subscribed, though Orderwise said so later",
    "looked": "looked at the contact",
    "created": "contact created",
    "updated": "contact updated",
    "cleared": "our fields emptied",
    "deleted": "contact deleted",
    "absent": "nothing to remove",
    "erased": "person erased",
    "missing": "Dotdigital has no such contact",
    "list-left": "left the recent-buyers list",
    "stored": "record stored",
    "removed": "record removed",
    "delivered": "follow-up delivered",
    "parked": "refused by Dotdigital",
}


def timeline(
    material: Material, inputs: Iterable[Input], deliveries: Iterable[Delivery], holds: Iterable[Hold]
) -> list[Moment]:
    """Orders and despatches, when we had learnt of things, calls and their outcomes, what waits until when."""
    found = [
        *_orders(material),
        *(Moment(one.applied_at, _kind(one), _title(one)) for one in inputs if one.applied_at is not None),
        *map(_event, material.events),
        *(Moment(one.due, "due", f"{one.what} is due", one.state) for one in deliveries if one.due is not None),
        *(Moment(one.since, "hold", f"{one.what} {one.kind}", one.words) for one in holds if one.since is not None),
    ]
    return sorted(found, key=lambda moment: moment.at, reverse=True)


def _kind(one: Input) -> str:
    return "consent" if one.kind == "consent" else "applied"


def _title(one: Input) -> str:
    if one.kind == "consent":
        return f"{one.title}: {one.facts['statement']}"
    return f"{one.title} applied"


def _orders(material: Material) -> Iterator[Moment]:
    for buyer in material.buyers.values():
        for order, cell in buyer.orders:
            if (fact := cell.row) is None:
                continue
            name = fact.number or str(order)
            what = f"credit note {name}" if fact.credit else f"order {name} placed"
            yield Moment(fact.at * 1000, "orderwise", what, f"net {fact.net:,.2f}")
            if fact.despatched is not None:
                yield Moment(fact.despatched * 1000, "orderwise", f"order {name} despatched")


def _event(event: TaskEvent) -> Moment:
    part = part_of(event.task)
    title = _OUTCOMES.get(event.outcome, event.outcome)
    return Moment(event.at, "call", f"{title}{f' ({family_of(event.task).label} {part})' if part else ''}", _detail(event))


def _detail(event: TaskEvent) -> str:
    match event:
        case TaskParked():
            return f"{event.code}, after {event.tries} tries"
        case ContactCreated():
            return f"as {event.created_as}{_way(event.import_id)}"
        case ContactUpdated():
            out = ", with an opt-out" if event.opt_outs is not None else ""
            listed = ", joined the recent-buyers list" if event.joined else ""
            return f"by {'import' if event.import_id else 'call'}{out}{listed}"
        case RecordStored():
            return f"by {'import' if event.import_id else 'call'}"
        case CorrectionEnded():
            return event.code
        case CreationAttempted():
            return f"as {event.created_as}"
        case ContactLooked(observed=observed) if observed is not None:
            return f"it is {observed.status}"
        case OptOutSent():
            return "beside data that Dotdigital refused"
    return ""


def _way(import_id: str | None) -> str:
    return ", by import" if import_id else ""
