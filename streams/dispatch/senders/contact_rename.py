"""Give a contact the address that its person moved to, or decline (``docs/contact-rules.md`` section 6).

The contact is looked for by its id first: there the outcome of an earlier call shows whose response was lost.
"""

from typing import Literal

from streams.core.clock import Clock
from streams.dispatch.senders.contact_upsert import ContactUpsert, WriteCheckpoint, look_of, observed
from streams.domain import consent, moves
from streams.domain.consent import UNSUBSCRIBED, Signal
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.creation import after_status
from streams.domain.move_state import MoveState
from streams.dotdigital.client import Api
from streams.dotdigital.contact_calls import Contact
from streams.dotdigital.errors import DataError, TransientError
from streams.messages.deliveries import ContactRenamed, MovedContact, RenameDeclined
from streams.messages.moves import MoveQuery


async def rename_contact(
    api: Api, upsert: ContactUpsert, checkpoint: WriteCheckpoint, clock: Clock
) -> ContactRenamed | RenameDeclined:
    """Answer the address that asks for the contact; ``upsert.row`` has the question.

    A refusal of Dotdigital declines: the contact is then treated as any that somebody left, and the person's next address gets
    what it wants by calls of its own.

    Raises:
        DotdigitalError: no connection, a limit, or refused access; it may be repeated.
    """
    row = upsert.row
    if row.move is None or row.contact is None:
        raise ValueError("nobody asks for the contact")
    to, asked = row.move.granted, row.move.asked[row.move.granted]
    found = await api.find_by_id(row.contact)
    here = found if found is not None and found.email == upsert.email else None
    moved: MovedContact | None = None
    if found is not None and found.email == to:
        # An earlier call did it, perhaps with other content than is asked for now.
        moved = _moved(upsert, found, asked, passed_on=False)
    elif here is not None and moves.suits(row, to) and moves.may_be_renamed(here.email_status):
        moved = await _rename(api, upsert, here, to, asked)
    if moved is not None:
        return ContactRenamed(task=upsert.task, at=clock.now_ms(), to=to, left_at=asked.left_at, contact=moved)
    if row.owed_to:
        # Before the next address is answered: it must not create its contact without what follows its person.
        await checkpoint(look_of(upsert, here, clock.now_ms()))
    return declined(upsert.task, row.move, to, clock)


def declined(task: str, move: MoveState, to: str, clock: Clock) -> RenameDeclined:
    """The answer to the address ``to``, which asked: the contact does not go along."""
    asked = move.asked[to]
    return RenameDeclined(task=task, at=clock.now_ms(), to=to, left_at=asked.left_at, moved_on=asked.moved_on)


async def _rename(api: Api, upsert: ContactUpsert, found: Contact, to: str, asked: MoveQuery) -> MovedContact | None:
    """The contact as it is after the call; None if Dotdigital refuses it, for another contact has the address, for example."""
    owed = asked.opt_out or consent.must_send_opt_out(upsert.row.consent, found.email_status, sent=upsert.row.opt_out_sent)
    tighten = owed and not consent.refused(found.email_status)
    status: Literal["unsubscribed"] | None = UNSUBSCRIBED if tighten else None
    try:
        contact = await api.rename(found.contact_id, to, asked.fields or b"{}", status)
    except (DataError, TransientError):
        return None
    return _moved(upsert, contact, asked, passed_on=True, tightened=tighten)


def _moved(
    upsert: ContactUpsert, contact: Contact, asked: MoveQuery, *, passed_on: bool, tightened: bool = False
) -> MovedContact:
    row: ContactDeliveryState = upsert.row
    refusal = row.consent.dotdigital
    return MovedContact(
        contact=contact.contact_id,
        digest=asked.digest if passed_on else None,
        opt_outs=asked.opt_outs if passed_on else None,
        # An unsubscribe that we sent is nobody's statement.
        observed=None if tightened else observed(contact),
        created_as=row.creation.created_as or after_status(upsert.creation_seen(contact), contact.email_status),
        created_at=row.ours_since,
        touched=row.touched,
        unsubscribed_by_us=row.unsubscribed_by_us or tightened,
        listed=row.listed,
        join_unconfirmed=row.join_unconfirmed,
        list_refused_at=row.list_refused_at,
        refusal_at=refusal.at if refusal.signal is Signal.OUT else None,
        carried=row.consent.carried,
        lifted=row.consent.lifted,
    )
