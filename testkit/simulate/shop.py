"""The shop: its accounts, guests and orders, and how new ones are written down."""

import random
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from streams.mapping import Status
from testkit.simulate import people, row_builders
from testkit.simulate.calendar import Calendar
from testkit.simulate.codes import Codes
from testkit.simulate.config import SimulationConfig
from testkit.simulate.database import Database
from testkit.simulate.people import Person
from testkit.simulate.pool import Pool
from testkit.simulate.row_builders import Line
from testkit.simulate.tables import CONTACT, CUSTOMER, DESPATCH, DETAIL, HEADER, LINE, STATUS, TOTAL, Row, Value

Kind = Literal["order", "credit", "quote"]
_RECENT = 50
_ONE_UNKNOWN_IN = 4
"""So many accounts without a person's address have the placeholder."""


@dataclass(slots=True)
class Account:
    """A customer and its people."""

    id: int
    person: Person
    contacts: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Order:
    """Where the rows of one order are, and what stage it is at."""

    id: int
    customer: int
    kind: Kind
    status: Status
    net: int
    guest: Person | None = None
    original: int | None = None
    details: list[int] = field(default_factory=list)
    totals: list[int] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    despatches: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Draft:
    """An order that is written but not yet in the database: the order and its rows, header first."""

    order: Order
    rows: list[tuple[str, Row]]


class Shop:
    """Everything that business life needs to know; actions live in modules of their own."""

    def __init__(self, config: SimulationConfig, db: Database) -> None:
        self.config = config
        self.db = db
        self.rng = random.Random(config.seed)
        self.codes = Codes(config.mapping)
        self.calendar = Calendar(config.mapping.source.zone, config.ending)
        self.now: datetime = self.calendar.live_start
        self.seen: Counter[str] = Counter()
        self.house = sorted(config.mapping.house_accounts)
        self.accounts: dict[int, Account] = {}
        self.open_accounts = Pool()
        self.contacts = Pool()
        self.guests: list[Person] = []
        self.addresses: list[str] = []
        self.orders: dict[int, Order] = {}
        self.active = Pool()
        self.settled = Pool()
        self.quotes = Pool()
        self.credits = Pool()
        self.house_orders = Pool()
        self.doubled = Pool()
        self.variants = Pool()
        self.awaited = Pool()
        """Keys of variants that order lines name before their rows exist."""
        self.deleted_contacts: deque[Row] = deque(maxlen=_RECENT)
        self.follow_ups: list[tuple[int, Callable[[], bool]]] = []
        self._people = 0

    def clock(self) -> str:
        """The wall clock now."""
        return self.calendar.wall(self.now, self.rng.randrange(9))

    def later(self, commits: int, run: Callable[[], bool]) -> None:
        """Have ``run`` done in a commit of its own, ``commits`` from now."""
        if self.db.recording:
            self.follow_ups.append((commits, run))
        else:
            run()

    def person(self) -> Person:
        """Somebody new."""
        self._people += 1
        made = people.person(self.rng, self._people)
        self.addresses.append(made.email)
        return made

    def guest(self) -> Person:
        """Who places a guest order: an old guest, a new one, or a customer who did not log in."""
        chance = self.rng.random()
        if chance < 0.08 and len(self.open_accounts):
            self.seen["email_of_account_and_guest"] += 1
            account = self.open_accounts.draw(self.rng)
            return self.accounts[account or 0].person
        if chance < 0.5 and self.guests:
            return self.rng.choice(self.guests)
        self.guests.append(self.person())
        return self.guests[-1]

    def email_field(self, email: str) -> Value:
        """``email`` as it ends up in the column: mostly plain, now and then as users type."""
        chance = self.rng.random()
        if chance < 0.9:
            return email
        if chance < 0.93:
            raw, kind = people.junk(self.rng)
        else:
            raw, kind = people.typed(self.rng, email, self.rng.choice(self.addresses))
        self.seen[kind] += 1
        return raw

    def opt_in(self) -> Value:
        if not self.config.consent:
            return None
        yes, no = self.config.mapping.consent.opted_in, self.config.mapping.consent.opted_out
        said = self.rng.choices((True, False, None), (5, 2, 3))[0]
        if said is None or "true" in yes | no:
            return said
        return next(iter(sorted(yes if said else no)), None)

    def erased(self) -> Value:
        """What the mapping reads as the wish to be forgotten."""
        values = sorted(self.config.mapping.erasure.erased) if self.config.mapping.erasure else []
        return True if "true" in values else next(iter(values), None)

    def add_house(self, customer: int) -> None:
        """The row of a house account."""
        self.db.insert(
            CUSTOMER,
            row_builders.customer(
                self.rng,
                customer,
                name="Web sales",
                account=f"WEB{customer:03d}",
                trade=False,
                statement="web@example.com",
                invoice=None,
                at=self.clock(),
            ),
        )

    def add_account(self, *, trade: bool, person: Person | None = None, plain: bool = False) -> Account:
        """A customer with its contacts; ``plain`` leaves out oddities."""
        rng, key = self.rng, self.db.new_key(CUSTOMER)
        account = Account(key, person or self.person())
        chance = 1.0 if plain else rng.random()
        statement: Value = None
        invoice: Value = None
        contact_count = rng.randint(2, 4) if trade else 1
        if chance < 0.12:
            # No contact has an address: the account's own fields must serve.
            self.seen["email_only_on_account"] += 1
            statement, invoice = (None, self.email_field(account.person.email))
            if chance < 0.08:
                statement, invoice = self.email_field(account.person.email), self.person().email
            if key % _ONE_UNKNOWN_IN == 0:
                self.seen["email_placeholder"] += 1
                statement = people.PLACEHOLDER
            contact_count = rng.randint(0, 1)
        elif trade:
            statement = f"accounts{key}@example.com"
        self.db.insert(
            CUSTOMER,
            row_builders.customer(
                rng,
                key,
                name=f"{account.person.last} {rng.choice(people.TRADES)}"
                if trade
                else f"{account.person.first} {account.person.last}",
                account=f"{account.person.last[:3].upper()}{key:05d}"
                if trade or rng.random() < 0.7
                else rng.choice((None, "", "  ")),
                trade=trade,
                statement=statement,
                invoice=invoice,
                at=self.clock(),
            ),
        )
        self.accounts[key] = account
        self.open_accounts.add(key)
        for number in range(contact_count):
            who = account.person if number == 0 else self.person()
            self.add_contact(key, who, email=None if chance < 0.12 else who.email if plain else self._contact_email(who))
        return account

    def _contact_email(self, who: Person) -> Value:
        if self.rng.random() < 0.06 and self.addresses:
            self.seen["email_of_several_customers"] += 1
            return self.rng.choice(self.addresses)
        return self.email_field(who.email)

    def add_contact(self, customer: int, who: Person, *, email: Value) -> int:
        """A contact row under ``customer``; its name is complete, only in the full-name column, or missing."""
        key, chance = self.db.new_key(CONTACT), self.rng.random()
        first: Value = who.first
        last: Value = who.last
        full: Value = f"{who.first} {who.last}"
        if chance > 0.8:
            first, last = self.rng.choice((None, "")), self.rng.choice((None, " "))
        if chance > 0.95:
            full = self.rng.choice((None, "", who.first, f"  {who.first}  van der {who.last}"))
        self.db.insert(
            CONTACT,
            row_builders.contact(
                self.rng,
                key,
                customer=customer,
                first=first,
                last=last,
                full=full,
                email=email,
                opt_in=self.opt_in(),
                at=self.clock(),
            ),
        )
        if customer in self.accounts:
            self.accounts[customer].contacts.append(key)
        self.contacts.add(key)
        return key

    def amount(self) -> int:
        """A price in ten-thousandths; one in five uses all four places."""
        if self.rng.random() < 0.2:
            self.seen["money_with_four_places"] += 1
            return self.rng.randrange(10_000, 2_000_000)
        return self.rng.randrange(100, 20_000) * 100

    def some_lines(self) -> list[Line]:
        count = self.rng.choices((1, 2, 3, 5), (50, 30, 15, 5))[0]
        return [Line(self.variant(), self.rng.randrange(1, 5), self.amount(), self.none()) for _ in range(count)]

    def variant(self) -> Value:
        """What a line is about: mostly a variant that exists."""
        chance = self.rng.random()
        if chance < 0.04:
            self.seen["line_without_variant"] += 1
            return self.none()
        if chance < 0.07 or not len(self.variants):
            self.seen["line_of_unknown_variant"] += 1
            return 900_000 + self.rng.randrange(2000)
        awaited = self.awaited.draw(self.rng) if chance < 0.12 else None
        return self.variants.draw(self.rng) if awaited is None else awaited

    def none(self) -> Value:
        """A reference to nothing: ``NULL`` or 0."""
        return self.rng.choice((None, 0))

    def draft(
        self,
        *,
        customer: int,
        who: Person,
        lines: Sequence[Line],
        kind: Kind = "order",
        status: Status = "open",
        at: str | None = None,
        currency: Value = None,
        net: int | None = None,
        original: int | None = None,
        email: Value = None,
    ) -> Draft:
        """Write an order down without storing it; ``email`` replaces what is typed into the delivery e-mail."""
        db, rng, when = self.db, self.rng, at or self.clock()
        key, guest = db.new_key(HEADER), who if customer in self.house else None
        net = sum(line.net for line in lines) if net is None else net
        order = Order(key, customer, kind, status, net, guest, original)
        types = {"order": self.codes.order_types, "credit": self.codes.credit_types, "quote": self.codes.ignored_types}[kind]
        type_id = types[0] if rng.random() < 0.8 else rng.choice(types)
        status_id = self.codes.status(status)
        number = f"{'CN' if kind == 'credit' else 'SO'}-{key:07d}"
        delivery: Value = self.email_field(who.email) if email is None else email
        invoice: Value = None
        if email is None and rng.random() < 0.15:
            delivery, invoice = rng.choice((None, "", delivery)), who.email
        made: list[tuple[str, Row]] = [
            (
                HEADER,
                row_builders.header(
                    key,
                    number=number,
                    at=when,
                    customer=customer,
                    type_id=type_id,
                    status=status_id,
                    done=status == "completed",
                    contact=self._placed_by(customer, key),
                ),
            )
        ]
        order.details.append(db.new_key(DETAIL))
        made.append(
            (
                DETAIL,
                row_builders.detail(
                    rng,
                    order.details[0],
                    order=key,
                    currency=currency if currency is not None else self._currency(),
                    name=f"{who.first} {who.last}",
                    email=delivery,
                    invoice_email=invoice,
                    at=when,
                ),
            )
        )
        order.totals.append(db.new_key(TOTAL))
        quantity = sum(line.quantity for line in lines)
        made.append((TOTAL, row_builders.total(order.totals[0], order=key, quantity=quantity, net=net)))
        for line in lines:
            order.lines.append(db.new_key(LINE))
            made.append((LINE, row_builders.line(order.lines[-1], order=key, status=status_id, item=line, at=when)))
        if kind == "order" and status in ("part_despatched", "despatched", "completed"):
            for _ in range(1 if rng.random() < 0.9 else 2):
                order.despatches.append(db.new_key(DESPATCH))
                made.append((DESPATCH, row_builders.despatch(order.despatches[-1], order=key, at=when)))
        return Draft(order, made)

    def _placed_by(self, customer: int, order: int) -> Value:
        """The contact row of the person who ordered; of every other order nobody noted it."""
        account = self.accounts.get(customer)
        contacts = [] if account is None or order % 2 else account.contacts
        return contacts[order % len(contacts)] if contacts else None

    def _currency(self) -> Value:
        chance = self.rng.random()
        if chance < 0.1:
            return self.none()
        return self.config.mapping.order.default_currency if chance < 0.85 else self.rng.choice(self.codes.currencies)

    def store(self, draft: Draft) -> Order:
        """Insert the rows of an order and let business life have it."""
        for table, row in draft.rows:
            self.db.insert(table, row)
        self.enlist(draft.order)
        return draft.order

    def enlist(self, order: Order) -> None:
        """Put an order where the actions that suit its stage find it."""
        self.orders[order.id] = order
        if order.kind == "quote":
            self.quotes.add(order.id)
            return
        (self.settled if order.status in ("completed", "cancelled") else self.active).add(order.id)
        if order.kind == "credit":
            self.credits.add(order.id)
        elif order.guest is not None:
            self.house_orders.add(order.id)

    def forget(self, order: Order) -> None:
        """Keep further actions away from an order whose header is gone."""
        for pool in (self.active, self.settled, self.quotes, self.credits, self.house_orders, self.doubled):
            pool.discard(order.id)
        self.orders.pop(order.id, None)

    def buyer(self) -> tuple[int, Person] | None:
        """Who orders next: a guest on a house account, or a customer."""
        if self.house and self.rng.random() < self.config.house_share:
            self.seen["guest_order"] += 1
            return self.rng.choice(self.house), self.guest()
        customer = self.open_accounts.draw(self.rng)
        return None if customer is None else (customer, self.accounts[customer].person)

    def tick(self, step: timedelta) -> None:
        """Let time pass, but never beyond the end of the last day."""
        self.now = min(self.now + step, self.calendar.end)

    def add_statuses(self) -> None:
        for key, text in self.codes.texts.items():
            self.db.insert(STATUS, row_builders.status(key, text))
