"""Orders, buyers and contacts as one chain in memory: the stages, their state and the topics between them."""

import json
from collections import Counter, deque
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from random import Random
from types import SimpleNamespace
from typing import Any, cast

import msgspec

from streams.agents.buyers import BuyersHandler
from streams.agents.contacts import ContactsHandler
from streams.agents.orders import OrdersHandler
from streams.capture import rows
from streams.core.clock import ManualClock
from streams.domain.digester import Digester
from streams.domain.orders import address_key
from streams.domain.record_state import RecordDeliveryState, set_desired_record
from streams.domain.versioned import version_bytes
from streams.engine.changelog import Changelog
from streams.engine.fence import in_force, writer_headers
from streams.engine.stage import Handler, Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.kafka.producer import Headers
from streams.mapping import Mapping, load_mapping
from streams.mapping.delivery import Delivery, RefundEvent
from streams.mapping.model import Currency
from streams.messages.audit import Entry, read_audit
from streams.messages.changes import (
    EVERYWHERE,
    Change,
    ChangeKind,
    DesiredContact,
    DesiredFollowUp,
    DesiredRecord,
    VariantInfo,
    pack,
)
from streams.messages.contributions import AddressLeft
from streams.messages.kinds import CHANGES
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from tests.agents.memory import Rows

TOPICS = Topics.of("t")
HOUSE = 900
STAGES: tuple[str, ...] = (TOPICS.orders, TOPICS.buyers, TOPICS.contacts)
ANN, BOB, EVE = "ann@example.com", "bob@example.com", "eve@example.com"
OPEN, SENT = "awaiting despatch", "dispatched"
CRASHES = ("in changelog", "before outputs", "after outputs", "before acknowledgement")
MOST_CYCLES = 400
"""More than any of the small shops here needs; a chain that talks to itself has no end."""


def site() -> Mapping:
    """The default mapping with a house account, a second currency of half the value, and follow-ups."""
    mapping = load_mapping()
    currencies = {1: Currency(code="GBP", rate=Decimal(1)), 2: Currency(code="EUR", rate=Decimal("0.5"))}
    follow_up = RefundEvent(kind="event", since=datetime(2023, 11, 1, tzinfo=UTC))
    return mapping.model_copy(
        update={
            "house_accounts": frozenset({HOUSE}),
            "order": mapping.order.model_copy(update={"currencies": currencies}),
            "delivery": Delivery(follow_up=follow_up),
        }
    )


MAPPING = site()
DIGEST = Digester(b"a key of its own")

Step = list[tuple[str, Change]]
"""The changes that one version of one captured row makes."""


class Pipeline:
    """Three stages, their state, and the topics between them."""

    def __init__(self, mapping: Mapping = MAPPING, kept: dict[bytes, bytes] | None = None) -> None:
        """``kept``: what topic ``frozen-orders`` holds when the work begins."""
        self._mapping = mapping
        self.kept = dict(kept or {})
        self.in_force = True
        self.captured: dict[tuple[str, ChangeKind, str, object], tuple[str, Change]] = {}
        self.state = {topic: Rows() for topic in STAGES}
        self.queues: dict[str, deque[Record]] = {topic: deque() for topic in STAGES}
        self.desired: dict[str, tuple[bytes, DesiredContact]] = {}
        self.published: dict[tuple[str, str], RecordDeliveryState] = {}
        self.follow_ups: dict[int, dict[str, DesiredFollowUp]] = {}
        self.counts: Counter[ChangeKind] = Counter()
        self.facts: list[Change] = []
        self.traces: list[Entry] = []
        self.erased: set[str] = set()
        self.arrived: list[str] = []
        self.clock = ManualClock()
        self.epoch = 0
        self.restart()
        for key, value in self.kept.items():
            self.queues[TOPICS.orders].append(Record(TOPICS.frozen_orders, 0, key, value))

    def restart(self) -> None:
        """New handlers, which know only what the state tells, of a worker that is in charge from now on."""
        metrics = self.metrics = Metrics()
        self.epoch += 1
        self.orders = OrdersHandler(self._mapping, TOPICS, metrics, DIGEST, lambda: self.in_force)
        self.buyers = BuyersHandler(TOPICS, metrics, DIGEST)
        self.contacts = ContactsHandler(self._mapping, TOPICS, metrics, DIGEST)
        self.handlers: dict[str, Handler] = dict(zip(STAGES, (self.orders, self.buyers, self.contacts), strict=True))
        for topic, handler in self.handlers.items():
            handler.recovered(0, cast(StateTable, self.state[topic]))

    def feed(self, *steps: Step) -> "Pipeline":
        for step in steps:
            for topic, change in step:
                self.queues[topic].append(Record(topic, 0, None, pack([change])))
                place = topic, change.kind, change.key, change.pk
                if place not in self.captured or self.captured[place][1].position <= change.position:
                    self.captured[place] = topic, change
        return self

    def newest(self) -> list[Step]:
        """What compaction has left of the rows that were fed: the newest version of each, and nothing of deleted ones."""
        return [[found] for found in self.captured.values() if found[1].row is not None]

    def rebuilt(self) -> "Pipeline":
        """A new state, made of the newest rows and of what topic ``frozen-orders`` holds."""
        return Pipeline(self._mapping, self.kept).pump(*self.newest())

    def pump(self, *steps: Step) -> "Pipeline":
        """Feed, then work until every topic is quiet."""
        self.feed(*steps)
        cycles = 0
        while any(self.queues.values()):
            assert (cycles := cycles + 1) < MOST_CYCLES, "the stages never come to rest"
            for topic in STAGES:
                if self.queues[topic]:
                    self.cycle(topic, len(self.queues[topic]))
        return self

    def pump_badly(self, random: Random, crashes: int) -> None:
        """As :meth:`pump`, in batches of any size, stages in any order, with crashes.

        A crash leaves a beginning of the changelog and no output, all of the changelog but what is written last and no output,
        everything but what is written last, or everything but the acknowledgement.
        """
        while waiting := [topic for topic in STAGES if self.queues[topic]]:
            topic = random.choice(waiting)
            crash = random.choice([*CRASHES, *[None] * 6]) if crashes > 0 else None
            batch = self.cycle(topic, random.randint(1, 4), crash, random)
            if crash is not None:
                crashes -= 1
                self.queues[topic].extendleft(reversed(batch))
                self.restart()

    def cycle(self, topic: str, most: int, crash: str | None = None, random: Random | None = None) -> list[Record]:
        batch = [self.queues[topic].popleft() for _ in range(min(most, len(self.queues[topic])))]
        self.clock.advance(0.001)
        unit = UnitOfWork(0, 1, self.state[topic], self.clock.now_us())
        self.handlers[topic].handle(unit, in_force(unit, batch))
        if crash == "in changelog" and random is not None:
            kept = random.randint(0, len(unit.writes))
            unit.writes = dict(list(unit.writes.items())[:kept])
            unit.after.clear()
        if crash not in {None, "before acknowledgement"}:
            unit.last_writes.clear()
        self.state[topic].commit(unit)
        if crash in {None, "after outputs", "before acknowledgement"}:
            headers = writer_headers(cast(Changelog, SimpleNamespace(topic=topic, partition=0, epoch=self.epoch)))
            for (target, place), records in unit.outputs():
                those = [] if unit.is_raw((target, place)) else headers
                if target == TOPICS.frozen_orders:
                    self._keep(records, those)
                else:
                    self._append(target, [value for _, value in records if value is not None], those)
        return batch

    def _keep(self, records: Sequence[tuple[bytes | None, bytes | None]], headers: Headers) -> None:
        for key, value in records:
            assert key is not None
            if value is None:
                self.kept.pop(key, None)
            else:
                self.kept[key] = value
            self.queues[TOPICS.orders].append(Record(TOPICS.frozen_orders, 0, key, value, headers))

    def _append(self, topic: str, values: Sequence[bytes], headers: Headers) -> None:
        if topic == TOPICS.audit:
            self.traces.extend(read_audit(value) for value in values)
            return
        carried = TOPICS.between(topic)
        assert carried is not None, topic
        changes = [change for value in values for change in carried.unpack(value)]
        self.counts.update(change.kind for change in changes)
        self.facts.extend(change for change in changes if change.kind is ChangeKind.ORDER_FACT)
        if topic in self.queues:
            self.queues[topic].extend(Record(topic, 0, None, value, headers) for value in values)
            return
        for change in changes:
            self._want(change)

    def _want(self, change: Change) -> None:
        """What the outbox would keep of it."""
        self.arrived.append(change.key)
        if change.kind is ChangeKind.BARRIER:
            return
        if change.kind is ChangeKind.ERASURE:
            self.erased.add(change.key)
            self.desired.pop(change.key, None)
            self.published = {place: row for place, row in self.published.items() if place[0] != change.key}
        elif change.key in self.erased:
            return
        elif isinstance(change.row, DesiredContact):
            known = self.desired.get(change.key)
            if known is None or change.position >= known[0]:
                held = change.row.held and known is not None
                said = {name: getattr(change.row, name) for name in ("opted", "shared", "answers", "unreadable")}
                wanted = msgspec.structs.replace(known[1], **said) if held and known else change.row
                self.desired[change.key] = (change.position, wanted)
        elif change.kind is ChangeKind.DESIRED_FOLLOW_UP:
            published = self.follow_ups.setdefault(int(change.pk), {})
            if isinstance(change.row, DesiredFollowUp):
                published[change.key] = change.row
            else:
                published.pop(change.key, None)
        else:
            assert change.kind is ChangeKind.DESIRED_RECORD and isinstance(change.row, DesiredRecord | None)
            place = (change.key, str(change.pk))
            set_desired_record(self.published.setdefault(place, RecordDeliveryState()), change.row, change.position)

    def records(self) -> dict[tuple[str, str], bytes]:
        """The records that should exist, by recipient and key."""
        return {place: row.content for place, row in self.published.items() if row.content is not None}

    def record(self, email: str, key: str) -> dict[str, Any]:
        """One record, numbers as exact text."""
        found: dict[str, Any] = json.loads(self.records()[email, key], parse_float=str)
        return found

    def content(self) -> dict[str, tuple[bytes, bool | None]]:
        """The contacts that should exist, with everything that is to be said of them."""
        return {email: (row.fields, row.opted) for email, (_, row) in self.desired.items() if row.fields is not None}

    def contact(self, email: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.content()[email][0])
        return found

    def count(self, email: str) -> int:
        return int(self.contact(email)["OW_ORDER_COUNT"])


def change(topic: str, kind: ChangeKind, key: str, pk: int, row: object, position: int) -> tuple[str, Change]:
    return topic, CHANGES[kind](key, pk, version_bytes(position), 1, 0, row)


def of_order(kind: ChangeKind, order: int, pk: int, row: object, at: int = 1, former: int | None = None) -> Step:
    """A row of an order; ``former`` is the order that it has left."""
    step = [change(TOPICS.orders, kind, str(order), pk, row, at)]
    return step if former in (None, order) else [*step, change(TOPICS.orders, kind, str(former), pk, None, at)]


def header(
    order: int,
    customer: int | None = 1,
    *,
    sort: int = 1,
    status: int = 1,
    number: str | None = "",
    at: int = 1,
    later: int = 0,
) -> Step:
    """``number``: ``SO`` and the order's id when it is not given."""
    row = rows.Header(f"SO{order}" if number == "" else number, 1_700_000_000 + order + later, customer, sort, status)
    return of_order(ChangeKind.HEADER, order, order, row, at)


def detail(order: int, email: str | None, currency: int | None = 1, at: int = 1) -> Step:
    return of_order(ChangeKind.DETAIL, order, order, rows.Detail(email, currency), at)


def total(order: int, net: str = "10", at: int = 1) -> Step:
    return of_order(ChangeKind.TOTAL, order, order, rows.Total(Decimal(net)), at)


def line(
    order: int,
    pk: int,
    original: int | None = None,
    at: int = 1,
    former: int | None = None,
    *,
    variant: int | None = None,
    quantity: str | None = None,
    net: str | None = None,
    name: str | None = None,
) -> Step:
    how_many, amount = (None if value is None else Decimal(value) for value in (quantity, net))
    return of_order(ChangeKind.LINE, order, pk, rows.Line(original, variant, how_many, amount, name), at, former)


def despatch(order: int, pk: int, sent: int | None, at: int = 1, parcel: str | None = None) -> Step:
    row = rows.Despatch(sent, parcel, None if parcel is None else "Courier")
    return of_order(ChangeKind.DESPATCH, order, pk, row, at)


def returned(order: int, pk: int, number: str | None, sent: int | None = None, at: int = 1) -> Step:
    return of_order(ChangeKind.RETURN, order, pk, rows.Return(number, sent), at)


def item(pk: int, sku: str | None, name: str | None = None, product: int | None = None, at: int = 1) -> Step:
    return [change(TOPICS.orders, ChangeKind.VARIANT_INFO, EVERYWHERE, pk, VariantInfo(product, sku, name), at)]


def status(pk: int, text: str | None, at: int = 1) -> Step:
    row = None if text is None else rows.StatusText(text)
    return [change(TOPICS.orders, ChangeKind.STATUS, "*", pk, row, at)]


def customer(pk: int, *emails: str, at: int = 1) -> Step:
    row = rows.Customer(f"ACC{pk}", False, emails)
    return [change(TOPICS.buyers, ChangeKind.CUSTOMER, f"c{pk}", pk, row, at)]


def person(pk: int, account: int, *emails: str, at: int = 1, former: int | None = None, opted: bool | None = None) -> Step:
    row = rows.Contact(emails, f"First{pk}", None, opted)
    step = [change(TOPICS.buyers, ChangeKind.CONTACT, f"c{account}", pk, row, at)]
    return step if former is None else [*step, _leaves(f"c{former}", pk, emails, at)]


def house_person(pk: int, *emails: str, at: int = 1, former: str | None = None) -> Step:
    """A contact of a house account; ``former`` is the address that it has left."""
    row = rows.Contact(emails, f"First{pk}", None, None)
    step = [change(TOPICS.buyers, ChangeKind.CONTACT, address_key(email), pk, row, at) for email in emails]
    return step if former is None else [*step, _leaves(address_key(former), pk, emails, at)]


def _leaves(buyer: str, pk: int, emails: tuple[str, ...], at: int) -> tuple[str, Change]:
    return change(TOPICS.buyers, ChangeKind.CONTACT, buyer, pk, AddressLeft(emails[0]) if emails else None, at)


LOOKUP = status(1, OPEN) + status(2, SENT)
PEOPLE = customer(1, ANN) + customer(2, BOB)
ORDER = header(10) + total(10) + line(10, 100)
CREDIT = header(20, sort=4) + total(20, "3") + line(20, 200, original=100)
