"""Whether a contact's status may be corrected that Orderwise opted in after we had created it unsubscribed. Pure.

``docs/delivery-rules.md`` section 8. Cases that cannot be told apart stay as they are: a conflict for a person to decide.
"""

from enum import StrEnum

from streams.domain import consent
from streams.domain.consent import UNSUBSCRIBED, Outcome, folded_status
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.correction import Step
from streams.dotdigital.contact_calls import Contact


class ConflictRule(StrEnum):
    """Why Orderwise's *in* is a conflict."""

    UNSUBSCRIBED = "unsubscribed"
    CARRIED = "carried"
    CREATED = "created"


def rule_of(row: ContactDeliveryState) -> ConflictRule:
    """Of a contact with a conflict: Dotdigital's word goes before what came from a former address, and both before ours."""
    if row.refused_in_dotdigital:
        return ConflictRule.UNSUBSCRIBED
    return ConflictRule.CARRIED if consent.refusal_follows(row.consent) else ConflictRule.CREATED


def is_candidate(row: ContactDeliveryState) -> bool:
    """Whether nothing that we know says that the person left, and the creation was answered.

    An opt-out that Orderwise ever stated, or that came along from another address, is the person's word, whatever followed.
    """
    ours = row.creation.created_as == UNSUBSCRIBED and row.creation.attempted_as is None
    wanted = row.fields is not None and row.erase is None and not row.vanished
    refused = row.touched or row.unsubscribed_by_us or row.opt_outs or consent.outcome(row.consent) is not Outcome.IN
    return row.consent_conflict and ours and wanted and not refused and row.correction.step is not Step.ENDED


def is_due(row: ContactDeliveryState, known_since: int, read_until: int) -> bool:
    """Whether a reading later than the *in* shows nobody's refusal.

    Args:
        row: the contact's.
        known_since: since when every refusal is read with its date (UTC epoch seconds, by our clock).
        read_until: when the reading began, less what clocks may differ by.
    """
    return is_candidate(row) and row.created_at >= known_since and 0 < row.correction.in_since <= read_until


def doubt(row: ContactDeliveryState, found: Contact) -> str | None:
    """Why the contact, as a look immediately before shows it, must not be subscribed; None: nothing is against it."""
    if found.contact_id != row.contact or folded_status(found.email_status) != UNSUBSCRIBED:
        return "another_status"
    if found.profile.consent_records or found.profile.preferences:
        return "own_deed"
    if not found.created or row.correction.removed_at > found.created:
        # Also when nobody knows when it was created.
        return "left_later"
    return None


def changed_since(row: ContactDeliveryState, found: Contact) -> bool:
    """Whether the contact has changed since it was read or written last: the next reading says how."""
    return found.updated > row.correction.seen
