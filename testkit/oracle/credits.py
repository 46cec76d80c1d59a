"""What credit notes give back of each order (delivery rules §3)."""

from collections import defaultdict
from dataclasses import dataclass, replace
from decimal import Decimal

from streams.mapping import Mapping
from testkit.oracle.order_facts import LiveOrder, line_owners
from testkit.oracle.row_reading import EXACT, Tables


def credited(tables: Tables, mapping: Mapping, live: list[LiveOrder]) -> dict[int, Decimal]:
    """Order id to what is given back of it, in the reporting currency, exact."""
    owners = line_owners(tables, mapping)
    total: dict[int, Decimal] = defaultdict(Decimal)
    for credit in live:
        if credit.kind == "credit" and credit.counts:
            for order, share in shares(credit, owners).items():
                total[order] = EXACT.add(total[order], EXACT.multiply(share, credit.currency.rate))
    return dict(total)


def credited_orders(credit: LiveOrder, owners: dict[int, int | None]) -> set[int]:
    """The orders of which a credit note gives something back."""
    found = {owners.get(line.original) for line in credit.lines if line.original is not None}
    return {order for order in found if order is not None}


def shares(credit: LiveOrder, owners: dict[int, int | None]) -> dict[int, Decimal]:
    """What one credit note gives back of each order, in its own currency; ``owners``: line to the order that has it."""
    found: dict[int, Decimal] = defaultdict(Decimal)
    for line in credit.lines:
        owner = None if line.original is None else owners.get(line.original)
        if owner is not None:
            found[owner] = EXACT.add(found[owner], line.net or Decimal(0))
    if found:
        lines = sum(found.values(), Decimal(0))
        first = min(found)
        found[first] = EXACT.add(found[first], EXACT.subtract(credit.amount, lines))
    return dict(found)


def effective(live: list[LiveOrder], owners: dict[int, int | None], ignored: set[int]) -> list[LiveOrder]:
    """``live`` with credit notes worth what they take off a buyer's spend.

    Giving back an order that is cancelled, or ``ignored``, takes nothing away: it added nothing.
    """
    nothing = ignored | {order.id for order in live if order.kind == "order" and not order.counts}
    found: list[LiveOrder] = []
    for document in live:
        if document.kind == "credit":
            void = sum((share for order, share in shares(document, owners).items() if order in nothing), Decimal(0))
            net = EXACT.subtract(document.net, EXACT.multiply(void, document.currency.rate))
            found.append(replace(document, net=net))
        else:
            found.append(document)
    return found


@dataclass(frozen=True, slots=True)
class ReturnedLine:
    """What credit notes give back of one line: how many, and the money in the reporting currency."""

    quantity: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)


def returned_lines(live: list[LiveOrder]) -> dict[int, ReturnedLine]:
    """What is given back of each line, by its id."""
    found: dict[int, ReturnedLine] = defaultdict(ReturnedLine)
    for credit in live:
        for line in credit.lines if credit.kind == "credit" and credit.counts else ():
            if line.original is not None:
                before, amount = found[line.original], EXACT.multiply(line.net or Decimal(0), credit.currency.rate)
                quantity = EXACT.add(before.quantity, line.quantity or Decimal(0))
                found[line.original] = ReturnedLine(quantity, EXACT.add(before.amount, amount))
    return found
