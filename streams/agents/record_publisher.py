"""What Dotdigital shows of an order or credit note beside its contact: records and follow-ups, and what they wait for.

The part of the orders agent that speaks to the outbox (``docs/delivery-rules.md`` sections 2 to 4 and 7).
"""

from typing import Any, TypeAlias

from streams.agents.emitter import ChangeEmitter
from streams.domain import order_record, recipients
from streams.domain.credits import credited
from streams.domain.erasure import NOBODY
from streams.domain.money import cents
from streams.domain.orders import Live, OrderRow, own_address
from streams.mapping import Mapping
from streams.mapping.delivery import OrderRecords
from streams.messages.changes import CreditedOrder, DesiredFollowUp, DesiredRecord, RecipientsQuery
from streams.messages.kinds import (
    CreditedAmountChange,
    CreditedOrderChange,
    DesiredFollowUpChange,
    DesiredRecordChange,
    RecipientsQueryChange,
)
from streams.messages.topics import Topics

_Wanted: TypeAlias = DesiredRecordChange | DesiredFollowUpChange

_PLACES = 8
"""Places of a record that are remembered. All but the current one are empty and said to be so at every change; the oldest is
forgotten when that was said through at least this many moves."""


class RecordPublisher:
    """Tells what follows from one document's state, as far as the mapping wants it delivered."""

    def __init__(self, mapping: Mapping, topics: Topics) -> None:
        self._orders = mapping.delivery.orders
        self._follow_ups = mapping.delivery.follow_up
        self._history = mapping.order.history
        self._tax_included = mapping.order.tax_included
        self._topics = topics

    def publish_credits(self, emitter: ChangeEmitter, credit: int, row: OrderRow, live: Live | None) -> None:
        """Publish to every order what a credit note gives back of it, and that of others it gives nothing any more."""
        given = credited(row, live) if live is not None else {}
        row.credited.extend(given.keys() - set(row.credited))
        for order in row.credited:
            emitter.emit(self._topics.orders, CreditedAmountChange, str(order), credit, given.get(order))

    def publish(
        self, emitter: ChangeEmitter, order: int, row: OrderRow, live: Live | None, items: order_record.Items, *, again: bool
    ) -> None:
        """Publish the record or the follow-up, and ask whose they are when it is not known.

        Args:
            emitter: where the changes go in this unit.
            order: its id.
            row: its state, which remembers what was published.
            live: what it is worth, if it is live.
            items: the variants of its lines.
            again: a change came again, so what followed from it may be lost: it is asked and published in any case.
        """
        recipients.forget_replies(row, live)
        placed = live if live is not None and self._placed(row, live) else None
        if placed is not None:
            self._ask(emitter, order, row, placed, again=again)
            if recipients.waiting(row, placed):
                # Whatever shows to somebody stays until it is known whose it is.
                return
        shown = placed if placed is not None and self._shown(placed) else None
        if self._follow_ups is not None:
            self._follow_up(emitter, order, row, shown if shown is not None and shown.fact.credit else None)
        whose = None if placed is None else recipients.recipient(row, placed)
        known = CreditedOrder(whose, _counts(row, live))
        self._inform_credits(emitter, order, row, known, again=again)
        if self._orders is not None:
            self._record(emitter, order, row, None if shown is None or shown.fact.credit else shown, items, self._orders)

    def is_strangers(self, row: OrderRow, live: Live | None) -> bool:
        """Whether there is no record because the address on the order is nobody's."""
        if live is None or live.fact.credit or self._orders is None:
            return False
        return recipients.is_strangers(row, live) and self._shown(live)

    def _shown(self, live: Live) -> bool:
        """Whether the document itself goes to Dotdigital."""
        fact = live.fact
        if fact.number is None:
            return False
        if fact.credit:
            wanted = self._follow_ups
            return (
                wanted is not None
                and fact.counts
                and fact.at >= wanted.since.timestamp()
                and cents(fact.net) >= wanted.smallest
            )
        return self._orders is not None and not (self._history is not None and self._history.is_before(fact.at))

    def _placed(self, row: OrderRow, live: Live) -> bool:
        """Whether it matters whom the document belongs to: it is shown, or given back by a credit note that may be."""
        credited = any(cell.row is not None for cell in row.credits.values())
        return self._shown(live) or (self._follow_ups is not None and credited and not live.fact.credit)

    def _ask(self, emitter: ChangeEmitter, order: int, row: OrderRow, live: Live, *, again: bool) -> None:
        known, asked = row.recipient, recipients.question(row, live)
        unsure = recipients.unsure(row, asked)
        if asked is not None and (unsure or again):
            known.question = asked
            query = RecipientsQuery(own_address(row), asked.contact)
            emitter.emit(self._topics.buyers, RecipientsQueryChange, live.buyer, order, query)
        address = None if asked is None else recipients.doubtful_address(row)
        if address is not None and not unsure and (known.own is None or again):
            emitter.emit(self._topics.contacts, RecipientsQueryChange, address, order, RecipientsQuery(address))

    def _inform_credits(self, emitter: ChangeEmitter, order: int, row: OrderRow, known: CreditedOrder, *, again: bool) -> None:
        """Publish to the credit notes what they need to know of the order, once and whenever that changes."""
        digest = f"{recipients.group_of(known.address)}{'' if known.counts else '-'}"
        for credit, cell in row.credits.items():
            if cell.row is not None and (again or row.recipient.informed.get(credit) != digest):
                row.recipient.informed[credit] = digest
                emitter.emit(self._topics.orders, CreditedOrderChange, str(credit), order, known)

    def _record(
        self,
        emitter: ChangeEmitter,
        order: int,
        row: OrderRow,
        shown: Live | None,
        items: order_record.Items,
        wanted: OrderRecords,
    ) -> None:
        whose = None if shown is None else recipients.recipient(row, shown)
        place = (
            None
            if shown is None or whose is None or shown.fact.number is None
            else (whose, order_record.key(shown.fact.number))
        )
        if shown is not None and place is not None and not row.records:
            # Releases up to 0.2 may have stored it under another key, and a rebuild does not remember that.
            row.records = [(place[0], order_record.former_key(shown.fact.number or ""))]
        for former in row.records:
            if former != place:
                successor = place[1] if place is not None and former[0] == place[0] else ""
                left = DesiredRecord(b"", order, moved=place is not None, successor=successor)
                self._want(emitter, DesiredRecordChange, *former, left)
        if shown is not None and place is not None:
            row.records = [*(former for former in row.records if former != place), place][-_PLACES:]
            content = order_record.content(row, shown, items, wanted, tax_included=self._tax_included)
            self._want(emitter, DesiredRecordChange, *place, DesiredRecord(content, order))

    def _follow_up(self, emitter: ChangeEmitter, credit: int, row: OrderRow, shown: Live | None) -> None:
        """The recipient may change until Dotdigital has the follow-up; that of an erased person goes to nobody else."""
        if row.follow_up_recipient == NOBODY:
            return
        whose = None if row.follow_up_delivered or shown is None else recipients.recipient(row, shown)
        if row.follow_up_recipient is not None and row.follow_up_recipient not in (whose, *row.former_follow_up_recipients):
            row.former_follow_up_recipients = [*row.former_follow_up_recipients, row.follow_up_recipient][-_PLACES:]
        row.follow_up_recipient = whose
        for former in row.former_follow_up_recipients:
            if former != whose:
                self._want(emitter, DesiredFollowUpChange, former, credit, None)
        if shown is not None and whose is not None:
            wanted = DesiredFollowUp(shown.fact.number, shown.fact.at, shown.net, shown.currency.code)
            self._want(emitter, DesiredFollowUpChange, whose, credit, wanted)

    def _want(self, emitter: ChangeEmitter, kind: type[_Wanted], email: str, key: int | str, row: Any) -> None:
        """Want something of the contact with that address, for the generation that this is."""
        change = kind(email, key, emitter.position, emitter.lane, emitter.caused_at, row)
        change.generation = self._topics.desired.generation
        emitter.unit.emit(self._topics.desired, change)


def _counts(row: OrderRow, live: Live | None) -> bool:
    """Whether giving the order back takes something off a buyer's spend.

    One that adds nothing takes nothing: cancelled, or here and neither live nor held, which is one that the mapping ignores.
    Of an order that is not here it is not known, and what is not known is not left out of the refunds.
    """
    if live is not None:
        return live.fact.counts
    return row.held is not None or row.header is None or row.header.row is None
