"""What a contact should hold against what was delivered: desired and delivered state, and the records between them."""

from hashlib import blake2b

import msgspec

from streams.domain import consent
from streams.domain.consent import Consent
from streams.domain.versioned import version_bytes
from streams.messages.changes import Desired, Found
from streams.messages.deliveries import Created, Delivery, settled_digest


class OutboxRow(msgspec.Struct, array_like=True, gc=False):
    """Delivery state of one address.

    ``hash`` is that of the desired content, ``delivered`` and ``parked`` those that Dotdigital took or refused last.
    ``contact``: its id, once Dotdigital has it. ``created``: we created it, and with which status; ``tried``: so does a call
    whose answer is not known. ``told_out``: every opt-out that we owe was passed on. ``born``: append time of the oldest
    undelivered change; ``first``: when the row became dirty; both epoch ms. ``unsure``: a call was made whose answer is not
    known. ``despatched``: when something was last despatched (epoch seconds); ``listed``: we put the contact on the recent
    buyers' list; ``joining``: so may a call have done whose answer is not known. ``erase``: digest of the address of a person
    who must be forgotten. ``found``: position of the newest reading. ``barred``: the despatch with which the list did not take
    the contact. ``again``: the person must be forgotten once more, for the contact may have come back during the call.
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
    created: Created = "no"
    tried: Created = "no"
    told_out: bool = False
    lane: int = 2
    born: int = 0
    first: int = 0
    due: int = 0
    unsure: bool = False
    despatched: int | None = None
    listed: bool = False
    erase: bytes | None = None
    found: bytes = b""
    joining: bool = False
    barred: int | None = None
    again: bool = False

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
        return self.unsure or self.hash != self.delivered or (self.must_tell_out and self.fields is not None)

    @property
    def refused(self) -> bool:
        """Whether Dotdigital refused what is wanted."""
        return self.parked is not None and self.parked == self.wanted

    @property
    def wanted(self) -> bytes | None:
        """Identifies what is wanted: the content, or that the person be forgotten."""
        return self.hash if self.erase is None else self.erase

    @property
    def must_tell_out(self) -> bool:
        """Whether an opt-out must still be passed on."""
        return consent.must_tell_out(self.consent, None, told=self.told_out)

    @property
    def creation(self) -> Created:
        """Whether and how we created the contact; a creation that was never answered counts."""
        return self.created if self.created != "no" else self.tried


def _hash(row: OutboxRow) -> bytes:
    """Identifies the desired content: the data fields and whether an opt-out must be told."""
    return _digest(row.fields, out=consent.opted_out(row.consent))


def _digest(fields: bytes | None, *, out: bool) -> bytes:
    digest = blake2b(b"gone" if fields is None else fields, digest_size=12)
    digest.update(b"\0out" if out else b"\0")
    return digest.digest()


def _hash_again(row: OutboxRow) -> None:
    row.hash = _hash(row)
    if row.hash != row.parked:
        row.parked, row.code = None, None


def creation_of(row: OutboxRow, status: str) -> Created:
    """Whether and how we created the row's contact, which shows ``status``."""
    return row.created if row.created != "no" else consent.still_tried(row.tried, status)


def holds_fields(row: OutboxRow) -> bool:
    """Whether Dotdigital took these very data fields last, whatever was said of consent since."""
    return not row.unsure and row.delivered in (_digest(row.fields, out=False), _digest(row.fields, out=True))


def want(row: OutboxRow, desired: Desired, position: bytes) -> bool:
    """Write the desired content into the row; False when it is older than what is there."""
    if position < row.position:
        return False
    row.position = position
    row.fields, row.moved_to, row.despatched = desired.fields, desired.moved_to, desired.despatched
    _hear(row, consent.erp_said(row.consent, desired.opted, position))
    _hash_again(row)
    return True


def carry_consent(row: OutboxRow, position: bytes) -> None:
    """A refusal at the person's former address applies here too."""
    _hear(row, consent.came_along(row.consent, position))
    if row.hash is not None:
        _hash_again(row)


def find(row: OutboxRow, found: Found, position: bytes) -> bool:
    """Write what a reading of Dotdigital says into the row; False when it is older than what was read before."""
    if position < row.found:
        return False
    row.found = position
    if found.contact:
        # Who was suppressed may be listed by address alone.
        _become(row, found.contact)
        row.created = consent.still_created(row.created, found.status)
        # Whether that was us, the answer to the call decides, or the one that is made in its place.
        row.tried = consent.still_tried(row.tried, found.status)
    _see(row, found.status, position, row.creation)
    return True


def settle(row: OutboxRow, delivery: Delivery) -> None:
    """Write Dotdigital's answer into the row; it stays dirty when the answer is to other content than is wanted now."""
    if delivery.status is not None:
        _see(row, delivery.status, version_bytes(delivery.updated * 1_000_000), delivery.created)
    match delivery.outcome:
        case "noted":
            row.tried = delivery.created if delivery.created != "no" else row.tried
            row.told_out = row.told_out or _told(row, delivery)
        case "withdrawn":
            row.tried = delivery.created
        case "left":
            row.listed = row.joining = False
        case "vanished":
            _become(row, None)
            row.created, row.tried, row.unsure = "no", "no", True
        case "parked":
            row.tried = "no"
            if settled_digest(delivery) == row.wanted:
                row.parked, row.code = row.wanted, delivery.code
        case _:
            _delivered(row, delivery)


def _delivered(row: OutboxRow, delivery: Delivery) -> None:
    row.tried = "no"
    row.delivered, row.unsure = settled_digest(delivery), False
    # A repeated call finds the contact that its first try created.
    ours = delivery.outcome == "updated" and delivery.created == "no" and row.contact == delivery.contact
    created = row.created if ours else delivery.created
    _become(row, delivery.contact)
    row.created = created
    if delivery.listed is not None:
        row.listed, row.joining = delivery.listed, False
    row.barred = row.barred if delivery.barred is None else delivery.barred
    # A single call beside an import may have told it meanwhile.
    row.told_out = _told(row, delivery) or (delivery.by != "" and row.told_out)


def _told(row: OutboxRow, delivery: Delivery) -> bool:
    return delivery.told_out and consent.opted_out(row.consent)


def _become(row: OutboxRow, contact: int | None) -> None:
    """Another id is another contact: it is on no list of ours, and not of our making."""
    if row.contact not in (None, contact):
        row.listed = row.joining = False
        row.barred = None
        row.created = row.tried = "no"
    row.contact = contact


def _hear(row: OutboxRow, after: Consent) -> None:
    row.told_out = consent.still_told(row.consent, after, told=row.told_out)
    row.consent = after


def _see(row: OutboxRow, status: str, updated: bytes, created: Created) -> None:
    row.consent = consent.seen(row.consent, status, updated, created, told=row.told_out)
