"""What delivery events make of a contact's row: every way in which an attempt to deliver it can end.

The row and what is desired of it are in :mod:`streams.domain.contact_state`.
"""

from msgspec.structs import replace

from streams.domain import consent, moves
from streams.domain.consent import SUBSCRIBED
from streams.domain.contact_state import (
    ContactDeliveryState,
    note_deed,
    note_seen,
    observe_status,
    rehash,
    set_contact_id,
    state_opt_out,
)
from streams.domain.correction import Step
from streams.domain.creation import NOT_OURS, Creation
from streams.domain.versioned import version_bytes
from streams.dotdigital.codes import DELETED_IN_DOTDIGITAL
from streams.messages.deliveries import (
    Checkpoint,
    ContactAbsent,
    ContactCleared,
    ContactCreated,
    ContactDeleted,
    ContactLooked,
    ContactMissing,
    ContactOptedOut,
    ContactRenamed,
    ContactUpdated,
    CorrectionAttempted,
    CorrectionEnded,
    CreatedAs,
    CreationAttempted,
    CreationCorrected,
    CreationWithdrawn,
    ListLeft,
    ObservedContact,
    OptOutSent,
    RenameDeclined,
    TaskEvent,
    TaskParked,
)

_CLOCKS_APART = 600
"""How far Dotdigital's clock and ours may be apart, in seconds, with the time that a call takes."""


def apply_result(row: ContactDeliveryState, event: TaskEvent) -> None:
    """Write a delivery event into the row; it stays dirty when the event answers other content than is wanted now.

    Raises:
        TypeError: a row does not outlive that outcome (an erasure), or a contact does not have it.
    """
    match event:
        case CreationAttempted() | CreationWithdrawn() | OptOutSent() | ContactLooked() | CorrectionAttempted():
            _apply_checkpoint(row, event)
        case ContactCreated() | ContactUpdated():
            _apply_upsert(row, event)
        case ContactOptedOut():
            _opt_out_by_words(row, event)
        case CreationCorrected() | CorrectionEnded():
            _apply_correction(row, event)
        case ContactCleared() | ContactDeleted() | ContactAbsent():
            _apply_removal(row, event)
        case ContactRenamed() | RenameDeclined():
            _apply_move(row, event)
        case ContactMissing():
            row.vanished = row.vanished or row.known
            _lose_contact(row)
            row.outcome_unknown = True
        case ListLeft() | TaskParked():
            _apply_end(row, event)
        case _:
            raise TypeError(f"the row of a contact cannot be {event.outcome}")


def _lose_contact(row: ContactDeliveryState) -> None:
    """Nobody is at the address any more."""
    set_contact_id(row, None)
    row.creation, row.attempted_at = NOT_OURS, 0
    if row.out_by_words:
        # There is nobody left whom the brake protects, and who is created again must not be subscribed by the old list.
        state_opt_out(row)
        if row.hash is not None:
            rehash(row)


def _apply_end(row: ContactDeliveryState, event: ListLeft | TaskParked) -> None:
    if isinstance(event, ListLeft):
        row.listed = row.join_unconfirmed = row.place_withdrawn = False
        return
    # Nobody can look at an address that Dotdigital refuses, and nobody is there.
    row.owed_to = ()
    if event.code == DELETED_IN_DOTDIGITAL:
        _lose_contact(row)
        row.vanished, row.delivered, row.outcome_unknown = True, None, False
        if row.must_send_opt_out and event.opt_outs != row.opt_outs:
            # An opt-out has come since that look; there may be another contact by now.
            return
    elif event.digest != row.desired_digest:
        # The refusal of content that nobody wants any more parks nothing.
        return
    row.parked, row.code = row.desired_digest, event.code


def _apply_checkpoint(row: ContactDeliveryState, event: Checkpoint) -> None:
    match event:
        case CreationAttempted():
            row.attempted_at = row.attempted_at or event.at // 1000
            row.creation = row.creation.attempted(event.created_as)
        case CreationWithdrawn():
            row.creation = row.creation.withdrawn(event.attempted_before)
            row.attempted_at = 0 if event.attempted_before is None else row.attempted_at
        case OptOutSent():
            row.opt_out_sent, row.sent_at = row.opt_out_sent or _passed_on(row, event.opt_outs), event.at // 1000
            row.unsubscribed_by_us = row.unsubscribed_by_us or event.unsubscribed
        case ContactLooked():
            _observe_call(row, event.observed, event.created_as)
            if event.departures == row.departures:
                row.owed_to = ()
        case CorrectionAttempted():
            row.correction = replace(row.correction, step=Step.ATTEMPTED)


def _apply_upsert(row: ContactDeliveryState, event: ContactCreated | ContactUpdated) -> None:
    _observe_call(row, event.observed, event.created_as)
    row.delivered, row.outcome_unknown, row.sent_at = event.digest, False, event.at // 1000
    same = row.contact in (None, event.contact) if isinstance(event, ContactUpdated) else False
    before = row.creation if same else NOT_OURS
    set_contact_id(row, event.contact)
    if event.import_id is None and event.opt_outs is not None and event.observed is None:
        # What the call shows is left out where it is an echo of its own opt-out.
        row.unsubscribed_by_us = True
    if event.created_as == SUBSCRIBED and row.creation.created_as is None:
        # A reading may come before what explains it: then the sign-up that it showed was our own creation.
        row.touched = False
    if not row.created_at:
        row.created_at = _created_at(row, event)
    if event.import_id is None or isinstance(event, ContactCreated) or event.attempted_before is None:
        row.attempted_at = 0
    if isinstance(event, ContactCreated):
        row.creation = Creation.confirmed(event.created_as)
    elif event.import_id is None:
        row.creation = before.settled(event.created_as)
    else:
        row.creation = before.imported_over(event.attempted_before)
    if event.joined:
        row.listed, row.join_unconfirmed = True, False
    if event.list_refusal is not None and not event.list_refusal.whole_list:
        row.list_refused_at = event.list_refusal.despatched
    # A single call beside an import may have passed the opt-out on meanwhile, and the import's report does not know of it.
    row.opt_out_sent = _passed_on(row, event.opt_outs) or (event.import_id is not None and row.opt_out_sent)


def _created_at(row: ContactDeliveryState, event: ContactCreated | ContactUpdated) -> int:
    """When we created the contact, as far as the event says (epoch s); 0: it does not, or others did.

    The status may have changed before the response to a lost creation was made up for: then it does not show that we created
    the contact, but its age does.
    """
    if event.created_as is not None:
        return event.at // 1000
    late = isinstance(event, ContactUpdated) and row.attempted_at and event.exists_since >= row.attempted_at - _CLOCKS_APART
    return row.attempted_at if late else 0


def _passed_on(row: ContactDeliveryState, opt_outs: int | None) -> bool:
    """Whether a call that passed on so many opt-outs passed on all that there are."""
    return opt_outs == row.opt_outs and consent.opted_out(row.consent)


def _apply_removal(row: ContactDeliveryState, event: ContactCleared | ContactDeleted | ContactAbsent) -> None:
    row.delivered, row.outcome_unknown, row.vanished = event.digest, False, False
    row.withdrawn, row.created_at, row.attempted_at, row.sent_at = None, 0, 0, event.at // 1000
    set_contact_id(row, event.contact if isinstance(event, ContactCleared) else None)
    row.creation = NOT_OURS
    row.opt_out_sent = isinstance(event, ContactCleared) and _passed_on(row, event.opt_outs)


def _apply_move(row: ContactDeliveryState, event: ContactRenamed | RenameDeclined) -> None:
    """The address that asked is answered; a contact that was renamed is there now, and nobody is here."""
    if isinstance(event, ContactRenamed) and row.contact == event.contact.contact:
        set_contact_id(row, None)
        row.creation, row.created_at, row.attempted_at = NOT_OURS, 0, 0
        row.withdrawn, row.opt_out_sent = None, False
        row.delivered, row.outcome_unknown, row.vanished = row.hash if row.fields is None else None, False, False
        # The next address has the contact itself, with everything that was to be carried to it.
        row.owed_to = ()
    moves.close(row, event.to, event.left_at, for_good=isinstance(event, ContactRenamed) or not event.moved_on)


def _observe_call(row: ContactDeliveryState, observed: ObservedContact | None, created_as: CreatedAs | None) -> None:
    if observed is not None:
        note_seen(row, observed.updated)
        note_deed(row, observed.status)
        observe_status(row, observed.status, version_bytes(observed.updated * 1_000_000), created_as)


def _apply_correction(row: ContactDeliveryState, event: CreationCorrected | CorrectionEnded) -> None:
    if isinstance(event, CorrectionEnded):
        row.correction = replace(row.correction, step=Step.NONE if event.again else Step.ENDED)
        return
    # From now on the contact is as if we had created it so: what others do to it is told from that.
    row.creation = Creation.confirmed(SUBSCRIBED)
    row.correction = replace(row.correction, step=Step.NONE)
    _observe_call(row, event.observed, SUBSCRIBED)


def _opt_out_by_words(row: ContactDeliveryState, event: ContactOptedOut) -> None:
    """The opt-out is passed on: from now on it is the ERP's statement like any other."""
    holds = row.delivered is not None and row.delivered == row.hash
    state_opt_out(row)
    row.opt_out_sent, row.sent_at = True, event.at // 1000
    row.unsubscribed_by_us = row.unsubscribed_by_us or event.unsubscribed
    if row.hash is not None:
        rehash(row)
        # The data are as they were.
        row.delivered = row.hash if holds else row.delivered
