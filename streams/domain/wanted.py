"""What is wanted of a delivery, apart from what was delivered: put aside for a generation, and put in place of another's.

A generation of the joins that does not take effect has rows of the same types, of which only the desired half is used. Pure.
"""

from typing import TypeAlias

from msgspec.structs import replace

from streams.domain import contact_state, record_state
from streams.domain.consent import Consent, Signal, Statement
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import GONE, FollowUpDeliveryState, RecordDeliveryState
from streams.messages.changes import DesiredContact, DesiredFollowUp, DesiredRecord

DeliveryState: TypeAlias = ContactDeliveryState | RecordDeliveryState | FollowUpDeliveryState

_OPTED = {Signal.SILENT: None, Signal.IN: True, Signal.OUT: False}


def keep_contact(row: ContactDeliveryState, desired: DesiredContact, position: bytes) -> bool:
    """Write what a generation wants into its row beside the active one; False when it is older than what is there."""
    withdrawn = row.fields is None
    if not contact_state.set_desired(row, desired, position):
        return False
    if desired.held and withdrawn:
        # Its wishes from before it withdrew the contact do not count: the delivered content stays.
        row.fields = row.hash = row.withdrawn = None
    return True


def keep_record(row: RecordDeliveryState, desired: DesiredRecord | None, position: bytes) -> bool:
    """Write what a generation wants of a record into its row beside the active one; the content is not kept."""
    done = record_state.set_desired_record(row, desired, position)
    row.content = None
    if done and desired is not None and desired.held and row.hash == GONE:
        # That it withdrew the record before does not count: the delivered content stays.
        row.hash = None
    return done


def keep_follow_up(row: FollowUpDeliveryState, desired: DesiredFollowUp | None) -> bool:
    """Write what a generation wants of a follow-up into its row beside the active one."""
    row.desired = desired
    return True


def wanted_of(row: DeliveryState) -> DeliveryState | None:
    """What is wanted now, in a row without anything delivered; None: the joins have said nothing."""
    match row:
        case ContactDeliveryState():
            return contact_wanted(row)
        case RecordDeliveryState():
            return record_wanted(row)
        case FollowUpDeliveryState():
            return follow_up_wanted(row)


def contact_wanted(row: ContactDeliveryState) -> ContactDeliveryState | None:
    """What is wanted of a contact, and what Orderwise says of its consent; None: the joins have said nothing of it."""
    if not row.position:
        return None
    said = Statement(row.out_by_words, Signal.OUT) if row.out_by_words else row.consent.erp
    return ContactDeliveryState(
        position=row.position,
        fields=row.fields,
        moved_to=row.moved_to,
        hash=row.hash,
        consent=Consent(erp=said),
        despatched=row.despatched,
        left_at=row.left_at,
        words=row.words,
        unread=row.unread,
        shared=row.shared,
        answers=row.answers,
        unreadable=row.unreadable,
    )


def record_wanted(row: RecordDeliveryState) -> RecordDeliveryState | None:
    """What is wanted of a record, without its content; None: the joins have said nothing of it."""
    if not row.position:
        return None
    return RecordDeliveryState(
        position=row.position, hash=row.hash, source=row.source, moved=row.moved, successor=row.successor
    )


def follow_up_wanted(row: FollowUpDeliveryState) -> FollowUpDeliveryState | None:
    """What is wanted of a follow-up; None: nothing."""
    return None if row.desired is None else FollowUpDeliveryState(desired=row.desired)


def put_contact(row: ContactDeliveryState, wanted: ContactDeliveryState | None) -> bool:
    """Another generation takes effect, which wants that; None: it has never had the contact, which is withdrawn then."""
    if wanted is None and not row.position:
        return False
    # Positions of two generations do not compare: each counts its own versions. So Orderwise's consent is stated anew.
    row.position = b""
    row.consent = replace(row.consent, erp=Statement(b"", row.consent.erp.signal))
    if wanted is None:
        return withdraw_contact(row)
    desired = DesiredContact(
        wanted.fields,
        _OPTED[wanted.consent.erp.signal],
        wanted.moved_to,
        wanted.despatched,
        wanted.left_at,
        held=wanted.hash is None,
        words=wanted.words,
        unread=wanted.unread,
        shared=wanted.shared,
        answers=wanted.answers,
        unreadable=wanted.unreadable,
    )
    return contact_state.set_desired(row, desired, wanted.position)


def withdraw_contact(row: ContactDeliveryState) -> bool:
    """A contact is to go that the generation in effect has never had; it has no position until that says something of it."""
    # Refusals of people who left are owed to their next addresses all the same.
    desired = DesiredContact(None, _OPTED[row.consent.erp.signal], row.moved_to, left_at=row.left_at, words=row.words)
    return contact_state.set_desired(row, desired, b"")


def put_record(row: RecordDeliveryState, wanted: RecordDeliveryState | None) -> bool:
    """Another generation takes effect, which wants that; None: it has never had the record, which is withdrawn then.

    A record that is withdrawn so has no position until the generation says something of it.
    """
    if wanted is None and not row.position:
        return False
    new = wanted or RecordDeliveryState(hash=GONE, source=row.source)
    if new.hash is None:
        # It does not know what the record should be.
        row.position = new.position
        return True
    if new.hash != row.hash:
        row.content = None
    row.position, row.hash, row.source = new.position, new.hash, new.source
    row.moved, row.successor = new.moved, new.successor
    if row.hash != row.parked:
        row.parked, row.code = None, None
    return True


def withdraw_record(row: RecordDeliveryState) -> bool:
    """A record that has stayed as it was, because nobody knew what it should be, is to go."""
    return put_record(row, RecordDeliveryState(hash=GONE, source=row.source))


def put_follow_up(row: FollowUpDeliveryState, wanted: FollowUpDeliveryState | None) -> bool:
    """Another generation takes effect, which wants that, or nothing; what was done stays done."""
    desired = None if wanted is None else wanted.desired
    if desired == row.desired:
        return False
    record_state.set_desired_follow_up(row, desired)
    return True
