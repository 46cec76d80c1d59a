"""What an order is worth to its buyer, as it is published."""

from msgspec.structs import replace

from streams.domain import orders
from streams.domain.credits import counted
from streams.domain.order_record import Items, skus
from streams.messages.changes import OrderFact, Parcel


def order_fact(order: int, row: orders.OrderRow, live: orders.Live, items: Items) -> OrderFact:
    """The fact as the buyer needs it; ``items`` are the variants of its lines."""
    if live.fact.credit:
        return replace(live.fact, net=counted(row, live))
    sent = orders.latest_despatch(row)
    parcel = None if sent is None or sent.at is None else Parcel(sent.at, order, sent.consignment, sent.carrier)
    return replace(live.fact, skus=skus(row, items), parcel=parcel)
