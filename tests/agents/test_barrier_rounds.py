"""A generation is complete when its barriers say so, and not before: whichever topic or conversation is slow."""

from collections import defaultdict, deque
from itertools import chain
from random import Random
from typing import cast

import pytest

from streams.agents import barrier_rounds, sweeps
from streams.agents.buyers import BuyersHandler
from streams.agents.contacts import ContactsHandler
from streams.agents.orders import OrdersHandler
from streams.agents.products import ProductsHandler
from streams.capture.envelope import RowEvent, decode
from streams.capture.rows import Line
from streams.core.clock import ManualClock
from streams.engine.barriers import completes
from streams.engine.stage import Handler, Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.ingest.router import Router
from streams.mapping import Mapping
from streams.messages.barriers import Barrier, BarrierChange, joins_of, of_generation, round_of
from streams.messages.change_heads import heads
from streams.messages.changes import EVERYWHERE, ChangeKind, DesiredRecord, pack, partition_of
from streams.messages.frozen_orders import BARRIER_KEY, BoughtItem, FrozenOrder, write_frozen
from streams.messages.generations import FROZEN_ORDERS
from streams.messages.loops import LOOPS
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from tests.agents.memory import Rows
from tests.agents.pipeline import DIGEST
from tests.testkit.oracle.test_oracle_pipeline import shop, shop_site

PARTITIONS = 2
TOPICS = Topics.of("t", 1)
_MOST = 300

Entry = tuple[bytes | None, bytes]
"""Key and value of a record."""
SENDERS = ("captured", FROZEN_ORDERS)


class Joins:
    """The joins of a generation over two partitions; a record arrives whenever ``random`` lets it, in its partition's order.

    Records with a change of one of the ``slow`` kinds, or of topic ``frozen-orders`` if ``slow_frozen``, arrive when nothing
    else can.
    """

    def __init__(self, mapping: Mapping, random: Random, slow: set[ChangeKind], *, slow_frozen: bool = False) -> None:
        metrics = Metrics()
        self.random, self.slow, self.slow_frozen = random, slow, slow_frozen
        self.clock = ManualClock()
        self.late: list[ChangeKind] = []
        """What came to a partition of the outbox that was complete already."""
        self.complete: set[int] = set()
        self.contents = b""
        """Of all records that were wanted."""
        self._rows: dict[tuple[str, int], Rows] = defaultdict(Rows)
        self._waiting: dict[tuple[str, int], deque[Entry]] = defaultdict(deque)
        self._handlers: dict[str, Handler] = {
            TOPICS.orders: OrdersHandler(mapping, TOPICS, metrics, DIGEST),
            TOPICS.buyers: BuyersHandler(TOPICS, metrics, DIGEST),
            TOPICS.contacts: ContactsHandler(mapping, TOPICS, metrics, DIGEST),
            TOPICS.products: ProductsHandler(mapping, TOPICS, metrics),
        }
        self._handlers[TOPICS.frozen_orders] = self._handlers[TOPICS.orders]
        for topic, handler in self._handlers.items():
            for partition in range(PARTITIONS):
                handler.recovered(partition, cast(StateTable, self._rows[topic, partition]))

    def append(self, topic: str, partition: int, value: bytes, key: bytes | None = None) -> None:
        self._waiting[topic, partition].append((key, value))

    def settle(self) -> None:
        """Work until nothing waits."""
        while ready := [place for place, values in self._waiting.items() if values]:
            quick = [place for place in ready if not self._is_slow(place)]
            topic, partition = self.random.choice(sorted(quick or ready))
            taken = self._take(topic, partition)
            self.clock.advance(0.001)
            rows = self._rows[TOPICS.orders if topic == TOPICS.frozen_orders else topic, partition]
            unit = UnitOfWork(partition, PARTITIONS, rows, self.clock.now_us())
            if topic == TOPICS.desired:
                self._desired(unit, [value for _, value in taken])
            else:
                self._handlers[topic].handle(unit, [Record(topic, 0, key, value) for key, value in taken])
            rows.commit(unit)
            for (target, place), entries in unit.outputs():
                for _, value in entries:
                    if TOPICS.between(target) is not None:
                        self.append(target, place, value or b"")

    def _is_slow(self, place: tuple[str, int]) -> bool:
        if place[0] == TOPICS.frozen_orders:
            return self.slow_frozen
        return bool(self.slow) and any(head.kind in self.slow for head in heads(self._waiting[place][0][1]))

    def _take(self, topic: str, partition: int) -> list[Entry]:
        """Some of what waits; of slow records one."""
        waiting, taken = self._waiting[topic, partition], list[Entry]()
        for _ in range(self.random.randint(1, _MOST)):
            if not waiting or (taken and self._is_slow((topic, partition))):
                break
            taken.append(waiting.popleft())
        return taken

    def _desired(self, unit: UnitOfWork, values: list[bytes]) -> None:
        for change in chain.from_iterable(map(TOPICS.desired.unpack, values)):
            if isinstance(change, BarrierChange):
                if completes(unit, change, change.row.senders):
                    self.complete.add(unit.partition)
                continue
            self.contents += change.row.content or b"" if isinstance(change.row, DesiredRecord) else b""
            if unit.partition in self.complete:
                self.late.append(change.kind)


def freeze(joins: Joins, former: dict[str, FrozenOrder], stages: tuple[str, ...]) -> None:
    """Topic ``frozen-orders`` with the ``former`` facts, and barriers of this generation and of others behind it."""
    for order, facts in former.items():
        joins.append(TOPICS.frozen_orders, partition_of(order, PARTITIONS), write_frozen(facts), order.encode())
    for partition in range(PARTITIONS):
        for generation in (0, 1, 2):
            begun = round_of(of_generation(generation), Barrier(FROZEN_ORDERS, partition, PARTITIONS, 0, SENDERS, stages))
            joins.append(TOPICS.frozen_orders, partition, pack([begun]), BARRIER_KEY)


def played(seed: int, slow: set[ChangeKind], *, slow_frozen: bool = False) -> Joins:
    """A shop's captured rows, what was frozen of each order before, and the barriers behind both, worked off."""
    mapping = shop_site(seed)
    joins = Joins(mapping, Random(seed), slow, slow_frozen=slow_frozen)
    router, former = Router(mapping, TOPICS), dict[str, FrozenOrder]()
    for record in shop(mapping, seed).events():
        event = decode(record.key, record.value)
        if isinstance(event, RowEvent):
            for topic, change in router.route(event, 0):
                if isinstance(change.row, Line) and change.row.variant is not None:
                    former[change.key] = FrozenOrder(items={change.row.variant: BoughtItem("FORMER", "Former", None)})
                everywhere = change.key == EVERYWHERE
                for partition in range(PARTITIONS) if everywhere else (partition_of(change.key, PARTITIONS),):
                    joins.append(topic, partition, pack([change]))
    barrier = Barrier("captured", 0, 1, 0, SENDERS, joins_of(mapping))
    for stage in joins_of(mapping):
        for partition in range(PARTITIONS):
            joins.append(getattr(TOPICS, stage), partition, pack([round_of(of_generation(1), barrier)]))
    freeze(joins, former, joins_of(mapping))
    joins.settle()
    return joins


@pytest.mark.parametrize("loop", [None, *LOOPS[:3], LOOPS[5]], ids=lambda loop: "none" if loop is None else loop.name)
def test_nothing_comes_to_the_outbox_behind_the_last_barrier(loop: object, monkeypatch: pytest.MonkeyPatch) -> None:
    # Or a small shop is swept in one slice.
    monkeypatch.setattr(sweeps, "MOST_LOOKED_AT", 10)
    steps = () if loop is None else LOOPS[LOOPS.index(loop)].steps
    found = played(1, {step.kind for step in steps})
    assert found.complete == {0, 1}
    assert found.late == []


def test_what_was_frozen_before_is_read_to_its_end() -> None:
    found = played(1, set(), slow_frozen=True)
    assert found.complete == {0, 1}
    assert found.late == []
    assert b"FORMER" in found.contents


def test_one_round_would_not_be_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barrier_rounds, "LAST_ROUND", 0)
    assert played(1, set()).late
