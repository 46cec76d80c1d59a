"""Totals over facts: a commutative monoid, so the order in which facts arrive or are grouped cannot matter."""

from collections.abc import Iterable

from msgspec.structs import replace

from streams.domain.money import EXACT, cents
from streams.messages.changes import OrderFact, Parcel, Totals

EMPTY = Totals()


def of_fact(order: int, fact: OrderFact) -> Totals:
    """The totals of a single order or credit note."""
    if not fact.counts:
        return Totals(live=1)
    if fact.credit:
        # A credit note of nothing, which sites write to close a complaint, is no refund.
        refund = Totals(live=1, refunds=1, refunded=fact.net, last_refund=fact.at)
        return refund if cents(fact.net) else Totals(live=1)
    moment, paid = (fact.at, order), 1 if cents(fact.net) > 0 else 0
    sold = Totals(live=1, orders=1, spend=fact.net, first=moment, last=moment, despatched=fact.despatched, paid=paid)
    return sold if fact.parcel is None else replace(sold, parcel=fact.parcel)


def combined(parts: Iterable[Totals]) -> Totals:
    """The totals over all ``parts``."""
    live = orders = refunds = paid = 0
    spend = refunded = EMPTY.spend
    first: tuple[int, int] | None = None
    last: tuple[int, int] | None = None
    despatched: int | None = None
    last_refund: int | None = None
    parcel: Parcel | None = None
    for part in parts:
        live += part.live
        if part.orders:
            orders += part.orders
            paid += part.paid
            spend = EXACT.add(spend, part.spend)
            first = part.first if first is None or (part.first is not None and part.first < first) else first
            last = part.last if last is None or (part.last is not None and part.last > last) else last
            if part.despatched is not None and (despatched is None or part.despatched > despatched):
                despatched = part.despatched
        if part.parcel is not None and (parcel is None or (parcel.at, parcel.order) < (part.parcel.at, part.parcel.order)):
            parcel = part.parcel
        if part.refunds:
            refunds += part.refunds
            refunded = EXACT.add(refunded, part.refunded)
            if part.last_refund is not None and (last_refund is None or part.last_refund > last_refund):
                last_refund = part.last_refund
    return Totals(live, orders, spend, refunds, refunded, first, last, despatched, last_refund, paid, parcel)
