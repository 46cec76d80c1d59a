"""How a write moves the status of the e-mail channel.

Sources: the contacts specification (status omitted leaves an existing contact alone and subscribes a new one;
verifiedDouble waits for the holder), and the notes of Dotdigital's connector (subscribing a contact that has not
confirmed yet is a 400). Whether a resubscription challenges the holder is contradictory between the two; here the
specification's default, no challenge, holds, and a challenge leaves the contact unsubscribed until it is answered.
"""

from __future__ import annotations

NO_CHANNEL = "noSubscription"
"""The status of a contact that never had an e-mail."""

HARD_STATUSES = frozenset(
    (
        "hardBounced",
        "ispComplained",
        "directComplaint",
        "spamTrap",
        "deleted",
        "blockedlocalpart",
        "sharedsuppression",
        "sharedDomainSuppression",
        "suppressed",
        "purchased",
        "knownComplainer",
        "knownLitigator",
        "domainSuppressed",
    )
)
"""Statuses that no contact leaves through the API."""

GLOBAL_STATUSES = frozenset(
    (
        "spamTrap",
        "blockedlocalpart",
        "sharedsuppression",
        "sharedDomainSuppression",
        "purchased",
        "knownComplainer",
        "knownLitigator",
    )
)
"""Addresses that Dotdigital bars by itself, whatever the account holds."""

MAILABLE = frozenset(("subscribed", "softBounced"))
STATUSES = HARD_STATUSES | MAILABLE | frozenset((NO_CHANNEL, "unsubscribed", "pendingOptIn", "binned"))


class ResubscribeError(Exception):
    """The channel's status does not allow it to be subscribed."""


def first_status(requested: str | None, *, confirm: bool) -> str:
    """The status of a new e-mail channel; `confirm` when its holder must confirm first."""
    status = requested or "subscribed"
    return "pendingOptIn" if confirm and status == "subscribed" else status


def next_status(current: str, requested: str | None, *, confirm: bool, challenge: bool) -> str:
    """The status of an existing channel after a write.

    `confirm`: the write turns the opt-in type to verifiedDouble. `challenge`: a resubscription must be confirmed.
    Raises ResubscribeError for `subscribed` on a channel that waits for confirmation or is barred; that a barred one
    is refused, and not silently kept, is assumed.
    """
    if requested == "subscribed":
        if current in HARD_STATUSES or current == "pendingOptIn":
            raise ResubscribeError(current)
        if current == "unsubscribed" and challenge:
            return current
        current = "softBounced" if current == "softBounced" else "subscribed"
    elif requested is not None and current not in HARD_STATUSES:
        return requested
    return "pendingOptIn" if confirm and current == "subscribed" else current


def overall_status(email_status: str) -> str:
    """The contact's own status, which knows fewer values than the channel's."""
    if email_status in HARD_STATUSES:
        return "deleted" if email_status == "deleted" else "suppressed"
    return "subscribed" if email_status == "softBounced" else email_status
