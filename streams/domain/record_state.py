"""Insight records and follow-ups: what should stand in Dotdigital against what was delivered.

The rows beside the contact's (:mod:`streams.domain.contact_state`). A record's content is kept only until it is delivered:
afterwards its digest is remembered, and whoever made the record can be asked to tell it again.
"""

from hashlib import blake2b

import msgspec

from streams.messages.changes import FollowUp, Wanted
from streams.messages.deliveries import Delivery, settled_digest

_encode = msgspec.msgpack.Encoder().encode

GONE = b"gone"
"""The digest of a record that must not exist."""


class Waiting(msgspec.Struct, array_like=True, gc=False):
    """What a row remembers of its wait: lane, oldest cause (append time), since when and until when; epoch ms."""

    lane: int = 2
    born: int = 0
    first: int = 0
    due: int = 0


class RecordRow(msgspec.Struct, array_like=True, gc=False):
    """Delivery state of one insight record.

    ``hash`` is the digest of what is wanted, ``delivered`` and ``parked`` those that Dotdigital took or refused last;
    ``source`` is the order or variant that can tell ``content`` again. ``unsure``: a call was made whose answer is not known.
    """

    position: bytes = b""
    hash: bytes | None = None
    delivered: bytes | None = None
    parked: bytes | None = None
    code: str | None = None
    content: bytes | None = None
    source: int = 0
    unsure: bool = False
    wait: Waiting = msgspec.field(default_factory=Waiting)

    @property
    def dirty(self) -> bool:
        """Whether something must be sent."""
        if self.hash is None or self.hash == self.parked:
            return False
        absent = self.hash == GONE and self.delivered is None
        return self.unsure or (self.hash != self.delivered and not absent)

    @property
    def empty_handed(self) -> bool:
        """Whether the content must be told again before it can be sent."""
        return self.dirty and self.hash != GONE and self.content is None


class FollowUpRow(msgspec.Struct, array_like=True, gc=False):
    """One credit note of which Dotdigital is told once; ``done`` is for ever. Not ``wanted``: it has another recipient now.

    ``parked`` is the digest of what Dotdigital refused.
    """

    wanted: FollowUp | None = None
    done: bool = False
    parked: bytes | None = None
    code: str | None = None
    wait: Waiting = msgspec.field(default_factory=Waiting)

    @property
    def dirty(self) -> bool:
        """Whether it must still be told."""
        return self.wanted is not None and not self.done and self.parked is None


def digest_of(content: bytes) -> bytes:
    """Identifies a record's content."""
    return blake2b(content, digest_size=12).digest()


def digest_of_follow_up(wanted: FollowUp) -> bytes:
    """Identifies what is to be told."""
    return digest_of(_encode(wanted))


def want_record(row: RecordRow, wanted: Wanted | None, position: bytes) -> bool:
    """Write the wanted content into the row; False when it is older than what is there, or not its source's to take away.

    Empty content takes the record away, unless another source has it by now: two orders may have had one number in turn.
    """
    content = b"" if wanted is None else wanted.content
    source = row.source if wanted is None else wanted.source
    others = source != row.source and row.hash not in (None, GONE)
    if position < row.position or (others and not content):
        return False
    row.position, row.source = position, source
    row.hash = digest_of(content) if content else GONE
    if row.hash != row.parked:
        row.parked, row.code = None, None
    row.content = content if content and (row.dirty or row.parked is not None) else None
    return True


def settle_record(row: RecordRow, delivery: Delivery) -> None:
    """Write Dotdigital's answer into the row."""
    digest = settled_digest(delivery)
    if delivery.outcome == "parked":
        if digest == row.hash:
            row.parked, row.code = digest, delivery.code
        return
    row.delivered, row.unsure = None if delivery.outcome == "removed" else digest, False
    if not row.dirty:
        row.content = None


def forget_record(row: RecordRow) -> None:
    """The contact is gone, and the record with it."""
    row.delivered, row.unsure = None, False


def want_follow_up(row: FollowUpRow, wanted: FollowUp | None) -> None:
    """Write what is to be told into the row."""
    if wanted != row.wanted:
        row.parked, row.code = None, None
    row.wanted = wanted


def settle_follow_up(row: FollowUpRow, delivery: Delivery) -> None:
    """Write Dotdigital's answer into the row."""
    if delivery.outcome == "parked":
        digest = settled_digest(delivery)
        if row.wanted is not None and digest == digest_of_follow_up(row.wanted):
            row.parked, row.code = digest, delivery.code
    else:
        row.done = True
