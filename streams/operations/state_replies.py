"""Answers people's queries from a worker's state: rows as they were committed last, of the partitions that are open here.

Reading never waits for the pipeline. A search asks the tables' indexes (:mod:`streams.operations.lookups`), however many rows
there are.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import msgspec

from streams.agents import held
from streams.agents.buyers import read_buyer
from streams.dispatch.outbox.delivery_queue import DeliveryQueue
from streams.dispatch.outbox.delivery_task import TaskState
from streams.dispatch.outbox.removals import present_counts
from streams.dispatch.outbox.rows import CODECS
from streams.dispatch.outbox.tasks import Family, part_of, task_of
from streams.domain import buyers
from streams.domain.buyers import BuyerRow
from streams.domain.contact_projection import ContactRow
from streams.domain.orders import OrderRow, customer_key, own_address
from streams.engine.table import StateTable
from streams.engine.unit_of_work import Codec, UnitOfWork
from streams.messages.changes import partition_of
from streams.messages.dead_letters import is_keyed_hash, keyed_hash
from streams.operations import stored_tasks
from streams.operations.lookups import number_term
from streams.operations.state_queries import (
    MOST_FOUND,
    MOST_HELD,
    MOST_ORDERS,
    MOST_RECORDS,
    AddressQuery,
    AddressReply,
    BuyerQuery,
    BuyerReply,
    ContactQuery,
    ContactReply,
    DeliveryQuery,
    DeliveryReply,
    HeldQuery,
    HeldReply,
    HeldRow,
    OrderQuery,
    OrderReply,
    PresentQuery,
    PresentReply,
    Query,
    Reply,
    SearchHit,
    SearchQuery,
    SearchReply,
    TaskSliceQuery,
    TasksQuery,
    TaskStanding,
)

_contacts = Codec("c", ContactRow)
_buyers = Codec("b", BuyerRow)
_orders = Codec("o", OrderRow)


@dataclass
class StateReplies:
    """Answers for one worker, of ``partitions`` in all; tables and queue are those of the roles that it runs."""

    partitions: int
    hash_key: bytes = b""
    tables: dict[str, StateTable] = field(default_factory=dict)
    queue: DeliveryQueue | None = None

    def owned(self) -> dict[str, list[int]]:
        """The partitions that are open here, by table."""
        return {name: sorted(table.owned()) for name, table in self.tables.items()}

    def reply(self, query: Query) -> Reply | None:
        """The reply to one query; None: the partition is another worker's."""
        match query:
            case ContactQuery():
                return self._contact(query)
            case DeliveryQuery():
                return self._delivery(query)
            case BuyerQuery():
                return self._buyer(query)
            case OrderQuery():
                return self._order(query)
            case HeldQuery():
                return self._held()
            case PresentQuery():
                return self._present()
            case TasksQuery() | TaskSliceQuery():
                return stored_tasks.reply(self.tables.get("outbox"), query, self.partitions)
            case AddressQuery():
                return self._address(query.hash)
            case SearchQuery():
                return self._search(query.text)

    def _unit(self, table: str, key: str) -> UnitOfWork | None:
        """A reader of the partition of ``key``; None where it is not open here."""
        place = partition_of(key, self.partitions)
        found = self.tables.get(table)
        if found is None or place not in found.owned():
            return None
        return UnitOfWork(place, self.partitions, found, time.time_ns() // 1000)

    def _contact(self, query: ContactQuery) -> ContactReply | None:
        unit = self._unit("contacts", query.email)
        if unit is None:
            return None
        value = unit.get(_contacts.key(query.email))
        return ContactReply(None if value is None else _contacts.decode(value))

    def _delivery(self, query: DeliveryQuery) -> DeliveryReply | None:
        unit = self._unit("outbox", query.email)
        if unit is None:
            return None
        value = unit.get(task_of(Family.CONTACT, query.email).encode())
        row = None if value is None else CODECS[Family.CONTACT].decode(value)
        records = {part_of(key): found for key, found in self._parts(unit, Family.RECORD, query.email)}
        follow_ups = {part_of(key): found for key, found in self._parts(unit, Family.FOLLOW_UP, query.email)}
        tasks = [
            task_of(Family.CONTACT, query.email),
            *(task_of(Family.RECORD, query.email, key) for key in records),
            *(task_of(Family.FOLLOW_UP, query.email, key) for key in follow_ups),
        ]
        more = len(records) > MOST_RECORDS
        return DeliveryReply(
            row,
            {key: msgspec.structs.replace(found, content=None) for key, found in islice(records.items(), MOST_RECORDS)},
            follow_ups,
            dict(self._standings(tasks)),
            more,
        )

    def _parts(self, unit: UnitOfWork, family: Family, email: str) -> Iterator[tuple[str, Any]]:
        for key, value in islice(unit.scan(task_of(family, email, "").encode()), MOST_RECORDS + 1):
            yield key.decode(), CODECS[family].decode(value)

    def _standings(self, tasks: list[str]) -> Iterator[tuple[str, TaskStanding]]:
        for task in tasks if self.queue is not None else ():
            assert self.queue is not None
            state = self.queue.state(task)
            if state is not TaskState.ABSENT:
                yield task, TaskStanding(state.value, tuple(sorted(blocker.value for blocker in self.queue.blocked_by(task))))

    def _buyer(self, query: BuyerQuery) -> BuyerReply | None:
        unit = self._unit("buyers", query.key)
        if unit is None:
            return None
        found = read_buyer(unit, query.key, query.email, MOST_ORDERS)
        return BuyerReply(None, []) if found is None else BuyerReply(*found)

    def _order(self, query: OrderQuery) -> OrderReply | None:
        unit = self._unit("orders", str(query.order))
        if unit is None:
            return None
        value = unit.get(_orders.key(str(query.order)))
        if value is None:
            return OrderReply(None)
        row = _orders.decode(value)
        lines = sum(cell.row is not None for cell in row.lines.values())
        return OrderReply(msgspec.structs.replace(row, lines={}, line_replies={}, owners={}), lines)

    def _held(self) -> HeldReply:
        rows = (
            HeldRow(name, key.decode().removeprefix(held.PREFIX), held.decode_reason(value))
            for name, table in self.tables.items()
            if name != "outbox"
            for partition in sorted(table.owned())
            for key, value in table.scan(partition, held.PREFIX.encode())
        )
        found = list(islice(rows, MOST_HELD + 1))
        return HeldReply(found[:MOST_HELD], more=len(found) > MOST_HELD)

    def _address(self, wanted: str) -> AddressReply:
        for name in ("outbox", "contacts") if is_keyed_hash(wanted) else ():
            for key, _ in self._found(name, wanted):
                return AddressReply(key[1:].decode())
        return AddressReply(None)

    def _found(self, table: str, hash_: str) -> Iterator[tuple[bytes, bytes]]:
        """Rows of the partitions that are open here whose term has this hash."""
        if (rows := self.tables.get(table)) is not None:
            for partition in sorted(rows.owned()):
                yield from rows.find(partition, hash_)

    def _present(self) -> PresentReply:
        outbox = self.tables.get("outbox")
        return PresentReply({} if outbox is None else {kind.value: n for kind, n in present_counts(outbox).items()})

    def _search(self, text: str) -> SearchReply:
        wanted = text.strip()
        found = {(one.kind, one.key): one for one in (*self._by_id(wanted), *islice(self._by_number(wanted), MOST_FOUND + 1))}
        return SearchReply(list(found.values())[:MOST_FOUND], more=len(found) > MOST_FOUND)

    def _by_number(self, text: str) -> Iterator[SearchHit]:
        """Accounts and orders whose number is ``text``."""
        wanted = number_term(text)
        for table, make in (("buyers", _account), ("orders", _order)):
            for key, value in self._found(table, keyed_hash(wanted.encode(), self.hash_key)):
                hit = make(key[1:].decode(), value)
                # Other numbers may have the hash too.
                if number_term(hit.number) == wanted:
                    yield hit

    def _by_id(self, text: str) -> Iterator[SearchHit]:
        """An account or order whose id in the database is ``text``."""
        if not (text.isascii() and text.isdecimal()):
            return
        for table, key, codec, make in (
            ("buyers", customer_key(int(text)), _buyers, _account),
            ("orders", str(int(text)), _orders, _order),
        ):
            unit = self._unit(table, key)
            value = None if unit is None else unit.get(codec.key(key))
            if value is not None:
                yield make(key, value)


def _account(key: str, value: bytes) -> SearchHit:
    row = _buyers.decode(value)
    customer = row.customer.row if row.customer is not None else None
    number = (customer.account if customer is not None else None) or ""
    default = buyers.default_address(row)
    emails = buyers.account_addresses(row) or ([] if default is None else [default])
    return SearchHit("account", key, number, tuple(emails[:MOST_FOUND]))


def _order(key: str, value: bytes) -> SearchHit:
    row = _orders.decode(value)
    header = row.header.row if row.header is not None else None
    reply = row.recipient.reply
    email = (row.records[-1][0] if row.records else None) or (None if reply is None else reply.address) or own_address(row)
    return SearchHit("order", key, (header.number if header is not None else None) or "", () if email is None else (email,))
