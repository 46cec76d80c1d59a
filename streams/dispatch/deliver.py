"""Bring one contact to its desired state: look before creating, never loosen a status, answer for what was done.

The sequence of calls is decided here and nowhere else (laws 4 and 5; ``docs/contact-rules.md`` sections 5 and 6). A contact
that we know is changed by its id: such a call cannot create, so a contact that vanished is not brought back subscribed.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeAlias

from streams.domain.delivery import Created, OutboxRow, Outcome
from streams.dotdigital.client import SUBSCRIBED, UNSUBSCRIBED, Contact, DotdigitalClient
from streams.dotdigital.errors import AccessError, ContactExistsError, DataError


@dataclass(frozen=True, slots=True)
class Answer:
    """What was done, and what is now known of the contact; ``contact`` is its id, None when there is none."""

    outcome: Outcome
    contact: int | None
    created: Created
    told_out: bool
    tight: bool


Note: TypeAlias = Callable[[Created, bool], Awaitable[None]]
"""Makes durable, before a call, what its lost answer would lose: the status we create with, an unsubscribe that was seen."""


async def _forget(_created: Created, _tight: bool) -> None:
    """A note that nobody keeps."""


async def deliver(client: DotdigitalClient, email: str, row: OutboxRow, cleared: bytes, note: Note = _forget) -> Answer:
    """Send what ``row`` wants; ``cleared`` is the content that empties every field of ours.

    Raises:
        DotdigitalError: as the client raises; the calls made so far may be repeated safely.
    """
    if row.fields is None:
        return await _retire(client, email, row, cleared, note)
    if row.contact is not None and not (row.opted_out and not row.told_out):
        contact = await _change(client, email, row.contact, row.fields)
        if contact is not None:
            return _updated(row, contact, _creation(row))
    found = await client.find(email)
    if found is None:
        try:
            return await _create(client, email, row, row.fields, note)
        except ContactExistsError:
            found = await client.find(email)
    return await _update(client, email, row, row.fields, found)


async def _change(client: DotdigitalClient, email: str, contact_id: int, fields: bytes) -> Contact | None:
    """The contact after the change; None when it must be looked for: it is gone, or has another address by now."""
    try:
        contact = await client.change(contact_id, fields)
    except (DataError, AccessError):
        # What is refused by id for its content is refused by address too, and parked then.
        return None
    return contact if contact.email in ("", email) else None


async def _create(client: DotdigitalClient, email: str, row: OutboxRow, fields: bytes, note: Note) -> Answer:
    status: Created = SUBSCRIBED if row.may_subscribe else UNSUBSCRIBED
    await note(status, False)
    if row.may_subscribe:
        # Without a status a new contact is subscribed, and one that comes back from the bin keeps the status it had.
        result = await client.update(email, fields)
        status, contact = (status if result.created else "no"), result.contact
    else:
        contact = await client.create(email, fields, UNSUBSCRIBED)
    return Answer("created", contact.contact_id, status, row.opted_out, _unexpected(contact, status))


async def _update(client: DotdigitalClient, email: str, row: OutboxRow, fields: bytes, found: Contact | None) -> Answer:
    tighten = row.opted_out and not row.told_out and not (found is not None and found.tight)
    try:
        result = await client.update(email, fields, UNSUBSCRIBED if tighten else None)
    except DataError:
        if tighten:
            # The opt-out goes out even when the data cannot.
            await client.update(email, b"{}", UNSUBSCRIBED)
        raise
    contact, created = result.contact, _creation(row)
    if result.created:
        # It vanished between the look and the update, which without a status made it subscribed.
        created = SUBSCRIBED if row.may_subscribe else UNSUBSCRIBED
        if not contact.tight and not row.may_subscribe:
            contact = (await client.update(email, fields, UNSUBSCRIBED)).contact
    return _updated(row, contact, created)


def _updated(row: OutboxRow, contact: Contact, created: Created) -> Answer:
    if created == UNSUBSCRIBED and not contact.tight:
        # The person subscribed in the meantime: an unsubscribe from now on is theirs, not ours.
        created = SUBSCRIBED
    tight = _unexpected(contact, created) and not row.opted_out
    return Answer("updated", contact.contact_id, created, row.told_out or row.opted_out, tight)


async def _retire(client: DotdigitalClient, email: str, row: OutboxRow, cleared: bytes, note: Note) -> Answer:
    ours = row.delivered is not None or row.known or row.unsure or row.tried != "no"
    found = await client.find(email) if ours or row.moved_to is not None else None
    created = _creation(row)
    tight = row.tight or (found is not None and _unexpected(found, created))
    if tight or row.carried:
        # Before the contact goes: once it is gone, a lost answer would take the unsubscribe along.
        await note("no", True)
    if found is None or not ours:
        return Answer("absent", None, "no", told_out=False, tight=tight)
    if created != "no":
        await client.delete(email)
        return Answer("deleted", None, "no", told_out=False, tight=tight)
    await client.update(email, cleared)
    return Answer("cleared", found.contact_id, "no", row.told_out, tight)


def _unexpected(contact: Contact, created: Created) -> bool:
    """Whether Dotdigital holds an unsubscribe that is not merely the status with which we created the contact."""
    return contact.tight and not (created == UNSUBSCRIBED == contact.email_status)


def _creation(row: OutboxRow) -> Created:
    """Whether and how we created the contact; a creation that was never answered counts."""
    return row.created if row.created != "no" else row.tried
