"""Who is on the list of recent buyers at an instant (delivery rules §6)."""

from collections.abc import Mapping as Dict
from datetime import datetime, timedelta
from typing import Literal

from streams.mapping import Mapping
from testkit.oracle.expected_contacts import Expected

Membership = Literal["in", "out", "either"]

MARGIN = timedelta(minutes=10)
"""So close to the end of the time, whoever looks may have come before or after the workers."""


def recent_buyers(
    contacts: Dict[str, Expected], mapping: Mapping, at: datetime, margin: timedelta = MARGIN
) -> dict[str, Membership]:
    """Every contact's membership at ``at``; nobody's when no list is wanted."""
    wanted = mapping.delivery.recent_buyers
    if wanted is None:
        return {}
    name, days = mapping.contact_fields.last_despatch, timedelta(hours=24 * wanted.days)
    return {email: _membership(contact.fields[name], days, at, margin) for email, contact in contacts.items()}


def _membership(last_despatch: object, days: timedelta, at: datetime, margin: timedelta) -> Membership:
    if not isinstance(last_despatch, str):
        return "out"
    left = datetime.fromisoformat(last_despatch) + days - at
    if abs(left) <= margin:
        return "either"
    return "in" if left > timedelta() else "out"
