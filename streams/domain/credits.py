"""What a credit note gives back of each order (``docs/delivery-rules.md`` section 3)."""

from decimal import Decimal

from streams.domain.money import EXACT, total
from streams.domain.orders import Live, OrderRow


def shares(row: OrderRow, live: Live) -> dict[int, Decimal]:
    """What is given back, by order id, in the reporting currency; empty for what is no credit note or does not count.

    An order gets the lines that it owns; what the credit note is worth beyond them goes to the lowest order id.
    """
    if not live.fact.credit or not live.fact.counts:
        return {}
    given: dict[int, Decimal] = {}
    for cell in row.lines.values():
        line = cell.row
        if line is not None and line.original in row.owners:
            owner = row.owners[line.original]
            given[owner] = total((given.get(owner, Decimal(0)), line.net or Decimal(0)))
    if given:
        first = min(given)
        given[first] = EXACT.subtract(live.net, total(amount for order, amount in given.items() if order != first))
    return {order: EXACT.multiply(amount, live.currency.rate) for order, amount in given.items()}
