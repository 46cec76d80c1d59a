"""What a contact should hold against what was delivered: desired and delivered state, and the records between them."""

from hashlib import blake2b
from typing import Literal, TypeAlias

import msgspec

from streams.domain.changes import Desired

Outcome: TypeAlias = Literal["created", "updated", "cleared", "deleted", "absent", "parked", "noted"]
Created: TypeAlias = Literal["no", "unsubscribed", "subscribed"]


class OutboxRow(msgspec.Struct, array_like=True, gc=False):
    """Delivery state of one address.

    ``hash`` is that of the desired content, ``delivered`` and ``parked`` those that Dotdigital took or refused last.
    ``contact``: its id, once Dotdigital has it. ``created``: we created it, and with which status. ``told_out``: the opt-out
    was passed on. ``carried``: an unsubscribe came along from the person's former address. ``tight``: one was seen in
    Dotdigital; never forgotten. ``born``: append time of the oldest undelivered change; ``first``: when the row became
    dirty; both epoch ms.
    """

    position: bytes = b""
    fields: bytes | None = None
    opted: bool | None = None
    moved_to: str | None = None
    hash: bytes | None = None
    delivered: bytes | None = None
    parked: bytes | None = None
    code: str | None = None
    contact: int | None = None
    created: Created = "no"
    told_out: bool = False
    carried: bool = False
    tight: bool = False
    lane: int = 2
    born: int = 0
    first: int = 0
    due: int = 0
    unsure: bool = False
    tried: Created = "no"

    @property
    def known(self) -> bool:
        """Whether Dotdigital had the contact when we last looked."""
        return self.contact is not None

    @property
    def dirty(self) -> bool:
        """Whether something must be sent."""
        if self.hash is None or self.hash == self.parked:
            return False
        return self.unsure or self.hash != self.delivered

    @property
    def opted_out(self) -> bool:
        """Whether the contact must not be mailed, by the ERP's word or by what its former address said."""
        return self.opted is False or self.carried

    @property
    def may_subscribe(self) -> bool:
        """Whether the contact may be *created* as subscribed (law 5)."""
        return self.opted is True and not self.carried and not self.tight


class Delivery(msgspec.Struct, gc=False):
    """One answer of Dotdigital, as it stands in the ``deliveries`` topic (JSON, keyed by e-mail)."""

    email: str
    outcome: Outcome
    hash: str
    position: str
    at: int
    lane: int
    code: str | None = None
    contact: int | None = None
    created: Created = "no"
    told_out: bool = False
    tight: bool = False


def _hash(row: OutboxRow) -> bytes:
    """Identifies the desired content: the data fields and whether an opt-out must be told."""
    digest = blake2b(b"gone" if row.fields is None else row.fields, digest_size=12)
    digest.update(b"\0out" if row.opted_out else b"\0")
    return digest.digest()


def want(row: OutboxRow, desired: Desired, position: bytes) -> bool:
    """Write the desired content into the row; False when it is older than what is there."""
    if position < row.position:
        return False
    row.position = position
    row.fields, row.opted, row.moved_to = desired.fields, desired.opted, desired.moved_to
    row.hash = _hash(row)
    if not row.opted_out:
        row.told_out = False
    if row.hash != row.parked:
        row.parked, row.code = None, None
    return True


def carry_consent(row: OutboxRow) -> None:
    """An unsubscribe of the person's former address applies here too."""
    row.carried = True
    if row.hash is not None:
        row.hash = _hash(row)


def settle(row: OutboxRow, delivery: Delivery) -> None:
    """Write Dotdigital's answer into the row; it stays dirty when the answer is to other content than is wanted now."""
    row.tight = row.tight or delivery.tight
    if delivery.outcome == "noted":
        row.tried = delivery.created if delivery.created != "no" else row.tried
        return
    row.tried = "no"
    digest = bytes.fromhex(delivery.hash)
    if delivery.outcome == "parked":
        row.parked, row.code = digest, delivery.code
        return
    row.delivered, row.unsure = digest, False
    # A repeated call finds the contact that its first try created.
    ours = delivery.outcome == "updated" and delivery.created == "no" and row.known
    row.created = row.created if ours else delivery.created
    row.contact = delivery.contact
    row.told_out = delivery.told_out and row.opted_out
