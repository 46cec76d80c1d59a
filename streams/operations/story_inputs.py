"""What a contact is made of: accounts, persons, orders, credit notes and statements of consent, with position and time."""

from collections.abc import Iterator
from typing import Any

from streams.capture.position import shown
from streams.domain.buyers import is_person
from streams.domain.consent import Signal
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.times import utc_text
from streams.domain.versioned import Versioned
from streams.messages.changes import OrderFact
from streams.messages.contributions import AddressLeft, ContributionExcluded, ContributionHeld
from streams.operations.story import Input
from streams.operations.story_material import BuyerMaterial, Material, version_ms

_SIGNALS = {Signal.IN: "opted in", Signal.OUT: "opted out", Signal.SILENT: "says nothing"}


def inputs(material: Material) -> Iterator[Input]:
    """All of them: by buyer the account, its persons with the address, its newest orders; then consent."""
    for key, cell in material.parts.items():
        buyer = material.buyers.get(key)
        if isinstance(cell.row, AddressLeft):
            to = cell.row.moved_to or "nowhere that is known"
            yield Input(
                "account", material.buyer_name(key), {"address": f"left for {to}"}, applied_at=version_ms(cell.position)
            )
            continue
        held = {}
        if isinstance(cell.row, ContributionHeld):
            held = {"state": "cannot be worked out"}
        elif isinstance(cell.row, ContributionExcluded):
            held = {"state": "excluded by the mapping"}
        if buyer is not None:
            yield from _buyer(material, key, buyer, cell, held)
    if material.delivery.row is not None:
        yield from _consent(material.delivery.row)


def _buyer(material: Material, key: str, buyer: BuyerMaterial, cell: Versioned[Any], held: dict[str, str]) -> Iterator[Input]:
    customer = buyer.row.customer
    applied = version_ms(cell.position)
    if not is_person(key):
        row = None if customer is None else customer.row
        facts = held | (
            {"state": "not here"}
            if row is None
            else {"account": row.account or "none", "credit account": "yes" if row.trade else "no"}
        )
        yield Input("account", material.buyer_name(key), facts, _position(material, customer), applied)
    else:
        yield Input("account", material.buyer_name(key), held, applied_at=applied)
    for pk, person in sorted(buyer.row.contacts.items()):
        if person.row is not None and material.email in person.row.emails:
            yield Input("person", f"contact {pk}", _person(person.row), _position(material, person), applied)
    for order, fact in buyer.orders:
        if fact.row is not None:
            yield _order(material, order, fact.row)


def _person(row: Any) -> dict[str, str]:
    name = " ".join(filter(None, (row.first_name, row.last_name)))
    consent = "unknown" if row.opted is None else "opted in" if row.opted else "opted out"
    return {"name": name or "none", "consent": consent}


def _order(material: Material, order: int, fact: OrderFact) -> Input:
    facts = {
        "placed": utc_text(fact.at),
        "status": fact.status.replace("_", " "),
        "net": f"{fact.net:,.2f}",
        "despatched": "no" if fact.despatched is None else utc_text(fact.despatched),
    }
    if fact.credit:
        del facts["despatched"]
    reply = material.orders.get(order)
    position, applied = "", None
    if reply is not None and reply.row is not None:
        position, applied = _position(material, reply.row.header), reply.row.version // 1000 or None
        facts |= {"lines": str(reply.lines)}
    title = f"{'credit note' if fact.credit else 'order'} {fact.number or order}"
    return Input("credit note" if fact.credit else "order", title, facts, position, applied)


def _consent(row: ContactDeliveryState) -> Iterator[Input]:
    consent = row.consent
    if consent.erp.at:
        yield Input("consent", "Orderwise", {"statement": _SIGNALS[consent.erp.signal]}, applied_at=version_ms(consent.erp.at))
    if consent.dotdigital.at:
        signal = "unsubscribed or suppressed" if consent.dotdigital.signal is Signal.OUT else "subscribed"
        yield Input("consent", "Dotdigital", {"statement": signal}, applied_at=version_ms(consent.dotdigital.at))
    if consent.carried:
        state = "counts" if consent.carried > consent.lifted else "taken back since"
        facts = {"statement": "refused at a former address", "state": state}
        yield Input("consent", "former address", facts, applied_at=version_ms(consent.carried))


def _position(material: Material, cell: Versioned[Any] | None) -> str:
    return "" if cell is None else shown(cell.position, material.connector)
