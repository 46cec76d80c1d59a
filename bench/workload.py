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
from typing import Any, Final, NamedTuple

import orjson

Row = dict[str, Any]

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

_START: Final = 1_767_225_600
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
class _Order:
    order: int
    customer: int
    net: int
    at: int
    status: int = 1

    def row(self) -> Row:
        return {
            "oh_id": self.order,
            "oh_order_number": f"SO{self.order:07d}",
            "oh_datetime": _time(self.at),
            "oh_cd_id": self.customer,
            "oh_sot_id": 1,
            "oh_os_id": self.status,
            "oh_sl_id": 1,
            "oh_cust_order_ref": f"WEB-{100000 + self.order}",
            "oh_order_complete": self.status == 6,
            "oh_ot_id": 1,
            "oh_cc_id": None,
            "oh_despatch_complete": self.status in (5, 6),
            "oh_invoice_complete": False,
            "oh_discount_percent": "0.0000",
            "oh_settlement_days": 30,
            "oh_analysis_1": None,
            "oh_analysis_2": "",
            "oh_analysis_3": None,
            "oh_sales_channel": "Website",
            "oh_payment_method": "Card",
        }

    def total_row(self) -> Row:
        return {
            "oht_id": self.order,
            "oht_oh_id": self.order,
            "oht_total_quantity": "2.0000",
            "oht_net": decimal(self.net),
            "oht_vat": decimal(self.net // 5),
            "oht_gross": decimal(self.net + self.net // 5),
            "oht_weight": "0.7000",
            "oht_total_margin": decimal(self.net * 3 // 10),
            "oht_delivery_net": "0.0000",
            "oht_delivery_vat": "0.0000",
            "oht_delivery_gross": "0.0000",
            "oht_discount_net": "0.0000",
            "oht_paid": "0.0000",
            "oht_settlement_net": "0.0000",
            "oht_settlement_vat": "0.0000",
            "oht_currency_net": decimal(self.net),
            "oht_currency_vat": decimal(self.net // 5),
            "oht_currency_gross": decimal(self.net + self.net // 5),
            "oht_last_amended_datetime": _time(self.at),
        }


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
            row = _contact(rng, key) | {"cc_customer_id": number % self.customers + 1}
            yield self._message("customer_contact", "c", key, None, row, self._next())

    def newcomers(self, count: int) -> Iterator[Message]:
        """``count`` customers more, with a contact each and no orders; made once, and not together with new persons."""
        rng = random.Random(self.seed)
        for customer in range(self.customers * self.persons + 1, self.customers * self.persons + count + 1):
            lsn = self._next()
            yield self._message("customer_detail", "c", customer, None, _customer(rng, customer), lsn)
            contact = _contact(rng, customer) | {"cc_customer_id": customer}
            yield self._message("customer_contact", "c", customer, None, contact, lsn)

    def despatches(self, orders: Iterable[int], round_: int) -> Iterator[Message]:
        """A delivery of each of ``orders``, later than those of the rounds before."""
        for order in orders:
            key = round_ * self.orders + order
            row = {
                "dh_id": key,
                "dh_oh_id": order,
                "dh_datetime": _time(_START + (round_ + 1) * 86_400 + order),
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
            yield self._message("customer_detail", "c", customer, None, _customer(rng, customer), lsn)
            for person in range(self.persons):
                key = customer + person * self.customers
                contact = _contact(rng, key) | {"cc_customer_id": customer}
                yield self._message("customer_contact", "c", key, None, contact, lsn)
        yield from self._orders(rng)

    def _orders(self, rng: random.Random) -> Iterator[Message]:
        placed: deque[_Order] = deque()
        despatched: deque[_Order] = deque()
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

    def _random_order(self, rng: random.Random, number: int) -> _Order:
        return _Order(number, rng.randrange(1, self.customers + 1), rng.randrange(50_000, 5_000_000), _START + number * 60)

    def _even_order(self, number: int) -> _Order:
        """An order that follows from its number alone: customers take turns, so each has as many as any other."""
        return _Order(number, (number - 1) % self.customers + 1, 100_000 + number % 1000 * 100, _START + number * 60)

    def _created(self, rng: random.Random, order: _Order) -> Iterator[Message]:
        lsn = self._next()
        yield self._message("order_header", "c", order.order, None, order.row(), lsn)
        yield self._message("order_header_total", "c", order.order, None, order.total_row(), lsn)
        for line in range(self.lines):
            key = order.order * max(1, self.lines) + line
            yield self._message("order_line_item", "c", key, None, _line(rng, key, order), lsn)

    def _first_update(self, rng: random.Random, order: _Order) -> Message:
        before = order.row()
        self._count(order, -1)
        order.status = CANCELLED if rng.random() < 0.05 else 5
        self._count(order, +1)
        return self._message("order_header", "u", order.order, before, order.row(), self._next())

    def _second_update(self, rng: random.Random, order: _Order) -> Message:
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

    def _count(self, order: _Order, sign: int) -> None:
        if order.status != CANCELLED:
            total = self.truth[order.customer]
            total.orders += sign
            total.spend += sign * order.net

    def _next(self) -> str:
        self._commit += 1
        number = self._commit
        return f"{0x2D + number // 0x8000:08x}:{0x108 + number % 0x8000 * 0x10:08x}:0001"

    def _message(self, table: str, op: str, key: int, before: Row | None, after: Row, lsn: str) -> Message:
        ms = _START * 1000 + self._commit * 40
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


def email(customer: int) -> str:
    """The address of a customer's only contact."""
    return f"person.{customer}@example.com"


def customer_of(address: str) -> int:
    """The customer whose contact has the address."""
    return int(address.partition("@")[0].removeprefix("person."))


def decimal(units: int) -> str:
    """Ten-thousandths as Debezium writes ``decimal(18,4)`` in string mode."""
    return f"{units // 10_000}.{units % 10_000:04d}"


def _time(at: int) -> str:
    minutes, seconds = divmod(at - _START, 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    return f"2026-{1 + days // 28 % 12:02d}-{1 + days % 28:02d}T{hours:02d}:{minutes:02d}:{seconds:02d}Z"


def _customer(rng: random.Random, key: int) -> Row:
    number = f"01{rng.randrange(10**8, 10**9)}"
    return {
        "cd_id": key,
        "cd_ow_account": f"WEB{key:06d}",
        "cd_statement_name": f"Customer {key}",
        "cd_statement_address1": f"{rng.randrange(1, 200)} High Street",
        "cd_statement_address2": None,
        "cd_statement_town": "Lincoln",
        "cd_statement_county": "",
        "cd_statement_country": "United Kingdom",
        "cd_statement_country_code": "GB",
        "cd_statement_postcode": f"LN{rng.randrange(1, 9)} 1AA",
        "cd_statement_email": None,
        "cd_statement_telephone": number,
        "cd_statement_fax": None,
        "cd_invoice_name": None,
        "cd_invoice_address1": None,
        "cd_invoice_town": None,
        "cd_invoice_country": None,
        "cd_invoice_postcode": None,
        "cd_invoice_email": None,
        "cd_vat_number": None,
        "cd_account_customer": key % 10 == 0,
        "cd_c_id": 1,
        "cd_input_datetime": "2026-01-01T00:00:00Z",
        "cd_last_amended_datetime": "2026-01-01T00:00:00Z",
    }


def _contact(rng: random.Random, key: int) -> Row:
    return {
        "cc_id": key,
        "cc_customer_id": key,
        "cc_name": f"Pat Person{key}",
        "cc_first_name": "Pat",
        "cc_last_name": f"Person{key}",
        "cc_position": rng.choice((None, "", "Buyer", "Owner")),
        "cc_telephone": f"01{rng.randrange(10**8, 10**9)}",
        "cc_email": email(key),
        "cc_mobile": f"07{rng.randrange(10**8, 10**9)}",
        "cc_fax": None,
        "cc_extension": None,
        "cc_salutation": "Pat",
        "cc_default": True,
        "cc_department": None,
        "cc_address1": f"{rng.randrange(1, 200)} High Street",
        "cc_address2": None,
        "cc_town": "Lincoln",
        "cc_county": "",
        "cc_country_code": "GB",
        "cc_postcode": f"LN{rng.randrange(1, 9)} 1AA",
        "cc_input_datetime": "2026-01-01T00:00:00Z",
        "cc_last_amended_datetime": "2026-01-01T00:00:00Z",
    }


def _line(rng: random.Random, key: int, order: _Order) -> Row:
    net, variant = order.net // 2, rng.randrange(1, 2000)
    price, vat, at = decimal(net), decimal(net // 5), _time(order.at)
    return {
        "oli_id": key,
        "oli_oh_id": order.order,
        "oli_vad_id": variant,
        "oli_sl_id": 1,
        "oli_os_id": 1,
        "oli_pol_id": 0,
        "oli_original_oli_id": None,
        "oli_vad_description": f"Variant {variant}, boxed",
        "oli_rsp_net": price,
        "oli_item_price": price,
        "oli_price_per": "1.0000",
        "oli_item_net": price,
        "oli_item_vat": vat,
        "oli_item_gross": decimal(net + net // 5),
        "oli_line_net": price,
        "oli_line_vat": vat,
        "oli_line_gross": decimal(net + net // 5),
        "oli_qty_required": "1.0000",
        "oli_qty_sent": "0.0000",
        "oli_qty_tbsent": "1.0000",
        "oli_qty_cancelled": "0.0000",
        "oli_date_required": at,
        "oli_date_promised": at,
        "oli_direct": False,
        "oli_back_to_back": False,
        "oli_last_amended_datetime": at,
    }
