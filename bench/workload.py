"""The input of every benchmark: an Orderwise shop as Debezium writes it, deterministic, with the totals that must come out.

Rows are as wide as real ones (about 1.2 kB an envelope), in live form: ``c``, then ``u`` with the row before and after. Each
order makes exactly :data:`CHANGES_PER_ORDER` records: header, total and two lines created in one transaction, then two
updates while later orders come in. Some orders are cancelled, some totals corrected, so that a join that adds instead of
replacing is caught.
"""

import random
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import orjson

from bench.workload_rows import START, Order, Row, contact_row, customer_row, line_row, timestamp

CHANGES_PER_ORDER: Final = 6
PREFIX: Final = "ow"
PARTITIONS: Final = 4
TABLES: Final = {
    "order_status": "os_id",
    "customer_detail": "cd_id",
    "customer_contact": "cc_id",
    "order_header": "oh_id",
    "order_header_total": "oht_id",
    "order_line_item": "oli_id",
}
"""The captured tables that get rows in every contender's input, with their primary keys."""
_KEYS: Final = TABLES | {"delivery_header": "dh_id"}

STATUSES: Final = {1: "Awaiting Despatch", 5: "Dispatched", 6: "Completed", 7: "Cancelled"}
CANCELLED: Final = 7

_FIRST_UPDATE, _SECOND_UPDATE = 50, 200


class Message(NamedTuple):
    """One record of a captured topic."""

    topic: str
    key: bytes
    value: bytes


@dataclass(slots=True)
class Total:
    """What a customer's orders come to; ``spend`` in ten-thousandths."""

    orders: int = 0
    spend: int = 0


@dataclass(slots=True)
class Workload:
    """A shop of ``customers``, each with ``persons`` contacts, and ``orders`` spread over them.

    Iterating :meth:`messages` once makes the records and, with them, :attr:`truth`. ``lines`` is the number of lines an
    order (0 for preloads that need only state), ``updates`` whether orders move on after they were placed.
    """

    customers: int
    orders: int
    seed: int = 1
    lines: int = 2
    updates: bool = True
    even: bool = False
    prefix: str = PREFIX
    persons: int = 1
    truth: dict[int, Total] = field(default_factory=dict)
    captured: int = 0
    _commit: int = 0

    @classmethod
    def of_changes(cls, changes: int) -> "Workload":
        """A workload with ``changes`` order changes, about three orders a customer."""
        return cls(customers=max(1, changes // 20), orders=max(1, changes // CHANGES_PER_ORDER))

    def messages(self) -> Iterator[Message]:
        """Every record, in the order in which the source committed them."""
        for message in self._all():
            self.captured += 1
            yield message

    def updates_of(self, orders: list[int], round_: int) -> Iterator[Message]:
        """One header update for each of ``orders``, which exist (``even`` workloads only); totals do not change."""
        for order in orders:
            now = self._even_order(order)
            now.status = 5 if round_ % 2 == 0 else 6
            before = now.row() | {"oh_os_id": 1}
            yield self._message("order_header", "u", order, before, now.row(), self._next())

    def new_persons(self, numbers: Iterable[int]) -> Iterator[Message]:
        """One contact more for a customer, the customers in turn; equal ``numbers`` (from 0) are the same contact."""
        rng = random.Random(self.seed)
        for number in numbers:
            key = self.customers * self.persons + number + 1
            row = contact_row(rng, key) | {"cc_customer_id": number % self.customers + 1}
            yield self._message("customer_contact", "c", key, None, row, self._next())

    def newcomers(self, count: int) -> Iterator[Message]:
        """``count`` customers more, with a contact each and no orders; made once, and not together with new persons."""
        rng = random.Random(self.seed)
        for customer in range(self.customers * self.persons + 1, self.customers * self.persons + count + 1):
            lsn = self._next()
            yield self._message("customer_detail", "c", customer, None, customer_row(rng, customer), lsn)
            contact = contact_row(rng, customer) | {"cc_customer_id": customer}
            yield self._message("customer_contact", "c", customer, None, contact, lsn)

    def despatches(self, orders: Iterable[int], round_: int) -> Iterator[Message]:
        """A delivery of each of ``orders``, later than those of the rounds before."""
        for order in orders:
            key = round_ * self.orders + order
            row = {
                "dh_id": key,
                "dh_oh_id": order,
                "dh_datetime": timestamp(START + (round_ + 1) * 86_400 + order),
                "dh_consignment_number": f"JD{key:010d}",
            }
            yield self._message("delivery_header", "c", key, None, row, self._next())

    def _all(self) -> Iterator[Message]:
        rng = random.Random(self.seed)
        for status, text in STATUSES.items():
            row = {"os_id": status, "os_description": text}
            yield self._message("order_status", "r", status, None, row, self._next())
        for customer in range(1, self.customers + 1):
            self.truth[customer] = Total()
            lsn = self._next()
            yield self._message("customer_detail", "c", customer, None, customer_row(rng, customer), lsn)
            for person in range(self.persons):
                key = customer + person * self.customers
                contact = contact_row(rng, key) | {"cc_customer_id": customer}
                yield self._message("customer_contact", "c", key, None, contact, lsn)
        yield from self._orders(rng)

    def _orders(self, rng: random.Random) -> Iterator[Message]:
        placed: deque[Order] = deque()
        despatched: deque[Order] = deque()
        for number in range(1, self.orders + 1):
            order = self._even_order(number) if self.even else self._random_order(rng, number)
            self._count(order, +1)
            yield from self._created(rng, order)
            if not self.updates:
                continue
            placed.append(order)
            if len(placed) > _FIRST_UPDATE:
                despatched.append(placed.popleft())
                yield self._first_update(rng, despatched[-1])
            if len(despatched) > _SECOND_UPDATE:
                yield self._second_update(rng, despatched.popleft())
        for order in placed:
            yield self._first_update(rng, order)
        for order in (*despatched, *placed):
            yield self._second_update(rng, order)

    def _random_order(self, rng: random.Random, number: int) -> Order:
        return Order(number, rng.randrange(1, self.customers + 1), rng.randrange(50_000, 5_000_000), START + number * 60)

    def _even_order(self, number: int) -> Order:
        """An order that follows from its number alone: customers take turns, so each has as many as any other."""
        return Order(number, (number - 1) % self.customers + 1, 100_000 + number % 1000 * 100, START + number * 60)

    def _created(self, rng: random.Random, order: Order) -> Iterator[Message]:
        lsn = self._next()
        yield self._message("order_header", "c", order.order, None, order.row(), lsn)
        yield self._message("order_header_total", "c", order.order, None, order.total_row(), lsn)
        for line in range(self.lines):
            key = order.order * max(1, self.lines) + line
            yield self._message("order_line_item", "c", key, None, line_row(rng, key, order), lsn)

    def _first_update(self, rng: random.Random, order: Order) -> Message:
        before = order.row()
        self._count(order, -1)
        order.status = CANCELLED if rng.random() < 0.05 else 5
        self._count(order, +1)
        return self._message("order_header", "u", order.order, before, order.row(), self._next())

    def _second_update(self, rng: random.Random, order: Order) -> Message:
        if rng.random() < 0.2:
            before = order.total_row()
            self._count(order, -1)
            order.net = rng.randrange(50_000, 5_000_000)
            self._count(order, +1)
            return self._message("order_header_total", "u", order.order, before, order.total_row(), self._next())
        before = order.row()
        if order.status != CANCELLED:
            order.status = 6
        return self._message("order_header", "u", order.order, before, order.row(), self._next())

    def _count(self, order: Order, sign: int) -> None:
        if order.status != CANCELLED:
            total = self.truth[order.customer]
            total.orders += sign
            total.spend += sign * order.net

    def _next(self) -> str:
        self._commit += 1
        number = self._commit
        return f"{0x2D + number // 0x8000:08x}:{0x108 + number % 0x8000 * 0x10:08x}:0001"

    def _message(self, table: str, op: str, key: int, before: Row | None, after: Row, lsn: str) -> Message:
        ms = START * 1000 + self._commit * 40
        envelope = {
            "before": before,
            "after": after,
            "source": {
                "version": "3.6.3.Final",
                "connector": "sqlserver",
                "name": self.prefix,
                "ts_ms": ms,
                "snapshot": "last" if op == "r" else None,
                "db": "Orderwise",
                "sequence": None,
                "ts_us": ms * 1000,
                "ts_ns": ms * 1000000,
                "schema": "dbo",
                "table": table,
                "change_lsn": f"{lsn[:18]}0002",
                "commit_lsn": lsn,
                "event_serial_no": 1 if op == "c" else 2,
            },
            "transaction": None,
            "op": op,
            "ts_ms": ms + 700,
            "ts_us": (ms + 700) * 1000,
            "ts_ns": (ms + 700) * 1000000,
        }
        return Message(topic(self.prefix, table), b'{"%b":%d}' % (_KEYS[table].encode(), key), orjson.dumps(envelope))


def topic(prefix: str, table: str) -> str:
    """The topic to which Debezium writes a table."""
    return f"{prefix}.Orderwise.dbo.{table}"
