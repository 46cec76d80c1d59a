"""Drift: what a comparison with Dotdigital says of a row whose delivery was believed to be done. Pure."""

from msgspec.structs import replace

from streams.dispatch.outbox.rows import DeliveryState
from streams.domain.contact_outcomes import apply_result
from streams.domain.contact_state import ContactDeliveryState
from streams.domain.record_state import FollowUpDeliveryState
from streams.messages.deliveries import ContactMissing
from streams.messages.drift import DriftFound


def newest_event(row: DeliveryState) -> int:
    """The offset of the row's newest delivery event; -1: it knows none."""
    return row.events[-1] if row.events else -1


def reopened(row: DeliveryState, found: DriftFound, task: str, at: int) -> DeliveryState | None:
    """The row that no longer takes what was delivered for certain, so that it is delivered again; None: it was delivered since.

    ``task`` names it; ``at``: now (epoch ms).

    Consent is only ever tightened: an opt-out that did not take is sent again, and nothing else is said of a status.
    """
    if row.dirty or isinstance(row, FollowUpDeliveryState) or newest_event(row) != found.event:
        # Deliveries on their way are made anyway.
        return None
    if row.hash is None:
        return None
    after = replace(row)
    if "content" in found.lost:
        after.outcome_unknown = True
    if not isinstance(after, ContactDeliveryState):
        return after
    if "contact" in found.lost:
        # It is looked for: a write would bring it back from the recycle bin.
        apply_result(after, ContactMissing(task=task, at=at))
    if "contact" in found.lost or "list place" in found.lost:
        after.listed = False
    if "opt-out" in found.lost:
        after.opt_out_sent = False
    return after
