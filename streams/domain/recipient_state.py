"""What an order or credit note knows of the person whom it belongs to: what it asked, and what it learned."""

import msgspec

from streams.domain.versioned import Versioned
from streams.messages.changes import CreditedOrder


class Question(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What a buyer was asked: for an order with an address of ``group`` on it, which the person of row ``contact`` placed."""

    buyer: str
    group: str
    contact: int | None = None


class BuyersReply(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """What the buyer replied to ``question``, at ``position``; ``stranger``: the order's own address is not the account's.

    It is the choice, not the list that it was made from: a large account's addresses would stand in each of its orders.
    """

    question: Question
    position: bytes
    address: str | None
    stranger: bool = False


class OwnAddress(msgspec.Struct, array_like=True, frozen=True, gc=False):
    """Whether anybody has the ``address`` on the order, as its contact replied at ``position``."""

    address: str
    position: bytes
    projected: bool


class RecipientState(msgspec.Struct, array_like=True, gc=False):
    """The part of an order's row that says whom it belongs to.

    ``question``: the one that was asked last; ``reply`` and ``own``: what is known since. ``orders``: of a credit note, whom
    the orders belong to that it gives back. ``informed``: the credit notes that were told whom the order belongs to, and the
    digest of that address.
    """

    question: Question | None = None
    reply: BuyersReply | None = None
    own: OwnAddress | None = None
    orders: dict[int, Versioned[CreditedOrder]] = {}
    informed: dict[int, str] = {}
