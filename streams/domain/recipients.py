"""Whom an order or credit note belongs to (``docs/delivery-rules.md`` section 2).

A house order knows by itself. An account's order asks its buyer with the address that stands on it, is answered, now and
whenever the answer changes, and remembers it. The buyer finds the orders that a new address concerns by their *group*: those
with one address on them. So an account's list of addresses never travels.
"""

from hashlib import blake2b

from streams.domain.buyers import is_person
from streams.domain.orders import Live, OrderRow, Recipient, account_of, own_address
from streams.mapping import Mapping
from streams.messages.changes import Change, RecipientsReply


def apply(row: OrderRow, change: Change, mapping: Mapping) -> bool:
    """Remember whom the buyer names; False when nothing follows.

    Nothing follows from the reply of a buyer who is not the order's (any more), from one for another address than stands on
    the order now (it has asked again), from an older one, and from a newer one that names the same. An equal one may have been
    lost before it reached Dotdigital's side.
    """
    buyer = str(change.pk)
    if not isinstance(change.row, RecipientsReply) or buyer != account_of(row, mapping):
        return False
    own = own_address(row)
    if change.row.group != group_of(own):
        return False
    chosen = Recipient(buyer, change.position, own, change.row.address)
    old = row.recipient
    if old is not None and old.buyer == buyer:
        same = (old.own, old.address) == (chosen.own, chosen.address)
        if change.position < old.position or (same and change.position > old.position):
            return False
    row.recipient = chosen
    return True


def recipient(row: OrderRow, live: Live) -> str | None:
    """The address that the document belongs to, as far as is known."""
    if is_person(live.buyer):
        return live.buyer[1:]
    known = row.recipient
    return known.address if known is not None and known.buyer == live.buyer else None


def unsure(row: OrderRow, live: Live) -> bool:
    """Whether the buyer must be asked: it was not yet, or the order's own address is another one than when it answered."""
    known = row.recipient
    return not is_person(live.buyer) and (known is None or known.buyer != live.buyer or known.own != own_address(row))


def group_of(own: str | None) -> str:
    """The orders that have the address ``own`` on them, or none; a digest, because it stands in keys."""
    return "" if own is None else blake2b(own.encode(), digest_size=6).hexdigest()
