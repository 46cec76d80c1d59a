"""Bring one contact to its desired state: look before creating, never loosen a status, answer for what was done.

The sequence of calls is decided here and nowhere else (laws 4 and 5; ``docs/contact-rules.md`` sections 5 and 6).
"""

from dataclasses import dataclass
from typing import Literal

from streams.domain.delivery import Created, OutboxRow, Outcome
from streams.dotdigital.client import SUBSCRIBED, UNSUBSCRIBED, Contact, DotdigitalClient
from streams.dotdigital.errors import ContactExistsError


@dataclass(frozen=True, slots=True)
class Answer:
    """What was done, and what is now known of the contact."""

    outcome: Outcome
    known: bool
    created: Created
    told_out: bool
    tight: bool


async def deliver(client: DotdigitalClient, email: str, row: OutboxRow, cleared: bytes) -> Answer:
    """Send what ``row`` wants; ``cleared`` is the content that empties every field of ours.

    Raises:
        DotdigitalError: as the client raises; the calls made so far may be repeated safely.
    """
    if row.fields is None:
        return await _retire(client, email, row, cleared)
    if row.known and not (row.opted_out and not row.told_out):
        return await _update(client, email, row, row.fields, None)
    found = await client.find(email)
    if found is None:
        try:
            return await _create(client, email, row, row.fields)
        except ContactExistsError:
            found = await client.find(email)
    return await _update(client, email, row, row.fields, found)


async def _create(client: DotdigitalClient, email: str, row: OutboxRow, fields: bytes) -> Answer:
    status = _initial(row)
    contact = await client.create(email, fields, status)
    return Answer("created", known=True, created=status, told_out=row.opted_out, tight=_unexpected(contact, status))


async def _update(client: DotdigitalClient, email: str, row: OutboxRow, fields: bytes, found: Contact | None) -> Answer:
    tighten = row.opted_out and not row.told_out and not (found is not None and found.tight)
    result = await client.update(email, fields, UNSUBSCRIBED if tighten else None)
    contact, created = result.contact, row.created
    if result.created:
        # The contact vanished since we last saw it, and an update without status re-created it as subscribed.
        created = _initial(row)
        if not contact.tight and not row.may_subscribe:
            contact = (await client.update(email, fields, UNSUBSCRIBED)).contact
    tight = _unexpected(contact, created) and not row.opted_out
    return Answer("updated", known=True, created=created, told_out=row.told_out or row.opted_out, tight=tight)


async def _retire(client: DotdigitalClient, email: str, row: OutboxRow, cleared: bytes) -> Answer:
    nothing_of_ours = row.delivered is None and not row.known
    found = None if nothing_of_ours else await client.find(email)
    if found is None:
        return Answer("absent", known=False, created="no", told_out=False, tight=False)
    tight = _unexpected(found, row.created)
    if row.created != "no":
        await client.delete(email)
        return Answer("deleted", known=False, created="no", told_out=False, tight=tight)
    await client.update(email, cleared)
    return Answer("cleared", known=True, created="no", told_out=row.told_out, tight=tight)


def _initial(row: OutboxRow) -> Literal["subscribed", "unsubscribed"]:
    return SUBSCRIBED if row.may_subscribe else UNSUBSCRIBED


def _unexpected(contact: Contact, created: Created) -> bool:
    """Whether Dotdigital holds an unsubscribe that is not merely the status with which we created the contact."""
    return contact.tight and created != UNSUBSCRIBED
