"""Insight records and follow-ups: what should stand in Dotdigital against what was delivered.

The rows beside the contact's (:mod:`streams.domain.contact_state`). A record's content is kept only until it is delivered:
afterwards its digest is remembered, and whoever made the record can be asked to publish it again.
"""

from hashlib import blake2b

import msgspec

from streams.messages.changes import DesiredFollowUp, DesiredRecord
from streams.messages.deliveries import FollowUpAccepted, FollowUpDelivered, RecordRemoved, RecordStored, TaskEvent, TaskParked

_encode = msgspec.msgpack.Encoder().encode

KEY_CLASH = "KeyExistingForDifferentContact"
"""Dotdigital's code for a record whose key belongs to another contact."""
MOST_FORMER = 8
"""Former keys that wait for one record; an order remembers no more of its places."""
GONE = b"gone"
"""The digest of a record that must not exist."""


class WaitState(msgspec.Struct, array_like=True, gc=False):
    """What a row remembers of its wait: lane, oldest cause (append time), since when and until when; epoch ms."""

    lane: int = 2
    caused_at: int = 0
    dirty_since: int = 0
    due: int = 0


class RecordDeliveryState(msgspec.Struct, array_like=True, gc=False):
    """Delivery state of one insight record.

    ``hash`` is the digest of the desired content, ``delivered`` and ``parked`` those that Dotdigital took or refused last;
    ``source`` is the order or variant that can publish ``content`` again. ``outcome_unknown``: a call was made and its outcome
    is not known. ``moved``: the record must go because its source has another one now. ``successor``: the key of that one, if
    it is at the same contact, and must be stored before this one goes; ``former``: the keys that wait for this one. ``events``:
    offsets of its newest delivery events, for people who ask. ``wanted_again``: the content was published once more
    since a call was answered, perhaps because its key had become free.
    """

    position: bytes = b""
    hash: bytes | None = None
    delivered: bytes | None = None
    parked: bytes | None = None
    code: str | None = None
    content: bytes | None = None
    source: int = 0
    outcome_unknown: bool = False
    wait: WaitState = msgspec.field(default_factory=WaitState)
    moved: bool = False
    successor: str = ""
    former: tuple[str, ...] = ()
    events: tuple[int, ...] = ()
    wanted_again: bool = False

    @property
    def dirty(self) -> bool:
        """Whether something must be sent."""
        if self.hash is None or self.hash == self.parked:
            return False
        absent = self.hash == GONE and self.delivered is None
        return self.outcome_unknown or (self.hash != self.delivered and not absent)

    @property
    def content_missing(self) -> bool:
        """Whether the content must be published again before it can be sent."""
        return self.dirty and self.hash != GONE and self.content is None


class FollowUpDeliveryState(msgspec.Struct, array_like=True, gc=False):
    """One credit note, which is delivered once; ``done`` is for ever. Not ``desired``: it has another recipient now.

    ``parked`` is the digest of what Dotdigital refused; ``events`` as in :class:`RecordDeliveryState`.
    """

    desired: DesiredFollowUp | None = None
    done: bool = False
    parked: bytes | None = None
    code: str | None = None
    wait: WaitState = msgspec.field(default_factory=WaitState)
    events: tuple[int, ...] = ()

    @property
    def dirty(self) -> bool:
        """Whether it must still be sent."""
        return self.desired is not None and not self.done and self.parked is None


def digest_of(content: bytes) -> bytes:
    """Identifies a record's content."""
    return blake2b(content, digest_size=12).digest()


def digest_of_follow_up(wanted: DesiredFollowUp) -> bytes:
    """Identifies what is to be sent."""
    return digest_of(_encode(wanted))


def set_desired_record(row: RecordDeliveryState, wanted: DesiredRecord | None, position: bytes) -> bool:
    """Write the wanted content into the row; False when it is older than what is there, or not its source's to take away.

    Empty content takes the record away, unless another source has it by now: two orders may have had one number in turn.
    """
    content = b"" if wanted is None else wanted.content
    source = row.source if wanted is None else wanted.source
    others = source != row.source and row.hash not in (None, GONE)
    if position < row.position or (others and not content):
        return False
    if wanted is not None and wanted.held:
        row.position, row.source = position, source
        if row.content_missing:
            # Its source cannot say it any more, and would be asked for ever.
            row.hash, row.outcome_unknown = row.delivered, False
        return True
    row.position, row.source, row.moved = position, source, wanted is not None and wanted.moved
    row.successor = "" if wanted is None else wanted.successor
    former, row.hash = row.hash, digest_of(content) if content else GONE
    row.wanted_again = row.hash == former
    if row.hash != row.parked or row.code == KEY_CLASH:
        # Its order speaks again, perhaps because the key is free by now.
        row.parked, row.code = None, None
    row.content = content if content and (row.dirty or row.parked is not None) else None
    return True


def note_former(row: RecordDeliveryState, key: str) -> None:
    """The record under ``key`` goes once this one is stored."""
    row.former = (*(one for one in row.former if one != key), key)[-MOST_FORMER:]


def apply_record_result(row: RecordDeliveryState, event: TaskEvent) -> None:
    """Write a delivery event into the row.

    Raises:
        TypeError: a record does not have that outcome.
    """
    match event:
        case TaskParked():
            # The refusal of content that nobody wants any more parks nothing. Nor does a clash of keys that was answered after
            # its order had spoken again: an import's report may come long after the key has become free.
            overtaken = event.code == KEY_CLASH and row.wanted_again
            if event.digest == row.hash and not overtaken:
                row.parked, row.code = event.digest, event.code
            row.wanted_again = False
            return
        case RecordStored():
            row.delivered = event.digest
        case RecordRemoved():
            row.delivered = None
        case _:
            raise TypeError(f"a record cannot be {event.outcome}")
    row.outcome_unknown = row.wanted_again = False
    if not row.dirty:
        row.content = None


def note_moved_here(row: RecordDeliveryState, source: int) -> bool:
    """A contact has brought the record along, so it is here; unless its order wants it, it must go."""
    if row.hash not in (None, GONE):
        return False
    # A move and no removal: the order has it elsewhere, or will say so.
    row.hash, row.source, row.moved, row.outcome_unknown = GONE, source or row.source, True, True
    return True


def contact_gone(row: RecordDeliveryState) -> None:
    """The contact is gone, and the record with it."""
    row.delivered, row.outcome_unknown = None, False


def set_desired_follow_up(row: FollowUpDeliveryState, wanted: DesiredFollowUp | None) -> None:
    """Write what is to be sent into the row."""
    if wanted != row.desired:
        row.parked, row.code = None, None
    row.desired = wanted


def apply_follow_up_result(row: FollowUpDeliveryState, event: TaskEvent) -> None:
    """Write a delivery event into the row.

    Raises:
        TypeError: a follow-up does not have that outcome.
    """
    match event:
        case FollowUpAccepted() | FollowUpDelivered():
            row.done = True
        case TaskParked():
            if row.desired is not None and event.digest == digest_of_follow_up(row.desired):
                row.parked, row.code = event.digest, event.code
        case _:
            raise TypeError(f"a follow-up cannot be {event.outcome}")
