"""What a contact should hold against what was delivered: desired and delivered state, and the records between them."""

from hashlib import blake2b

import msgspec

from streams.domain import consent
from streams.domain.consent import Consent
from streams.domain.versioned import version_bytes
from streams.messages.changes import ContactObserved, DesiredContact
from streams.messages.deliveries import Created, Delivery, content_digest


class ContactDeliveryState(msgspec.Struct, array_like=True, gc=False):
    """Delivery state of one address. Positions are version bytes; ``*_at`` and ``caused_at`` say their units below.

    * ``hash``: digest of the desired content; ``delivered`` and ``parked``: of what Dotdigital took or refused last.
    * ``contact``: the contact's id, once Dotdigital has it.
    * ``created_as``: we created the contact, with this status; ``creation_attempted_as``: a call whose outcome is not known may
      have.
    * ``opt_out_sent``: every opt-out that we owe has been passed on.
    * ``caused_at``: append time of the oldest undelivered change; ``dirty_since``: when the row became dirty; ``due``: when it
      must be sent. All in epoch ms.
    * ``outcome_unknown``: a call was made and its outcome is not known.
    * ``despatched``: when something was last despatched (epoch s). ``listed``: we put the contact on the recent-buyers list;
      ``join_unconfirmed``: a call whose outcome is not known may have. ``list_refused_at``: the despatch for which Dotdigital
      would not take the contact onto the list.
    * ``erase``: digest of the address of a person who must be erased; ``repeat_erasure``: once more, because the contact may
      have come back during the call.
    * ``observed_at``: position of the newest reading.
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
    created_as: Created = "no"
    creation_attempted_as: Created = "no"
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
    repeat_erasure: bool = False

    @property
    def known(self) -> bool:
        """Whether Dotdigital had the contact when we last looked."""
        return self.contact is not None

    @property
    def dirty(self) -> bool:
        """Whether content must be sent."""
        if self.refused:
            return False
        if self.erase is not None:
            return True
        if self.hash is None:
            return False
        # One refusal more says nothing new, but somebody may have subscribed since the last one was told.
        return self.outcome_unknown or self.hash != self.delivered or (self.must_send_opt_out and self.fields is not None)

    @property
    def refused(self) -> bool:
        """Whether Dotdigital refused what is wanted."""
        return self.parked is not None and self.parked == self.desired_digest

    @property
    def desired_digest(self) -> bytes | None:
        """Identifies what is wanted: the content, or that the person be forgotten."""
        return self.hash if self.erase is None else self.erase

    @property
    def must_send_opt_out(self) -> bool:
        """Whether an opt-out must still be passed on."""
        return consent.must_send_opt_out(self.consent, None, sent=self.opt_out_sent)

    @property
    def creation(self) -> Created:
        """Whether and how we created the contact; a creation that was never answered counts."""
        return self.created_as if self.created_as != "no" else self.creation_attempted_as


def _hash(row: ContactDeliveryState) -> bytes:
    """Identifies the desired content: the data fields and whether an opt-out must be told."""
    return _digest(row.fields, out=consent.opted_out(row.consent))


def _digest(fields: bytes | None, *, out: bool) -> bytes:
    digest = blake2b(b"gone" if fields is None else fields, digest_size=12)
    digest.update(b"\0out" if out else b"\0")
    return digest.digest()


def _rehash(row: ContactDeliveryState) -> None:
    row.hash = _hash(row)
    if row.hash != row.parked:
        row.parked, row.code = None, None


def creation_of(row: ContactDeliveryState, status: str) -> Created:
    """Whether and how we created the row's contact, which shows ``status``."""
    return (
        row.created_as if row.created_as != "no" else consent.attempted_creation_after_status(row.creation_attempted_as, status)
    )


def holds_fields(row: ContactDeliveryState) -> bool:
    """Whether Dotdigital took these very data fields last, whatever was said of consent since."""
    return not row.outcome_unknown and row.delivered in (_digest(row.fields, out=False), _digest(row.fields, out=True))


def set_desired(row: ContactDeliveryState, desired: DesiredContact, position: bytes) -> bool:
    """Write the desired content into the row; False when it is older than what is there."""
    if position < row.position:
        return False
    row.position = position
    row.fields, row.moved_to, row.despatched = desired.fields, desired.moved_to, desired.despatched
    _set_consent(row, consent.with_erp_statement(row.consent, desired.opted, position))
    _rehash(row)
    return True


def carry_consent(row: ContactDeliveryState, position: bytes) -> None:
    """A refusal at the person's former address applies here too."""
    _set_consent(row, consent.with_carried_refusal(row.consent, position))
    if row.hash is not None:
        _rehash(row)


def observe(row: ContactDeliveryState, found: ContactObserved, position: bytes) -> bool:
    """Write what a reading of Dotdigital says into the row; False when it is older than what was read before."""
    if position < row.observed_at:
        return False
    row.observed_at = position
    if found.contact:
        # Who was suppressed may be listed by address alone.
        _set_contact_id(row, found.contact)
        row.created_as = consent.creation_after_status(row.created_as, found.status)
        # Whether that was us, the answer to the call decides, or the one that is made in its place.
        row.creation_attempted_as = consent.attempted_creation_after_status(row.creation_attempted_as, found.status)
    _observe_status(row, found.status, position, row.creation)
    return True


def apply_result(row: ContactDeliveryState, delivery: Delivery) -> None:
    """Write Dotdigital's answer into the row; it stays dirty when the answer is to other content than is wanted now."""
    if delivery.status is not None:
        _observe_status(row, delivery.status, version_bytes(delivery.updated * 1_000_000), delivery.created)
    match delivery.outcome:
        case "noted":
            row.creation_attempted_as = delivery.created if delivery.created != "no" else row.creation_attempted_as
            row.opt_out_sent = row.opt_out_sent or _opt_out_sent(row, delivery)
        case "withdrawn":
            row.creation_attempted_as = delivery.created
        case "left":
            row.listed = row.join_unconfirmed = False
        case "vanished":
            _set_contact_id(row, None)
            row.created_as, row.creation_attempted_as, row.outcome_unknown = "no", "no", True
        case "parked":
            row.creation_attempted_as = "no"
            if content_digest(delivery) == row.desired_digest:
                row.parked, row.code = row.desired_digest, delivery.code
        case _:
            _delivered(row, delivery)


def _delivered(row: ContactDeliveryState, delivery: Delivery) -> None:
    row.creation_attempted_as = "no"
    row.delivered, row.outcome_unknown = content_digest(delivery), False
    # A repeated call finds the contact that its first try created.
    ours = delivery.outcome == "updated" and delivery.created == "no" and row.contact == delivery.contact
    created = row.created_as if ours else delivery.created
    _set_contact_id(row, delivery.contact)
    row.created_as = created
    if delivery.listed is not None:
        row.listed, row.join_unconfirmed = delivery.listed, False
    row.list_refused_at = row.list_refused_at if delivery.list_refused_at is None else delivery.list_refused_at
    # A single call beside an import may have told it meanwhile.
    row.opt_out_sent = _opt_out_sent(row, delivery) or (delivery.by != "" and row.opt_out_sent)


def _opt_out_sent(row: ContactDeliveryState, delivery: Delivery) -> bool:
    return delivery.opt_out_sent and consent.opted_out(row.consent)


def _set_contact_id(row: ContactDeliveryState, contact: int | None) -> None:
    """Another id is another contact: it is on no list of ours, and not of our making."""
    if row.contact not in (None, contact):
        row.listed = row.join_unconfirmed = False
        row.list_refused_at = None
        row.created_as = row.creation_attempted_as = "no"
    row.contact = contact


def _set_consent(row: ContactDeliveryState, after: Consent) -> None:
    row.opt_out_sent = consent.opt_outs_still_sent(row.consent, after, sent=row.opt_out_sent)
    row.consent = after


def _observe_status(row: ContactDeliveryState, status: str, updated: bytes, created: Created) -> None:
    row.consent = consent.with_observed_status(row.consent, status, updated, created, opt_outs_sent=row.opt_out_sent)
