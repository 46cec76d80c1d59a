"""Bring one contact to its desired state: look before creating, never loosen a status, and report what was done.

The sequence of calls is decided here and nowhere else (``docs/contact-rules.md`` sections 5 and 6). A contact that we know is
changed by its id: such a call cannot create, so a contact that vanished is not brought back subscribed.
"""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeAlias

import msgspec
import orjson
import structlog

from streams.core.clock import Clock
from streams.dispatch.outbox.tasks import owner_of
from streams.dispatch.senders.account_targets import AccountTargets
from streams.domain import consent
from streams.domain.consent import SUBSCRIBED, UNSUBSCRIBED
from streams.domain.contact_state import ContactDeliveryState, holds_fields, sent_last
from streams.domain.correction import Step
from streams.domain.creation import after_status
from streams.domain.own_deeds import foreign_parts, has_signed_up, is_foreign_status, still_as_sent
from streams.domain.versioned import version_bytes
from streams.dotdigital.client import Api
from streams.dotdigital.codes import DELETED_IN_DOTDIGITAL
from streams.dotdigital.contact_calls import Contact
from streams.dotdigital.errors import AccessError, ContactExistsError, DataError, DotdigitalError
from streams.dotdigital.insight import MOST_KEYS
from streams.messages.deliveries import (
    Checkpoint,
    ContactAbsent,
    ContactCleared,
    ContactCreated,
    ContactDeleted,
    ContactDelivered,
    ContactErased,
    ContactLooked,
    ContactMissing,
    ContactUpdated,
    CreatedAs,
    CreationAttempted,
    CreationWithdrawn,
    ListRefusal,
    ObservedContact,
    OptOutSent,
)

log = structlog.get_logger()

NOTHING = b"{}"
"""Data fields that change nothing."""

_REFUSES_ONE_CONTACT = (
    "ERROR_CONTACT_SUPPRESSEDFORADDRESSBOOK",
    "ERROR_CONTACT_SUPPRESSED",
    "ERROR_CONTACT_INVALID",
    "ERROR_CONTACT_NOT_FOUND",
)
"""Codes that keep one contact off a list; any other keeps everybody off: ``contacts:invalidValue`` of an unknown list."""

WriteCheckpoint: TypeAlias = Callable[[Checkpoint], Awaitable[None]]
"""Makes durable what would be lost with the response; returns once it is."""


@dataclass(frozen=True, slots=True)
class ContactUpsert:
    """One contact's row, and what there is to do besides.

    ``join`` is the list that the contact must be put on; ``records`` the keys of the order records that it holds;
    ``probably_new``: everybody whom Dotdigital has was read back, so a contact that we do not know is most likely new.
    """

    task: str
    row: ContactDeliveryState
    targets: AccountTargets
    join: int | None = None
    records: Sequence[str] = ()
    probably_new: bool = False

    @property
    def email(self) -> str:
        """The address."""
        return owner_of(self.task)

    @property
    def fields(self) -> bytes:
        """The data fields to send; none when only the list is wanted."""
        return self.row.fields if self.row.fields is not None and self.row.dirty else NOTHING

    @property
    def lists(self) -> Sequence[int]:
        """The lists to send."""
        return () if self.join is None else (self.join,)

    @property
    def digest(self) -> bytes:
        """Identifies the content that is delivered."""
        return self.row.hash or b""

    def creation_seen(self, contact: Contact) -> CreatedAs | None:
        """How we created the contact that Dotdigital shows; what we did to another one at this address says nothing of it."""
        same = self.row.contact in (None, contact.contact_id)
        return self.row.creation.explaining(contact.email_status) if same else None


async def deliver_contact(api: Api, upsert: ContactUpsert, checkpoint: WriteCheckpoint, clock: Clock) -> ContactDelivered:
    """Send what the row wants; what became of it.

    Raises:
        DotdigitalError: as the client raises; the calls made so far may be repeated safely.
    """
    try:
        return await _ContactCalls(api, upsert, checkpoint, clock).deliver()
    except DataError as error:
        if upsert.join is None:
            raise
        # A list that somebody deleted, or that this contact may not join, must not hold up the data.
        event = await _ContactCalls(api, replace(upsert, join=None), checkpoint, clock).deliver()
        if not isinstance(event, ContactCreated | ContactUpdated):
            return event
        refusal = ListRefusal(error.code, upsert.row.despatched or 0, whole_list=error.code not in _REFUSES_ONE_CONTACT)
        return msgspec.structs.replace(event, list_refusal=refusal)


async def send_opt_out(api: Api, email: str, row: ContactDeliveryState) -> bool | None:
    """Send an opt-out and nothing else; False if the contact is refused already, None if there is none.

    Raises:
        DotdigitalError: as the client raises; it may be repeated.
    """
    found = await api.find(email)
    if found is None:
        return None
    if not consent.must_send_opt_out(row.consent, found.email_status, sent=row.opt_out_sent):
        return False
    await api.update_by_id(found.contact_id, NOTHING, status=UNSUBSCRIBED)
    return True


async def look_only(api: Api, upsert: ContactUpsert, checkpoint: WriteCheckpoint, clock: Clock) -> bool:
    """Whether the contact is there; what follows if it is not is written down, and none is created.

    Raises:
        DotdigitalError: as the client raises; it may be repeated.
    """
    row, found = upsert.row, await api.find(upsert.email)
    if row.owed_to:
        await checkpoint(look_of(upsert, found, clock.now_ms()))
    if found is None and row.must_send_opt_out:
        # Nobody has to be notified. A person who is there later signed up after this.
        await checkpoint(OptOutSent(task=upsert.task, at=clock.now_ms(), opt_outs=row.opt_outs, unsubscribed=False))
    return found is not None


def refusal_follows(row: ContactDeliveryState, looked: ContactLooked) -> bool:
    """Whether a refusal must follow whoever left to the next address."""
    seen = looked.observed
    if seen is None:
        return consent.refusal_follows(row.consent)
    updated = version_bytes(seen.updated * 1_000_000)
    after = consent.with_observed_status(row.consent, seen.status, updated, looked.created_as, opt_outs_sent=row.opt_out_sent)
    return consent.refusal_follows(after)


@dataclass(frozen=True, slots=True)
class _ContactCalls:
    """The calls for one contact, and the event that each way through them ends with."""

    api: Api
    upsert: ContactUpsert
    checkpoint: WriteCheckpoint
    clock: Clock

    async def deliver(self) -> ContactDelivered:
        row = self.upsert.row
        if row.erase is not None:
            return await self._erase()
        if row.fields is None:
            return await self._remove()
        if row.contact is not None and not row.must_send_opt_out and not row.owed_to:
            contact = await self._update_known(row.contact)
            if contact is not None:
                return self._updated(contact, self.upsert.creation_seen(contact), opt_out_now=False)
        return await self._look_and_write()

    async def _look_and_write(self) -> ContactDelivered:
        upsert, row, external = self.upsert, self.upsert.row, self.upsert.targets.external
        # A creation is a look of its own: it is refused, or changes no status, if there is a contact. Not so after a lost
        # response, for then it must be seen whether the contact shows the status that we gave it, or if somebody left.
        known = row.known or row.vanished
        certain = not known and row.creation.attempted_as is None and not row.owed_to
        found = None if upsert.probably_new and certain and not external else await self.api.find(upsert.email)
        if row.owed_to:
            await self._note_look(found)
        if found is None and external:
            return self._missing()
        if found is None and known:
            raise DataError("look for the contact", DELETED_IN_DOTDIGITAL)
        if found is None:
            try:
                return await self._create()
            except ContactExistsError:
                found = await self.api.find(upsert.email)
        return await self._restore_from_bin() if found is None else await self._update(found)

    async def _update_known(self, contact_id: int) -> Contact | None:
        """The contact after the change; None when it must be looked for: it is gone, or has another address by now."""
        try:
            contact = await self.api.update_by_id(contact_id, self.upsert.fields, lists=self.upsert.lists)
        except (DataError, AccessError):
            # What is refused by id for its content is refused by address too, and parked then.
            return None
        return contact if contact.email in ("", self.upsert.email) else None

    async def _create(self) -> ContactDelivered:
        upsert, row = self.upsert, self.upsert.row
        status = self._creation_status()
        # Before the call: if its response is lost, the contact that it created must not count as somebody else's.
        await self.checkpoint(CreationAttempted(task=upsert.task, at=self.clock.now_ms(), created_as=status))
        try:
            if status == SUBSCRIBED:
                # Without a status a new contact is subscribed, and one that comes back from the bin keeps the status it had.
                result = await self.api.upsert_by_email(upsert.email, upsert.fields, lists=upsert.lists)
                if not result.created:
                    return self._updated(result.contact, upsert.creation_seen(result.contact), opt_out_now=False)
                contact = result.contact
            else:
                contact = await self.api.create(upsert.email, upsert.fields, UNSUBSCRIBED, lists=upsert.lists)
        except DotdigitalError as error:
            if error.not_applied:
                # A contact that is found next time was created by somebody else, or by an earlier try of ours.
                earlier = row.creation.attempted_as
                await self.checkpoint(CreationWithdrawn(task=upsert.task, at=self.clock.now_ms(), attempted_before=earlier))
            raise
        return ContactCreated(
            task=upsert.task,
            at=self.clock.now_ms(),
            digest=upsert.digest,
            contact=contact.contact_id,
            created_as=status,
            opt_outs=row.opt_outs_to_send,
            joined=upsert.join is not None,
            observed=observed(contact),
        )

    async def _update(self, found: Contact) -> ContactDelivered:
        upsert, row = self.upsert, self.upsert.row
        # A correction whose outcome is not known may still subscribe the contact.
        shown = None if row.correction.step is Step.ATTEMPTED else found.email_status
        tighten = consent.must_send_opt_out(row.consent, shown, sent=row.opt_out_sent)
        if not tighten and upsert.join is None and found.contact_id == row.contact and holds_fields(row):
            # Only the opt-out is new, and the contact is refused already; or it was looked at for somebody who left.
            return self._updated(found, upsert.creation_seen(found), opt_out_now=False)
        status: Literal["unsubscribed"] | None = UNSUBSCRIBED if tighten else None
        try:
            contact = await self.api.update_by_id(found.contact_id, upsert.fields, upsert.lists, status)
        except DataError:
            if await self.api.find(upsert.email) is None:
                # It vanished since the look; by its address it would have come back subscribed.
                if upsert.targets.external:
                    return self._missing()
                raise DataError("look for the contact", DELETED_IN_DOTDIGITAL) from None
            if tighten:
                # The opt-out goes out even when the data cannot.
                await self.api.update_by_id(found.contact_id, NOTHING, status=status)
                now = self.clock.now_ms()
                await self.checkpoint(OptOutSent(task=upsert.task, at=now, opt_outs=row.opt_outs, unsubscribed=True))
            raise
        return self._updated(contact, upsert.creation_seen(contact), opt_out_now=tighten)

    async def _restore_from_bin(self) -> ContactDelivered:
        """There is a contact that cannot be seen: it is in the recycle bin, and comes back with the status it had there."""
        upsert, row = self.upsert, self.upsert.row
        tighten = consent.must_send_opt_out(row.consent, None, sent=row.opt_out_sent)
        status: Literal["unsubscribed"] | None = UNSUBSCRIBED if tighten else None
        result = await self.api.upsert_by_email(upsert.email, upsert.fields, status, lists=upsert.lists)
        contact, created_as = result.contact, upsert.creation_seen(result.contact)
        if result.created:
            created_as = self._creation_status()
            if created_as == UNSUBSCRIBED and not tighten:
                contact = await self.api.update_by_id(contact.contact_id, NOTHING, status=UNSUBSCRIBED)
        return self._updated(contact, created_as, opt_out_now=tighten)

    def _updated(self, contact: Contact, created_as: CreatedAs | None, *, opt_out_now: bool) -> ContactUpdated:
        upsert, row = self.upsert, self.upsert.row
        # An unsubscribe that we sent is nobody's statement.
        echo = (opt_out_now or row.opt_out_sent) and contact.email_status == UNSUBSCRIBED
        return ContactUpdated(
            task=upsert.task,
            at=self.clock.now_ms(),
            digest=upsert.digest,
            contact=contact.contact_id,
            created_as=after_status(created_as, contact.email_status),
            exists_since=contact.created,
            opt_outs=row.opt_outs_to_send,
            joined=upsert.join is not None,
            observed=None if echo else observed(contact),
        )

    async def _remove(self) -> ContactDelivered:
        upsert, row = self.upsert, self.upsert.row
        touched = row.delivered is not None or row.known or row.outcome_unknown or row.creation.attempted_as is not None
        found = await self.api.find(upsert.email) if touched or row.owed_to else None
        created_as = None if found is None else upsert.creation_seen(found)
        if found is not None or row.owed_to:
            # Before the contact goes: once it is gone, a lost response would take the unsubscribe along.
            await self._note_look(found)
        if found is None or not touched:
            return self._absent()
        if created_as is not None and not self._somebody_elses(found, created_as):
            await self._delete()
            return ContactDeleted(task=upsert.task, at=self.clock.now_ms(), digest=upsert.digest)
        try:
            await self.api.update_by_id(found.contact_id, self._emptied(found))
        except DataError:
            if await self.api.find(upsert.email) is None:
                return self._absent()
            raise
        return ContactCleared(
            task=upsert.task,
            at=self.clock.now_ms(),
            digest=upsert.digest,
            contact=found.contact_id,
            opt_outs=row.opt_outs_to_send if row.opt_out_sent else None,
        )

    def _emptied(self, found: Contact) -> bytes:
        """The content that empties our data fields; of those that people fill too only what is certainly ours."""
        upsert, row = self.upsert, self.upsert.row
        if row.touched or has_signed_up(found.profile, found.email_status, row.creation.created_as):
            return upsert.targets.cleared
        ours = dict.fromkeys(still_as_sent(found.profile, sent_last(row), upsert.targets.kept))
        return orjson.dumps(orjson.loads(upsert.targets.cleared) | ours, option=orjson.OPT_SORT_KEYS)

    def _somebody_elses(self, found: Contact, created_as: CreatedAs) -> bool:
        """Whether others have had a hand in the contact since we created it: then only our data go."""
        upsert, row = self.upsert, self.upsert.row
        deeds = [*foreign_parts(found.profile, upsert.targets.own)]
        # As it was created, not as that would explain what is seen now.
        created_as = row.creation.created_as or created_as
        ours = row.unsubscribed_by_us
        if row.touched or is_foreign_status(found.email_status, created_as, unsubscribed_by_us=ours):
            deeds.append("status")
        if deeds:
            log.info("a contact of ours stays, for others have had a hand in it", deeds=deeds)
        return bool(deeds)

    async def _note_look(self, found: Contact | None) -> None:
        await self.checkpoint(look_of(self.upsert, found, self.clock.now_ms()))

    async def _erase(self) -> ContactErased:
        if await self.api.find(self.upsert.email) is not None:
            await self.api.suppress([self.upsert.email])
            await self._delete()
        return ContactErased(task=self.upsert.task, at=self.clock.now_ms())

    async def _delete(self) -> None:
        # The bin keeps a contact's records for thirty days, and with them their keys from whoever has the orders next.
        email, collection, records = self.upsert.email, self.upsert.targets.orders, self.upsert.records
        if collection is not None:
            for start in range(0, len(records), MOST_KEYS):
                await self.api.delete_records(collection, records[start : start + MOST_KEYS], email)
        await self.api.delete(email)

    def _absent(self) -> ContactAbsent:
        return ContactAbsent(task=self.upsert.task, at=self.clock.now_ms(), digest=self.upsert.digest)

    def _missing(self) -> ContactMissing:
        return ContactMissing(task=self.upsert.task, at=self.clock.now_ms())

    def _creation_status(self) -> CreatedAs:
        return consent.creation_status(self.upsert.row.consent, external=self.upsert.targets.external) or UNSUBSCRIBED


def look_of(upsert: ContactUpsert, found: Contact | None, at: int) -> ContactLooked:
    """What a look at the contact has shown, and that those who left know it."""
    return ContactLooked(
        task=upsert.task,
        at=at,
        observed=None if found is None else observed(found),
        created_as=None if found is None else upsert.creation_seen(found),
        departures=upsert.row.departures,
    )


def observed(contact: Contact) -> ObservedContact:
    """What a call has shown of the contact, for its event."""
    return ObservedContact(contact.email_status, contact.updated)
