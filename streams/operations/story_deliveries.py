"""What should be in Dotdigital for a contact, what waits and why, and what is set aside."""

from collections.abc import Iterator

from streams.core.lanes import Lane
from streams.core.text import age
from streams.dispatch.outbox.rows import wait_of
from streams.dispatch.outbox.tasks import Family, task_of
from streams.domain.contact_projection import held_code
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.held_reason import HeldReason
from streams.domain.record_state import GONE, FollowUpDeliveryState, RecordDeliveryState
from streams.messages.contributions import ContributionHeld
from streams.operations.code_meanings import Kind, command, meaning
from streams.operations.state_queries import TaskStanding
from streams.operations.story import Delivery, Hold, Verdict
from streams.operations.story_fields import field_lines
from streams.operations.story_material import Material

_BLOCKERS = {
    "not-due": "it is not due yet",
    "calling": "a call is under way",
    "importing": "it is in an import",
    "fenced": "its worker has just taken over",
    "reserved": "it waits for an import",
    "circuit-open": "Dotdigital does not answer",
    "braked": "mass removals are held back: see 'owdd removals show'",
    "paused": "writes are paused: see 'owdd resume'",
}


def deliveries(material: Material) -> Iterator[Delivery]:
    """The contact itself, its order records, its follow-ups."""
    reply, email = material.delivery, material.email
    if reply.row is not None:
        yield _delivery("contact", reply.row, _contact_state(reply.row), reply.standings.get(task_of(Family.CONTACT, email)))
    for key, record in reply.records.items():
        yield _delivery(f"order record {key}", record, _record_state(record), _standing(material, Family.RECORD, key))
    for key, follow_up in reply.follow_ups.items():
        what, standing = f"follow-up of credit note {key}", _standing(material, Family.FOLLOW_UP, key)
        yield _delivery(what, follow_up, _follow_up_state(follow_up), standing)


def _standing(material: Material, family: Family, key: str) -> TaskStanding | None:
    return material.delivery.standings.get(task_of(family, material.email, key))


def _delivery(
    what: str,
    row: ContactDeliveryState | RecordDeliveryState | FollowUpDeliveryState,
    state: str,
    standing: TaskStanding | None,
) -> Delivery:
    if standing is None:
        return Delivery(what, state)
    wait = wait_of(row)
    reasons = ", ".join(_BLOCKERS.get(blocker, blocker) for blocker in standing.blockers)
    shown = f"{standing.state}: {reasons}" if reasons else standing.state
    return Delivery(what, shown, Lane(wait.lane).name.lower(), wait.due or None, wait.caused_at or None)


def _contact_state(row: ContactDeliveryState) -> str:
    if row.erase is not None:
        return "to be erased"
    if row.refused:
        return "refused"
    if row.hash is None:
        return "nothing wanted"
    if row.dirty:
        return "differs"
    return "as wanted" if row.fields is not None else "gone, as wanted"


def _record_state(row: RecordDeliveryState) -> str:
    if row.parked is not None and row.parked == row.hash:
        return "refused"
    if row.dirty:
        return "differs"
    return "removed" if row.hash == GONE else "as wanted"


def _follow_up_state(row: FollowUpDeliveryState) -> str:
    if row.done:
        return "delivered"
    if row.parked is not None:
        return "refused"
    return "differs" if row.desired is not None else "not wanted"


def holds(material: Material) -> Iterator[Hold]:
    """Everything about the contact that is parked, held or frozen."""
    reply = material.delivery
    parked = [("contact", reply.row), *((f"order record {key}", row) for key, row in reply.records.items())]
    for what, row in [*parked, *((f"follow-up {key}", row) for key, row in reply.follow_ups.items())]:
        if row is not None and row.parked is not None and row.code is not None:
            yield hold("parked", what, row.code, None)
    if material.contact is not None and (code := held_code(material.contact, material.mapping)) is not None:
        held = material.contact.held
        yield hold("held", "contact", code, None if held is None else held.since)
    for key, buyer in material.buyers.items():
        yield from _held(material.buyer_name(key), buyer.row.held)
    for order, found in material.orders.items():
        if found.row is not None:
            header = found.row.header.row if found.row.header is not None else None
            yield from _held(f"order {(header.number if header is not None else None) or order}", found.row.held)


def _held(what: str, reason: HeldReason | None) -> Iterator[Hold]:
    if reason is not None:
        yield hold("frozen" if reason.frozen else "held", what, reason.code, reason.since)


def hold(kind: Kind, what: str, code: str, since: int | None) -> Hold:
    """One thing that is set aside, with what its code means."""
    found = meaning(kind, code)
    return Hold(kind, what, code, since, found.words, found.remedy, command(kind, code))


def verdict(material: Material) -> Verdict:
    """How the contact stands, in one line."""
    row, held = material.delivery.row, list(holds(material))
    if row is None and not material.parts:
        return Verdict("absent", "Nothing is known of this address", "No account, order or contact names it, or it was erased.")
    if row is not None and row.erase is not None:
        return Verdict("waiting", "The person is being erased")
    if row is not None and row.refused:
        return Verdict("attention", "Dotdigital refuses what we send", meaning("parked", row.code or "").words)
    waiting = any(isinstance(cell.row, ContributionHeld) for cell in material.parts.values())
    if waiting or any(found.kind != "parked" for found in held):
        detail = "What it lacks is below. Until then its last state stays in Dotdigital."
        return Verdict("attention", "Something of this contact cannot be worked out", detail)
    if held:
        return Verdict("attention", "The contact is right, but Dotdigital refuses something of it")
    return _calm(material, row)


def _calm(material: Material, row: ContactDeliveryState | None) -> Verdict:
    """How a contact stands of which nothing is set aside."""
    standing = material.delivery.standings.get(task_of(Family.CONTACT, material.email))
    if row is not None and row.dirty:
        detail = "" if standing is None else _wait(material, row, standing)
        return Verdict("waiting", "A change is on its way to Dotdigital", detail)
    if row is None or row.hash is None:
        return Verdict("waiting", "The contact is being worked out")
    if row.fields is None:
        detail = f"The person moved to {', '.join(row.moved_to)}." if row.moved_to else ""
        return Verdict("absent", "Orderwise no longer has this address", detail)
    if material.looked and material.live is None:
        return Verdict("attention", "Dotdigital has something else now", "It took our values, and has no such contact now.")
    if material.looked and (changed := [line.name for line in field_lines(material) if line.differs]):
        detail = f"It took our values, and has others now in {', '.join(changed)}."
        return Verdict("attention", "Dotdigital has something else now", detail)
    return Verdict("right", "Dotdigital has what Orderwise says")


def _wait(material: Material, row: ContactDeliveryState, standing: TaskStanding) -> str:
    reasons = ", ".join(_BLOCKERS.get(blocker, blocker) for blocker in standing.blockers)
    due = f" It is due in {age((row.due - material.at) / 1000)}." if row.due > material.at else ""
    return f"It is {standing.state}{f' ({reasons})' if reasons else ''}, in the {Lane(row.lane).name.lower()} lane.{due}"
