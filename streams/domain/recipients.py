"""Whom an order or credit note belongs to (``docs/delivery-rules.md`` section 2).

A house order knows by itself. An account's order asks its buyer with the address that stands on it, and if the account does
not have that address, the address's contact. Both reply, now and whenever the answer changes, and the order remembers it. The
buyer finds the orders that a new address concerns by their *group*: those with one address on them, or placed by one person. So
an account's list of addresses never travels. A credit note learns it from the order that it gives back.
"""

from hashlib import blake2b

from streams.domain.buyers import is_person
from streams.domain.orders import Live, OrderRow, is_address_excluded, own_address
from streams.domain.recipient_state import BuyersReply, OwnAddress, Question
from streams.domain.versioned import Versioned
from streams.messages.changes import Change, CreditedOrder, RecipientsReply


def apply(row: OrderRow, change: Change) -> bool:
    """Remember whom a buyer, a contact or a credited order names; False when nothing follows.

    Nothing follows from a reply to another question than was asked last, from an older one, and from a newer one with the same
    content. What followed from one of the same position may have been lost on its way.
    """
    match change.row:
        case CreditedOrder() as found:
            return _apply_order(row, int(change.pk), found, change.position)
        case RecipientsReply(address=address) if change.pk == own_address(row):
            return _apply_own(row, OwnAddress(str(change.pk), change.position, address is not None))
        case RecipientsReply() as reply if row.recipient.question == Question(str(change.pk), reply.group, reply.contact):
            return _apply_reply(row, BuyersReply(row.recipient.question, change.position, reply.address, reply.stranger))
    return False


def _apply_order(row: OrderRow, order: int, found: CreditedOrder, position: bytes) -> bool:
    old = row.recipient.orders.get(order)
    if old is not None and not _supersedes(old.position, position, same=old.row == found):
        return False
    row.recipient.orders[order] = Versioned(position, found)
    return True


def _apply_own(row: OrderRow, found: OwnAddress) -> bool:
    old = row.recipient.own
    known = old is not None and old.address == found.address
    if old is not None and known and not _supersedes(old.position, found.position, same=old.projected == found.projected):
        return False
    if old is not None and old.position == found.position:
        row.recipient.informed.clear()
    row.recipient.own = found
    return True


def _apply_reply(row: OrderRow, found: BuyersReply) -> bool:
    old = row.recipient.reply
    if old is not None and old.question == found.question:
        same = (old.address, old.stranger) == (found.address, found.stranger)
        if not _supersedes(old.position, found.position, same=same):
            return False
        if old.position == found.position:
            row.recipient.informed.clear()
    row.recipient.reply = found
    return True


def _supersedes(old: bytes, new: bytes, *, same: bool) -> bool:
    return new == old or (new > old and not same)


def forget_replies(row: OrderRow, live: Live | None) -> None:
    """Drop the replies of those whom the order no longer asks: they do not reply when their answer changes."""
    known = row.recipient
    if known.reply is not None and (live is None or live.buyer != known.reply.question.buyer):
        known.reply = None
    if known.own is not None and known.own.address != own_address(row):
        known.own = None


def recipient(row: OrderRow, live: Live) -> str | None:
    """The address that the document belongs to, as far as is known."""
    known, credited = row.recipient, credited_order(row, live)
    if credited is not None:
        cell = known.orders.get(credited)
        return None if cell is None or cell.row is None else cell.row.address
    if is_person(live.buyer):
        return live.buyer[1:]
    if known.reply is None or known.reply.question.buyer != live.buyer:
        return None
    if known.reply.stranger and known.own is not None and known.own.projected:
        return known.own.address
    return known.reply.address


def question(row: OrderRow, live: Live) -> Question | None:
    """What the document's buyer must answer; None: a house order names its person, and a credit note follows its order."""
    if is_person(live.buyer) or credited_order(row, live) is not None:
        return None
    return Question(live.buyer, group_of(own_address(row)), live.contact)


def unsure(row: OrderRow, asked: Question | None) -> bool:
    """Whether the buyer must be asked what :func:`question` says: it was not yet, or with another question."""
    known = row.recipient.reply
    return asked is not None and (known is None or known.question != asked)


def doubtful_address(row: OrderRow) -> str | None:
    """The address on the order, if the account does not have it: then its contact must be asked."""
    known = row.recipient.reply
    return own_address(row) or None if known is not None and known.stranger else None


def waiting(row: OrderRow, live: Live) -> bool:
    """Whether an answer is missing without which nobody knows whom the document belongs to."""
    credited = credited_order(row, live)
    if credited is not None:
        return credited not in row.recipient.orders
    return unsure(row, question(row, live)) or (doubtful_address(row) is not None and row.recipient.own is None)


def is_strangers(row: OrderRow, live: Live) -> bool:
    """Whether the order belongs to nobody because the account does not have the address on it, and nobody else has.

    That of one with an excluded address is meant, and waits for nothing.
    """
    known = row.recipient.reply
    if known is None or not known.stranger or is_address_excluded(row):
        return False
    return not waiting(row, live) and recipient(row, live) is None


def credited_order(row: OrderRow, live: Live) -> int | None:
    """The order that a credit note follows: of those that it gives back the one with the lowest id."""
    if not live.fact.credit:
        return None
    originals = [cell.row.original for cell in row.lines.values() if cell.row is not None]
    return min((row.owners[line] for line in originals if line is not None and line in row.owners), default=None)


def group_of(own: str | None) -> str:
    """The orders that have the address ``own`` on them, or none; a digest, because it stands in keys."""
    return "" if own is None else blake2b(own.encode(), digest_size=6).hexdigest()


def group_of_person(contact: int) -> str:
    """The orders that the person of a contact row has placed."""
    return f"p{contact}"
