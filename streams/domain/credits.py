"""What a credit note gives back of each order (``docs/delivery-rules.md`` section 3)."""

from decimal import Decimal

from streams.domain.money import EXACT, total
from streams.domain.orders import Live, OrderRow
from streams.messages.changes import CreditedAmount, CreditedLine


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


def credited(row: OrderRow, live: Live) -> dict[int, CreditedAmount]:
    """What every order learns of the credit note, by its id; empty for what is no credit note or does not count."""
    lines: dict[int, list[CreditedLine]] = {}
    for _, cell in sorted(row.lines.items()):
        line = cell.row
        if line is not None and line.original is not None and line.original in row.owners:
            amount = EXACT.multiply(line.net or Decimal(0), live.currency.rate)
            found = CreditedLine(line.original, line.quantity or Decimal(0), amount)
            lines.setdefault(row.owners[line.original], []).append(found)
    given = shares(row, live)
    return {order: CreditedAmount(amount, live.fact.at, tuple(lines[order])) for order, amount in given.items()}


def counted(row: OrderRow, live: Live) -> Decimal:
    """What the credit note takes off its buyer's spend: nothing for a cancelled order, which adds nothing."""
    known = row.recipient.orders
    cancelled = [
        amount
        for order, amount in shares(row, live).items()
        if (cell := known.get(order)) is not None and cell.row is not None and not cell.row.counts
    ]
    return EXACT.subtract(live.fact.net, total(cancelled))
