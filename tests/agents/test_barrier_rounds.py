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
from streams.core.clock import ManualClock
from streams.engine.barriers import completes
from streams.engine.stage import Handler, Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.ingest.router import Router
from streams.mapping import Mapping
from streams.messages.barriers import Barrier, BarrierChange, joins_of, of_generation, round_of
from streams.messages.change_heads import heads
from streams.messages.changes import EVERYWHERE, ChangeKind, pack, partition_of
from streams.messages.loops import LOOPS
from streams.messages.topics import Topics
from streams.observability.metrics import Metrics
from tests.agents.memory import Rows
from tests.agents.pipeline import DIGEST
from tests.testkit.oracle.test_oracle_pipeline import shop, shop_site

PARTITIONS = 2
TOPICS = Topics.of("t", 1)
_MOST = 300


class Joins:
    """The joins of a generation over two partitions; a record arrives whenever ``random`` lets it, in its partition's order.

    Records with a change of one of the ``slow`` kinds arrive when nothing else can.
    """

    def __init__(self, mapping: Mapping, random: Random, slow: set[ChangeKind]) -> None:
        metrics = Metrics()
        self.random, self.slow = random, slow
        self.clock = ManualClock()
        self.late: list[ChangeKind] = []
        """What came to a partition of the outbox that was complete already."""
        self.complete: set[int] = set()
        self._rows: dict[tuple[str, int], Rows] = defaultdict(Rows)
        self._waiting: dict[tuple[str, int], deque[bytes]] = defaultdict(deque)
        self._handlers: dict[str, Handler] = {
            TOPICS.orders: OrdersHandler(mapping, TOPICS, metrics, DIGEST),
            TOPICS.buyers: BuyersHandler(TOPICS, metrics, DIGEST),
            TOPICS.contacts: ContactsHandler(mapping, TOPICS, metrics, DIGEST),
            TOPICS.products: ProductsHandler(mapping, TOPICS, metrics),
        }
        for topic, handler in self._handlers.items():
            for partition in range(PARTITIONS):
                handler.recovered(partition, cast(StateTable, self._rows[topic, partition]))

    def append(self, topic: str, partition: int, value: bytes) -> None:
        self._waiting[topic, partition].append(value)

    def settle(self) -> None:
        """Work until nothing waits."""
        while ready := [place for place, values in self._waiting.items() if values]:
            quick = [place for place in ready if not self._is_slow(place)]
            topic, partition = self.random.choice(sorted(quick or ready))
            taken = self._take(topic, partition)
            self.clock.advance(0.001)
            unit = UnitOfWork(partition, PARTITIONS, self._rows[topic, partition], self.clock.now_us())
            if topic == TOPICS.desired:
                self._desired(unit, taken)
            else:
                self._handlers[topic].handle(unit, [Record(topic, 0, None, value) for value in taken])
            self._rows[topic, partition].commit(unit)
            for (target, place), entries in unit.outputs():
                for _, value in entries:
                    if TOPICS.between(target) is not None:
                        self.append(target, place, value or b"")

    def _is_slow(self, place: tuple[str, int]) -> bool:
        return bool(self.slow) and any(head.kind in self.slow for head in heads(self._waiting[place][0]))

    def _take(self, topic: str, partition: int) -> list[bytes]:
        """Some of what waits; of slow records one."""
        waiting, taken = self._waiting[topic, partition], list[bytes]()
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
            elif unit.partition in self.complete:
                self.late.append(change.kind)


def played(seed: int, slow: set[ChangeKind]) -> Joins:
    """A shop's captured rows and the barriers behind them, worked off."""
    mapping = shop_site(seed)
    joins = Joins(mapping, Random(seed), slow)
    router = Router(mapping, TOPICS)
    for record in shop(mapping, seed).events():
        event = decode(record.key, record.value)
        if isinstance(event, RowEvent):
            for topic, change in router.route(event, 0):
                everywhere = change.key == EVERYWHERE
                for partition in range(PARTITIONS) if everywhere else (partition_of(change.key, PARTITIONS),):
                    joins.append(topic, partition, pack([change]))
    barrier = Barrier("captured", 0, 1, 0, ("captured",), joins_of(mapping))
    for stage in joins_of(mapping):
        for partition in range(PARTITIONS):
            joins.append(getattr(TOPICS, stage), partition, pack([round_of(of_generation(1), barrier)]))
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


def test_one_round_would_not_be_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(barrier_rounds, "LAST_ROUND", 0)
    assert played(1, set()).late
