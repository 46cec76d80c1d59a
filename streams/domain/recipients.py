"""Whom an order or credit note belongs to (``docs/delivery-rules.md`` section 2).

A house order knows by itself. An account's order asks its buyer for the account's addresses, is told, now and whenever they
change, and remembers its choice.
"""

from streams.domain.buyers import is_person
from streams.domain.orders import Live, OrderRow, Recipient, account_of, own_address
from streams.mapping import Mapping
from streams.messages.changes import Change, RecipientsReply


def apply(row: OrderRow, change: Change, mapping: Mapping) -> bool:
    """Choose among the addresses that a buyer tells; False when nothing follows.

    Nothing follows from the word of a buyer who is not the order's (any more), from an older word, and from a newer one by
    which the choice is the same. An equal one may have been lost before it reached Dotdigital's side.
    """
    buyer = str(change.pk)
    if not isinstance(change.row, RecipientsReply) or buyer != account_of(row, mapping):
        return False
    own, addresses = own_address(row), change.row.addresses
    chosen = Recipient(buyer, change.position, own, own if own in addresses else next(iter(addresses), None))
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
