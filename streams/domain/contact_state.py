"""What a contact should hold against what was delivered: desired and delivered state, and the records between them."""

from hashlib import blake2b

import msgspec
from msgspec.structs import replace

from streams.domain import consent
from streams.domain.consent import SUBSCRIBED, UNSUBSCRIBED, Consent, folded_status
from streams.domain.consent_answers import opts_out_anew
from streams.domain.correction import Correction, Step
from streams.domain.creation import NOT_OURS, Creation
from streams.domain.move_state import MoveState
from streams.domain.own_deeds import is_foreign_status, is_sign_up
from streams.dotdigital.codes import DELETED_IN_DOTDIGITAL
from streams.messages.changes import ConsentAnswer, ContactObserved, DesiredContact
from streams.messages.deliveries import (
    CreatedAs,
)


class ContactDeliveryState(msgspec.Struct, array_like=True, gc=False):
    """Delivery state of one address. Positions are version bytes; ``*_at`` and ``caused_at`` say their units below.

    * ``hash``: digest of the desired content; ``delivered`` and ``parked``: of what Dotdigital took or refused last.
    * ``contact``: the contact's id, once Dotdigital has it.
    * ``creation``: whether we created the contact.
    * ``opt_out_sent``: every opt-out that we owe has been passed on. ``opt_outs`` counts those that we learned of. An event
      says how many of them its call passed on, so one that is read late, or twice, says nothing of the next opt-out.
    * ``owed_to``: next addresses of people who left, which do not know yet whether there is a refusal here. ``departures``
      counts what was added to it, ``left_at`` is when the latest left (as in :class:`DesiredContact`).
    * ``caused_at``: append time of the oldest undelivered change; ``dirty_since``: when the row became dirty; ``due``: when it
      must be sent. All in epoch ms.
    * ``outcome_unknown``: a call was made and its outcome is not known.
    * ``despatched``: when something was last despatched (epoch s). ``listed``: we put the contact on the recent-buyers list;
      ``join_unconfirmed``: a call whose outcome is not known may have. ``list_refused_at``: the despatch for which Dotdigital
      would not take the contact onto the list. ``place_withdrawn``: it must leave the list before its time, for the despatch
      that put it there is gone.
    * ``vanished``: the contact was there, and is gone though we did not delete it.
    * ``touched``: the contact was seen with a status that we did not give it (one of others: with a sign-up), so it is not ours
      alone. ``unsubscribed_by_us``: an opt-out of ours unsubscribed it, and nobody has seen it otherwise since.
    * ``erase``: digest of the address of a person who must be erased.
    * ``repeat_call``: when the call under way is answered, what is wanted must be sent once more: an erased contact may have
      come back meanwhile, or an import may have written over what the call wrote.
    * ``observed_at``: position of the newest reading.
    * ``created_at``: when we created the contact first (epoch s), even if it was deleted by hand since; 0: others did.
    * ``attempted_at``: when the first of the calls and imports went out that may have created it (epoch s); 0: it is known what
      they did. Not as the status of an attempt: what the contact shows since then says nothing of how old it is.
    * ``words``: the word list by which the ERP's consent was read last; 0: not known, or never read. ``out_by_words``: position
      of an opt-out that a change of it has brought, and that waits for the brake; ``out_number`` is its number there.
    * ``unread`` and ``answers``: as in :class:`DesiredContact`.
    * ``withdrawn``: fields and despatch of a contact that is to be removed, until it is, in case the removal is taken back.
    * ``correction``: of the status with which we created it.
    * ``move``: contacts that go along with their person, from this address or to it; None as long as there were none.
    * ``events``: offsets of its newest delivery events, for people who ask, and to see whether it was delivered since.
    * ``sent_at``: when Dotdigital took something of it last (epoch s); 0: not known.
    * ``shared``: as in :class:`DesiredContact`; what belongs to the contact stays as it was delivered. ``unreadable``: too.
    """

    position: bytes = b""
    fields: bytes | None = None
    moved_to: tuple[str, ...] = ()
    hash: bytes | None = None
    delivered: bytes | None = None
    parked: bytes | None = None
    code: str | None = None
    contact: int | None = None
    consent: Consent = Consent()
    creation: Creation = NOT_OURS
    opt_out_sent: bool = False
    lane: int = 2
    caused_at: int = 0
    dirty_since: int = 0
    due: int = 0
    outcome_unknown: bool = False
    despatched: int | None = None
    listed: bool = False
    erase: bytes | None = None
    observed_at: bytes = b""
    join_unconfirmed: bool = False
    list_refused_at: int | None = None
    repeat_call: bool = False
    opt_outs: int = 0
    place_withdrawn: bool = False
    left_at: bytes = b""
    owed_to: tuple[str, ...] = ()
    departures: int = 0
    vanished: bool = False
    touched: bool = False
    unsubscribed_by_us: bool = False
    withdrawn: tuple[bytes, int | None] | None = None
    created_at: int = 0
    words: int = 0
    out_by_words: bytes = b""
    out_number: int = 0
    unread: bool = False
    attempted_at: int = 0
    events: tuple[int, ...] = ()
    correction: Correction = Correction()
    move: MoveState | None = None
    sent_at: int = 0
    shared: bool = False
    answers: tuple[ConsentAnswer, ...] = ()
    unreadable: bool = False

    @property
    def known(self) -> bool:
        """Whether Dotdigital had the contact when we last looked."""
        return self.contact is not None

    @property
    def takes_more(self) -> bool:
        """Whether records and follow-ups go to the contact; those of a shared address stay as they were delivered."""
        return self.known and not self.shared

    @property
    def may_be_there(self) -> bool:
        """Whether Dotdigital had the contact when we last looked, or had it before and must be looked at once more."""
        return self.known or (self.vanished and self.code != DELETED_IN_DOTDIGITAL)

    @property
    def ours_since(self) -> int:
        """When we created the contact, or may have (epoch s); 0: others did."""
        return self.created_at or self.attempted_at

    @property
    def dirty(self) -> bool:
        """Whether content must be sent."""
        if self.erase is None and self.owed_to:
            return True
        if self.refused:
            return False
        if self.erase is not None or self.opt_out_alone:
            return True
        if self.hash is None:
            return False
        # One refusal more says nothing new, but somebody may have subscribed since the last one was sent.
        return self.outcome_unknown or self.hash != self.delivered or (self.must_send_opt_out and self.fields is not None)

    @property
    def refused(self) -> bool:
        """Whether Dotdigital refused what is wanted."""
        return self.parked is not None and self.parked == self.desired_digest

    @property
    def insistent(self) -> bool:
        """Whether Dotdigital refused an opt-out or an erasure, which nobody may give up."""
        with_data = self.must_send_opt_out and self.fields is not None and self.may_be_there
        return self.refused and (self.erase is not None or with_data or self.opt_out_alone or self.out_by_words != b"")

    @property
    def refused_in_dotdigital(self) -> bool:
        """Whether Dotdigital is known to have the contact unsubscribed or suppressed."""
        return consent.refused_in_dotdigital(self.consent)

    @property
    def consent_conflict(self) -> bool:
        """Whether Orderwise says in, and nothing follows from that: the contact is there, and not subscribed by us."""
        return self.known and consent.erp_contradicts(self.consent, self.creation.created_as)

    @property
    def opt_out_alone(self) -> bool:
        """Whether Orderwise opts out a contact that is not wanted, or not yet, because of an exclusion or a shared address."""
        return self.fields is None and self.known and consent.erp_opts_out(self.consent) and self.must_send_opt_out

    @property
    def desired_digest(self) -> bytes | None:
        """Identifies what is wanted: the content, or that the person be forgotten."""
        if self.erase is None and self.hash is None and self.opt_out_alone:
            return b"out"
        return self.hash if self.erase is None else self.erase

    @property
    def opt_outs_to_send(self) -> int | None:
        """How many opt-outs a call passes on that leaves the contact unsubscribed; None: there is none."""
        return self.opt_outs if consent.opted_out(self.consent) else None

    @property
    def must_send_opt_out(self) -> bool:
        """Whether an opt-out must still be passed on."""
        return consent.must_send_opt_out(self.consent, None, sent=self.opt_out_sent)


def _hash(row: ContactDeliveryState) -> bytes:
    """Identifies the desired content: the data fields and whether an opt-out must be sent."""
    return _digest(row.fields, out=consent.opted_out(row.consent))


def _digest(fields: bytes | None, *, out: bool) -> bytes:
    digest = blake2b(b"gone" if fields is None else fields, digest_size=12)
    digest.update(b"\0out" if out else b"\0")
    return digest.digest()


def rehash(row: ContactDeliveryState) -> None:
    """Work out the digest of what is wanted; other content than was refused is tried anew."""
    row.hash = _hash(row)
    if row.code == DELETED_IN_DOTDIGITAL and row.fields is not None:
        # Whatever Orderwise says of a contact that somebody deleted, it is for a person to have it created again.
        row.parked = row.hash
    elif row.hash != row.parked:
        row.parked, row.code = None, None


def holds_fields(row: ContactDeliveryState) -> bool:
    """Whether Dotdigital took these very data fields last, whatever was said of consent since."""
    return not row.outcome_unknown and row.delivered in (_digest(row.fields, out=False), _digest(row.fields, out=True))


def sent_last(row: ContactDeliveryState) -> bytes | None:
    """The data fields that Dotdigital took last of a contact that is to be removed; None: that is not certain."""
    if row.withdrawn is None or row.outcome_unknown:
        return None
    fields = row.withdrawn[0]
    return fields if row.delivered in (_digest(fields, out=False), _digest(fields, out=True)) else None


def set_desired(row: ContactDeliveryState, desired: DesiredContact, position: bytes) -> bool:
    """Write the desired content into the row; False when it is older than what is there."""
    if position < row.position:
        return False
    row.position, row.shared, row.unreadable = position, desired.shared, desired.unreadable
    _note_departures(row, desired)
    if desired.held:
        _hold(row, desired, position)
        return True
    # First: whether the row was read before is seen from what was wanted until now.
    _note_erp(row, desired, position)
    if desired.fields is not None:
        row.withdrawn = None
    elif row.fields is not None:
        row.withdrawn = row.fields, row.despatched
    row.fields, row.moved_to, row.despatched = desired.fields, desired.moved_to, desired.despatched
    row.unread = desired.unread
    rehash(row)
    return True


def _note_departures(row: ContactDeliveryState, desired: DesiredContact) -> None:
    """Whoever left takes a refusal along, even one that nobody has read yet: their next addresses are owed a look here.

    Those who left before and only move on from their next address are not: it knows what there was to know.
    """
    staying = tuple(email for email in row.owed_to if email in desired.moved_to)
    if desired.left_at > row.left_at:
        row.left_at = desired.left_at
        newly = [email for email in desired.moved_to[:-1] if email not in row.moved_to]
        _owe(row, (*staying, *newly, *desired.moved_to[-1:]))
    else:
        row.owed_to = staying


def _owe(row: ContactDeliveryState, emails: tuple[str, ...]) -> None:
    row.owed_to = tuple(dict.fromkeys(emails))
    row.departures += 1


def _hold(row: ContactDeliveryState, desired: DesiredContact, position: bytes) -> None:
    """What was wanted last stays wanted, a removal that was not made yet is taken back, and an opt-out goes out."""
    if row.fields is None and row.dirty and row.withdrawn is not None:
        row.fields, row.despatched = row.withdrawn
    row.withdrawn, row.moved_to = None, desired.moved_to
    _note_erp(row, desired, position)
    if row.hash is not None:
        rehash(row)


def _note_erp(row: ContactDeliveryState, desired: DesiredContact, position: bytes) -> None:
    """Take the ERP's statement; an opt-out that another word list has brought waits, for nobody may have meant it."""
    if row.out_by_words and row.words == desired.words and opts_out_anew(row.answers, desired.answers):
        # The list is the same, and a row has another word: it opts out by itself.
        row.out_by_words, reread = b"", False
    else:
        reread = bool(row.out_by_words) or (_was_read(row) and row.words != desired.words)
    row.answers = desired.answers
    if desired.opted is not None or (desired.fields is not None and not desired.unread):
        # What says nothing of consent takes no list: the contact's row may still be on its way, read by the new one.
        row.words = desired.words
    if desired.opted is False and reread and row.known and not consent.erp_opts_out(row.consent):
        row.out_by_words = position
        return
    row.out_by_words = b""
    set_consent(row, consent.with_erp_statement(row.consent, desired.opted, position))


def _was_read(row: ContactDeliveryState) -> bool:
    """Whether a contact row was read before, even by a list that is not known; an order that came first is no such row."""
    return row.words != 0 or (row.fields is not None and not row.unread)


def state_opt_out(row: ContactDeliveryState) -> None:
    """From now on the opt-out that a changed word list has brought is the ERP's statement like any other."""
    set_consent(row, consent.with_erp_statement(row.consent, False, row.out_by_words or row.position))
    row.out_by_words = b""


def carry_consent(row: ContactDeliveryState, position: bytes) -> None:
    """A refusal at the person's former address applies here too, and where the person went from here."""
    if position > row.consent.carried and row.moved_to:
        _owe(row, (*row.owed_to, row.moved_to[-1]))
    set_consent(row, consent.with_carried_refusal(row.consent, position))
    if row.hash is not None:
        rehash(row)


def observe(row: ContactDeliveryState, found: ContactObserved, position: bytes) -> bool:
    """Write what a reading of Dotdigital says into the row; False when it is older than what was read before."""
    if found.removed:
        # A date that counts although newer content of the contact was read.
        removed = max(row.correction.removed_at, _seconds(position))
        row.correction = replace(row.correction, removed_at=removed)
    if position < row.observed_at:
        return False
    row.observed_at = position
    if not found.removed:
        note_seen(row, _seconds(position))
    if found.contact:
        # A suppression may be listed by its address alone, and says nothing of whose contact it was.
        set_contact_id(row, found.contact)
        note_deed(row, found.status)
        row.creation = row.creation.seen(found.status)
    observe_status(row, found.status, position, row.creation.ours)
    return True


def _seconds(position: bytes) -> int:
    return int.from_bytes(position, "big") // 1_000_000


def note_seen(row: ContactDeliveryState, updated: int) -> None:
    """A reading or a response shows the contact as it was at ``updated`` (UTC epoch seconds)."""
    row.correction = replace(row.correction, seen=max(row.correction.seen, updated))


def set_contact_id(row: ContactDeliveryState, contact: int | None) -> None:
    """Another id is another contact: it is on no list of ours, and not of our making."""
    if contact is not None:
        row.vanished = False
        if row.code == DELETED_IN_DOTDIGITAL:
            row.parked, row.code = None, None
    if row.contact not in (None, contact):
        row.listed = row.join_unconfirmed = row.touched = row.unsubscribed_by_us = False
        row.list_refused_at = None
        row.creation, row.attempted_at = NOT_OURS, 0
        row.correction = Correction()
    row.contact = contact


def note_deed(row: ContactDeliveryState, status: str) -> None:
    """Before the status is taken as the contact's: whoever signs up and leaves again must not look like our own creation."""
    created_as = row.creation.created_as
    if row.correction.step is Step.ATTEMPTED and folded_status(status) == SUBSCRIBED:
        # Our own correction, if nobody knows otherwise: its event may be read later.
        return
    row.unsubscribed_by_us = row.unsubscribed_by_us and folded_status(status) == UNSUBSCRIBED
    if row.creation.ours is None:
        # Of a contact that others created a sign-up matters: the person may have typed what fields hold that are kept.
        row.touched = row.touched or is_sign_up(status)
    elif created_as is not None and is_foreign_status(status, created_as, unsubscribed_by_us=row.unsubscribed_by_us):
        row.touched = True


def set_consent(row: ContactDeliveryState, after: Consent) -> None:
    """Take what is said of consent now; an opt-out more must be passed on."""
    if consent.opted_out_anew(row.consent, after):
        row.opt_outs += 1
        row.opt_out_sent = False
        if row.code == DELETED_IN_DOTDIGITAL:
            # The person may have signed up anew: one look for each opt-out, which parks the contact again if nobody is there.
            row.parked, row.code = None, None
    row.opt_out_sent = row.opt_out_sent and consent.opted_out(after)
    row.consent = after


def observe_status(row: ContactDeliveryState, status: str, updated: bytes, created_as: CreatedAs | None) -> None:
    """Take the status that Dotdigital shows."""
    row.consent = consent.with_observed_status(row.consent, status, updated, created_as, opt_outs_sent=row.opt_out_sent)
