"""Consent: what every source says of one address, and what follows from it.

The sources are the ERP, Dotdigital's own record of the contact, and the record of an address that the person had before.
Each is a register that keeps its latest statement, a stricter one among equally late ones, so :func:`join` is commutative,
associative and idempotent: replays and reordering cannot change an answer. Between sources the strictest wins: out, then in,
then unknown. ``docs/delivery-rules.md`` section 8 is the table that this module obeys.

Positions compare within one source only: the ERP's are versions of the desired content, Dotdigital's are the microseconds of
the contact's ``updated``, both as :func:`streams.domain.versioned.version_bytes`.
"""

from enum import IntEnum
from typing import Final, Literal, TypeAlias

import msgspec

from streams.messages.deliveries import CreatedAs

Status: TypeAlias = Literal["subscribed", "unsubscribed"]
"""What we may ask of Dotdigital."""

SUBSCRIBED: Final = "subscribed"
UNSUBSCRIBED: Final = "unsubscribed"

_NOBODY_REFUSED: Final = frozenset(
    {
        "subscribed",
        # The person was asked to confirm and has not answered yet.
        "pendingoptin",
        # The mailbox speaks, not the person.
        "softbounced",
        "hardbounced",
        "nomxrecord",
        # Never had the channel, or was deleted: a delete is no unsubscribe (Dotdigital's right-to-be-forgotten article).
        "nosubscription",
        "binned",
    }
)


class Signal(IntEnum):
    """What a source says, the stricter the higher."""

    SILENT = 0
    IN = 1
    OUT = 2


class Outcome(IntEnum):
    """What all sources together say, the stricter the higher."""

    UNKNOWN = 0
    IN = 1
    OUT = 2


class Statement(msgspec.Struct, array_like=True, frozen=True, order=True, gc=False):
    """One source's latest statement, and its position. Compares by position, then by strictness."""

    at: bytes = b""
    signal: Signal = Signal.SILENT


class Consent(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Everything that was ever said of one address and still counts.

    ``carried`` is the position of the newest refusal that came along from a former address of the person; ``lifted`` is that
    of the newest one which the person has taken back since, by subscribing again at this address.
    """

    erp: Statement = Statement()
    dotdigital: Statement = Statement()
    carried: bytes = b""
    lifted: bytes = b""


def join(one: Consent, other: Consent) -> Consent:
    """What is known when both are known."""
    return Consent(
        max(one.erp, other.erp),
        max(one.dotdigital, other.dotdigital),
        max(one.carried, other.carried),
        max(one.lifted, other.lifted),
    )


def with_erp_statement(consent: Consent, opted: bool | None, position: bytes) -> Consent:
    """The ERP says in (True), out (False) or nothing (None); its silence takes back what it said before."""
    word = Signal.SILENT if opted is None else Signal.IN if opted else Signal.OUT
    return join(consent, Consent(erp=Statement(position, word)))


def with_observed_status(
    consent: Consent, status: str, updated: bytes, created_as: CreatedAs | None, *, opt_outs_sent: bool
) -> Consent:
    """Dotdigital shows the contact with ``status``.

    A refusal is kept until the contact is seen subscribed again: only the person can do that, as we never do where anybody
    refused. An absent
    contact says nothing, nor do bounces and a confirmation that is still pending.

    Args:
        consent: what was known before.
        status: of the e-mail channel, in any casing.
        updated: position of the contact's ``updated``.
        created_as: how we created it, if we did; the status that a contact got from us is nobody's refusal.
        opt_outs_sent: every opt-out that we owed was passed on, so a subscription newer than a refusal is the person's own.
    """
    if refused(status):
        # Unless we gave it because a refusal came along: then it is the person's, and a subscription after it takes it back.
        if created_as == UNSUBSCRIBED == folded_status(status) and not consent.carried > consent.lifted:
            return consent
        return join(consent, Consent(dotdigital=Statement(updated, Signal.OUT)))
    if folded_status(status) != SUBSCRIBED:
        return consent
    after = join(consent, Consent(dotdigital=Statement(updated, Signal.IN)))
    back = consent.dotdigital.signal is Signal.OUT and after.dotdigital.signal is Signal.IN
    return join(after, Consent(lifted=consent.carried)) if back and opt_outs_sent else after


def with_carried_refusal(consent: Consent, position: bytes) -> Consent:
    """A refusal at a former address of the person applies here too; ``position`` is the version of the row that carries it."""
    return join(consent, Consent(carried=position))


def outcome(consent: Consent) -> Outcome:
    """The strictest of what the sources say."""
    carried = Signal.OUT if consent.carried > consent.lifted else Signal.SILENT
    return Outcome(max(consent.erp.signal, consent.dotdigital.signal, carried))


def creation_status(consent: Consent, *, external: bool) -> Status | None:
    """The status with which a new contact is created; never left out, because Dotdigital would subscribe it then.

    None: it is not ours to create. In mode ``external`` another system does, and a reading finds it.
    """
    if external:
        return None
    return SUBSCRIBED if consent.erp.signal is Signal.IN and outcome(consent) is Outcome.IN else UNSUBSCRIBED


def opted_out(consent: Consent) -> bool:
    """Whether Dotdigital must hear of a refusal that was said elsewhere: in the ERP, or at a former address."""
    return consent.erp.signal is Signal.OUT or consent.carried > consent.lifted


def erp_is_silent(consent: Consent) -> bool:
    """Whether the ERP has said neither in nor out, or takes back what it said."""
    return consent.erp.signal is Signal.SILENT


def erp_opts_out(consent: Consent) -> bool:
    """Whether the ERP says out now."""
    return consent.erp.signal is Signal.OUT


def refused_in_dotdigital(consent: Consent) -> bool:
    """Whether Dotdigital says out now."""
    return consent.dotdigital.signal is Signal.OUT


def erp_contradicts(consent: Consent, created_as: CreatedAs | None) -> bool:
    """Whether the ERP says in of a contact that was refused elsewhere, or that we created unsubscribed: a conflict."""
    refused_elsewhere = refused_in_dotdigital(consent) or consent.carried > consent.lifted
    return consent.erp.signal is Signal.IN and (refused_elsewhere or created_as == UNSUBSCRIBED)


def must_send_opt_out(consent: Consent, status: str | None, *, sent: bool) -> bool:
    """Whether the next call must unsubscribe the contact; a pending one too.

    Told once: who subscribes again afterwards has had the last word. ``status`` is what Dotdigital shows, None if nobody
    looked; a contact that is refused already keeps its status, which may be a stricter one.
    """
    return opted_out(consent) and not sent and not (status is not None and refused(status))


def opted_out_anew(before: Consent, after: Consent) -> bool:
    """Whether ``after`` has an opt-out that ``before`` had not."""
    erp_new = after.erp.signal is Signal.OUT and before.erp.signal is not Signal.OUT
    return erp_new or after.carried > max(before.carried, after.lifted)


def refusal_follows(consent: Consent) -> bool:
    """Whether a refusal follows the person to the next address: Dotdigital's; the ERP speaks of the next one itself."""
    return consent.dotdigital.signal is Signal.OUT or consent.carried > consent.lifted


def refused(status: str) -> bool:
    """Whether somebody refused: unsubscribed, suppressed, complained, and every status that we do not know.

    ``status`` is that of an e-mail channel, v2 or v3, in any casing.
    """
    return folded_status(status) not in _NOBODY_REFUSED


def folded_status(status: str) -> str:
    """A status in the casing in which they are compared."""
    return status.strip().lower()
