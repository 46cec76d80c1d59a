"""What an order shows and its rows cannot say any more: the records of the compacted topic ``frozen-orders``, one an order.

Orders are the key, and nobody is named: no address and no name of a person is in it, so no erasure concerns it. One record more
in each partition is a barrier: what stood before it when a generation began, the generation must know to be complete.
"""

from decimal import Decimal
from typing import Final

import msgspec

from streams.messages.changes import OrderStatus

BARRIER_KEY: Final = b"barrier"
"""The key of the newest generation's barrier of round 0, packed as in topic ``orders``."""


class FrozenHeader(msgspec.Struct, frozen=True, gc=False):
    """The header that counted last, of ``at`` (UTC seconds); ``meaning`` is that of its status, ``credit`` that of its type."""

    number: str | None
    at: int
    customer: int
    type: int | None
    status: int | None
    meaning: OrderStatus
    credit: bool
    contact: int | None = None


class BoughtItem(msgspec.Struct, frozen=True, gc=False):
    """What a variant was called when it was bought, and its product."""

    sku: str | None
    name: str | None
    product: int | None


class FrozenOrder(msgspec.Struct, frozen=True, gc=False, kw_only=True, omit_defaults=True):
    """What stands in for rows that a rebuild may not find.

    ``since``: when it froze, epoch milliseconds; None, as ``header`` and ``net`` then are: it can be worked out, and only items
    or credited lines are gone. ``currency``: of its detail row, if it had one. ``items`` by variant; ``owners``: of credited
    lines that are deleted the orders that had them. ``position``: of its newest header when it froze; an older one, which a
    rebuild may still find, knows nothing better.
    """

    since: int | None = None
    header: FrozenHeader | None = None
    net: Decimal | None = None
    currency: int | None = None
    items: dict[int, BoughtItem] = {}
    owners: dict[int, int] = {}
    position: bytes = b""


NOTHING = FrozenOrder()
"""Of an order whose rows say everything."""

write_frozen = msgspec.json.Encoder().encode
"""The value of a record."""
read_frozen = msgspec.json.Decoder(FrozenOrder).decode
"""What a record says; raises msgspec.MsgspecError if nobody of ours wrote it."""
