"""A made-up shop that runs in time order and publishes to dispatch what changed, as the agents would.

Every change of an order is a change of its record and of its buyer's contact; what is bought changes the stock of the
catalogue. A new order arrives in two parts, because its header and its lines stand in different tables.
"""

import heapq
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any, TypeAlias

import orjson

from streams.core.lanes import Lane
from streams.domain.versioned import version_bytes
from streams.mapping import Mapping
from streams.messages.changes import Change, ChangeKind, DesiredContact, DesiredRecord, OrderStatus
from streams.messages.kinds import CHANGES
from testkit.virtual.trace import START_MS, Event

_SECOND = 1000
_DAY = 86_400 * _SECOND
_PARTS_APART = 120
_OPTED_IN = 0.7
_VARIANTS = 500
_HOT = 20
"""So many variants make up a fifth of what is bought."""
Action: TypeAlias = Callable[[int], None]
"""What happens at a given time, in milliseconds since the trace began."""

_FIRST, _LAST = ("Ann", "Bo", "Cleo", "Dev", "Esme", "Finn"), ("Ashworth", "Brown", "Clegg", "Dunn", "Evans", "Fox")


@dataclass(slots=True)
class Customer:
    """A buyer with one address, and sums over the orders; money in pence, times in ms since the trace began."""

    number: int
    first_name: str
    last_name: str
    orders: int = 0
    spend: int = 0
    refunds: int = 0
    refunded: int = 0
    first: int | None = None
    despatched: int | None = None
    last_refund: int | None = None
    last: "Order | None" = None
    opted: bool | None = None

    @property
    def email(self) -> str:
        """The address, which is also the contact's key."""
        return f"buyer{self.number}@shop.example"


@dataclass(slots=True)
class Order:
    """One order; money in pence, times in ms since the trace began."""

    number: int
    buyer: Customer
    at: int
    lines: list[tuple[int, int, int]]
    status: OrderStatus = "open"
    credited: int = 0
    despatched: int | None = None

    @property
    def net(self) -> int:
        """The sum of its lines."""
        return sum(quantity * price for _, quantity, price in self.lines)


@dataclass(slots=True)
class TrafficShop:
    """Customers, orders, and an agenda of what will happen to them."""

    rng: random.Random
    mapping: Mapping
    customers: list[Customer] = field(default_factory=list)
    orders: list[Order] = field(default_factory=list)
    stock: dict[int, int] = field(default_factory=lambda: dict.fromkeys(range(1, _VARIANTS + 1), 1000))
    _agenda: list[tuple[int, int, Action]] = field(default_factory=list)
    _emitted: list[Event] = field(default_factory=list)
    _turns: int = 0
    _version: int = 0

    def found(self, customers: int, open_orders: int) -> Iterator[Change]:
        """Open with a history; yields what Dotdigital holds of it."""
        for _ in range(customers):
            self.newcomer()
        for _ in range(open_orders):
            order = self._order(-self.rng.randrange(_DAY), self.rng.choice(self.customers))
            order.buyer.spend += order.net
        for customer in self.customers:
            yield self._contact(customer, -_DAY, Lane.BULK)
        for order in self.orders:
            yield self._record(order, -_DAY, Lane.BULK)
        for variant in self.stock:
            yield self._article(variant, -_DAY, Lane.BULK)

    def newcomer(self) -> Customer:
        """Somebody who has not ordered yet."""
        made = Customer(len(self.customers) + 1, self.rng.choice(_FIRST), self.rng.choice(_LAST))
        made.opted = True if self.rng.random() < _OPTED_IN else None
        self.customers.append(made)
        return made

    def plan(self, at: int, action: Action) -> None:
        """Let ``action`` happen at ``at``, milliseconds after the trace began."""
        self._turns += 1
        heapq.heappush(self._agenda, (at, self._turns, action))

    def run(self) -> Iterator[Event]:
        """Everything that is planned, in order; what comes of it included."""
        while self._agenda:
            at, _, action = heapq.heappop(self._agenda)
            action(at)
            yield from self._emitted
            self._emitted.clear()

    def buy(self, *, new: float, then: Callable[[Order], None] | None = None) -> Action:
        """Somebody orders, with probability ``new`` for the first time; ``then`` plans what follows."""

        def action(at: int) -> None:
            first_time = not self.customers or self.rng.random() < new
            order = self._order(at, self.newcomer() if first_time else self.rng.choice(self.customers))
            self._emit(order, at, Lane.LIVE)
            self.plan(at + _PARTS_APART, lambda later: self._complete(order, later))
            if then is not None:
                then(order)

        return action

    def move(self, order: Order, status: OrderStatus) -> Action:
        """The order gets another status."""

        def action(at: int) -> None:
            order.status = status
            self._emit(order, at, Lane.LIVE)

        return action

    def despatch(self, order: Order) -> Action:
        """The order leaves the house."""

        def action(at: int) -> None:
            order.status, order.despatched, order.buyer.despatched = "despatched", at, at
            self._emit(order, at, Lane.URGENT)

        return action

    def refund(self, order: Order) -> Action:
        """One line of the order is given back, once."""

        def action(at: int) -> None:
            if order.credited:
                return
            _, quantity, price = order.lines[0]
            order.credited = quantity * price
            buyer = order.buyer
            buyer.refunds, buyer.refunded, buyer.last_refund = buyer.refunds + 1, buyer.refunded + order.credited, at
            self._emit(order, at, Lane.URGENT)

        return action

    def rename(self, customer: Customer, name: str) -> Action:
        """Somebody edits the customer's name."""

        def action(at: int) -> None:
            customer.last_name = name
            self._emitted.append(Event(at, self._contact(customer, at, Lane.LIVE)))

        return action

    def opt_out(self, customer: Customer) -> Action:
        """The ERP says that the customer must not be mailed."""

        def action(at: int) -> None:
            customer.opted = False
            self._emitted.append(Event(at, self._contact(customer, at, Lane.URGENT)))

        return action

    def load(self, customers: Iterator[Customer], every: int, count: int) -> Action:
        """A snapshot publishes ``count`` customers every ``every`` milliseconds, known ones and new ones alike."""

        def action(at: int) -> None:
            chunk = list(islice(customers, count))
            self._emitted += [Event(at, self._contact(customer, at, Lane.BULK)) for customer in chunk]
            if chunk:
                self.plan(at + every, action)

        return action

    def _order(self, at: int, buyer: Customer) -> Order:
        variants = {self.rng.randrange(1, (_HOT if self.rng.random() < 0.2 else _VARIANTS) + 1) for _ in range(2)}
        lines = [(variant, self.rng.randint(1, 3), 500 + 17 * variant) for variant in sorted(variants)]
        order = Order(len(self.orders) + 1, buyer, at, lines[: self.rng.randint(1, 2)])
        self.orders.append(order)
        buyer.orders, buyer.last = buyer.orders + 1, order
        buyer.first = at if buyer.first is None else buyer.first
        return order

    def _complete(self, order: Order, at: int) -> None:
        order.buyer.spend += order.net
        self._emit(order, at, Lane.LIVE)
        for variant, quantity, _ in order.lines:
            self.stock[variant] = max(0, self.stock[variant] - quantity)
            self._emitted.append(Event(at, self._article(variant, at, Lane.LIVE)))

    def _emit(self, order: Order, at: int, lane: Lane) -> None:
        self._emitted.append(Event(at, self._contact(order.buyer, at, lane)))
        self._emitted.append(Event(at, self._record(order, at, lane)))

    def _contact(self, customer: Customer, at: int, lane: Lane) -> Change:
        names, last = self.mapping.contact_fields, customer.last
        spend = customer.spend - customer.refunded
        fields: dict[str, Any] = {
            names.first_name: customer.first_name,
            names.last_name: customer.last_name,
            names.account: f"WEB{customer.number}",
            names.trade: False,
            names.order_count: customer.orders,
            names.total_spend: _money(spend),
            names.average_order: _money(spend // customer.orders) if customer.orders else None,
            names.first_order: _time(customer.first),
            names.last_order: _time(last.at if last else None),
            names.last_order_number: f"SO{last.number}" if last else None,
            names.last_status: last.status if last else None,
            names.last_despatch: _time(customer.despatched),
            names.last_skus: ", ".join(f"SKU-{variant}" for variant, _, _ in last.lines) if last else None,
            names.refund_count: customer.refunds,
            names.refund_total: _money(customer.refunded),
            names.last_refund: _time(customer.last_refund),
            names.refunded: customer.refunds > 0,
            names.exclude_until: _time(last.at + self.mapping.exclude_days * _DAY if last else None),
        }
        row = DesiredContact(
            orjson.dumps(fields, option=orjson.OPT_SORT_KEYS), customer.opted, (), _seconds(customer.despatched)
        )
        return self._change(ChangeKind.DESIRED_CONTACT, customer.email, 0, at, lane, row)

    def _record(self, order: Order, at: int, lane: Lane) -> Change:
        status = "part_refunded" if order.credited else order.status
        record: dict[str, Any] = {
            "id": f"SO{order.number}",
            "order_status": status,
            "purchase_date": _time(order.at),
            "currency": "GBP",
            "order_subtotal": _money(order.net),
            "refund_total": _money(order.credited),
            "order_total": _money(order.net - order.credited),
            "products": [
                {
                    "product_id": str(variant),
                    "sku": f"SKU-{variant}",
                    "name": f"Article {variant}",
                    "price": _money(price),
                    "qty": quantity,
                }
                for variant, quantity, price in order.lines
            ],
        }
        if order.despatched is not None:
            record["despatch_date"] = _time(order.despatched)
        row = DesiredRecord(orjson.dumps(record, option=orjson.OPT_SORT_KEYS), order.number)
        return self._change(ChangeKind.DESIRED_RECORD, order.buyer.email, f"SO{order.number}", at, lane, row)

    def _article(self, variant: int, at: int, lane: Lane) -> Change:
        record = {
            "id": str(variant),
            "sku": f"SKU-{variant}",
            "name": f"Article {variant}",
            "price": _money(500 + 17 * variant),
            "currency": "GBP",
            "stock": self.stock[variant],
            "categories": [{"id": str(variant % 20), "name": f"Category {variant % 20}"}],
        }
        row = DesiredRecord(orjson.dumps(record, option=orjson.OPT_SORT_KEYS), variant)
        return self._change(ChangeKind.DESIRED_CATALOGUE, str(variant), str(variant), at, lane, row)

    def _change(
        self, kind: ChangeKind, key: str, pk: int | str, at: int, lane: Lane, row: DesiredContact | DesiredRecord
    ) -> Change:
        self._version += 1
        return CHANGES[kind](key, pk, version_bytes(self._version), lane, START_MS + at, row)


def _money(pence: int) -> orjson.Fragment:
    return orjson.Fragment(f"{pence / 100:.2f}")


def _seconds(at: int | None) -> int | None:
    return None if at is None else (START_MS + at) // _SECOND


def _time(at: int | None) -> str | None:
    seconds = _seconds(at)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).replace(tzinfo=None).isoformat() + "Z"
