"""Which rows show something of ours in Dotdigital, and which of their tasks take it away. Pure."""

from typing import Any

from streams.dispatch.outbox.tasks import Family, family_of
from streams.domain.consent import opted_out
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import GONE, RecordDeliveryState
from streams.messages.removals import RemovalKind


def present_in(key: str, row: Any) -> tuple[RemovalKind, ...]:
    """What of ours the row of task ``key`` shows as delivered and still wanted."""
    match row:
        case ContactDeliveryState():
            contact = row.known and row.delivered is not None and row.fields is not None
            subscribed = contact and not row.out_by_words and not opted_out(row.consent)
            listed = row.listed and row.fields is not None and not row.place_withdrawn
            found = {RemovalKind.CONTACTS: contact, RemovalKind.LIST: listed, RemovalKind.OPT_OUTS: subscribed}
            return tuple(kind for kind, holds in found.items() if holds)
        case RecordDeliveryState() if row.delivered is not None and row.hash != GONE:
            return (_record_kind(key),)
    return ()


def removal_kind(key: str, row: Any) -> RemovalKind | None:
    """Of which kind of removal the task ``key`` is that follows from the row; None: of none.

    An erasure and a move are none: one must go, and the other takes along what it leaves. Nor is the end of a recent buyer's
    time.
    """
    match row:
        case ContactDeliveryState() if row.opt_out_alone:
            # Before the contact leaves, if it does: the brake must not hold back the opt-out.
            return None
        case ContactDeliveryState() if row.erase is None and row.fields is None and row.dirty:
            ours = row.known or row.delivered is not None or row.outcome_unknown or row.creation.ours is not None
            return RemovalKind.CONTACTS if ours and not row.moved_to else None
        case ContactDeliveryState() if row.out_by_words and not row.dirty:
            # Data of the contact go first: the brake must not hold them back.
            return RemovalKind.OPT_OUTS
        case ContactDeliveryState() if row.place_withdrawn and not row.dirty:
            return RemovalKind.LIST
        case RecordDeliveryState() if row.hash == GONE and not row.moved:
            return _record_kind(key)
    return None


def _record_kind(key: str) -> RemovalKind:
    return RemovalKind.CATALOGUE if family_of(key) is Family.CATALOGUE else RemovalKind.RECORDS
