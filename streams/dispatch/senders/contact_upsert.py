"""Bring one contact to its desired state: look before creating, never loosen a status, answer for what was done.

The sequence of calls is decided here and nowhere else (``docs/contact-rules.md`` sections 5 and 6). A contact
that we know is changed by its id: such a call cannot create, so a contact that vanished is not brought back subscribed.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

from streams.domain import consent
from streams.domain.consent import SUBSCRIBED, UNSUBSCRIBED
from streams.domain.contact_state import ContactDeliveryState, creation_of, holds_fields
from streams.domain.versioned import version_bytes
from streams.dotdigital.client import Api
from streams.dotdigital.contact_calls import Contact
from streams.dotdigital.errors import (
    AccessError,
    ContactExistsError,
    DataError,
    DotdigitalError,
)
from streams.dotdigital.insight import MOST_KEYS
from streams.messages.deliveries import Created, Outcome

NOTHING = b"{}"


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """What was done, and what is now known of the contact; ``contact`` is its id, None when there is none.

    ``seen`` is the contact as Dotdigital showed it last, None where that would only tell what we said ourselves. ``listless``:
    the code with which Dotdigital refused the list; it took the data without.
    """

    outcome: Outcome
    contact: int | None = None
    created: Created = "no"
    opt_out_sent: bool = False
    seen: Contact | None = None
    listed: bool | None = None
    listless: str | None = None


@dataclass(frozen=True, slots=True)
class ContactUpsert:
    """One contact's row, and what there is to do besides.

    ``cleared`` is the content that empties every field of ours; ``join`` the list that the contact must be put on; ``records``
    the keys of the order records that it holds in ``collection``; ``external``: contacts are another system's to create;
    ``indexed``: everybody whom Dotdigital has was read back, so that who is not known is most likely new.
    """

    email: str
    row: ContactDeliveryState
    cleared: bytes
    join: int | None = None
    records: Sequence[str] = ()
    collection: str | None = None
    external: bool = False
    indexed: bool = False

    @property
    def fields(self) -> bytes:
        """The data fields to send; none when only the list is wanted."""
        return self.row.fields if self.row.fields is not None and self.row.dirty else NOTHING

    @property
    def lists(self) -> Sequence[int]:
        """The lists to send."""
        return () if self.join is None else (self.join,)


Checkpoint: TypeAlias = Callable[[UpsertResult], Awaitable[None]]
"""Makes durable what would be lost with the answer: the status we create with, a refusal that was seen, an opt-out told."""


async def deliver_contact(api: Api, job: ContactUpsert, note: Checkpoint) -> UpsertResult:
    """Send what the job's row wants.

    Raises:
        DotdigitalError: as the client raises; the calls made so far may be repeated safely.
    """
    try:
        return await _upsert(api, job, note)
    except DataError as error:
        if job.join is None:
            raise
        # A list that somebody deleted, or that this contact may not join, must not hold up the data.
        return replace(await _upsert(api, replace(job, join=None), note), listless=error.code)


async def _upsert(api: Api, job: ContactUpsert, note: Checkpoint) -> UpsertResult:
    row = job.row
    if row.erase is not None:
        return await _erase(api, job)
    if row.fields is None:
        return await _remove(api, job, note)
    if row.contact is not None and not row.must_send_opt_out:
        contact = await _change(api, job, row.contact)
        if contact is not None:
            return _updated(job, contact, _creation(row, contact), published=False)
    # A creation is a look of its own: it is refused, or changes no status, if there is a contact. Not after a lost answer.
    probably_new = job.indexed and not row.known and row.creation_attempted_as == "no" and not job.external
    found = None if probably_new else await api.find(job.email)
    if found is None and job.external:
        return UpsertResult("vanished")
    if found is None:
        try:
            return await _create(api, job, note)
        except ContactExistsError:
            found = await api.find(job.email)
    return await _update(api, job, found, note)


async def _change(api: Api, job: ContactUpsert, contact_id: int) -> Contact | None:
    """The contact after the change; None when it must be looked for: it is gone, or has another address by now."""
    try:
        contact = await api.update_by_id(contact_id, job.fields, lists=job.lists)
    except (DataError, AccessError):
        # What is refused by id for its content is refused by address too, and parked then.
        return None
    return contact if contact.email in ("", job.email) else None


async def _create(api: Api, job: ContactUpsert, note: Checkpoint) -> UpsertResult:
    status: Created = consent.creation_status(job.row.consent, external=job.external) or UNSUBSCRIBED
    await note(UpsertResult("noted", created=status))
    try:
        if status == SUBSCRIBED:
            # Without a status a new contact is subscribed, and one that comes back from the bin keeps the status it had.
            result = await api.upsert_by_email(job.email, job.fields, lists=job.lists)
            if not result.created:
                return _updated(job, result.contact, _creation(job.row, result.contact), published=False)
            contact = result.contact
        else:
            contact = await api.create(job.email, job.fields, UNSUBSCRIBED, lists=job.lists)
    except DotdigitalError as error:
        if error.not_applied:
            # Whoever is found next time was created by somebody else, or by an earlier try.
            await note(UpsertResult("withdrawn", created=job.row.creation_attempted_as))
        raise
    published = consent.opted_out(job.row.consent)
    return UpsertResult("created", contact.contact_id, status, published, contact, _listed(job))


async def _update(api: Api, job: ContactUpsert, found: Contact | None, note: Checkpoint) -> UpsertResult:
    if found is None:
        return await _restore_from_bin(api, job)
    row = job.row
    tighten = consent.must_send_opt_out(row.consent, found.email_status, sent=row.opt_out_sent)
    if not tighten and job.join is None and found.contact_id == row.contact and holds_fields(row):
        # Only the opt-out is new, and the contact is refused already.
        return _updated(job, found, _creation(row, found), published=False)
    status: Literal["unsubscribed"] | None = UNSUBSCRIBED if tighten else None
    try:
        contact = await api.update_by_id(found.contact_id, job.fields, job.lists, status)
    except DataError:
        if await api.find(job.email) is None:
            # It vanished since the look; by its address it would have come back subscribed.
            return UpsertResult("vanished") if job.external else await _create(api, job, note)
        if tighten:
            # The opt-out goes out even when the data cannot.
            await api.update_by_id(found.contact_id, NOTHING, status=status)
            await note(UpsertResult("noted", opt_out_sent=True))
        raise
    return _updated(job, contact, _creation(row, contact), published=tighten)


async def _restore_from_bin(api: Api, job: ContactUpsert) -> UpsertResult:
    """There is a contact that cannot be seen: it is in the recycle bin, and comes back with the status that it had there."""
    row = job.row
    tighten = consent.must_send_opt_out(row.consent, None, sent=row.opt_out_sent)
    result = await api.upsert_by_email(job.email, job.fields, UNSUBSCRIBED if tighten else None, lists=job.lists)
    contact, created = result.contact, _creation(row, result.contact)
    if result.created:
        created = consent.creation_status(row.consent, external=job.external) or UNSUBSCRIBED
        if created == UNSUBSCRIBED and not tighten:
            contact = await api.update_by_id(contact.contact_id, NOTHING, status=UNSUBSCRIBED)
    return _updated(job, contact, created, published=tighten)


def _updated(job: ContactUpsert, contact: Contact, created: Created, *, published: bool) -> UpsertResult:
    opt_out_due = consent.opted_out(job.row.consent)
    ours = (published or job.row.opt_out_sent) and contact.email_status == UNSUBSCRIBED
    created = consent.creation_after_status(created, contact.email_status)
    return UpsertResult("updated", contact.contact_id, created, opt_out_due, None if ours else contact, _listed(job))


def _listed(job: ContactUpsert) -> bool | None:
    return None if job.join is None else True


async def _remove(api: Api, job: ContactUpsert, note: Checkpoint) -> UpsertResult:
    row = job.row
    ours = row.delivered is not None or row.known or row.outcome_unknown or row.creation_attempted_as != "no"
    found = await api.find(job.email) if ours or row.moved_to else None
    creation = "no" if found is None else _creation(row, found)
    if found is not None or consent.refusal_follows(row.consent):
        # Before the contact goes: once it is gone, a lost answer would take the unsubscribe along.
        await note(UpsertResult("noted", created=creation, seen=found))
    if found is None or not ours:
        return UpsertResult("absent")
    if creation != "no":
        await _delete(api, job)
        return UpsertResult("deleted")
    try:
        await api.update_by_id(found.contact_id, job.cleared)
    except DataError:
        if await api.find(job.email) is None:
            return UpsertResult("absent")
        raise
    return UpsertResult("cleared", found.contact_id, opt_out_sent=row.opt_out_sent)


async def _erase(api: Api, job: ContactUpsert) -> UpsertResult:
    if await api.find(job.email) is not None:
        await api.suppress([job.email])
        await _delete(api, job)
    return UpsertResult("erased")


async def _delete(api: Api, job: ContactUpsert) -> None:
    # The bin keeps a contact's records for thirty days, and with them their keys from whoever has the orders next.
    if job.collection is not None:
        for start in range(0, len(job.records), MOST_KEYS):
            await api.delete_records(job.collection, job.records[start : start + MOST_KEYS], job.email)
    await api.delete(job.email)


def refusal_follows(row: ContactDeliveryState, seen: Contact | None) -> bool:
    """Whether a refusal must follow the person to the next address."""
    if seen is None:
        return consent.refusal_follows(row.consent)
    updated = version_bytes(seen.updated * 1_000_000)
    after = consent.with_observed_status(
        row.consent, seen.email_status, updated, _creation(row, seen), opt_outs_sent=row.opt_out_sent
    )
    return consent.refusal_follows(after)


def _creation(row: ContactDeliveryState, contact: Contact) -> Created:
    """Whether and how we created this contact; what we did to one that had the address before says nothing of it."""
    return creation_of(row, contact.email_status) if row.contact in (None, contact.contact_id) else "no"
