"""A contact goes along with its person to another address: who asks, who waits, and what is answered.

Former and new address may be in different partitions of the outbox, so they write to each other: the new one asks, and creates
nothing while it waits; the former one renames the contact, or declines. Every question is answered, and more than one answer
does no harm. Each waits for the other for :data:`MOST_WAIT_MS` at most. That no address has two contacts is Dotdigital's own
rule, so an end of patience costs the subscription, and nothing else. The rule is in ``docs/contact-rules.md`` section 6, the
reasons are in ``docs/decisions/021-one-contact-two-addresses.md``. Pure.
"""

from collections.abc import Iterator
from typing import Final, TypeAlias

from streams.domain import consent
from streams.domain.consent import Consent, Outcome, Signal, Statement
from streams.domain.contact_state import ContactDeliveryState, note_deed, observe_status, rehash, set_consent, set_contact_id
from streams.domain.creation import Creation
from streams.domain.move_state import MoveState
from streams.domain.versioned import version_bytes
from streams.messages.changes import DesiredContact
from streams.messages.deliveries import MovedContact
from streams.messages.moves import MoveAnswer, MoveQuery

MOST_WAIT_MS: Final = 3_600_000
"""A worker that has the other address may be down, or behind."""
_RENAMED: Final = frozenset({"subscribed", "unsubscribed", "pendingoptin"})
"""Statuses of a contact that may be renamed: a bounce is the mailbox's, and a suppression the address's."""

Outgoing: TypeAlias = tuple[str, MoveQuery | MoveAnswer]
"""What is to be written to which address."""


def may_be_renamed(status: str) -> bool:
    """Whether a contact with that e-mail status may have another address."""
    return consent.folded_status(status) in _RENAMED


def note_desired(row: ContactDeliveryState, desired: DesiredContact) -> None:
    """Take what the rows say of people who came and went."""
    if row.move is None:
        if not desired.same_person and not desired.came_from:
            return
        row.move = MoveState()
    move = row.move
    move.leaving = desired.same_person and desired.left_at > move.answered
    asked = move.pending[:1] if move.awaiting else ()
    fresh = [one for one in desired.came_from if one not in move.arrivals and one not in asked]
    still = [one for one in move.pending[len(asked) :] if one in desired.came_from]
    move.pending, move.arrivals = (*asked, *fresh, *still), desired.came_from


def take_query(row: ContactDeliveryState, asker: str, query: MoveQuery) -> None:
    """Another address asks for the contact; what it asked before is void."""
    row.move = row.move or MoveState()
    row.move.asked[asker] = query


def take_answer(row: ContactDeliveryState, former: str, answer: MoveAnswer) -> None:
    """The former address has answered: the contact is here now, or stays there."""
    move = row.move = row.move or MoveState()
    expected = move.awaiting and move.pending[0] == (former, answer.left_at)
    if expected:
        move.pending, move.awaiting, move.sent, move.until = move.pending[1:], False, b"", 0
    # Another contact that is here by now came after the one of the answer.
    if answer.contact is not None and row.contact in (None, answer.contact.contact):
        _adopt(row, answer.contact)


def decide(row: ContactDeliveryState, *, busy: bool, now_ms: int) -> Iterator[Outgoing]:
    """Decide what can be decided now, before the row is saved; what is to be written to other addresses.

    ``busy``: a call or an import for the contact is under way, and may create it.
    """
    move = row.move
    if move is None:
        return
    for asker, asked in [*move.asked.items()]:
        if _must_decline(row, move, asker, busy=busy):
            yield asker, MoveAnswer(asked.left_at, None)
            close(row, asker, asked.left_at, for_good=not asked.moved_on)
    if not move.granted:
        # Whether the contact stays must be known before another one is asked for.
        yield from _ask(row, move, busy=busy)
    waiting = move.awaiting or (move.leaving and not move.granted and (row.known or busy))
    move.until = (move.until or now_ms + MOST_WAIT_MS) if waiting else 0


def close(row: ContactDeliveryState, asker: str, left_at: bytes, *, for_good: bool) -> None:
    """The question of that address is answered; ``for_good``: no other may ask for the contact because of that departure."""
    move = row.move
    if move is None:
        return
    move.asked.pop(asker, None)
    if move.granted == asker:
        move.granted = ""
    if for_good:
        move.answered = max(move.answered, left_at)
    move.leaving = move.leaving and row.left_at > move.answered


def suits(row: ContactDeliveryState, asker: str) -> bool:
    """Whether the contact may have the address that asks for it, as far as the rows say."""
    move = row.move
    asked = None if move is None else move.asked.get(asker)
    if move is None or asked is None or not move.leaving or row.fields is not None or row.erase is not None:
        return False
    # The departure decides, not the address where the person is by now: that one asks the one that is asking.
    # An opt-out that waits for a person must not go out with the call, nor be lost with it.
    return asked.left_at == row.left_at and asked.fields is not None and not row.out_by_words


def undecided(row: ContactDeliveryState) -> str:
    """The address whose question waits only because a call may be under way; "" if there is none."""
    move = row.move
    if move is None or row.known or row.erase is not None or move.granted or move.awaiting:
        return ""
    return next((asker for asker in move.asked if suits(row, asker)), "")


def _must_decline(row: ContactDeliveryState, move: MoveState, asker: str, *, busy: bool) -> bool:
    asked = move.asked[asker]
    if row.erase is not None:
        return True
    if move.granted == asker or (asked.left_at > max(row.left_at, move.answered) and asked.fields is not None):
        # The outcome of a call will answer, or the departure is not here yet.
        return False
    if move.granted or not suits(row, asker):
        return True
    if move.awaiting:
        # Two who ask each other have changed places.
        return move.pending[0][0] == asker
    move.granted = asker if row.known else ""
    return not (row.known or busy)


def _ask(row: ContactDeliveryState, move: MoveState, *, busy: bool) -> Iterator[Outgoing]:
    wanted = row.fields is not None and row.erase is None and not row.known
    if move.awaiting:
        former, left_at = move.pending[0]
        if wanted and move.sent != (row.hash or b""):
            move.sent = row.hash or b""
            yield former, _query(row, left_at)
        elif not wanted and move.sent:
            move.sent = b""
            yield former, MoveQuery(left_at, None, moved_on=not row.known and row.erase is None)
        if not row.known:
            return
        move.pending, move.awaiting = move.pending[1:], False
    if not move.pending:
        return
    attempted = busy or row.creation.attempted_as is not None or row.outcome_unknown or row.vanished or row.refused
    if wanted and not attempted:
        former, left_at = move.pending[0]
        move.awaiting, move.sent = True, row.hash or b""
        yield former, _query(row, left_at)
        return
    for former, left_at in move.pending:
        # There is a contact here, or perhaps: nobody needs to wait.
        yield former, MoveQuery(left_at, None)
    move.pending = ()


def _query(row: ContactDeliveryState, left_at: bytes) -> MoveQuery:
    out = consent.outcome(row.consent) is Outcome.OUT
    return MoveQuery(left_at, row.fields, row.hash or b"", opt_out=out, opt_outs=row.opt_outs)


def _adopt(row: ContactDeliveryState, moved: MovedContact) -> None:
    """The contact is here now, with all that is known of it."""
    passed_on = not consent.opted_out(row.consent) or moved.opt_outs == row.opt_outs
    as_sent = moved.digest is not None and moved.digest == row.hash
    known_here = row.consent.dotdigital
    set_contact_id(row, moved.contact)
    row.creation, row.created_at = Creation(moved.created_as), moved.created_at
    row.touched, row.unsubscribed_by_us = moved.touched, moved.unsubscribed_by_us
    row.listed, row.join_unconfirmed, row.list_refused_at = moved.listed, moved.join_unconfirmed, moved.list_refused_at
    refusal = Statement() if moved.refusal_at is None else Statement(moved.refusal_at, Signal.OUT)
    # A refusal that came along was passed on before, or with the call: it is no opt-out that this address has yet to send.
    row.consent = consent.join(row.consent, Consent(dotdigital=refusal, carried=moved.carried, lifted=moved.lifted))
    row.opt_out_sent = passed_on and consent.opted_out(row.consent)
    if moved.observed is not None:
        note_deed(row, moved.observed.status)
    if moved.observed is not None and known_here.signal is Signal.OUT and not consent.refused(moved.observed.status):
        # Somebody refused at this address before the contact had it. A status that the contact brings along from another
        # address takes nothing back: the refusal goes to the contact.
        set_consent(row, consent.with_carried_refusal(row.consent, known_here.at))
    elif moved.observed is not None:
        observe_status(row, moved.observed.status, version_bytes(moved.observed.updated * 1_000_000), moved.created_as)
    rehash(row)
    if as_sent:
        row.delivered = row.hash
    else:
        row.outcome_unknown = row.outcome_unknown or moved.digest is None
