"""What the product emits, and what the table of the protocol says that it emits, are the same.

That a change fits its topic is mypy's work: :meth:`UnitOfWork.emit` takes no other. Here stands who emits what: read from the
places in the source that make a change, and seen in a simulated shop that goes through all stages.
"""

import ast
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest

import streams
from streams.agents import sweeps
from streams.agents.buyers import BuyersHandler
from streams.agents.contacts import ContactsHandler
from streams.agents.orders import OrdersHandler
from streams.agents.products import ProductsHandler
from streams.capture.envelope import RowEvent, decode
from streams.core.clock import ManualClock
from streams.core.lanes import Lane
from streams.engine.stage import Handler, Record
from streams.engine.table import StateTable
from streams.engine.unit_of_work import UnitOfWork
from streams.ingest.router import Router
from streams.messages.barriers import CONTACTS_LOADED, Barrier, BarrierChange, joins_of, of_generation, round_of
from streams.messages.changes import EVERYWHERE, HERE, ChangeKind, pack
from streams.messages.contracts import AGENTS, Participant
from streams.messages.erasure_requests import erasure_of
from streams.messages.kinds import CHANGES, CanaryChange
from streams.messages.protocol import OWN_TOPICS
from streams.messages.topics import ChangeTopic, Topics
from streams.observability.metrics import Metrics
from testkit.oracle import expected_contacts
from testkit.simulate import Simulation
from tests.agents.memory import Rows
from tests.agents.pipeline import DIGEST
from tests.testkit.oracle.test_oracle_pipeline import shop, shop_site

TOPICS = Topics.of("t", 1)
SOURCE = Path(streams.__file__).parent
PARTS = {
    "agents/barriers.py": {Participant.BUYERS, Participant.CONTACTS},
    "agents/canary.py": {Participant.ORDERS, Participant.BUYERS, Participant.CONTACTS},
    "agents/barrier_rounds.py": {*AGENTS},
    "agents/held_orders.py": {Participant.ORDERS},
    "ingest/captured_barriers.py": {Participant.INGEST},
    "agents/orders.py": {Participant.ORDERS},
    "agents/record_publisher.py": {Participant.ORDERS},
    "agents/sweeps.py": {Participant.ORDERS, Participant.PRODUCTS},
    "agents/buyers.py": {Participant.BUYERS},
    "agents/order_recipients.py": {Participant.BUYERS, Participant.CONTACTS},
    "agents/contacts.py": {Participant.CONTACTS},
    "agents/products.py": {Participant.PRODUCTS},
    "ingest/canary.py": {Participant.INGEST},
    "ingest/contacts_loaded.py": {Participant.INGEST},
    "ingest/router.py": {Participant.INGEST},
    "messages/barriers.py": {Participant.INGEST, *AGENTS, Participant.OUTBOX},
    "messages/erasure_requests.py": {Participant.INGEST, Participant.OPERATOR},
    "dispatch/outbox/delivery_log.py": {Participant.SENDERS},
    "dispatch/readback.py": {Participant.READBACK},
    "dispatch/brake_clock.py": {Participant.BRAKE_CLOCK},
    "dispatch/outbox/": {Participant.OUTBOX},
    "operations/": {Participant.OPERATOR},
    "operations/reconcile/": {Participant.RECONCILER},
}
"""Whose work a module does, the longest prefix that fits."""

Emitted = tuple[Participant, str, ChangeKind]


def said() -> set[Emitted]:
    """Every kind of every topic between stages, with those that emit it, as the table has it."""
    return {(part, topic.name, kind) for topic in OWN_TOPICS for kind, parts in topic.kinds.items() for part in parts}


def made(path: Path) -> Iterator[ChangeKind]:
    """The kinds of change that a module makes: whose struct it calls, or hands to what calls it."""
    names = {change.__name__: kind for kind, change in CHANGES.items()}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and not (isinstance(node.func, ast.Name) and node.func.id == "isinstance"):
            for part in (node.func, *node.args):
                if isinstance(part, ast.Name) and part.id in names:
                    yield names[part.id]


def test_a_kind_of_change_is_made_by_those_that_the_table_names_and_by_nobody_else() -> None:
    found: set[tuple[Participant, ChangeKind]] = set()
    for path in SOURCE.rglob("*.py"):
        module = path.relative_to(SOURCE).as_posix()
        for kind in made(path):
            whose = max((prefix for prefix in PARTS if module.startswith(prefix)), key=len, default=None)
            assert whose is not None, f"{module} makes {kind.name}, and the table does not know it"
            found |= {(part, kind) for part in PARTS[whose]}
    assert found == {(part, kind) for part, _, kind in said()}


class Network:
    """Ingest's router and the four joins over one partition; what each emits is noted."""

    def __init__(self, simulation: Simulation) -> None:
        mapping, metrics = simulation.config.mapping, Metrics()
        self.clock = ManualClock()
        self.emitted: set[Emitted] = set()
        self._names = {str(getattr(TOPICS, topic.name)): topic.name for topic in OWN_TOPICS if topic.kinds}
        self._router = Router(mapping, TOPICS)
        handlers: dict[str, tuple[Participant, Handler]] = {
            TOPICS.orders: (Participant.ORDERS, OrdersHandler(mapping, TOPICS, metrics, DIGEST)),
            TOPICS.buyers: (Participant.BUYERS, BuyersHandler(TOPICS, metrics, DIGEST)),
            TOPICS.contacts: (Participant.CONTACTS, ContactsHandler(mapping, TOPICS, metrics, DIGEST)),
            TOPICS.products: (Participant.PRODUCTS, ProductsHandler(mapping, TOPICS, metrics)),
        }
        self._stages = {topic: (part, handler, Rows()) for topic, (part, handler) in handlers.items()}
        self._waiting: dict[str, deque[Record]] = {topic: deque() for topic in self._names}
        for _, handler, rows in self._stages.values():
            handler.recovered(0, cast(StateTable, rows))

    def ingest(self, event: RowEvent) -> None:
        for topic, change in self._router.route(event, 0):
            self.append(Participant.INGEST, topic, pack([change]))

    def append(self, part: Participant, topic: str, value: bytes) -> None:
        carried: ChangeTopic[Any] | None = TOPICS.between(topic)
        if carried is not None:
            self.emitted |= {(part, self._names[topic], change.kind) for change in carried.unpack(value)}
            self._waiting[topic].append(Record(topic, 0, None, value))

    def settle(self) -> None:
        """Work until every topic that a join reads is empty."""
        while busy := [topic for topic in self._stages if self._waiting[topic]]:
            for topic in busy:
                part, handler, rows = self._stages[topic]
                records = list(self._waiting[topic])
                self._waiting[topic].clear()
                self.clock.advance(0.001)
                unit = UnitOfWork(0, 1, rows, self.clock.now_us())
                handler.handle(unit, records)
                rows.commit(unit)
                for (target, _), entries in unit.outputs():
                    for _, value in entries:
                        self.append(part, target, value or b"")


def test_a_simulated_shop_makes_ingest_and_the_joins_emit_everything_that_the_table_says_and_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweeps, "MOST_LOOKED_AT", 1)  # or a small shop is swept in one slice
    mapping = shop_site(1)
    simulation = shop(mapping, 1)
    network = Network(simulation)
    for record in simulation.events():
        event = decode(record.key, record.value)
        if isinstance(event, RowEvent):
            network.ingest(event)
    network.settle()
    network.append(Participant.INGEST, TOPICS.orders, pack([CanaryChange(HERE, 0, b"", Lane.LIVE, 1, None)]))
    barrier = BarrierChange(EVERYWHERE, CONTACTS_LOADED, b"", Lane.BULK, 1, Barrier(Participant.INGEST, 0, 1))
    network.append(Participant.INGEST, TOPICS.buyers, pack([barrier]))
    network.settle()
    rounds = Barrier(Participant.INGEST, 0, 1, 0, (Participant.INGEST,), joins_of(mapping))
    for topic in TOPICS.of_joins:
        network.append(Participant.INGEST, topic, pack([round_of(of_generation(1), rounds)]))
    network.settle()
    erased = min(expected_contacts(simulation.truth().tables, mapping))
    network.append(Participant.OPERATOR, TOPICS.contacts, pack([erasure_of(erased, DIGEST(erased), 0)]))
    network.settle()
    # The flag by which the ERP asks for an erasure is none of the simulated shop's (tests/ingest/test_poll.py has it).
    expected = {(part, topic, kind) for part, topic, kind in said() if part in (Participant.INGEST, *AGENTS)}
    expected -= {(Participant.INGEST, "contacts", ChangeKind.ERASURE)}
    # Nor do two of its orders share an address that is nobody's (tests/agents/test_sweeps.py has it).
    expected -= {(Participant.CONTACTS, "contacts", ChangeKind.RECIPIENTS_SWEEP)}
    assert {entry for entry in network.emitted if entry[0] is not Participant.OPERATOR} == expected
